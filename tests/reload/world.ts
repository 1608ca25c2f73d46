/**
 * A loop without effects for tests of `step`: whatever an effect may bring is drawn from a list of numbers, so that a failure
 * shrinks to a short one. It keeps the invariants of each step while it goes.
 */

import assert from "node:assert/strict";
import type { Config } from "../../src/config.ts";
import type { Observation, Outcome, Result, StatusReading } from "../../src/model.ts";
import {
  createModel,
  type Effect,
  type Event,
  isInSync,
  type Model,
  reloadOf,
} from "../../src/reload/model.ts";
import { step } from "../../src/reload/step.ts";
import { amp } from "../support/status.ts";
import { targetOf } from "../target/fake_table.ts";
import { content, MISSING, result, WALL_MS } from "./support.ts";

const CONTENTS = ["a", "b", "c"];
const CAUSES = ["event", "interval", "signal", "target", "retry"] as const;
const OUTCOMES: readonly Outcome[] = ["success", "success", "rejected", "failed", "timeout", "invalid"];

/** Numbers as choices; zeros when they are used up. */
export function createChoices(numbers: readonly number[]) {
  let index = 0;
  const next = () => numbers[index++] ?? 0;
  return {
    isOver: () => index >= numbers.length,
    chance: (percent: number) => next() % 100 < percent,
    pick: <T>(values: readonly T[]): T => values[next() % values.length]!,
    int: (max: number) => next() % (max + 1),
  };
}
export type Choices = ReturnType<typeof createChoices>;

/** A loop without effects: it keeps the invariants of each step while it goes. */
export class World {
  nowMs = 0;
  model: Model = createModel({ nowMs: 0, wallMs: WALL_MS });
  effect: Effect = { do: "look", hint: { causes: ["start"], firstAtMs: 0 } };
  disk: string | null = "a";
  diskSinceMs = -60_000;
  settlesAtMs = 0;
  /** Attempts begun and ended as the recorder counts them. */
  begun = 0;
  counted = 0;
  /** An attempt runs: since `reload` until its `ended`. */
  running: { readonly digest: string; isSent: boolean; isOvertaken: boolean } | null = null;
  lastTriggerAtMs = -Infinity;
  /** Steps since time passed. */
  still = 0;
  /** Sees each step. */
  onStep: (before: Model, event: Event, after: Model, effect: Effect) => void = () => {};

  constructor(readonly policy: Config, readonly choices: Choices) {}

  now() {
    return { nowMs: this.nowMs, wallMs: WALL_MS + this.nowMs, random: this.choices.int(127) / 128 };
  }

  take(event: Event): void {
    const before = this.model;
    [this.model, this.effect] = step(before, event, this.now(), this.policy);
    this.still++;
    assert.ok(this.still < 60, `busy without time passing: ${event.kind} in ${before.phase.is}`);
    checkStep(this, before, event);
    this.onStep(before, event, this.model, this.effect);
  }

  observe(): Observation {
    if (this.nowMs < this.settlesAtMs) return { kind: "settling", againAtMs: this.settlesAtMs };
    if (this.disk === null) return MISSING;
    return content(this.disk, WALL_MS + this.diskSinceMs);
  }

  write(digest: string | null, settlingMs = 0): void {
    this.disk = digest;
    this.diskSinceMs = this.nowMs;
    this.settlesAtMs = this.nowMs + settlingMs;
  }

  pass(ms: number): void {
    this.nowMs += ms;
    if (ms > 0) this.still = 0;
  }
}

/** What must hold of every step (failures.md, I1 to I10, as far as the policy answers for it). */
function checkStep(world: World, before: Model, event: Event): void {
  const { model, effect, policy, nowMs } = world;
  if (effect.do === "reload") {
    assert.equal(world.running, null, "I9: two reloads in flight");
    const { job, isContinued } = effect.reload;
    world.running = { digest: job.digest, isSent: false, isOvertaken: false };
    if (!isContinued) world.begun++;
    // Unless this very look has found that the app died of it.
    const isUnchanged = isInSync(before) && before.applied === job.digest && model.death === before.death;
    // An app that started while the content was away runs without it.
    const wasAway = event.kind === "answered";
    assert.ok(!isUnchanged || wasAway, "I2: a reload without a change");
    assert.ok(nowMs - world.lastTriggerAtMs >= policy.minReloadIntervalMs, "--min-reload-interval");
    assert.equal(job.mayTrigger, !model.killed.includes(job.digest), "killed content is not signalled again");
  }
  if (effect.do === "overtake") {
    assert.ok(world.running?.isSent, "nothing is pending that could be overtaken");
    world.running.isOvertaken = true;
  }
  if (model.last !== before.last) {
    world.counted++;
    const failed = model.last!.result.outcome !== "success";
    assert.equal(
      failed,
      model.failure !== null && model.failedFor !== null || !failed && false,
      "I8: not told",
    );
  }
  const running = reloadOf(model) === null ? 0 : 1;
  const isGivenUp = model.phase.is === "ended" &&
    (event.kind === "ended" || event.kind === "stop" && before.phase.is === "concluding");
  assert.ok(isGivenUp || world.begun === world.counted + running, "attempts = ended + the one in progress");
  if (isInSync(model) && !isInSync(before)) {
    const isProved = model.last !== before.last && model.last!.result.outcome === "success";
    const isAsBefore = model.applied === before.applied && !before.isUncertain;
    assert.ok(isProved || isAsBefore || event.kind === "answered", "I4: in sync without a proof");
  }
  if (event.kind === "hinted" && model.phase.is !== "ended") {
    const isLookedFor = effect.do === "look" || model.owed !== null;
    assert.ok(isLookedFor, `a hint is forgotten in ${before.phase.is}`);
  }
  assert.ok(model.killed.length <= 16 && model.undecided.length <= 8, "I6: bounded");
  assert.equal(model.outOfSyncSinceAtMs === null, isInSync(model));
}

