/**
 * One seeded run of a fleet: pods that take turns by `stepTurn` through one Lease, on an API whose requests are lost, late,
 * doubled and answered after the client gave up, with pods that die. Holds the three promises of the contract against the
 * truth at each trigger. The same seed gives the same run; `deno task fuzz --fleet --seed N --runs 1` repeats one.
 */

import assert from "node:assert/strict";
import type { Lease } from "../../src/fleet/lease.ts";
import { stepTurn } from "../../src/fleet/protocol.ts";
import {
  dueAtMs,
  INITIAL_TURN,
  mayTrigger,
  type TurnEnd,
  type TurnEvent,
  type TurnPolicy,
  type TurnRequest,
  type TurnState,
} from "../../src/fleet/turn_state.ts";
import { createLeaseStore } from "./lease_store.ts";
import { createRandom, type SeededRandom } from "./random.ts";

/** Mechanisms that a run may be without, so that a test can see each promise break. */
export interface Without {
  /** The API takes every write, whatever was written in between. */
  readonly versions?: boolean;
  /** A rejection is read as if nobody had tried. */
  readonly rejections?: boolean;
  /** What came before the current content is forgotten. */
  readonly memory?: boolean;
  /** Nobody asks again whether the turn still holds right before the trigger. */
  readonly lastLook?: boolean;
  /** A holder that has run out is never replaced. */
  readonly expiry?: boolean;
}

/** What one run came to. */
export interface FleetSummary {
  readonly pods: number;
  readonly triggers: number;
  readonly requests: number;
  readonly rejected: number;
  readonly replaced: number;
  /** How long all pods took for the last content, in milliseconds. */
  readonly lastMs: number;
}

const DURATION_MS = 40_000;
const SOAK_MS = 3_000;
const CLIENT_TIMEOUT_MS = 5_000;

