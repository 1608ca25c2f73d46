/**
 * Drives the protocol: makes its requests one at a time, wakes it at its dates, looks at the app during a soak, and calls
 * when the answer has changed. Decides nothing itself; all it remembers is the protocol's state. Must never delay the loop.
 */

import type { Result, RolloutView, Target } from "../model.ts";
import type { Clock, Random } from "../ports.ts";
import { printable } from "../text.ts";
import { REASON_LENGTH_MAX } from "./lease.ts";
import { stepTurn } from "./protocol.ts";
import {
  dueAtMs,
  INITIAL_TURN,
  mayTrigger,
  type TurnEnd,
  type TurnEvent,
  type TurnPolicy,
  type TurnRequest,
  type TurnState,
} from "./turn_state.ts";

/** This pod's part in the rollout: the port of the loop, and what its fleet asks of it. */
export type Rollout = ReturnType<typeof createRollout>;

/** Makes one request for the Lease. Never rejects: what goes wrong is an event. */
export type SendRequest = (request: TurnRequest) => Promise<TurnEvent>;

/** What the rollout works with. */
export interface RolloutDeps {
  readonly policy: TurnPolicy;
  readonly send: SendRequest;
  readonly clock: Clock;
  readonly random: Random;
  /** What is wrong with the app during its soak; null where it lives and its status is good. */
  readonly checkApp: (target: Target | null, signal: AbortSignal) => Promise<string | null>;
  /** What `view` returns has changed. */
  readonly onChange: () => void;
  /** The end of the sidecar. */
  readonly stopping: AbortSignal;
}

/** Pauses between two looks at the app during a soak: a tenth of it, within these, in milliseconds. */
const SOAK_LOOK_MS_MIN = 200;
const SOAK_LOOK_MS_MAX = 5_000;

/** Makes this pod's part; nothing is asked before content is wanted. */
export function createRollout(deps: RolloutDeps) {
  const { policy, clock, stopping } = deps;
  let state: TurnState = INITIAL_TURN;
  let armedAtMs = Infinity;
  let onSettled = () => {};

  function tell(event: TurnEvent): void {
    if (stopping.aborted) return;
    const before = JSON.stringify(viewOf(state));
    const [after, request] = stepTurn(state, event, { nowMs: clock.nowMs(), random: deps.random() }, policy);
    state = after;
    if (request !== null) deps.send(request).then(tell);
    arm();
    if (state.verdict === null) onSettled();
    if (JSON.stringify(viewOf(state)) !== before) deps.onChange();
  }

  /** Wakes the protocol at its next date. A date that has been overtaken wakes it for nothing, which is cheap. */
  function arm(): void {
    const atMs = dueAtMs(state, policy);
    if (atMs >= armedAtMs) return;
    armedAtMs = atMs;
    clock.sleep(atMs - clock.nowMs(), stopping).then(() => {
      if (armedAtMs === atMs) armedAtMs = Infinity;
      tell({ is: "time" });
    });
  }

  const soakUntilMs = () => state.turn?.soakUntilMs ?? null;

  async function soak(target: Target | null): Promise<void> {
    const untilMs = soakUntilMs();
    const lookMs = Math.min(Math.max(policy.soakMs / 10, SOAK_LOOK_MS_MIN), SOAK_LOOK_MS_MAX);
    while (untilMs !== null && soakUntilMs() === untilMs) {
      await clock.sleep(Math.max(0, Math.min(lookMs, untilMs - clock.nowMs())), stopping);
      if (stopping.aborted) return;
      const trouble = await deps.checkApp(target, stopping);
      if (soakUntilMs() === untilMs) {
        tell({ is: "soaked", trouble: trouble && printable(trouble, REASON_LENGTH_MAX) });
      }
    }
  }

  return {
    want(digest: string | null) {
      if (digest !== state.wanted) tell({ is: "wanted", digest });
    },
    view: () => viewOf(state),
    /** Whether the wanted content may be triggered at this very moment. */
    mayTrigger: () => state.wanted !== null && mayTrigger(state, state.wanted, clock.nowMs(), policy),
    /** Resolves when what came of the last reload is written, or after `timeoutMs`. */
    async settled(timeoutMs: number) {
      if (state.verdict === null) return;
      const late = new AbortController();
      const written = new Promise<void>((resolve) => onSettled = resolve);
      await Promise.race([written, clock.sleep(timeoutMs, late.signal)]);
      late.abort("over");
    },
    ended(digest: string, result: Result, isProof: boolean) {
      const before = soakUntilMs();
      tell({ is: "ended", digest, end: endOf(result, isProof) });
      if (soakUntilMs() !== before) soak(result.target);
    },
  };
}

function viewOf({ wanted, answer, turn, verdict, soakEnd, problem }: TurnState): RolloutView {
  const isSoaking = turn !== null && turn.soakUntilMs !== null || verdict?.state === "proved";
  const isUntold = turn !== null || verdict !== null;
  return { wanted, turn: answer, isSoaking, soakEnd, problem: isUntold ? problem : null };
}

/** What the end of a reload means for the group: any outcome but `success` is a rejection, if anything could be sent. */
function endOf(result: Result, isProof: boolean): TurnEnd {
  const { outcome, code, reason, triggeredAtMs } = result;
  // Newer content came before the proof, or the app may have read other content than this.
  if (code === "overtaken" || outcome === "success" && !isProof) return { is: "unproved" };
  if (outcome === "success") return { is: "success" };
  if (outcome === "failed" && triggeredAtMs === null && code !== "killed") return { is: "untried" };
  return { is: "rejected", outcome, reason: printable(reasonFor(outcome, reason), REASON_LENGTH_MAX) };
}

/** What a check says of content may quote it, and the Lease must hold none. */
function reasonFor(outcome: Result["outcome"], reason: string): string {
  return outcome === "invalid" ? "its check refused it; the log of that pod's sidecar says why" : reason;
}
