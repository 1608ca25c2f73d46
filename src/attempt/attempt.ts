/**
 * One attempt at a reload, from a snapshot to a result: prepare, find the target, make sure that the app can see the content,
 * read the baseline, trigger, verify (contract: what happens on a change, 4 and 5). It has no memory: everything it needs
 * comes in, everything it found goes out in one `Result`. It never counts, logs an outcome or decides about a next try.
 */

import { wallMsAt } from "../clock.ts";
import { needsPreparing } from "../config.ts";
import type { Resolution, Result, Snapshot, Target, TriggerResult } from "../model.ts";
import type { PrepareResult } from "../ports.ts";
import type { OpenTrigger } from "../reload/model.ts";
import { statusIn } from "../reload/start.ts";
import { isSameProcess, START_MARGIN_MS, startedAfter } from "../reload/process.ts";
import { baselineOf } from "./baseline.ts";
import { type Attempt, type AttemptDeps, resultOf } from "./input.ts";
import { outcomeOfUnsent, verifyReload } from "./verification.ts";

/** Pause between two looks for a target that is still starting, in milliseconds. */
const STARTING_PAUSE_MS = 50;

/** A trigger that comes later than this after the look that led to it has another look before it. */
const LOOK_AGAIN_MS = 500;

/** Makes one attempt. Never throws for what the app, the disk or the process table do. */
export async function attemptReload(attempt: Attempt): Promise<Result> {
  const { config } = attempt;
  // Without an await: what is left before the signal is then done before anything is logged.
  if (!needsPreparing(config)) return await trigger(attempt);
  const { job, snapshot } = attempt.reload;
  const prepared = await prepareContent(attempt, snapshot, attempt.aborted);
  if (prepared.kind !== "ok") {
    const isTransient = prepared.kind === "invalid" && prepared.retry === true;
    return resultOf(prepared.kind, prepared.reason, isTransient ? "check-command" : prepared.kind);
  }
  // An app that started before the output came has not read it, whenever the content behind it changed.
  const changedAtMs = Math.max(job.changedAtMs, prepared.output?.atMs ?? -Infinity);
  const reload = { ...attempt.reload, job: { ...job, changedAtMs } };
  return await trigger({ ...attempt, reload });
}

