/**
 * One attempt as the model sees it, once it has begun: looks beside it, its end, the look after that, and what it counts as:
 * what the app runs then, and the next try (contract: what happens on a change, 5 and 6). Pure; what an attempt does is
 * `attempt/attempt.ts`.
 */

import type { Config } from "../config.ts";
import type { Observation, Result, Snapshot, Status } from "../model.ts";
import { awaySince, begin, type Content, jobOf, noteContent, retryDate } from "./look.ts";
import {
  type Event,
  type Hint,
  type Job,
  mergeHints,
  type Model,
  type Now,
  type OpenTrigger,
  type Phase,
  type Reload,
} from "./model.ts";
import { noteLife, rememberKilled, survived } from "./process.ts";

type Concluding = Phase & { is: "concluding" };
type Looked = Event & { kind: "looked" };

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
export function conclude(model: Model, phase: Concluding, event: Looked, now: Now, config: Config): Model {
  const { observation } = event;
  const result = survived(model, phase.result, event.alive, now, config);
  // What the attempt counts as says it already.
  const isSaid = result !== phase.result;
  const living = isSaid ? { ...model, signalled: null } : noteLife(model, event.alive, now, config);
  const seen = noteBeside(living, phase.reload, event, now, config);
  const { reload } = seen.phase as Concluding;
  // The group of a rollout needs the verdict on each content, and newer content asks for its own turn.
  if (!goesOn(result) || config.rollout !== "none") return count(seen, reload, result, now, config);
  if (observation.kind === "settling") return seen;
  if (observation.kind !== "content") return count(seen, reload, unreadable(result), now, config);
  const sameAgain = observation.snapshot.digest === reload.job.digest;
  if (sameAgain && result.code !== "overtaken") return count(seen, reload, result, now, config);
  const gapEndsAtMs = (result.lastTriggeredAtMs ?? -Infinity) + config.minReloadIntervalMs;
  const goesAtMs = Math.max(gapEndsAtMs, reload.newer?.notBeforeMs ?? -Infinity);
  return goesAtMs > now.nowMs
    ? withReload(seen, { lookAtMs: goesAtMs })
    : continueWith(seen, reload, result, observation, now, config);
}

/** The app has said no, or newer content is due: the attempt is not over where the disk holds something newer. */
function goesOn({ outcome, code, triggeredAtMs }: Result): boolean {
  return code === "overtaken" || outcome === "rejected" && triggeredAtMs !== null;
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
  observation: Content,
  now: Now,
  config: Config,
): Model {
  const { snapshot } = observation;
  const { digest } = snapshot;
  const noted = noteTrigger(model, reload, result, config);
  const awaySinceAtMs = awaySince(noted, now);
  const newer: Model = { ...noteContent(noted, observation, now), isUncertain: true, awaySinceAtMs };
  const { hint } = reload.newer ?? { hint: { causes: reload.causes, firstAtMs: reload.job.seenAtMs } };
  const failure = newer.failure?.digest === digest ? newer.failure : null;
  // To the last applied content the disk has gone back, and not on.
  const onward = digest === newer.applied ? "revert" : "change";
  const why = digest === reload.job.digest ? reload.job.why : onward;
  const job: Job = { ...jobOf(newer, failure, hint.firstAtMs), why };
  return begin(newer, job, snapshot, hint.causes.length === 0 ? reload.causes : hint.causes, now, reload);
}

/** What a trigger leaves behind, whatever came of it. */
function noteTrigger(model: Model, { job, isPure }: Reload, result: Result, config: Config): Model {
  const { status, baseline } = result;
  // Nobody triggers it: newer content that came meanwhile may be loaded already, and what is told now would hide that.
  const isHidden = config.trigger === "none" && !isPure;
  const told = !isHidden ? status : model.reading === null ? baseline : null;
  return {
    ...model,
    lastTriggerAtMs: result.lastTriggeredAtMs ?? model.lastTriggerAtMs,
    // With this status the next one is compared.
    reading: told === null ? model.reading : { kind: "status", status: told },
    // Of content that was taken for applied without a word of the app, the status before the first change tells.
    provedToken: model.provedToken ??
      (model.applied !== null && !model.isUncertain ? provedBy(model.applied, baseline) : null),
    killed: result.code === "killed" ? rememberKilled(model.killed, job.digest) : model.killed,
  };
}

