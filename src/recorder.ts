/**
 * The only place that turns what happened into metrics, `/status` history and log lines. It decides nothing and
 * changes no state of the loop. A lasting state is told when it begins and when it ends, not in between.
 */

import type { AttemptReport } from "./attempt_types.ts";
import type { Config } from "./config.ts";
import type { Cause, FileState, Observation, ReloadRecord, StatusView } from "./model.ts";
import type { Metrics } from "./observe/metrics.ts";
import type { Clock, Logger } from "./ports.ts";
import { isInSync, outOfSyncReason, type ReloadJob, type ReloadState } from "./reload/state.ts";
import { formatMs, shortHash } from "./reload/text.ts";

/** How many finished reloads `/status` keeps. */
export const HISTORY_MAX = 20;

/** Takes what happened, one verb a fact. */
export interface Recorder {
  /** A look at the disk is over. */
  looked(observation: Observation, state: ReloadState): void;
  /** The state changed without an attempt. */
  state(state: ReloadState): void;
  attemptStarted(state: ReloadState, job: ReloadJob, causes: readonly Cause[]): void;
  attemptEnded(state: ReloadState, job: ReloadJob, report: AttemptReport): void;
  /** The app died although its reload had counted. */
  died(state: ReloadState, reason: string): void;
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
  const { clock, logger, metrics } = deps;
  const problems = createProblemLog(deps);
  let inSync = false;
  let inSyncSinceWallMs = clock.wallMs();
  let last: ReloadState | null = null;
  let files: readonly FileState[] = [];
  let lastScanWallMs: number | null = null;
  let restartRequired: readonly string[] = [];
  const reloads: ReloadRecord[] = [];

  function take(state: ReloadState): void {
    last = state;
    const now = isInSync(state);
    if (now !== inSync) inSyncSinceWallMs = clock.wallMs();
    inSync = now;
    metrics.setInSync(now);
  }

  function looked(observation: Observation, state: ReloadState): void {
    if (observation.kind === "settling") return;
    if (observation.kind === "content") {
      // The bytes must not live on in the status.
      files = [...observation.snapshot.files, ...observation.skipped].map(withoutBytes);
      lastScanWallMs = clock.wallMs();
      metrics.scanned(lastScanWallMs);
      metrics.setContent(shortHash(observation.snapshot.digest), observation.snapshot.files.length);
    } else {
      if (observation.kind === "unreadable") files = observation.files;
      metrics.readError();
    }
    problems.tell(observation);
    take(state);
  }

  function attemptStarted(state: ReloadState, job: ReloadJob, causes: readonly Cause[]): void {
    take(state);
    metrics.attemptStarted();
    const [oldHash, newHash] = [shortHash(job.oldDigest), shortHash(job.digest)];
    logger.info(startText(job, oldHash, newHash), {
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

  function attemptEnded(state: ReloadState, job: ReloadJob, report: AttemptReport): void {
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
    tellOutcome(state, job, report, durationMs);
  }

  function tellOutcome(
    state: ReloadState,
    job: ReloadJob,
    { result, target }: AttemptReport,
    durationMs: number,
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
    const retryAtMs = state.failure?.retryAtMs ?? null;
    const next = retryAtMs === null
      ? "nothing was sent; waiting until the content changes"
      : `next try in ${formatMs(retryAtMs - clock.nowMs())}`;
    logger.error(`${failureText(result)}; ${next}`, fields);
  }

  return {
    looked,
    state: take,
    attemptStarted,
    attemptEnded,
    died(state, reason) {
      take(state);
      logger.error(`${reason}; next look in ${formatMs((state.failure?.retryAtMs ?? 0) - clock.nowMs())}`, {
        code: "killed",
      });
    },
    stopped(job) {
      reloads.shift();
      logger.info("Stopped before the reload was proved", { new_hash: shortHash(job.digest) });
    },
    view: () => ({
      inSync,
      inSyncSinceWallMs,
      outOfSyncReason: last === null ? "the content has not been read yet" : outOfSyncReason(last),
      diskDigest: last?.disk ?? null,
      appliedDigest: last?.applied ?? null,
      files,
      lastScanWallMs,
      reloads,
      nextRetryWallMs: nextRetryWallMs(last, clock),
      restartRequired,
    }),
  };
}

function nextRetryWallMs(state: ReloadState | null, clock: Clock): number | null {
  const atMs = state?.failure?.retryAtMs ?? null;
  return atMs === null || state === null || isInSync(state) ? null : clock.wallMs() + atMs - clock.nowMs();
}

function withoutBytes({ path, digest, sizeBytes, error }: FileState): FileState {
  return { path, digest, sizeBytes, error };
}

function startText(job: ReloadJob, oldHash: string, newHash: string): string {
  switch (job.why) {
    case "start":
      return `Config found that the app may not have read yet (hash: ${newHash})`;
    case "revert":
      return `Config is back to what was applied before (hash: ${newHash}): reloading it to be certain`;
    case "retry":
      return `Trying the reload again (hash: ${newHash}, attempt ${job.attempt})`;
    case "change":
      return `Config change detected (hash: ${oldHash} -> ${newHash})`;
  }
}

function failureText(result: AttemptReport["result"]): string {
  switch (result.outcome) {
    case "rejected":
      return `Reload rejected by the app: ${result.reason}`;
    case "invalid":
      return `Config is invalid: ${result.reason}`;
    case "timeout":
      return result.reason;
    default:
      return `Reload failed: ${result.reason}`;
  }
}

/** Tells problems with the disk once when they begin, and once when they end. */
function createProblemLog({ clock, logger }: RecorderDeps) {
  /** Problem text by path, with the time it began. */
  let open = new Map<string, { text: string; sinceMs: number }>();
  return {
    tell(observation: Observation): void {
      const now = new Map<string, string>();
      if (observation.kind === "replaced") now.set(observation.path, observation.message);
      if (observation.kind === "unreadable") {
        for (const file of observation.files) if (file.error !== null) now.set(file.path, file.error);
      }
      if (observation.kind === "content") {
        for (const file of observation.skipped) if (file.error !== null) now.set(file.path, file.error);
      }
      const next: typeof open = new Map();
      for (const [path, text] of now) {
        const before = open.get(path);
        if (before?.text !== text) logger.warn(text, { path });
        next.set(path, before?.text === text ? before : { text, sinceMs: clock.nowMs() });
      }
      for (const [path, { sinceMs }] of open) {
        if (!now.has(path)) {
          logger.info(`In order again after ${formatMs(clock.nowMs() - sinceMs)}: ${path}`, { path });
        }
      }
      open = next;
    },
  };
}
