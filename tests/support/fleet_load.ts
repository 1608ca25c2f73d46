/** What a group of many pods asks of the API server, in requests a second: the figures of docs/fleet.md. */

import { stepTurn } from "../../src/fleet/protocol.ts";
import { dueAtMs, INITIAL_TURN, type TurnEvent, type TurnPolicy } from "../../src/fleet/turn_state.ts";
import { createTimeline } from "./fleet_simulation.ts";
import { createLeaseStore } from "./lease_store.ts";
import { createRandom } from "./random.ts";

/** Requests in each second. */
export interface Load {
  readonly bySecond: readonly number[];
  /** How many pods may go at the end. */
  readonly gone: number;
}

/** What the first pod makes of the content. */
export type Verdict = "proved" | "rejected";

const DURATION_MS = 55_000;
const SOAK_MS = 10_000;
/** What one request takes, there and back. */
const REQUEST_MS = 10;
/** The first pod's reload. */
const RELOAD_MS = 2_000;

/**
 * `count` pods see new content within `withinMs` (a kubelet looks at a ConfigMap every 60 to 90 s), the first one reloads it,
 * and it is watched for `lastsMs`.
 */
export function measureLoad(count: number, verdict: Verdict, withinMs: number, lastsMs: number): Load {
  const timeline = createTimeline();
  const random = createRandom(count);
  const digest = "a".repeat(64);
  const bySecond: number[] = Array.from({ length: Math.ceil(lastsMs / 1000) }, () => 0);
  const store = createLeaseStore(DURATION_MS, () => `${timeline.nowMs()}`);
  const states = Array.from({ length: count }, () => INITIAL_TURN);

  function tell(index: number, event: TurnEvent): void {
    const policy: TurnPolicy = {
      pod: `web-${index}`,
      mode: "canary",
      durationMs: DURATION_MS,
      soakMs: SOAK_MS,
    };
    const before = states[index]!;
    const moment = { nowMs: timeline.nowMs(), random: random.next() };
    const [state, request] = stepTurn(before, event, moment, policy);
    states[index] = state;
    if (request !== null) {
      bySecond[Math.floor(timeline.nowMs() / 1000)]!++;
      timeline.at(timeline.nowMs() + REQUEST_MS / 2, () => {
        const answer = store.serve(request);
        timeline.at(timeline.nowMs() + REQUEST_MS / 2, () => tell(index, answer));
      });
    }
    const dueMs = dueAtMs(state, policy);
    if (dueMs < Infinity) {
      timeline.at(dueMs, () => states[index] === state && tell(index, { is: "time" }));
    }
    if (state.answer.is === "go" && state.answer.isFirst && before.answer.is !== "go") reload(index);
  }

  function reload(index: number): void {
    const later = (ms: number, event: TurnEvent) =>
      timeline.at(timeline.nowMs() + ms, () => tell(index, event));
    if (verdict === "rejected") {
      later(RELOAD_MS, { is: "ended", digest, end: { is: "rejected", outcome: "rejected", reason: "no" } });
      return;
    }
    later(RELOAD_MS, { is: "ended", digest, end: { is: "success" } });
    later(RELOAD_MS + SOAK_MS, { is: "soaked", trouble: null });
  }

  for (let index = 0; index < count; index++) {
    timeline.at(random.int(0, withinMs), () => tell(index, { is: "wanted", digest }));
  }
  timeline.until(lastsMs - 1);
  return { bySecond, gone: states.filter(({ answer }) => answer.is === "go").length };
}
