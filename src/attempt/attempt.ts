/**
 * One attempt at a reload, from a snapshot to a result: prepare, find the target, make sure that the app can see the content,
 * read the baseline, trigger, verify (contract: what happens on a change, 4 and 5). It has no memory: everything it needs
 * comes in, everything it found goes out in one `Result`. It never counts, logs an outcome or decides about a next try.
 */

import { momentOf, wallMsAt } from "../clock.ts";
import { needsPreparing } from "../config.ts";
import type { ReloadCode } from "../codes.ts";
import type { Resolution, Result, Snapshot, Target, TriggerResult } from "../model.ts";
import type { PrepareResult } from "../ports.ts";
import type { OpenTrigger } from "../reload/model.ts";
import { outputTimeOf, statusIn } from "../reload/start.ts";
import { START_MARGIN_MS, startedAfter } from "../reload/process.ts";
import { baselineOf } from "./baseline.ts";
import { type AttemptDeps, type AttemptInput, resultOf } from "./input.ts";
import { outcomeOfUnsent, verifyReload } from "./verification.ts";

/** Pause between two looks for a target that is still starting, in milliseconds. */
const STARTING_PAUSE_MS = 50;

/** Makes one attempt. Never throws for what the app, the disk or the process table do. */
export async function attemptReload(deps: AttemptDeps, input: AttemptInput): Promise<Result> {
  const { config, clock } = deps;
  // Without an await: what is left before the signal is then done before anything is logged.
  if (!needsPreparing(config)) return await trigger(deps, input);
  const { job, snapshot } = input.reload;
  const prepared = await prepareContent(deps, snapshot, input.aborted);
  if (prepared.kind !== "ok") {
    const isTransient = prepared.kind === "invalid" && prepared.retry === true;
    return resultOf(prepared.kind, prepared.reason, isTransient ? "check-command" : prepared.kind);
  }
  const output = outputTimeOf(input.output, prepared, momentOf(clock));
  // An app that started before the output came has not read it, whenever the content behind it changed.
  const changedAtMs = Math.max(job.changedAtMs, output?.atMs ?? -Infinity);
  const reload = { snapshot, job: { ...job, changedAtMs } };
  return { ...await trigger(deps, { ...input, reload }), output };
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

async function trigger(deps: AttemptDeps, input: AttemptInput): Promise<Result> {
  const { openTrigger } = input;
  const isAsked = openTrigger !== null && deps.config.trigger !== "none";
  const late = isAsked ? await verifyLate(deps, openTrigger, input) : null;
  if (late !== null) return late;
  switch (deps.config.trigger) {
    case "none":
      return await attemptUntriggered(deps, input);
    case "http":
      return await attemptByRequest(deps, input);
    case "signal":
      return await attemptBySignal(deps, input);
  }
}

/** What the app says meanwhile of a trigger that it was still at; null where that is nothing: then it is triggered again. */
async function verifyLate(
  deps: AttemptDeps,
  { baseline, sinceAtMs: atMs }: OpenTrigger,
  input: AttemptInput,
): Promise<Result | null> {
  const { clock, config } = deps;
  if (config.verify === "none") return null;
  const nowMs = clock.nowMs();
  const result = await verifyReload(deps, input, {
    baseline,
    since: { atMs, wallMs: wallMsAt(clock, atMs) },
    // One reading, and the one that confirms it.
    deadlineMs: nowMs + 2 * config.pollIntervalMs,
  });
  return result.outcome === "timeout" || result.code === "overtaken" ? null : result;
}

/** `--trigger signal`: an app that started after the change has read it, and is only verified. */
async function attemptBySignal(deps: AttemptDeps, input: AttemptInput): Promise<Result> {
  const found = await findTarget(deps, input);
  if (found.kind === "none") return resultOf("failed", found.message, found.code);
  const { target } = found;
  if (found.hasReadIt) return await verifyStarted(deps, input, target);
  if (!input.reload.job.mayTrigger) {
    const reason =
      `a signal with this content ended the app before, so ${target.name} (PID ${target.pid}) is ` +
      "not signalled with it again; restart the app to make it read the content";
    return resultOf("failed", reason, "killed-before", { target });
  }
  const mounts = deps.target.staleMounts(target);
  if (mounts.blind) {
    const reason = mounts.stale.map((mount) => mount.message).join("; ");
    return resultOf("failed", reason, "stale-mount", { target });
  }
  return await sendAndVerify(deps, input, target, () => deps.target.send(target));
}

/** The target, or why there is none. */
type Found =
  /** `hasReadIt`: it started after the content came. */
  | { readonly kind: "target"; readonly target: Target; readonly hasReadIt: boolean }
  | { readonly kind: "none"; readonly code: ReloadCode; readonly message: string };

/** Looks until there is a target that has finished starting, nobody, or no time left (`--reload-timeout`). */
async function findTarget(deps: AttemptDeps, input: AttemptInput): Promise<Found> {
  const { clock, config } = deps;
  const deadlineMs = clock.nowMs() + config.reloadTimeoutMs;
  for (;;) {
    deps.beat();
    const resolution = deps.target.resolve(input.known);
    const hasReadIt = hasRead(resolution, input);
    if (resolution.kind === "target" || resolution.kind === "starting" && hasReadIt) {
      return { kind: "target", target: resolution.target, hasReadIt };
    }
    const isOver = input.stopping.aborted || clock.nowMs() >= deadlineMs;
    if (resolution.kind === "starting") {
      if (isOver) return { kind: "none", code: "starting", message: resolution.message };
    } else if (isOver || !resolution.again) return resolution;
    await clock.sleep(STARTING_PAUSE_MS, input.stopping);
  }
}

/** Whether the process that was found started after the content came. */
function hasRead(resolution: Resolution, { reload: { job } }: AttemptInput): boolean {
  if (resolution.kind === "none") return false;
  // In doubt one reload too many; where none is allowed, since the one before died of it, this one came in its place.
  const doubtMs = job.mayTrigger ? 0 : 3 * START_MARGIN_MS;
  return startedAfter(resolution.target.startedAtMs, job.changedAtMs - doubtMs);
}

/** The app started with this content: nothing to trigger, its good status is the proof. */
async function verifyStarted(deps: AttemptDeps, input: AttemptInput, target: Target): Promise<Result> {
  const { clock } = deps;
  const nowMs = clock.nowMs();
  input.onSent({ kind: "sent", how: "started", target, atMs: nowMs, isAgain: false });
  return await verifyReload(deps, input, {
    baseline: null,
    since: { atMs: nowMs, wallMs: wallMsAt(clock, target.startedAtMs) },
    deadlineMs: nowMs + deps.config.reloadTimeoutMs,
    target,
    hasStarted: true,
  });
}

/** `--trigger http`: a request to each trigger URL. */
async function attemptByRequest(deps: AttemptDeps, input: AttemptInput): Promise<Result> {
  const { config, beat } = deps;
  return await sendAndVerify(deps, input, null, async () => {
    beat(config.httpTimeoutMs * config.triggerUrls.length);
    const sent = await deps.httpTrigger(input.aborted);
    beat();
    return sent;
  });
}

/** `--trigger none`: nothing is sent, the app's own reload is waited for. */
async function attemptUntriggered(deps: AttemptDeps, input: AttemptInput): Promise<Result> {
  const { clock, config } = deps;
  const { changedAtMs } = input.reload.job;
  const reading = config.verify === "none"
    ? null
    : input.lastReading ?? await baselineOf(deps, input.begun, input.aborted);
  const nowMs = clock.nowMs();
  input.onSent({ kind: "sent", how: "nothing", target: null, atMs: nowMs, isAgain: false });
  return await verifyReload(deps, input, {
    baseline: input.openTrigger?.baseline ?? statusIn(reading),
    ...(input.openTrigger === null ? {} : { wasDown: input.openTrigger.wasDown }),
    since: { atMs: changedAtMs, wallMs: wallMsAt(clock, changedAtMs) },
    deadlineMs: nowMs + config.reloadTimeoutMs,
  });
}

/** The status before the trigger, the trigger, and its proof. `target`: who is signalled; null where a request is sent. */
async function sendAndVerify(
  deps: AttemptDeps,
  input: AttemptInput,
  target: Target | null,
  send: () => TriggerResult | Promise<TriggerResult>,
): Promise<Result> {
  const { clock, config } = deps;
  const baseline = statusIn(await baselineOf(deps, input.begun, input.aborted));
  if (input.aborted.aborted) {
    return resultOf("failed", "stopped before the trigger was sent", "stopped", { target });
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
  input.onSent({
    kind: "sent",
    how: target === null ? "request" : "signal",
    target,
    atMs,
    isAgain: false,
    ...(unanswered !== null && config.verify !== "none" ? { unanswered } : {}),
  });
  const result = await verifyReload(deps, input, {
    baseline,
    since: sent,
    // While nobody answered the app was at it: its time counts from now.
    deadlineMs: (unanswered === null ? atMs : clock.nowMs()) + config.reloadTimeoutMs,
    target,
    sendAgain: send,
    unanswered,
  });
  return { ...result, triggeredAtMs: atMs, lastTriggeredAtMs: result.lastTriggeredAtMs ?? atMs };
}