/** Checks and renders the content. A check command may take as long as `--http-timeout`. */
export async function prepareContent(
  { config, prepare, beat }: AttemptDeps,
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<PrepareResult> {
  beat(config.checkCommand === null ? 0 : config.httpTimeoutMs);
  const prepared = await prepare(snapshot, signal);
  beat();
  return prepared;
}

async function trigger(attempt: Attempt): Promise<Result> {
  const { openTrigger, config } = attempt;
  const isAsked = openTrigger !== null && config.trigger !== "none" && config.verify !== "none";
  const late = isAsked ? await verifyLate(attempt, openTrigger) : null;
  if (late !== null) return late;
  switch (config.trigger) {
    case "none":
      return await attemptUntriggered(attempt);
    case "http":
      return await attemptByRequest(attempt);
    case "signal":
      return await attemptBySignal(attempt);
  }
}

/** What the app says meanwhile of a trigger that it was still at; null where that is nothing: then it is triggered again. */
async function verifyLate(
  attempt: Attempt,
  { baseline, sinceAtMs: atMs }: OpenTrigger,
): Promise<Result | null> {
  const { clock, config } = attempt;
  const result = await verifyReload(attempt, {
    baseline,
    since: { atMs, wallMs: wallMsAt(clock, atMs) },
    // One reading, and the one that confirms it.
    deadlineMs: clock.nowMs() + 2 * config.pollIntervalMs,
  });
  return result.outcome === "timeout" || result.code === "overtaken" ? null : result;
}

/** `--trigger signal`: an app that started after the change has read it, and is only verified. */
async function attemptBySignal(attempt: Attempt): Promise<Result> {
  const found = await findTarget(attempt);
  if ("outcome" in found) return found;
  const { target } = found;
  if (found.hasReadIt) return await verifyStarted(attempt, target);
  if (!attempt.reload.job.mayTrigger) {
    const reason =
      `a signal with this content ended the app before, so ${target.name} (PID ${target.pid}) is ` +
      "not signalled with it again; restart the app to make it read the content";
    return resultOf("failed", reason, "killed-before", { target });
  }
  const mounts = attempt.target.staleMounts(target, attempt.changed);
  if (mounts.blind) {
    const reason = mounts.stale.map((mount) => mount.message).join("; ");
    return resultOf("failed", reason, "stale-mount", { target });
  }
  return await sendAndVerify(attempt, target, () => attempt.target.send(target));
}

/**
 * Looks until there is a target that has finished starting, nobody, or no time left (`--reload-timeout`). `hasReadIt`: it
 * started after the content came.
 */
async function findTarget(
  attempt: Attempt,
): Promise<Result | { readonly target: Target; readonly hasReadIt: boolean }> {
  const { clock, config, stopping } = attempt;
  const deadlineMs = clock.nowMs() + config.reloadTimeoutMs;
  for (;;) {
    attempt.beat();
    const resolution = attempt.target.resolve(attempt.known);
    const hasReadIt = hasRead(resolution, attempt);
    if (resolution.kind === "target" || resolution.kind === "starting" && hasReadIt) {
      return { target: resolution.target, hasReadIt };
    }
    const isOver = stopping.aborted || clock.nowMs() >= deadlineMs;
    if (isOver || resolution.kind === "none" && !resolution.again) {
      const code = resolution.kind === "none" ? resolution.code : "starting";
      return resultOf("failed", resolution.message, code);
    }
    await clock.sleep(STARTING_PAUSE_MS, stopping);
  }
}

/** Whether the process that was found started after the content came. */
function hasRead(resolution: Resolution, { reload: { job }, failedOn }: Attempt): boolean {
  if (resolution.kind === "none") return false;
  // It has read it, and its status is not good: that it reads it again is all that may help.
  if (job.mayTrigger && isSameProcess(resolution.target, failedOn)) return false;
  // In doubt one reload too many; where none is allowed, since the one before died of it, this one came in its place.
  const doubtMs = job.mayTrigger ? 0 : 3 * START_MARGIN_MS;
  return startedAfter(resolution.target.startedAtMs, job.changedAtMs - doubtMs);
}

/** The app started with this content: nothing to trigger, its good status is the proof. */
async function verifyStarted(attempt: Attempt, target: Target): Promise<Result> {
  const { clock, config } = attempt;
  const nowMs = clock.nowMs();
  attempt.onSent({ kind: "sent", how: "started", target, atMs: nowMs });
  return await verifyReload(attempt, {
    baseline: null,
    since: { atMs: nowMs, wallMs: wallMsAt(clock, target.startedAtMs) },
    deadlineMs: nowMs + config.reloadTimeoutMs,
    process: target,
    hasStarted: true,
  });
}

/** `--trigger http`: a request to each trigger URL. */
async function attemptByRequest(attempt: Attempt): Promise<Result> {
  const { config, beat } = attempt;
  return await sendAndVerify(attempt, null, async () => {
    beat(config.httpTimeoutMs * config.triggerUrls.length);
    const sent = await attempt.httpTrigger(attempt.aborted);
    beat();
    return sent;
  });
}

/** `--trigger none`: nothing is sent, the app's own reload is waited for. */
async function attemptUntriggered(attempt: Attempt): Promise<Result> {
  const { clock, config, openTrigger } = attempt;
  const { changedAtMs } = attempt.reload.job;
  const reading = attempt.lastReading ?? await baselineOf(attempt, attempt.begun, attempt.aborted);
  const nowMs = clock.nowMs();
  attempt.onSent({ kind: "sent", how: "first", target: null, atMs: nowMs });
  return await verifyReload(attempt, {
    baseline: openTrigger?.baseline ?? statusIn(reading),
    wasDown: openTrigger?.wasDown === true,
    since: { atMs: changedAtMs, wallMs: wallMsAt(clock, changedAtMs) },
    deadlineMs: nowMs + config.reloadTimeoutMs,
  });
}

/** The status before the trigger, the trigger, and its proof. `target`: who is signalled; null where a request is sent. */
async function sendAndVerify(
  attempt: Attempt,
  target: Target | null,
  send: () => TriggerResult | Promise<TriggerResult>,
): Promise<Result> {
  const { clock, config, begun, aborted } = attempt;
  const baseline = statusIn(await baselineOf(attempt, begun, aborted));
  if (aborted.aborted) {
    return resultOf("failed", "stopped before the trigger was sent", "stopped", { target });
  }
  // The app reads what is there when it is told to, and that must be what was checked, and what its group knows of. Once:
  // what changes faster than it can be checked is sent all the same.
  const isLate = clock.nowMs() - attempt.begunAtMs > LOOK_AGAIN_MS && !attempt.reload.isContinued;
  if (isLate && !await attempt.isOnDisk()) {
    return resultOf("failed", "the content changed before it was sent", "overtaken", { target });
  }
  const sent = await send();
  if (sent.kind === "not-sent") {
    const atMs = sent.atMs ?? null;
    return resultOf(outcomeOfUnsent(sent.code), sent.message, sent.code, {
      target,
      triggeredAtMs: atMs,
      lastTriggeredAtMs: atMs,
      // What reached nobody has no status before it.
      baseline: atMs === null ? null : baseline,
    });
  }
  const { atMs } = sent;
  const unanswered = sent.unanswered ?? null;
  attempt.onSent({
    kind: "sent",
    how: "first",
    target,
    atMs,
    ...(unanswered !== null && config.verify !== "none" ? { unanswered } : {}),
  });
  const result = await verifyReload(attempt, {
    baseline,
    since: sent,
    // While nobody answered the app was at it: its time counts from now.
    deadlineMs: (unanswered === null ? atMs : clock.nowMs()) + config.reloadTimeoutMs,
    process: target,
    sendAgain: send,
    unanswered,
  });
  return { ...result, triggeredAtMs: atMs, lastTriggeredAtMs: result.lastTriggeredAtMs ?? atMs };
}
