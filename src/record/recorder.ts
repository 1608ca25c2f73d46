/**
 * The only place that turns what happened into metrics, `/status` and log lines: from the model before an event, the event
 * and the model after it. It decides nothing, and keeps only the last reloads and the last hour.
 */

import { momentOf } from "../clock.ts";
import type { Config } from "../config.ts";
import type { ReloadRecord, SyncChange } from "../model.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Clock, EventSink, Logger } from "../ports.ts";
import { type Event, isInSync, type Model, type Now, staleMountsOf, turnOf } from "../reload/model.ts";
import { shortHash } from "../text.ts";
import { noteEvents } from "./events.ts";
import { logReload } from "./log_reload.ts";
import { logRollout } from "./log_rollout.ts";
import { logStates } from "./log_states.ts";
import { type ConcludedFacts, factsOf, type RecordedStep } from "./step_facts.ts";
import { viewOf } from "./view.ts";

/** How many finished reloads `/status` keeps. */
const HISTORY_MAX = 20;
/** How far back changes of the state of being in sync are kept, and how many at most. */
const SYNC_HISTORY_MS = 3_600_000;
const SYNC_CHANGES_MAX = 200;

/** Takes what happened. */
export type Recorder = ReturnType<typeof createRecorder>;

/** Makes a recorder that has seen no reload; `events` are missing without `--kubernetes-events`. */
export function createRecorder(
  { config, logger, clock, metrics, events }: {
    readonly config: Config;
    readonly logger: Logger;
    readonly clock: Clock;
    readonly metrics: Metrics;
    readonly events?: EventSink | undefined;
  },
) {
  let reloads: readonly ReloadRecord[] = [];
  let syncChanges: readonly SyncChange[] = [];
  return {
    /** `now`: the moment of the step. */
    record(
      before: Model,
      event: Event,
      after: Model,
      { nowMs, wallMs }: Pick<Now, "nowMs" | "wallMs">,
    ): void {
      // Most events of an idle process change nothing, nor does the hint that leads to a look; but looks are counted.
      if (after === before && event.kind !== "looked") return;
      const facts = factsOf(before, event, after, nowMs);
      const step: RecordedStep = { config, logger, nowMs, wallMs, before, event, after, ...facts };
      countDisk(metrics, step);
      countModel(metrics, step);
      countAttempt(metrics, step);
      reloads = noteReload(reloads, step);
      syncChanges = noteSync(syncChanges, step);
      logStates(step);
      logReload(step);
      logRollout(step);
      if (events) noteEvents(events, step);
    },
    /** The recorder's part of `/status`, for the model as it is now. */
    view: (model: Model) => ({ ...viewOf(model, config, momentOf(clock)), reloads, syncChanges }),
  };
}

function countDisk(metrics: Metrics, { event, after }: RecordedStep): void {
  if (event.kind !== "looked") return;
  const { observation } = event;
  switch (observation.kind) {
    case "settling":
      return;
    case "content":
      if (after.lastScanWallMs !== null) metrics.scanned(after.lastScanWallMs);
      metrics.setContent(shortHash(observation.snapshot.digest), observation.snapshot.files.length);
      return;
    default:
      metrics.readError();
  }
}

function countModel(metrics: Metrics, { before, after }: RecordedStep): void {
  metrics.setInSync(isInSync(after));
  metrics.setRolloutHeld(turnOf(after) === "held");
  if (after.proof !== null && after.proof !== before.proof) metrics.setProof(after.proof);
  if (after.restartRequired !== before.restartRequired) {
    metrics.setRestartRequired(after.restartRequired.length);
  }
  if (after.known !== before.known && after.known !== null) {
    metrics.setTargetReady(after.known.mounts?.blind ? "stale-mount" : after.known.view.code);
  }
  if (after.ownStaleMounts !== before.ownStaleMounts || after.known?.mounts !== before.known?.mounts) {
    metrics.setStaleMounts(staleMountsOf(after));
  }
}

function countAttempt(metrics: Metrics, { begun, concluded, wallMs }: RecordedStep): void {
  if (begun?.isContinued === false) metrics.attemptStarted();
  if (concluded === null) return;
  const { result, durationMs } = concluded;
  const delayMs = triggerDelayMs(concluded);
  if (delayMs !== null) metrics.triggerSent(delayMs);
  metrics.attemptEnded(result.outcome, { durationMs, wallMs });
}

function triggerDelayMs({ job, result }: ConcludedFacts): number | null {
  return result.triggeredAtMs === null ? null : Math.max(0, result.triggeredAtMs - job.seenAtMs);
}

/** The reloads after a step; newest first. */
function noteReload(
  reloads: readonly ReloadRecord[],
  { begun, changed, concluded, isGivenUp, wallMs }: RecordedStep,
): readonly ReloadRecord[] {
  const [current, ...older] = reloads;
  if (begun !== null) {
    const { job, causes, isContinued } = begun;
    const record: ReloadRecord = {
      startedWallMs: isContinued && current !== undefined ? current.startedWallMs : wallMs,
      oldHash: shortHash(job.oldDigest),
      newHash: shortHash(job.digest),
      causes,
      attempt: job.attempt,
      outcome: "in progress",
      reason: "",
      proof: null,
      changed,
      pid: null,
      durationMs: null,
      triggerDelayMs: null,
    };
    return [record, ...(isContinued ? older : reloads)].slice(0, HISTORY_MAX);
  }
  if (concluded !== null && current !== undefined) {
    const { result: { outcome, reason, proof, target }, durationMs } = concluded;
    const end = { outcome, reason, proof, pid: target?.pid ?? null, durationMs };
    return [{ ...current, ...end, triggerDelayMs: triggerDelayMs(concluded) }, ...older];
  }
  return isGivenUp ? older : reloads;
}

/** Changes of the last hour, and the last one before it, which says how the hour began; oldest first. */
function noteSync(
  changes: readonly SyncChange[],
  { before, after, wallMs }: RecordedStep,
): readonly SyncChange[] {
  const inSync = isInSync(after);
  if (inSync === isInSync(before)) return changes;
  const recent = [...changes.slice(1 - SYNC_CHANGES_MAX), { wallMs, inSync }];
  const first = recent.findLastIndex((change) => change.wallMs <= wallMs - SYNC_HISTORY_MS);
  return recent.slice(Math.max(0, first));
}