/** How the app takes a content: it says by name. */
type Kind = "good" | "bad" | "deadly" | "soak";
const kindOf = (content: string) => content.split("-")[0] as Kind;
/** 64 hex digits that stand for a content. */
const digestOf = (content: string) =>
  [...content].map((c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("").padEnd(64, "0").slice(
    0,
    64,
  );

/** Things that happen, in the order of their times. */
export interface Timeline {
  nowMs(): number;
  at(ms: number, act: () => void): void;
  /** Lets everything happen until then. */
  until(ms: number): void;
}

/** Makes a timeline that starts at 0. */
export function createTimeline(): Timeline {
  /** The next one is the last. */
  const waiting: { readonly ms: number; readonly act: () => void }[] = [];
  let now = 0;

  /** Where the first one stands that comes before `ms`, or at the same time, since it was there earlier. */
  function placeOf(ms: number): number {
    let [low, high] = [0, waiting.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (waiting[middle]!.ms > ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  return {
    nowMs: () => now,
    at: (ms, act) => void waiting.splice(placeOf(Math.max(ms, now)), 0, { ms: Math.max(ms, now), act }),
    until(ms) {
      while (waiting.length > 0 && waiting.at(-1)!.ms <= ms) {
        const next = waiting.pop()!;
        now = Math.max(now, next.ms);
        next.act();
      }
      now = Math.max(now, ms);
    },
  };
}

/** How badly the network behaves. */
interface Weather {
  lost: number;
  late: number;
  doubled: number;
}

interface Pod {
  readonly policy: TurnPolicy;
  state: TurnState;
  /** Counts the sidecar's processes: what an older one was waiting for does not come. */
  life: number;
  isAlive: boolean;
  disk: string;
  applied: string | null;
  reloading: boolean;
  retryAtMs: number;
  backoffMs: number;
  canSend: boolean;
  killedBy: Set<string>;
  soakTrouble: string | null;
  /** The process is stopped until then: what happens to it, happens afterwards. */
  stoppedUntilMs: number;
}

/**
 * Runs the simulation of `seed`.
 * @throws AssertionError naming the seed where a promise does not hold.
 */
export function simulateFleet(seed: number, without: Without = {}): FleetSummary {
  const random = createRandom(seed);
  const log: string[] = [];
  try {
    const run = createRun(random, without, log);
    run.play();
    return run.comeToRest();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new Error(`fleet seed ${seed}: ${text}\n${log.slice(-80).join("\n")}`, { cause: error });
  }
}

function createRun(random: SeededRandom, without: Without, log: string[]) {
  const timeline = createTimeline();
  const store = createLeaseStore(DURATION_MS, () => `${timeline.nowMs()}`, !without.versions);
  const weather: Weather = random.pick([
    { lost: 0, late: 0, doubled: 0 },
    { lost: 0.05, late: 0.1, doubled: 0.05 },
    { lost: 0.3, late: 0.3, doubled: 0.1 },
  ]);
  const mode = random.pick(["canary", "canary", "serial"] as const);
  const truth = createTruth(log, () => timeline.nowMs());
  const say = (text: string) => log.push(`${Math.round(timeline.nowMs())} ${text}`);
  let requests = 0;
  let triggers = 0;
  const pods: Pod[] = [];

  function addPod(disk: string): void {
    pods.push({
      policy: { pod: `web-${pods.length}`, mode, durationMs: DURATION_MS, soakMs: SOAK_MS },
      state: INITIAL_TURN,
      life: 0,
      isAlive: true,
      disk,
      applied: disk,
      reloading: false,
      retryAtMs: 0,
      backoffMs: 5_000,
      canSend: true,
      killedBy: new Set(),
      soakTrouble: null,
      stoppedUntilMs: 0,
    });
  }

  /** Something that happens to a pod, if it is the same process then. */
  function at(ms: number, pod: Pod, act: () => void): void {
    const { life } = pod;
    timeline.at(ms, () => pod.life === life && act());
  }

  function tell(pod: Pod, event: TurnEvent): void {
    if (!pod.isAlive) return;
    if (pod.stoppedUntilMs > timeline.nowMs()) return at(pod.stoppedUntilMs, pod, () => tell(pod, event));
    const before = pod.state.turn;
    const [state, request] = stepTurn(
      pod.state,
      event,
      { nowMs: timeline.nowMs(), random: random.next() },
      pod.policy,
    );
    pod.state = state;
    truth.turn(pod, before);
    if (request !== null) send(pod, request);
    const dueMs = dueAtMs(state, pod.policy);
    if (dueMs < Infinity) at(dueMs, pod, () => pod.state === state && tell(pod, { is: "time" }));
    loop(pod);
  }

  /** One request over a bad network. The client gives up after 5 s; what it sent may arrive later, or twice. */
  function send(pod: Pod, request: TurnRequest): void {
    requests++;
    const { life } = pod;
    let isOpen = true;
    const answer = (event: TurnEvent) => {
      if (!isOpen || pod.life !== life) return;
      isOpen = false;
      tell(pod, event);
    };
    timeline.at(
      timeline.nowMs() + CLIENT_TIMEOUT_MS,
      () => answer({ is: "failed", message: "timed out after 5s", retryAfterMs: null }),
    );
    const times = random.chance(weather.doubled) ? 2 : 1;
    for (let i = 0; i < times; i++) {
      if (random.chance(weather.lost)) continue;
      timeline.at(timeline.nowMs() + travelMs(), () => {
        const event = serve(pod, request);
        if (random.chance(weather.lost)) return;
        timeline.at(timeline.nowMs() + travelMs(), () => answer(event));
      });
    }
  }

  const travelMs = () => random.chance(weather.late) ? random.int(100, 20_000) : random.int(1, 20);

  function serve(pod: Pod, request: TurnRequest): TurnEvent {
    const event = store.serve(request);
    if (event.is === "written") {
      truth.stored(event.lease);
      const { digest, state, pod: by } = event.lease.current ?? {};
      say(`${pod.policy.pod} wrote ${digest?.slice(0, 12)} ${state} ${by}`);
    }
    return "lease" in event ? { ...event, lease: event.lease && weaken(event.lease) } as TurnEvent : event;
  }

  /** The Lease as a pod sees it that is without some mechanism. */
  function weaken(lease: Lease): Lease {
    const current = without.rejections && lease.current?.state === "rejected"
      ? { ...lease.current, state: "free" as const }
      : without.expiry && lease.current?.state === "trying"
      ? { ...lease.current, renewTime: `${timeline.nowMs()}` }
      : lease.current;
    return { ...lease, current, earlier: without.memory ? [] : lease.earlier };
  }

  /** Stands in for the reload loop: wants what is on disk and not applied, and reloads where the fleet says go. */
  function loop(pod: Pod): void {
    if (!pod.isAlive || pod.reloading) return;
    const nowMs = timeline.nowMs();
    const isDue = pod.disk !== pod.applied && nowMs >= pod.retryAtMs;
    const wanted = isDue ? digestOf(pod.disk) : null;
    if (pod.state.wanted !== wanted) return tell(pod, { is: "wanted", digest: wanted });
    if (!isDue && pod.disk !== pod.applied) at(pod.retryAtMs, pod, () => loop(pod));
    if (isDue && pod.state.answer.is === "go") reload(pod, pod.disk);
  }

  function reload(pod: Pod, content: string): void {
    pod.reloading = true;
    const later = (ms: number, act: () => void) => at(timeline.nowMs() + ms, pod, act);
    const finish = (end: TurnEnd) => {
      pod.reloading = false;
      if (end.is === "success" || end.is === "unproved") {
        pod.applied = content;
        pod.backoffMs = 5_000;
      } else {
        pod.applied = null;
        pod.retryAtMs = timeline.nowMs() + pod.backoffMs;
        pod.backoffMs = Math.min(pod.backoffMs * 2, 60_000);
      }
      if (end.is === "rejected") truth.rejected(content);
      say(`${pod.policy.pod} ended ${content} ${end.is}`);
      tell(pod, { is: "ended", digest: digestOf(content), end });
      later(SOAK_MS / 2, () => tell(pod, { is: "soaked", trouble: pod.soakTrouble }));
      later(SOAK_MS, () => tell(pod, { is: "soaked", trouble: pod.soakTrouble }));
    };
    // A process that was stopped wakes up long after its turn was over, and goes on where it was.
    const isStopped = random.chance(0.03);
    const preparesMs = isStopped ? random.int(30_000, 150_000) : random.int(0, 2_000);
    if (isStopped) pod.stoppedUntilMs = timeline.nowMs() + preparesMs;
    later(preparesMs, () => {
      if (pod.killedBy.has(content)) return finish({ is: "unproved" });
      const mayGo = without.lastLook ||
        mayTrigger(pod.state, digestOf(content), timeline.nowMs(), pod.policy);
      if (!pod.canSend || !mayGo) return finish({ is: "untried" });
      triggers++;
      truth.triggered(pod, content);
      pod.soakTrouble = null;
      later(random.pick([5, 500, 8_000]), () => {
        if (kindOf(content) === "bad") return finish(rejection("rejected"));
        if (kindOf(content) === "deadly") {
          pod.killedBy.add(content);
          return finish(rejection("failed"));
        }
        if (kindOf(content) === "soak") pod.soakTrouble = "the app died";
        finish({ is: "success" });
      });
    });
  }

  const rejection = (outcome: string): TurnEnd => ({ is: "rejected", outcome, reason: "validation_failed" });

  /** New content reaches the pods one by one, as kubelets look. */
  function roll(content: string, withinMs: number): void {
    say(`config: ${content}`);
    for (const pod of pods) {
      timeline.at(timeline.nowMs() + random.int(0, withinMs), () => {
        if (!pod.isAlive) return;
        pod.disk = content;
        pod.retryAtMs = 0;
        pod.backoffMs = 5_000;
        loop(pod);
      });
    }
  }

  function restartSidecar(pod: Pod): void {
    say(`${pod.policy.pod} sidecar restarts`);
    Object.assign(pod, {
      life: pod.life + 1,
      state: INITIAL_TURN,
      reloading: false,
      retryAtMs: 0,
      stoppedUntilMs: 0,
    });
    loop(pod);
  }

  function disturb(): void {
    const alive = pods.filter(({ isAlive }) => isAlive);
    const pod = random.pick(alive);
    const what = random.next();
    if (what < 0.15 && alive.length > 2) {
      say(`${pod.policy.pod} is gone`);
      Object.assign(pod, { isAlive: false, life: pod.life + 1 });
    } else if (what < 0.25 && pods.length < 24) {
      // A new pod's app reads what is there at its start, good or bad.
      addPod(random.pick(alive).disk);
    } else if (what < 0.4) restartSidecar(pod);
    else if (what < 0.5) {
      pod.canSend = false;
      timeline.at(timeline.nowMs() + random.int(1_000, 60_000), () => pod.canSend = true);
    } else if (what < 0.55) {
      const current = store.lease()?.current;
      if (current?.state !== "rejected") return;
      say("a person says proved");
      store.annotate({ "config-reloader/state": "proved" });
      truth.overridden(current.digest);
    } else if (what < 0.6) {
      const old = { ...weather };
      Object.assign(weather, { lost: 1 });
      timeline.at(timeline.nowMs() + random.int(1_000, 120_000), () => Object.assign(weather, old));
    }
  }

  function play(): void {
    const count = random.int(2, 20);
    for (let i = 0; i < count; i++) addPod("good-0");
    const contents = ["good-0", "good-1", "good-2", "bad-1", "bad-2", "deadly-1", "soak-1"];
    const steps = random.int(2, 10);
    for (let i = 0; i < steps; i++) {
      if (random.chance(0.6)) roll(random.pick(contents), random.pick([0, 1_000, 90_000]));
      if (random.chance(0.5)) disturb();
      timeline.until(timeline.nowMs() + random.pick([1, 500, 4_000, 20_000, 120_000]));
    }
  }

  /** Good content, and everything heals: all pods must run it. */
  function comeToRest(): FleetSummary {
    timeline.until(timeline.nowMs() + 130_000);
    Object.assign(weather, { lost: 0, late: 0, doubled: 0 });
    const alive = pods.filter(({ isAlive }) => isAlive);
    for (const pod of alive) pod.canSend = true;
    roll("good-9", 90_000);
    const beganMs = timeline.nowMs();
    const mostMs = 90_000 + 3 * DURATION_MS + 60_000 + (mode === "serial" ? alive.length * 120_000 : 120_000);
    const isDone = () => alive.every(({ applied }) => applied === "good-9");
    while (!isDone() && timeline.nowMs() < beganMs + mostMs) timeline.until(timeline.nowMs() + 1_000);
    const lastMs = timeline.nowMs() - beganMs;
    const behind = alive.filter(({ applied }) => applied !== "good-9");
    assert.deepEqual(
      behind.map(({ policy, state }) => `${policy.pod}: ${JSON.stringify(state)}`),
      [],
      `out of sync after ${mostMs} ms of rest (${mode})`,
    );
    return { pods: pods.length, triggers, requests, lastMs, ...truth.summary() };
  }

  return { play, comeToRest };
}

/** What really happened, whatever anybody believes. */
function createTruth(log: string[], nowMs: () => number) {
  /** By content: until when each pod that has triggered it had the turn for it. */
  const triggered = new Map<string, Map<string, { untilMs: number }>>();
  /** Content that the Lease has said to be proved, by a pod or a person. */
  const proved = new Set<string>();
  /** Content that the Lease says to be rejected, and by whom. */
  const rejected = new Map<string, string>();
  const overridden = new Set<string>();
  let replaced = 0;
  let rejections = 0;
  return {
    /** Notes how long a turn that this pod has just taken or renewed lasts. */
    turn({ policy, state }: Pod, before: TurnState["turn"]) {
      const { turn } = state;
      if (turn === null || turn === before) return;
      const known = triggered.get(turn.digest)?.get(policy.pod);
      if (known && !turn.isRetry) known.untilMs = turn.sentAtMs + DURATION_MS;
    },
    triggered({ policy, state }: Pod, content: string) {
      const digest = digestOf(content);
      log.push(`${Math.round(nowMs())} ${policy.pod} TRIGGERS ${content}`);
      const others = triggered.get(digest) ?? new Map<string, { untilMs: number }>();
      triggered.set(digest, others);
      if (!proved.has(digest)) {
        for (const [pod, { untilMs }] of others) {
          if (pod === policy.pod) continue;
          assert.ok(nowMs() >= untilMs, `P1: ${policy.pod} triggers ${content} while ${pod} has its turn`);
          replaced++;
        }
      }
      const by = rejected.get(digest);
      // What a person has let go, who has tried it already may try again, whoever rejects it then.
      const isKnown = overridden.has(digest) && others.has(policy.pod);
      assert.ok(
        by === undefined || by === policy.pod || isKnown,
        `P2: ${policy.pod} triggers ${content}, rejected in ${by}`,
      );
      const { turn } = state;
      // What it has rejected is the Lease's business from then on.
      const untilMs = turn?.digest !== digest || turn.isRetry ? 0 : turn.sentAtMs + DURATION_MS;
      others.set(policy.pod, { untilMs: Math.max(untilMs, others.get(policy.pod)?.untilMs ?? 0) });
    },
    rejected(content: string) {
      log.push(`${Math.round(nowMs())} rejected ${content}`);
      rejections++;
    },
    stored({ current, earlier }: Lease) {
      for (const trial of [current, ...earlier]) {
        if (trial?.state === "proved") {
          proved.add(trial.digest);
          rejected.delete(trial.digest);
        }
        if (trial?.state === "rejected") rejected.set(trial.digest, trial.pod);
      }
    },
    overridden(digest: string) {
      overridden.add(digest);
      proved.add(digest);
      rejected.delete(digest);
    },
    summary: () => ({ replaced, rejected: rejections }),
  };
}