/** The attempt is over and counts as `result`. */
export function count(model: Model, reload: Reload, result: Result, now: Now, config: Config): Model {
  const { job, isPure } = reload;
  const isSuccess = result.outcome === "success";
  const noted = noteTrigger({ ...model, last: { job, result } }, reload, result, config);
  const counted = isSuccess
    ? noteSuccess(noted, reload, result)
    : noteFailure(noted, reload, result, now, config);
  const isEnd = config.once && (!isSuccess || isPure);
  return {
    ...counted,
    // An app that nobody triggers sees for itself what the disk held meanwhile, and what it holds now.
    isUncertain: counted.isUncertain || !isPure && config.trigger !== "none",
    owed: owedAfter(reload, now),
    phase: isEnd ? { is: "ended", code: isSuccess ? 0 : 1 } : afterAttempt(counted, job),
  };
}

function noteSuccess(model: Model, { job, isPure }: Reload, { proof, status }: Result): Model {
  return {
    ...model,
    applied: job.digest,
    appliedFiles: model.files,
    proof,
    awaySinceAtMs: null,
    isUncertain: false,
    failure: null,
    openTrigger: null,
    // Where the disk held something else meanwhile, the token may be that of another content.
    provedToken: isPure ? provedBy(job.digest, status) : null,
    restartRequired: status?.format === "amp" ? status.restartRequired : [],
  };
}

/** What the app shows while it runs this content. */
function provedBy(digest: string, status: Status | null): Model["provedToken"] {
  if (status?.format === "amp") return { digest, token: `${status.attempts}` };
  return status?.format === "json" ? { digest, token: status.token } : null;
}

function noteFailure(model: Model, { job }: Reload, result: Result, now: Now, config: Config): Model {
  // Content that does not parse stays as it is; a check command may pass the next time.
  const isFinal = result.outcome === "invalid" && result.code === "invalid";
  const retryAtMs = isFinal ? null : retryDate(job.attempt, model, now, config);
  return {
    ...model,
    isUncertain: true,
    failure: { digest: job.digest, count: job.attempt, retryAtMs, reason: result.reason },
    failedFor: result.reason,
    openTrigger: openAfter(model.openTrigger, job, result, config),
  };
}

/** The trigger that the app may still be at with this very content; null where it is another's, or there is none. */
export function openTriggerFor(open: OpenTrigger | null, { digest, changedAtMs }: Job): OpenTrigger | null {
  return open?.digest === digest && open.changedAtMs === changedAtMs ? open : null;
}

/** What the app may still be at after a failure. */
function openAfter(
  known: OpenTrigger | null,
  job: Job,
  { isOpen, outcome, baseline, triggeredAtMs, wasDown }: Result,
  { trigger }: Config,
): OpenTrigger | null {
  const { digest, changedAtMs } = job;
  // What nobody triggers may be at it since the change.
  const sinceAtMs = trigger === "none" ? changedAtMs : triggeredAtMs;
  if (isOpen && sinceAtMs !== null) {
    const same = openTriggerFor(known, job);
    const before = same === null ? baseline : same.baseline;
    return { digest, changedAtMs, baseline: before, sinceAtMs, wasDown: wasDown || same?.wasDown === true };
  }
  // The app's no is its answer. An attempt that could send nothing leaves the one before it open.
  return outcome === "rejected" || triggeredAtMs !== null ? null : known;
}

function afterAttempt({ failure }: Model, { digest }: Job): Phase {
  if (failure?.digest !== digest) return { is: "steady" };
  return failure.retryAtMs === null
    ? { is: "blocked", why: "invalid" }
    : { is: "due", atMs: failure.retryAtMs };
}

/** Who asked is answered by another try; what changed meanwhile counts from when it was seen. */
function owedAfter({ isAsked, isPure, newer }: Reload, now: Now): Hint | null {
  const asked: Hint | null = isAsked ? { causes: ["signal"], firstAtMs: now.nowMs } : null;
  if (isPure) return asked;
  return mergeHints(asked, newer?.hint ?? { causes: ["retry"], firstAtMs: now.nowMs });
}
