/**
 * The only place that turns what happened into metrics, `/status` and log lines: from the model before an event, the event
 * and the model after it. It decides nothing, and keeps only the last reloads.
 */

import { momentOf } from "../clock.ts";
import type { ReloadRecord } from "../model.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Clock, EventSink } from "../ports.ts";
import { type Event, isInSync, type Model, type Now, staleMountsOf } from "../reload/model.ts";
import { shortHash } from "../text.ts";
import { noteEvents } from "./events.ts";
import { logReload } from "./log_reload.ts";
import { logRollout } from "./log_rollout.ts";
import { type LogDeps, logStates } from "./log_states.ts";
import { type ConcludedFacts, factsOf, type StepFacts } from "./step_facts.ts";
import { type RecorderView, viewOf } from "./view.ts";

/** How many finished reloads `/status` keeps. */
const HISTORY_MAX = 20;

type Moment = Pick<Now, "nowMs" | "wallMs">;

/** Takes what happened. */
export interface Recorder {
  /** `now`: the moment of the step. */
  record(before: Model, event: Event, after: Model, now: Moment): void;
  /** The recorder's part of `/status`, for the model as it is now. */
  view(model: Model): RecorderView;
}

/** What a recorder writes to. */
export interface RecorderDeps extends Omit<LogDeps, "nowMs"> {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Missing without `--kubernetes-events`. */
  readonly events?: EventSink | undefined;
}

/** Makes a recorder that has seen no reload. */
export function createRecorder({ config, logger, clock, metrics, events }: RecorderDeps): Recorder {
  let reloads: readonly ReloadRecord[] = [];

  return {
    record(before, event, after, now) {
      // Most events of an idle process change nothing, nor does the hint that leads to a look; but looks are counted.
      if (after === before && event.kind !== "looked") return;
      const facts = factsOf(before, event, after, now.nowMs);
      countDisk(metrics, event, after);
      countModel(metrics, before, after);
      countAttempt(metrics, facts, now.wallMs);
      reloads = noteReload(reloads, facts, now);
      const deps = { config, logger, nowMs: now.nowMs };
      logStates(deps, before, event, after);
      logReload(deps, before, event, after, facts);
      logRollout(deps, before, after);
      if (events) noteEvents(events, before, after, facts);
    },
    view: (model) => viewOf(model, reloads, config, momentOf(clock)),
  };
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

function countAttempt(metrics: Metrics, { begun, concluded }: StepFacts, wallMs: number): void {
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
  { begun, changed, concluded, isGivenUp }: StepFacts,
  now: Moment,
): readonly ReloadRecord[] {
  const [current, ...older] = reloads;
  if (begun !== null) {
    const { job, causes, isContinued } = begun;
    const record: ReloadRecord = {
      startedWallMs: isContinued && current !== undefined ? current.startedWallMs : now.wallMs,
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
