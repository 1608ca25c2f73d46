/**
 * The only place that turns what happened into metrics, `/status` history and log lines. It decides nothing and
 * changes no state of the loop. A lasting state is told when it begins and when it ends, not in between.
 */

import type { AttemptReport } from "./attempt_steps.ts";
import type { Config } from "../config.ts";
import type { Cause, FileState, Observation, ReloadRecord, Snapshot, StatusView } from "../model.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Clock, Logger } from "../ports.ts";
import { createProblemLog } from "./problem_log.ts";
import { failureText, nextText, startText } from "./record_text.ts";
import { isInSync, outOfSyncReason, type ReloadJob, type ReloadState } from "../reload/state.ts";
import { formatMs, shortHash } from "../text.ts";

/** How many finished reloads `/status` keeps. */
const HISTORY_MAX = 20;

/** Takes what happened, one verb a fact. */
export interface Recorder {
  /** A look at the disk is over. */
  looked(observation: Observation, state: ReloadState): void;
  /** The state changed without an attempt. */
  state(state: ReloadState): void;
  /** An attempt begins; its line is held back until `announce`, since a change is waiting for its signal. */
  attemptStarted(state: ReloadState, job: ReloadJob, causes: readonly Cause[]): void;
  /** Says the line of the attempt that has begun, once. */
  announce(): void;
  /** `stopping`: the sidecar is being stopped, so a failure has no further try. */
  attemptEnded(state: ReloadState, job: ReloadJob, report: AttemptReport, stopping: boolean): void;
  /** The app died of the signal, although its reload had counted already. */
  died(state: ReloadState, reason: string): void;
  /** Another process is there than the one that asked for a restart. */
  restarted(): void;
  /** An attempt was given up because of a shutdown: no failure. */
  stopped(job: ReloadJob): void;
  view(): RecorderView;
}

/** The recorder's part of `/status`. */
export interface RecorderView extends
  Pick<
    StatusView,
    | "inSync"
    | "inSyncSinceWallMs"
    | "outOfSyncReason"
    | "diskDigest"
    | "appliedDigest"
    | "files"
    | "reloads"
    | "nextRetryWallMs"
    | "restartRequired"
  > {
  readonly lastScanWallMs: number | null;
}

