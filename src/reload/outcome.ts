/**
 * What the end of an attempt changes: what the app runs, the next try, who is watched, and what a death after it means
 * (contract: what happens on a change, 6; choosing the target, last paragraph). Pure.
 */

import type { Config } from "../config.ts";
import type { Result, Status } from "../model.ts";
import { mergeHints } from "./look.ts";
import {
  type ContentSince,
  type Hint,
  type Job,
  KILLED_MAX,
  type Liveness,
  type Model,
  type Now,
  type OpenTrigger,
  type Phase,
  type Reload,
  type Step,
} from "./model.ts";
import { DEATH_WINDOW_MS, deathText, diedOfSignal, isSameProcess } from "./process.ts";

/** Pause between two looks at whether the signalled process survives, in milliseconds; each takes 0.25 ms of CPU. */
const SURVIVAL_LOOK_MS = 500;

/** What a trigger leaves behind, whatever came of it. */
export function noteTrigger(model: Model, reload: Reload, result: Result, config: Config): Model {
  const { job } = reload;
  return {
    ...model,
    lastTriggerAtMs: result.lastTriggeredAtMs ?? model.lastTriggerAtMs,
    reading: readingAfter(model, reload, result, config),
    // Of content that was taken for applied without a word of the app, the status before the first change tells.
    provedToken: model.provedToken ??
      (model.applied !== null && !model.isUncertain ? provedBy(model.applied, result.baseline) : null),
    killed: result.killed ? rememberKilled(model.killed, job.digest) : model.killed,
  };
}

/** The status with which the next one is compared. */
function readingAfter(
  { reading }: Model,
  { isPure }: Reload,
  { status, baseline }: Result,
  { trigger }: Config,
): Model["reading"] {
  // Nobody triggers it: newer content that came meanwhile may be loaded already, and what is told now would hide that.
  const told = trigger === "none" && !isPure ? (reading === null ? baseline : null) : status;
  return told === null ? reading : { kind: "status", status: told };
}

/** The attempt is over and counts as `result`. */
export function count(model: Model, reload: Reload, result: Result, now: Now, config: Config): Step {
  const { job, isPure } = reload;
  const noted = noteTrigger({ ...model, last: { job, result } }, reload, result, config);
  const counted = result.outcome === "success"
    ? noteSuccess(noted, reload, result)
    : noteFailure(noted, reload, result, now, config);
  // An app that nobody triggers sees for itself what the disk held meanwhile, and what it holds now.
  const certain = { ...counted, isUncertain: counted.isUncertain || !isPure && config.trigger !== "none" };
  const next = { ...certain, phase: afterAttempt(certain, job), owed: owedAfter(reload, now) };
  if (config.once && (result.outcome !== "success" || isPure)) {
    return end(next, result.outcome === "success" ? 0 : 1);
  }
  if (model.isStopping) return stop(next, config);
  return [next, { do: "check", afresh: isTargetDoubtful(next, result, config) }];
}

