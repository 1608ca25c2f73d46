/**
 * The only place that turns what happened into metrics, `/status` and log lines: from the model before an event, the event
 * and the model after it. It decides nothing, and keeps only the last reloads and the last hour.
 */

import { momentOf } from "../clock.ts";
import type { Config } from "../config.ts";
import type { ReloadRecord, SyncChange } from "../model.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Clock, EventSink, Logger } from "../ports.ts";
import {
  begunIn,
  type Concluded,
  type Event,
  isInSync,
  type Model,
  type Now,
  type Reload,
  reloadOf,
  staleMountsOf,
  turnOf,
} from "../reload/model.ts";
import { shortHash } from "../text.ts";
import { noteEvents } from "./events.ts";
import { logReload } from "./log_reload.ts";
import { logRollout } from "./log_rollout.ts";
import { logStates } from "./log_states.ts";
import { changesIn, type RecordedStep } from "./step_facts.ts";
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
      const begun = begunIn(before, after);
      const concluded = after.last === before.last ? null : after.last;
      const step = { config, logger, nowMs, wallMs, before, event, after, begun, concluded };
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
    view(model: Model) {
      const reload = reloadOf(model);
      const all = reload === null ? reloads : [recordOf(model, reload), ...reloads].slice(0, HISTORY_MAX);
      return { ...viewOf(model, config, momentOf(clock)), reloads: all, syncChanges };
    },
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

function countAttempt(metrics: Metrics, { begun, concluded, nowMs, wallMs }: RecordedStep): void {
  if (begun?.isContinued === false) metrics.attemptStarted();
  if (concluded === null) return;
  const { durationMs, triggerDelayMs } = timesOf(concluded, nowMs);
  if (triggerDelayMs !== null) metrics.triggerSent(triggerDelayMs);
  metrics.attemptEnded(concluded.result.outcome, { durationMs, wallMs });
}

/** From the change seen to the outcome, and to the first trigger. */
function timesOf({ job: { seenAtMs }, result: { triggeredAtMs } }: Concluded, nowMs: number) {
  const triggerDelayMs = triggeredAtMs === null ? null : Math.max(0, triggeredAtMs - seenAtMs);
  return { durationMs: nowMs - seenAtMs, triggerDelayMs };
}

/** A reload that is in progress. */
function recordOf(model: Model, { job, causes, startedWallMs }: Reload): ReloadRecord {
  return {
    startedWallMs,
    oldHash: shortHash(job.oldDigest),
    newHash: shortHash(job.digest),
    causes,
    attempt: job.attempt,
    outcome: "in progress",
    reason: "",
    proof: null,
    changed: changesIn(model),
    pid: null,
    durationMs: null,
    triggerDelayMs: null,
  };
}

/** The reload that has ended with a step, after those before it; newest first. */
function noteReload(
  reloads: readonly ReloadRecord[],
  { before, concluded, nowMs }: RecordedStep,
): readonly ReloadRecord[] {
  const reload = reloadOf(before);
  if (concluded === null || reload === null) return reloads;
  const { outcome, reason, proof, target } = concluded.result;
  const end = { outcome, reason, proof, pid: target?.pid ?? null, ...timesOf(concluded, nowMs) };
  return [{ ...recordOf(before, reload), ...end }, ...reloads].slice(0, HISTORY_MAX);
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
