/**
 * The only place that turns what happened into metrics, `/status` and log lines: from the model before an event, the event
 * and the model after it. It decides nothing, and keeps only the history. A lasting state is logged when it begins and when
 * it ends, not in between.
 */

import type { ReloadRecord, StatusView, SyncChange, TargetView } from "../model.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Clock, EventSink } from "../ports.ts";
import {
  type Concluded,
  type Event,
  isInSync,
  type Model,
  nextRetryAtMs,
  type Now,
  outOfSyncReason,
  staleMountsOf,
} from "../reload/model.ts";
import { shortHash } from "../text.ts";
import { noteEvents } from "./event_notes.ts";
import { logStep } from "./log_lines.ts";
import type { LogDeps } from "./log_states.ts";
import { factsOf, isGivenUp, type StepFacts } from "./step_facts.ts";
import { logTurn, rolloutStatus } from "./turn_lines.ts";

/** How many finished reloads `/status` keeps. */
const HISTORY_MAX = 20;
/** How far back changes of the state of being in sync are kept, and how many at most. */
const SYNC_HISTORY_MS = 3_600_000;
const SYNC_CHANGES_MAX = 200;

type Moment = Pick<Now, "nowMs" | "wallMs">;

/** Takes what happened. */
export interface Recorder {
  /** `now`: the moment of the step. */
  record(before: Model, event: Event, after: Model, now: Moment): void;
  /** The recorder's part of `/status`, for the model as it is now. */
  view(model: Model): RecorderView;
}

/** The part of `/status` that follows from the model and the history. */
export type RecorderView = Pick<
  StatusView,
  | "inSync"
  | "inSyncSinceWallMs"
  | "proof"
  | "syncChanges"
  | "outOfSyncReason"
  | "diskDigest"
  | "appliedDigest"
  | "files"
  | "staleMounts"
  | "target"
  | "reloads"
  | "nextRetryWallMs"
  | "restartRequired"
  | "rollout"
>;

/** What a recorder writes to. */
export interface RecorderDeps extends Omit<LogDeps, "nowMs"> {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Missing without `--kubernetes-events`. */
  readonly events?: EventSink | undefined;
}

/** Makes a recorder with an empty history. */
export function createRecorder(deps: RecorderDeps): Recorder {
  const { config, clock, metrics } = deps;
  let reloads: readonly ReloadRecord[] = [];
  let syncChanges: readonly SyncChange[] = [];

  return {
    record(before, event, after, now) {
      const facts = factsOf(before, after, now.nowMs);
      countDisk(metrics, event, after);
      countModel(metrics, before, after);
      if (facts.begun?.isContinued === false) metrics.attemptStarted();
      if (facts.concluded !== null) countAttempt(metrics, facts.concluded, now.wallMs);
      reloads = noteHistory(reloads, before, event, after, facts, now);
      if (isInSync(before) !== isInSync(after)) {
        syncChanges = noteSync(syncChanges, { wallMs: now.wallMs, inSync: isInSync(after) });
      }
      logStep({ config, logger: deps.logger, nowMs: now.nowMs }, before, event, after, facts);
      logTurn(deps, before, after);
      if (deps.events) noteEvents(deps.events, before, after, facts);
    },
    view: (model) => {
      const retryAtMs = nextRetryAtMs(model);
      return {
        inSync: isInSync(model),
        inSyncSinceWallMs: model.syncSinceWallMs,
        proof: model.proof,
        syncChanges,
        outOfSyncReason: outOfSyncReason(model),
        diskDigest: model.disk,
        appliedDigest: model.applied,
        files: model.files.map(({ path, digest, sizeBytes, error }) => ({ path, digest, sizeBytes, error })),
        staleMounts: staleMountsOf(model),
        target: targetViewOf(model),
        reloads,
        nextRetryWallMs: retryAtMs === null ? null : clock.wallMs() + retryAtMs - clock.nowMs(),
        restartRequired: model.restartRequired,
        rollout: rolloutStatus(config, model),
      };
    },
  };
}

/** Changes of the last hour, and the last one before it, which says how the hour began. */
function noteSync(changes: readonly SyncChange[], change: SyncChange): readonly SyncChange[] {
  const recent = [...changes.slice(1 - SYNC_CHANGES_MAX), change];
  const first = recent.findLastIndex(({ wallMs }) => wallMs <= change.wallMs - SYNC_HISTORY_MS);
  return recent.slice(Math.max(0, first));
}

/** An app that cannot see the content is not in order, whether or not a signal would reach it. */
function targetViewOf({ known }: Model): TargetView | null {
  if (known === null || !known.mounts?.blind) return known?.view ?? null;
  const message = known.mounts.stale[0]?.message ?? known.view.message;
  return { ...known.view, ok: false, code: "stale-mount", message };
}

function countDisk(metrics: Metrics, event: Event, after: Model): void {
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

function countModel(metrics: Metrics, before: Model, after: Model): void {
  metrics.setInSync(isInSync(after));
  metrics.setRolloutHeld(after.phase.is === "held");
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

function countAttempt(
  metrics: Metrics,
  { job, result, durationMs }: NonNullable<StepFacts["concluded"]>,
  wallMs: number,
): void {
  const delayMs = triggerDelayMs({ job, result });
  if (delayMs !== null) metrics.triggerSent(delayMs);
  metrics.attemptEnded(result.outcome, { durationMs, wallMs });
}

function triggerDelayMs({ job, result }: Concluded): number | null {
  return result.triggeredAtMs === null ? null : Math.max(0, result.triggeredAtMs - job.seenAtMs);
}

/** The history after a step; newest first. */
function noteHistory(
  reloads: readonly ReloadRecord[],
  before: Model,
  event: Event,
  after: Model,
  { begun, changed, concluded }: StepFacts,
  now: Moment,
): readonly ReloadRecord[] {
  const [current, ...older] = reloads;
  if (begun !== null) {
    const record: ReloadRecord = {
      startedWallMs: begun.isContinued && current !== undefined ? current.startedWallMs : now.wallMs,
      oldHash: shortHash(begun.job.oldDigest),
      newHash: shortHash(begun.job.digest),
      causes: begun.causes,
      attempt: begun.job.attempt,
      outcome: "in progress",
      reason: "",
      proof: null,
      changed,
      pid: null,
      durationMs: null,
      triggerDelayMs: null,
    };
    return begun.isContinued ? [record, ...older] : [record, ...reloads].slice(0, HISTORY_MAX);
  }
  if (concluded !== null && current !== undefined) {
    const { result, durationMs } = concluded;
    const { outcome, reason, proof, target } = result;
    const end = { outcome, reason, proof, pid: target?.pid ?? null, durationMs };
    return [{ ...current, ...end, triggerDelayMs: triggerDelayMs(concluded) }, ...older];
  }
  return isGivenUp(before, event, after) ? older : reloads;
}