function noteSuccess(model: Model, { job, isPure }: Reload, result: Result): Model {
  const { status } = result;
  return {
    ...model,
    applied: job.digest,
    appliedFiles: model.files,
    proof: result.proof,
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
  const retryAtMs = isFinal ? null : retryDate(job.attempt, model.lastTriggerAtMs, now.nowMs, config);
  return {
    ...model,
    isUncertain: true,
    failure: { digest: job.digest, count: job.attempt, retryAtMs, reason: result.reason },
    failedFor: result.reason,
    openTrigger: openAfter(model.openTrigger, job, result, config),
  };
}

/** The trigger that the app may still be at with this very content; null where it is another's, or there is none. */
export function openTriggerFor(
  open: OpenTrigger | null,
  { digest, changedAtMs }: ContentSince,
): OpenTrigger | null {
  return open?.digest === digest && open.changedAtMs === changedAtMs ? open : null;
}

/** The trigger that the app may still be at after a failure. */
function openAfter(
  known: OpenTrigger | null,
  { digest, changedAtMs }: Job,
  { isOpen, outcome, baseline, triggeredAtMs, wasDown }: Result,
  { trigger }: Config,
): OpenTrigger | null {
  // What nobody triggers may be at it since the change.
  const sinceAtMs = trigger === "none" ? changedAtMs : triggeredAtMs;
  if (isOpen && sinceAtMs !== null) {
    const same = openTriggerFor(known, { digest, changedAtMs });
    const before = same === null ? baseline : same.baseline;
    return { digest, changedAtMs, baseline: before, sinceAtMs, wasDown: wasDown || same?.wasDown === true };
  }
  // The app's no is its answer. An attempt that could send nothing leaves the one before it open.
  return outcome === "rejected" || triggeredAtMs !== null ? null : known;
}

/** When the try after `failures` of them is due: the pause after now, and not too soon after the last trigger. */
function retryDate(failures: number, lastTriggerAtMs: number | null, nowMs: number, config: Config): number {
  const atMs = nowMs + nextRetryDelayMs(failures, config.retryIntervalMs, config.maxBackoffMs);
  return Math.max(atMs, (lastTriggerAtMs ?? -Infinity) + config.minReloadIntervalMs);
}

/**
 * Pause in milliseconds after the `failures`-th failure in a row (1 for the first): `retryIntervalMs`, doubled
 * with each further failure, never more than `maxBackoffMs`.
 */
export function nextRetryDelayMs(failures: number, retryIntervalMs: number, maxBackoffMs: number): number {
  // 2 ** 1024 is Infinity; min() then gives the cap, which is what is wanted.
  return Math.min(retryIntervalMs * 2 ** Math.max(0, failures - 1), maxBackoffMs);
}

/** Who is watched from now on. An attempt that signalled nobody does not end the watch over whom the one before did. */
export function watchOf(model: Model, { job }: Reload, result: Result, now: Now): Model["signalled"] {
  const { target, lastTriggeredAtMs, killed } = result;
  if (target === null || lastTriggeredAtMs === null) return model.signalled;
  // A proof may take longer, and come from another process than the one that was signalled.
  if (killed || now.nowMs - lastTriggeredAtMs >= DEATH_WINDOW_MS) return null;
  return { target, triggeredAtMs: lastTriggeredAtMs, lastAliveAtMs: lastTriggeredAtMs, digest: job.digest };
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
  const changed: Hint | null = isPure
    ? null
    : { causes: newer?.hint.causes ?? ["retry"], firstAtMs: newer?.hint.firstAtMs ?? now.nowMs };
  return asked && changed ? mergeHints(asked, changed) : asked ?? changed;
}

/** Whether the attempt has shown another process than the known one, or one that could not be signalled. */
function isTargetDoubtful({ known }: Model, { target, outcome }: Result, { trigger }: Config): boolean {
  if (trigger !== "signal" || target === null) return false;
  return outcome === "failed" || !isSameProcess(target, known?.target);
}

/** The end of the loop. */
export function end(model: Model, code: number): Step {
  return [{ ...model, phase: { is: "ended", code } }, { do: "end", code }];
}

/** The end of a loop that was told to stop: what `--once` was to reach was not reached. */
export function stop(model: Model, { once }: Config): Step {
  return end(model, once ? 1 : 0);
}

/**
 * Whether the signalled process survives, for two seconds after a reload that has counted: Go, Deno and the JVM show a
 * handler for SIGHUP and still die of it when the application set none.
 */
export function noteLife(model: Model, alive: Liveness, now: Now, config: Config): Model {
  const { signalled } = model;
  if (signalled === null || alive.signalled === null) return model;
  const sinceMs = now.nowMs - signalled.triggeredAtMs;
  if (alive.signalled) {
    const watched = sinceMs >= DEATH_WINDOW_MS ? null : { ...signalled, lastAliveAtMs: now.nowMs };
    return { ...model, signalled: watched };
  }
  const next = { ...model, signalled: null };
  const reason = deathOf(model, alive, now, config);
  return reason === null ? next : noteDeath(next, signalled.digest, reason, now.nowMs, config);
}

/** What is said where the signalled process died of its signal; null where it did not. */
function deathOf({ signalled }: Model, alive: Liveness, now: Now, config: Config): string | null {
  if (signalled === null || alive.signalled !== false || !diedOfSignal(signalled, now.nowMs)) return null;
  return deathText(signalled.target, config.signal, now.nowMs - signalled.triggeredAtMs);
}

/** A success that has not counted yet is none where the signal killed the app meanwhile. */
export function survived(model: Model, result: Result, alive: Liveness, now: Now, config: Config): Result {
  const reason = result.outcome === "success" ? deathOf(model, alive, now, config) : null;
  return reason === null
    ? result
    : { ...result, outcome: "failed", code: "killed", reason, killed: true, proof: null };
}

/**
 * The app died soon after a trigger whose reload had already been counted, as a success or as rejected: it is not in sync
 * until it is back and verified, and this content is not signalled again.
 */
function noteDeath(before: Model, digest: string, reason: string, nowMs: number, config: Config): Model {
  const killed = rememberKilled(before.killed, digest);
  const model = { ...before, killed, failedFor: reason, death: { text: reason } };
  // Other content has failed since: its next try has a date of its own.
  if (model.failure !== null && model.failure.digest !== digest) return model;
  const failures = model.failure?.count ?? 1;
  const retryAtMs = retryDate(failures, model.lastTriggerAtMs, nowMs, config);
  const failure = { digest, count: failures, retryAtMs, reason };
  const { phase } = model;
  const isWaiting = phase.is === "steady" ||
    phase.is === "due" && phase.atMs > retryAtMs;
  return {
    ...model,
    phase: isWaiting ? { is: "due", atMs: retryAtMs } : phase,
    isUncertain: true,
    failure,
  };
}

function rememberKilled(killed: readonly string[], digest: string): readonly string[] {
  return [...killed.filter((other) => other !== digest), digest].slice(-KILLED_MAX);
}

/** When to look whether the signalled process has survived so far; Infinity where nobody is watched. */
export function survivalAtMs({ signalled }: Model, { nowMs }: Now): number {
  return signalled === null ? Infinity : nowMs + SURVIVAL_LOOK_MS;
}