export const READING: StatusReading = { kind: "status", status: amp({ attempts: 1 }) };
const SILENT: StatusReading = { kind: "error", reason: "timed out after 1s" };
const FAILED: StatusReading = { kind: "status", status: amp({ attempts: 2, status: "validation_failed" }) };

/** One event that the effect may bring. `isGood`: the disk rests, and the app is willing. */
export function perform(world: World, isGood: boolean): void {
  const { choices, effect, policy, model } = world;
  const process = targetOf(7);
  const isThere = isGood || choices.chance(80);
  const alive = { known: model.known?.target ? isThere : null, signalled: model.signalled ? isThere : null };
  switch (effect.do) {
    case "look": {
      world.pass(choices.int(3));
      const { hint } = effect;
      const observation = world.observe();
      return world.take({ kind: "looked", hint, observation, alive, staleMounts: [] });
    }
    case "ask": {
      const prepared = isGood || choices.chance(90)
        ? { kind: "ok" } as const
        : { kind: "failed", reason: "no space" } as const;
      const resolution = policy.trigger !== "signal"
        ? null
        : isThere
        ? { kind: "target", target: { ...process, startedAtMs: world.nowMs - choices.int(90_000) } } as const
        : { kind: "none", code: "not-there", message: "nobody", again: choices.chance(50) } as const;
      const reading = isThere && policy.verify !== "none" ? READING : null;
      return world.take({
        kind: "answered",
        prepared,
        resolution,
        reading,
      });
    }
    case "check": {
      const view = {
        ok: isThere,
        message: isThere ? "PID 7" : "nobody",
        code: isThere ? "ready" : "not-there",
        pid: null,
        name: null,
        uid: null,
        handled: null,
        permitted: null,
      } as const;
      const known = { target: isThere ? process : null, isExpected: !isThere, view, mounts: null };
      return world.take({
        kind: "checked",
        alive,
        found: effect.afresh || alive.known === false ? known : null,
      });
    }
    case "read-status":
      return world.take({
        kind: "told",
        reading: isGood ? READING : choices.pick([READING, FAILED, SILENT]),
      });
    case "render":
      return world.take({ kind: "rendered", prepared: { kind: "ok" } });
    case "end":
      return;
    default:
      return wait(world, isGood);
  }
}

/** Something happens while the loop waits: a write, a hint, a date, or what the attempt reports. */
function wait(world: World, isGood: boolean): void {
  const { choices, effect } = world;
  const untilMs = effect.do === "wait" ? effect.untilMs : Infinity;
  const { running } = world;
  if (running !== null && (isGood || running.isOvertaken || choices.chance(60))) return report(world, isGood);
  if (!isGood && choices.chance(40)) {
    world.write(choices.pick([...CONTENTS, null]), choices.pick([0, 0, 0, 800]));
    if (choices.chance(80)) return hint(world, "event");
  }
  if (!isGood && choices.chance(30)) return hint(world, choices.pick(CAUSES));
  const intervalMs = world.policy.intervalMs;
  const leftMs = Math.max(0, untilMs - world.nowMs);
  if (leftMs <= intervalMs) {
    world.pass(leftMs);
    return world.take({ kind: "woke" });
  }
  world.pass(intervalMs);
  hint(world, "interval");
}

export function hint(world: World, cause: typeof CAUSES[number]): void {
  world.take({ kind: "hinted", hint: { causes: [cause], firstAtMs: world.nowMs } });
}

export function report(world: World, isGood: boolean): void {
  const { choices, policy } = world;
  const running = world.running!;
  const reload = reloadOf(world.model)!;
  world.pass(choices.int(isGood ? 50 : 3_000));
  const maySend = reload.job.mayTrigger && policy.trigger !== "none";
  if (!running.isSent && (isGood || choices.chance(80))) {
    running.isSent = true;
    if (maySend) world.lastTriggerAtMs = world.nowMs;
    return world.take({ kind: "sent", how: "first", target: null, atMs: world.nowMs });
  }
  world.running = null;
  world.take({ kind: "ended", result: resultOf(world, running, maySend, isGood) });
}

function resultOf(
  world: World,
  { isSent, isOvertaken }: { readonly isSent: boolean; readonly isOvertaken: boolean },
  maySend: boolean,
  isGood: boolean,
): Result {
  const { choices, policy } = world;
  const atMs = isSent && maySend ? world.lastTriggerAtMs : null;
  const target = policy.trigger === "signal" ? targetOf(7) : null;
  const more = { triggeredAtMs: atMs, lastTriggeredAtMs: atMs, target };
  if (world.model.isStopping && choices.chance(50)) return result("failed", { ...more, code: "stopped" });
  if (isOvertaken) return result("failed", { ...more, code: "overtaken" });
  const outcome = isGood ? "success" : choices.pick(isSent ? OUTCOMES : ["failed", "invalid"] as const);
  const killed = outcome === "failed" && atMs !== null && choices.chance(50);
  if (outcome === "success") return result(outcome, { ...more, proof: "counter" });
  const code = outcome === "invalid" && choices.chance(50) ? "check-command" : outcome;
  return result(outcome, { ...more, code: killed ? "killed" : code });
}

/** In sync with the disk, and nothing left to do. */
export function isAtRest({ model, effect, disk }: World): boolean {
  return model.phase.is === "steady" && effect.do === "wait" && isInSync(model) && model.applied === disk;
}
