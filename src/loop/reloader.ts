/**
 * The only loop: takes a hint, looks at the disk, asks `decide` what that means, and carries it out. Everything that
 * happens, happens here one after the other, so two reloads can never be in flight. It knows no file, process or
 * URL itself; it drives the ports.
 */

import { attemptReload } from "./attempt.ts";
import { type Advance, type AttemptDeps, type AttemptReport, failure, inTime } from "./attempt_steps.ts";
import { rendersOutput } from "../config.ts";
import type { Cause, Observation, Snapshot, StatusReading } from "../model.ts";
import type { Random, SnapshotReader, TakeHint } from "../ports.ts";
import { RELOAD_WORK } from "./collect.ts";
import type { Recorder } from "./recorder.ts";
import { decide, type Decision } from "../reload/decide.ts";
import { type FlapDeps, watchForFlap } from "./flap.ts";
import { hasFailed } from "../reload/start.ts";
import { type Health, judgeHealth } from "../reload/health.ts";
import { createHintQueue, type Hint } from "../reload/queue.ts";
import {
  INITIAL_STATE,
  isInSync,
  type Policy,
  recordDeath,
  recordFlap,
  recordResult,
  recordTold,
  type ReloadJob,
} from "../reload/state.ts";
import { checkStart } from "./start_check.ts";
import { createEarlyStart } from "./early_start.ts";
import { createSurvival } from "./survival.ts";
import { createOutputTimes } from "./output_times.ts";
import type { TargetWatch } from "./target_watch.ts";
import { createTokenMemory } from "./token_memory.ts";
import { statusOf } from "../verify/answer.ts";

/** The parts that the loop drives. */
export interface ReloaderDeps extends Omit<AttemptDeps, "turned" | "announce" | "appMounts" | "outputAtMs"> {
  readonly reader: SnapshotReader;
  readonly random: Random;
  /** Told how much work was done, so that memory is given back now and then. */
  readonly collect: (work: number) => void;
  readonly recorder: Recorder;
  readonly targetWatch: TargetWatch;
}

/** The loop, seen from outside. */
export interface Reloader {
  /** Wakes the loop; coalesces with hints that wait. */
  readonly hint: TakeHint;
  /**
   * Turns until `stopping` aborts (a reload in progress is finished, or given up when `aborted` aborts), or, with
   * `--once`, until the app matches the disk or cannot be made to. Returns the exit code.
   */
  run(stopping: AbortSignal, aborted: AbortSignal): Promise<number>;
  /** Whether a reload is in progress. */
  reloading(): boolean;
  health(): Health;
  ready(): Health;
}

/**
 * Makes the loop; nothing happens before `run`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createLoopBench } from "../../tests/support/loop_bench.ts";
 * const bench = createLoopBench(); // the loop between a disk, an app and its triggers
 * bench.start();
 * await bench.clock.advance(2_000);
 * assert.equal(bench.triggers.length, 1); // the app there started before the content came
 * bench.write("new");
 * await bench.clock.advance(60_000); // many looks, one change
 * assert.equal(bench.triggers.length, 2);
 * ```
 */