/** What a recorder writes to. */
export interface RecorderDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Makes a recorder with an empty history. */
export function createRecorder(deps: RecorderDeps): Recorder {
  const { config, clock, logger, metrics } = deps;
  const problems = createProblemLog(config, clock, logger);
  let inSync = false;
  let inSyncSinceWallMs = clock.wallMs();
  let last: ReloadState | null = null;
  let files: readonly FileState[] = [];
  /** Stands for `files` where there are no bytes in it: ten thousand files are listed only for who asks. */
  let listed: Snapshot | null = null;
  let lastScanWallMs: number | null = null;
  let restartRequired: readonly string[] = [];
  const reloads: ReloadRecord[] = [];
  /** Since when reloads have failed, as told; null while none has since the app was last in sync. */
  let failing: { readonly sinceMs: number; readonly reason: string } | null = null;
  /** The line on an attempt that has begun; said as soon as there is time, which is after its signal. */
  let unsaid: (() => void) | null = null;
  /** The last content of which it was told that the app runs it. */
  let toldApplied: string | null = null;

  function take(state: ReloadState): void {
    last = state;
    const now = isInSync(state);
    if (now !== inSync) inSyncSinceWallMs = clock.wallMs();
    inSync = now;
    metrics.setInSync(now);
  }

  function list({ snapshot, skipped }: Observation & { kind: "content" }): void {
    const isAll = skipped.length === 0 && snapshot.files.every(({ bytes }) => bytes === null);
    listed = isAll ? snapshot : null;
    // The bytes must not live on in the status.
    if (!isAll) files = [...snapshot.files, ...skipped].map(withoutBytes);
  }

  function looked(observation: Observation, state: ReloadState): void {
    if (observation.kind === "settling") return;
    if (observation.kind === "content") {
      lastScanWallMs = clock.wallMs();
      metrics.scanned(lastScanWallMs);
      if (observation.snapshot !== listed || observation.skipped.length > 0) list(observation);
      metrics.setContent(shortHash(observation.snapshot.digest), observation.snapshot.files.length);
    } else {
      if (observation.kind === "unreadable") [files, listed] = [observation.files, null];
      metrics.readError();
    }
    problems.tell(observation);
    take(state);
  }

  function attemptStarted(state: ReloadState, job: ReloadJob, causes: readonly Cause[]): void {
    take(state);
    metrics.attemptStarted();
    const [oldHash, newHash] = [shortHash(job.oldDigest), shortHash(job.digest)];
    unsaid = () =>
      logger.info(startText(job), {
        old_hash: oldHash,
        new_hash: newHash,
        attempt: job.attempt,
        causes: causes.join(","),
      });
    reloads.unshift({
      startedWallMs: clock.wallMs(),
      oldHash,
      newHash,
      causes,
      attempt: job.attempt,
      outcome: "in progress",
      reason: "",
      pid: null,
      durationMs: null,
      triggerDelayMs: null,
    });
    reloads.length = Math.min(reloads.length, HISTORY_MAX);
  }

  function sayAttempt(): void {
    unsaid?.();
    unsaid = null;
  }

  function attemptEnded(
    state: ReloadState,
    job: ReloadJob,
    report: AttemptReport,
    stopping: boolean,
  ): void {
    sayAttempt();
    const { result, target } = report;
    const durationMs = clock.nowMs() - job.seenAtMs;
    const triggerDelayMs = result.triggeredAtMs === null
      ? null
      : Math.max(0, result.triggeredAtMs - job.seenAtMs);
    if (triggerDelayMs !== null) metrics.triggerSent(triggerDelayMs);
    metrics.attemptEnded(result.outcome, { durationMs, wallMs: clock.wallMs() });
    if (result.outcome === "success") {
      restartRequired = result.restartRequired;
      metrics.setRestartRequired(restartRequired.length);
    }
    reloads[0] = {
      ...reloads[0]!,
      outcome: result.outcome,
      reason: result.reason,
      pid: target?.pid ?? null,
      durationMs,
      triggerDelayMs,
    };
    take(state);
    tellOutcome(state, job, report, durationMs, stopping);
    tellRecovery();
  }

  /** The state changed without an attempt: says so where that settles what the app runs. */
  function settled(state: ReloadState): void {
    take(state);
    if (inSync && state.applied !== toldApplied) {
      toldApplied = state.applied;
      const hash = shortHash(state.applied);
      logger.info(`Nothing to reload: what is on disk counts as applied (hash: ${hash})`, { new_hash: hash });
    }
    tellRecovery();
  }

  function tellRecovery(): void {
    if (!inSync || failing === null) return;
    logger.info(`In sync again after ${formatMs(clock.nowMs() - failing.sinceMs)}`);
    failing = null;
  }

  function tellOutcome(
    state: ReloadState,
    job: ReloadJob,
    { result, target }: AttemptReport,
    durationMs: number,
    stopping: boolean,
  ): void {
    const fields = {
      outcome: result.outcome,
      ...(result.code === "" ? {} : { code: result.code }),
      ...(target === null ? {} : { pid: target.pid }),
      new_hash: shortHash(job.digest),
      attempt: job.attempt,
      duration_ms: Math.round(durationMs * 10) / 10,
    };
    if (result.outcome === "success") {
      toldApplied = job.digest;
      logger.info("✅ Reload successful", fields);
      if (result.restartRequired.length > 0) {
        logger.warn(
          `The app applied the change, but says that part of it needs a restart: ${
            result.restartRequired.join(", ")
          }`,
          fields,
        );
      }
      return;
    }
    const end = stopping ? "stopping" : config.once ? "once" : null;
    const again = failing?.reason === result.reason;
    logger.error(`${failureText(result, again)}; ${nextText(result, retryInMs(state), end)}`, fields);
    failing = { sinceMs: failing?.sinceMs ?? clock.nowMs(), reason: result.reason };
  }

  function retryInMs(state: ReloadState): number | null {
    const atMs = state.failure?.retryAtMs ?? null;
    return atMs === null ? null : atMs - clock.nowMs();
  }

  return {
    looked,
    state: settled,
    attemptStarted,
    announce: sayAttempt,
    attemptEnded,
    died(state, reason) {
      take(state);
      const text = `${reason}; next look in ${formatMs(retryInMs(state) ?? 0)}`;
      // What had been rejected fails for the second time.
      logger.error(failing === null ? `Reload failed after all: ${text}` : text, { code: "killed" });
      failing = { sinceMs: failing?.sinceMs ?? clock.nowMs(), reason };
    },
    restarted() {
      if (restartRequired.length === 0) return;
      logger.info("The app has restarted: no part of the configuration needs that any more");
      restartRequired = [];
      metrics.setRestartRequired(0);
    },
    stopped(job) {
      sayAttempt();
      reloads.shift();
      logger.info("Stopped before the reload was proved", { new_hash: shortHash(job.digest) });
    },
    view: () => ({
      inSync,
      inSyncSinceWallMs,
      outOfSyncReason: last === null ? "the content has not been read yet" : outOfSyncReason(last),
      diskDigest: last?.disk ?? null,
      appliedDigest: last?.applied ?? null,
      files: listed?.files.map(withoutBytes) ?? files,
      lastScanWallMs,
      reloads,
      nextRetryWallMs: nextRetryWallMs(last, clock),
      restartRequired,
    }),
  };
}

function nextRetryWallMs(state: ReloadState | null, clock: Clock): number | null {
  // A failure of other content, or one whose content is away, leads to no try at its date.
  if (state === null || isInSync(state) || state.diskProblem !== null) return null;
  const atMs = state.failure?.digest === state.disk ? state.failure?.retryAtMs ?? null : null;
  return atMs === null ? null : clock.wallMs() + atMs - clock.nowMs();
}

function withoutBytes({ path, digest, sizeBytes, error }: FileState): FileState {
  return { path, digest, sizeBytes, error };
}
