/**
 * The only loop: it performs an effect, takes the event that comes of it, lets `step` decide what that means, and has it
 * recorded. All that it remembers is one `Model`, and when it turned last, for `/healthz`. It knows no file, process or URL
 * itself; it drives the ports.
 */

import { momentOf } from "../clock.ts";
import { rendersOutput } from "../config.ts";
import type { Cause, Health } from "../model.ts";
import type { Clock, Random, RolloutPort } from "../ports.ts";
import {
  createModel,
  type Effect,
  type Event,
  isInSync,
  isWithGroup,
  type Model,
  reloadOf,
  wantedOf,
} from "../reload/model.ts";
import { step } from "../reload/step.ts";
import type { Recorder } from "../record/recorder.ts";
import { formatMs } from "../text.ts";
import { createPerform, type EffectDeps } from "./effects.ts";
import { RELOAD_WORK } from "./garbage_collection.ts";
import { createMailbox } from "./mailbox.ts";

/** Shortest silence of the loop that counts as dead, whatever the interval. */
const STALL_MIN_MS = 30_000;

/** The parts that the loop drives. */
export interface LoopDeps extends Omit<EffectDeps, "mailbox" | "beat" | "stopping" | "aborted"> {
  readonly random: Random;
  /** Called with the work done, so that memory is given back now and then. */
  readonly collectGarbage: (work: number) => void;
  readonly recorder: Recorder;
  /** For a printed trace: sees every step. */
  readonly trace?: (before: Model, event: Event, after: Model, effect: Effect) => void;
}

/** The loop, seen from outside. */
export interface Loop {
  /** Wakes the loop; coalesces with hints that wait. */
  readonly hint: (cause: Cause) => void;
  /**
   * Turns until `stopping` aborts (a reload in progress is finished, or given up when `aborted` aborts), or, with
   * `--once`, until the app matches the disk or cannot be made to. Returns the exit code.
   */
  run(stopping: AbortSignal, aborted: AbortSignal): Promise<number>;
  /** All that it remembers now. */
  model(): Model;
  health(): Health;
  ready(): Health;
}

/** Makes the loop; nothing happens before `run`. */
export function createLoop(deps: LoopDeps): Loop {
  const { clock, config, recorder } = deps;
  const now = () => ({ ...momentOf(clock), random: deps.random() });
  const mailbox = createMailbox(clock);
  const heartbeat = createHeartbeat(clock, config.intervalMs);
  let model = createModel(now());

  async function run(stopping: AbortSignal, aborted: AbortSignal): Promise<number> {
    if (stopping.aborted) mailbox.stop();
    stopping.addEventListener("abort", () => mailbox.stop(), { once: true });
    const perform = createPerform({ ...deps, mailbox, beat: heartbeat.beat, stopping, aborted });
    let effect: Effect = { do: "look", hint: { causes: ["start"], firstAtMs: clock.nowMs() } };
    let pending = perform(effect, model);
    for (;;) {
      const event = await pending;
      // An attempt beats by itself: that it is waited for is no sign of life.
      if (reloadOf(model) === null) heartbeat.beat();
      const before = model;
      const at = now();
      [model, effect] = step(before, event, at, config);
      deps.trace?.(before, event, model, effect);
      if (effect.do !== "end") pending = perform(effect, model);
      // A signal may be due: nothing is logged before it, unless it has to wait for more than one turn. Rendering is longer,
      // and writes lines of its own.
      if (effect.do === "reload" && !rendersOutput(config)) await clock.sleep(0);
      if (deps.rollout !== undefined) tellGroup(deps.rollout, before, model);
      recorder.record(before, event, model, at);
      if (event.kind === "ended") deps.collectGarbage(RELOAD_WORK);
      if (effect.do === "end") return effect.code;
    }
  }

  return {
    hint: mailbox.hint,
    run,
    model: () => model,
    health: heartbeat.health,
    ready: () => {
      if (model.phase.is === "starting") return { ok: false, reason: "the disk has not been looked at yet" };
      if (config.readyWhen === "in-sync" && !isInSync(model) && !isWithGroup(model)) {
        return { ok: false, reason: "the app does not run what is on disk" };
      }
      return { ok: true };
    },
  };
}

/** Tells the group of the rollout what came of a reload, and which content is due for one. */
function tellGroup(rollout: RolloutPort, before: Model, { last, ...after }: Model): void {
  if (last !== null && last !== before.last) {
    rollout.ended(last.job.digest, last.result, last.job.mayTrigger && !after.isUncertain);
  }
  // At the end a turn in which something was sent stays until it runs out.
  if (after.phase.is !== "ended") rollout.want(wantedOf({ last, ...after }));
}

/**
 * Whether the loop still turns: it beats at each event, and an attempt at each of its steps. A process whose loop has stopped
 * turning must be restarted.
 */
export function createHeartbeat(clock: Clock, intervalMs: number) {
  const limitMs = Math.max(3 * intervalMs, STALL_MIN_MS);
  let lastAtMs = clock.nowMs();
  return {
    /** Progress; the next one may take `mayTakeMs` by a deadline of its own, which is no silence. */
    beat: (mayTakeMs = 0) => lastAtMs = clock.nowMs() + mayTakeMs,
    /** Dead after a silence of three intervals, at least `STALL_MIN_MS` (contract: HTTP, `/healthz`). */
    health(): Health {
      const silentMs = clock.nowMs() - lastAtMs;
      if (silentMs <= limitMs) return { ok: true };
      return {
        ok: false,
        reason: `the loop has not turned for ${formatMs(silentMs)}, at most ${formatMs(limitMs)} is normal`,
      };
    },
  };
}