export function createReloader(deps: ReloaderDeps): Reloader {
  const { clock, config, recorder } = deps;
  const policy: Policy = config;
  const queue = createHintQueue();
  const never = new AbortController().signal;
  let stopping = never;
  let aborted = never;
  let state = INITIAL_STATE;
  let lastTurnAtMs = clock.nowMs();
  let looked = false;
  /** The reader's last content has been decided about: only then is an event without a swap nothing new. */
  let isDecided = false;
  /** SIGHUP came during an attempt. */
  let isAsked = false;
  /** Causes of looks that decided nothing yet: who asks while a file is being written is answered afterwards. */
  let undecided: readonly Cause[] = [];
  let reloading = false;
  let wakeAtMs = Infinity;
  /** The date at which the next wake is due; none is pending where it is Infinity. */
  let armedAtMs = Infinity;
  let startedAtMs = 0;
  let lastReading: StatusReading | null = null;
  const tokens = createTokenMemory();
  const early = createEarlyStart(deps);

  // What has a deadline of its own, such as a slow request, is no silence before that has passed.
  const turned = (mayTakeMs = 0) => {
    lastTurnAtMs = clock.nowMs() + mayTakeMs;
  };
  const attemptDeps: AttemptDeps = {
    ...deps,
    turned,
    announce: () => {
      recorder.announce();
      queue.calm();
    },
    appMounts: deps.targetWatch.appMounts,
    outputAtMs: createOutputTimes(clock),
  };
  const survival = createSurvival(deps.target, clock, config.signal);

  const flapDeps: FlapDeps = {
    reader: deps.reader,
    queue,
    isNothing,
    onLook: () => {
      isDecided = false;
    },
    onAsked: () => {
      isAsked = true;
    },
  };

  /** Waits for a hint or the time `wakeAtMs`; meanwhile watches whether the app survives the last trigger. */
  async function nextHint(): Promise<Hint | null> {
    for (;;) {
      checkSurvival();
      turned();
      const hint = queue.take();
      if (stopping.aborted) return null;
      const nowMs = clock.nowMs();
      if (hint) return hint;
      if (nowMs >= wakeAtMs) return { causes: ["retry"], firstAtMs: nowMs };
      queue.calm();
      armWake(Math.min(wakeAtMs, nowMs + survival.dueMs()));
      await queue.filled();
    }
  }

  /** Wakes the loop at `atMs` at the latest. A date that has been overtaken wakes it for nothing, which is cheap. */
  function armWake(atMs: number): void {
    if (atMs >= armedAtMs) return;
    armedAtMs = atMs;
    clock.sleep(atMs - clock.nowMs(), stopping).then(() => {
      if (armedAtMs === atMs) armedAtMs = Infinity;
      queue.wake();
    });
  }

  function checkSurvival(): void {
    const death = survival.check();
    if (death === null || stopping.aborted) return;
    state = recordDeath(state, death.digest, death.reason, clock.nowMs(), policy);
    wakeAtMs = Math.min(wakeAtMs, state.failure?.retryAtMs ?? Infinity);
    recorder.died(state, death.reason);
  }

  /** A kernel event that swapped no volume, since the last content that was decided about. */
  async function isNothing(hint: Hint): Promise<boolean> {
    return isDecided && hint.causes.every((cause) => cause === "event") && await deps.reader.isUnswapped();
  }

  /** One look at the disk and what follows from it. Returns the exit code where `--once` is done. */
  async function turn(hint: Hint): Promise<number | null> {
    if (await isNothing(hint)) {
      early.foresee();
      return null;
    }
    const turnAtMs = clock.nowMs();
    const quiet = hint.causes.every((cause) => cause === "interval");
    const observation = await deps.reader.look({ onLikelyChange: early.begin, signal: aborted, quiet });
    isDecided = observation.kind === "content";
    looked = true;
    const causes = [...new Set([...undecided, ...hint.causes])];
    undecided = isDecided ? [] : causes;
    const moment = {
      nowMs: clock.nowMs(),
      wallMs: clock.wallMs(),
      hintAtMs: hint.firstAtMs,
      causes,
      random: deps.random(),
    };
    let decision = decide(state, observation, moment, policy);
    state = decision.state;
    recorder.looked(observation, state);
    if (config.once && observation.kind === "content" && rendersOutput(config)) {
      return await renderOnce(observation.snapshot);
    }
    // Off the way from a change to its signal: an attempt looks for the target itself.
    if (decision.action.kind !== "reload" && deps.targetWatch.refresh()) {
      recorder.restarted();
      queue.push("target", clock.nowMs());
    }
    if (observation.kind === "content") {
      const before = statusOf(lastReading);
      const checked = await checkStart(attemptDeps, decision, observation.snapshot, moment, aborted, before);
      decision = checked.decision;
      lastReading = checked.reading ?? lastReading;
    }
    state = decision.state;
    const code = await act(decision, observation, causes, early.advance(turnAtMs));
    early.drop();
    return code;
  }

  async function act(
    { action }: Decision,
    observation: Observation,
    causes: readonly Cause[],
    advance: Advance | null,
  ): Promise<number | null> {
    wakeAtMs = Infinity;
    switch (action.kind) {
      case "wait":
        wakeAtMs = action.untilMs;
        return null;
      case "reload":
        if (observation.kind !== "content") return null;
        return await reload(action.job, observation.snapshot, causes, advance);
      case "skip":
        recorder.state(state);
        if (action.reason === "unchanged" && causes.includes("interval")) await readStatus();
        return onceCode(action.reason);
      case "ask-app":
        return null;
    }
  }

  /**
   * For an app that watches by itself: its status before the next change, which nobody announces. It may also have loaded
   * what is on disk later than it was believed to have, and failed.
   */
  async function readStatus(): Promise<void> {
    if (config.trigger !== "none" || config.verify === "none") return;
    const reading = await inTime(attemptDeps, deps.probe.read(aborted));
    if (reading?.kind !== "status") return;
    const { status } = reading;
    const before = statusOf(lastReading);
    // What a JSON document says is about a reload where its token has moved; else it may be about something else.
    const isOther = status.format === "json" && (before?.format !== "json" || before.token === status.token);
    if (isOther || !hasFailed(status)) {
      lastReading = reading;
      return;
    }
    // What it said before stays the baseline: the failure is new.
    state = recordTold(state, clock.nowMs());
    recorder.state(state);
    wakeAtMs = clock.nowMs();
  }

  /** `--once` with an output file, as an init container: write it; there is no app yet. */
  async function renderOnce(snapshot: Snapshot): Promise<number> {
    const prepared = await deps.prepare(snapshot, aborted);
    if (prepared.kind === "ok") return 0;
    const { kind, reason } = prepared;
    const text = kind === "invalid" ? `Config is invalid: ${reason}` : `Cannot write the output: ${reason}`;
    deps.logger.error(text, { outcome: kind });
    return 1;
  }

  /** The exit code of `--once` after a look without a reload; null: not done yet. */
  function onceCode(reason: string): number | null {
    if (!config.once) return null;
    // An app that is not there yet reads the content when it starts.
    if (reason === "unchanged" || reason === "adopted" || reason === "waiting") return 0;
    const giveUpAtMs = startedAtMs + config.reloadTimeoutMs;
    if (reason !== "unreadable" || clock.nowMs() >= giveUpAtMs) return 1;
    // The interval may be long, and no event come.
    wakeAtMs = giveUpAtMs;
    return null;
  }

  async function reload(
    job: ReloadJob,
    snapshot: Snapshot,
    causes: readonly Cause[],
    advance: Advance | null,
  ): Promise<number | null> {
    if (stopping.aborted) return null;
    recorder.attemptStarted(state, job, causes);
    reloading = true;
    const over = new AbortController();
    const seen = watchForFlap(flapDeps, snapshot, over.signal, aborted);
    const report = await attempt(job, snapshot, advance);
    over.abort();
    reloading = false;
    if (aborted.aborted || stopping.aborted && report.result.code === "stopped") {
      recorder.stopped(job);
      return config.once ? 1 : null;
    }
    const { result, target, status } = report;
    if (status !== null) lastReading = { kind: "status", status };
    state = recordResult(state, job, result, clock.nowMs(), policy);
    const disk = await seen;
    tokens.remember(job, report.baseline, result.outcome, status, disk === "same");
    if (disk === "flapped") state = recordFlap(state);
    // An attempt that signalled nobody does not end the watch over whom the one before it has signalled.
    if (target && result.lastTriggeredAtMs !== null) {
      const triggeredAtMs = result.lastTriggeredAtMs;
      survival.watch(result.killed ? null : { target, triggeredAtMs, digest: job.digest });
    }
    recorder.attemptEnded(state, job, report, stopping.aborted);
    deps.targetWatch.after(report);
    // The last look of the attempt has found nothing new: what is left to do is to wait for the next try.
    deps.collect(RELOAD_WORK);
    if (isAsked) queue.push("signal", clock.nowMs());
    isAsked = false;
    isDecided = disk === "same";
    wakeAtMs = isDecided ? state.failure?.retryAtMs ?? Infinity : clock.nowMs();
    if (!config.once) return null;
    // What has changed meanwhile has to be reloaded, too.
    return result.outcome !== "success" ? 1 : isDecided ? 0 : null;
  }

  async function attempt(
    job: ReloadJob,
    snapshot: Snapshot,
    advance: Advance | null,
  ): Promise<AttemptReport> {
    try {
      return await attemptReload(attemptDeps, {
        job,
        snapshot,
        advance,
        lastReading,
        tokens: tokens.recall(job),
        stopping,
        aborted,
      });
    } catch (error) {
      // A fault of ours must not end the loop: it is told like any other failure and tried again.
      const reason = `internal error: ${error instanceof Error ? error.stack ?? error.message : error}`;
      return { result: failure("failed", reason, "internal"), target: null, baseline: null, status: null };
    }
  }

  return {
    hint: (cause) => {
      queue.push(cause, clock.nowMs());
      return queue.calmed();
    },
    reloading: () => reloading,
    health: () => judgeHealth(lastTurnAtMs, clock.nowMs(), config.intervalMs),
    ready: () => {
      if (!looked) return { ok: false, reason: "the disk has not been looked at yet" };
      if (config.readyWhen === "in-sync" && !isInSync(state)) {
        return { ok: false, reason: "the app does not run what is on disk" };
      }
      return { ok: true };
    },
    async run(stop, abort) {
      stopping = stop;
      aborted = abort;
      startedAtMs = clock.nowMs();
      stopping.addEventListener("abort", queue.wake, { once: true });
      queue.push("start", startedAtMs);
      try {
        for (;;) {
          const hint = await nextHint();
          if (hint === null) return 0;
          const code = await turn(hint);
          if (code !== null) return code;
        }
      } finally {
        early.drop();
        queue.close();
      }
    },
  };
}
