/**
 * One attempt as the model sees it: it begins, its trigger goes out, the disk is looked at beside it, it ends, one more look
 * follows, and it counts (contract: what happens on a change, 4 to 6). Pure; what an attempt does is `attempt/attempt.ts`.
 */

import type { Config } from "../config.ts";
import type { Cause, Observation, Result, Snapshot, Status } from "../model.ts";
import { awaySince, jobOf, noteContent, noteObservation } from "./look.ts";
import type { Event, Job, Model, Now, Phase, Reload, Step } from "./model.ts";
import { next } from "./next.ts";
import { count, noteLife, noteTrigger, survived } from "./outcome.ts";
import { hasFailed } from "./start.ts";

type Concluding = Phase & { is: "concluding" };
type Looked = Event & { kind: "looked" };

/** Begins a reload. */
export function begin(
  model: Model,
  job: Job,
  snapshot: Snapshot,
  causes: readonly Cause[],
  isContinued = false,
): Step {
  const reload: Reload = {
    job,
    snapshot,
    causes,
    isContinued,
    sentAtMs: null,
    isPure: true,
    newer: null,
    lookAtMs: Infinity,
    isAsked: false,
    isOvertaken: false,
  };
  return [{ ...model, phase: { is: "reloading", reload }, owed: null }, { do: "reload", reload }];
}

/** The model with a changed reload in its phase. */
export function withReload(model: Model, change: Partial<Reload>): Model {
  const { phase } = model;
  if (phase.is !== "reloading" && phase.is !== "concluding") return model;
  return { ...model, phase: { ...phase, reload: { ...phase.reload, ...change } } };
}

/** A look beside the attempt: whatever differs from what was sent makes a success say less. */
export function noteBeside(model: Model, reload: Reload, event: Looked, now: Now, config: Config): Model {
  const { hint, observation } = event;
  if (observation.kind === "settling") {
    return withReload(model, { isPure: false, lookAtMs: observation.againAtMs });
  }
  const seen = observation.kind === "content" ? { ...model, lastScanWallMs: now.wallMs } : model;
  if (isSame(observation, reload.snapshot)) return withReload(seen, { newer: null, lookAtMs: Infinity });
  const isNewer = observation.kind === "content" && observation.snapshot.digest !== reload.job.digest;
  const newer = isNewer
    ? reload.newer ?? { hint, notBeforeMs: now.nowMs + now.random * config.jitterMs }
    : null;
  return withReload(seen, { isPure: false, lookAtMs: Infinity, newer });
}

function isSame(observation: Observation, snapshot: Snapshot): boolean {
  return observation.kind === "content" && observation.snapshot.digest === snapshot.digest &&
    observation.snapshot.changedWallMs === snapshot.changedWallMs;
}

/** The look after the attempt: go on with newer content, look again later, or let it count. */
export function conclude(model: Model, phase: Concluding, event: Looked, now: Now, config: Config): Step {
  const { observation } = event;
  const result = survived(model, phase.result, event.alive, now, config);
  // What the attempt counts as says it already.
  const isSaid = result !== phase.result;
  const living = isSaid ? { ...model, signalled: null } : noteLife(model, event.alive, now, config);
  const seen = noteBeside(living, phase.reload, event, now, config);
  const { reload } = seen.phase as Concluding;
  // The group of a rollout needs the verdict on each content, and newer content asks for its own turn.
  if (!goesOn(result) || config.rollout !== "none") return count(seen, reload, result, now, config);
  const sameAgain = observation.kind === "content" && observation.snapshot.digest === reload.job.digest;
  if (sameAgain && result.code !== "overtaken") return count(seen, reload, result, now, config);
  const lookAgain = (lookAtMs: number): Step =>
    next({ ...seen, phase: { ...seen.phase as Concluding, lookAtMs } }, now, config);
  if (observation.kind === "settling") return lookAgain(observation.againAtMs);
  if (observation.kind !== "content") return count(seen, reload, unreadable(result), now, config);
  const gapEndsAtMs = (result.lastTriggeredAtMs ?? -Infinity) + config.minReloadIntervalMs;
  const goesAtMs = Math.max(gapEndsAtMs, reload.newer?.notBeforeMs ?? -Infinity);
  return goesAtMs > now.nowMs
    ? lookAgain(goesAtMs)
    : continueWith(seen, reload, result, observation, now, config);
}

/** The app has said no, or newer content is due: the attempt is not over where the disk holds something newer. */
function goesOn({ outcome, code, triggeredAtMs, killed }: Result): boolean {
  return code === "overtaken" || outcome === "rejected" && triggeredAtMs !== null && !killed;
}

/** What was overtaken has nothing to go on with. */
function unreadable(result: Result): Result {
  if (result.code !== "overtaken") return result;
  return { ...result, reason: "the content changed before its reload was proved, and cannot be read now" };
}

/** The attempt goes on with the newest content: triggered and proved anew, counted once. */
function continueWith(
  model: Model,
  reload: Reload,
  result: Result,
  observation: Observation & { kind: "content" },
  now: Now,
  config: Config,
): Step {
  const { snapshot } = observation;
  const { digest } = snapshot;
  const isOther = digest !== reload.job.digest;
  const noted = noteTrigger(noteObservation(model, observation, now, config), reload, result, config);
  const awaySinceAtMs = awaySince(noted, now);
  const newer: Model = { ...noteContent(noted, snapshot, now), isUncertain: true, awaySinceAtMs };
  const { hint } = reload.newer ?? { hint: { causes: reload.causes, firstAtMs: reload.job.seenAtMs } };
  const failure = newer.failure?.digest === digest ? newer.failure : null;
  // To the last applied content the disk has gone back, and not on.
  const onward = digest === newer.applied ? "revert" as const : "change" as const;
  const job = { ...jobOf(newer, failure, hint.firstAtMs), why: isOther ? onward : reload.job.why };
  const causes = hint.causes.length === 0 ? reload.causes : hint.causes;
  const [begun, effect] = begin(newer, job, snapshot, causes, true);
  return [withReload(begun, { isAsked: reload.isAsked }), effect];
}

/** The app says by itself that it could not load what counts as applied: not in sync until that is looked into. */
export function noteTold(model: Model, now: Now): Model {
  const reason = "the app says that its last reload failed";
  return {
    ...model,
    phase: { is: "due", atMs: now.nowMs },
    isUncertain: true,
    failure: { digest: model.disk!, count: 0, retryAtMs: now.nowMs, reason },
  };
}

/** Whether an app that nobody triggers tells of a failed reload; `before`: what it told the last time. */
export function tellsFailure(status: Status, before: Status | null): boolean {
  // What a JSON document says is about a reload where its token has moved; else it may be about something else.
  const isOther = status.format === "json" && (before?.format !== "json" || before.token === status.token);
  return !isOther && hasFailed(status);
}
