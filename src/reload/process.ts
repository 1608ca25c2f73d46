/**
 * The identity of the process that is signalled, and its life: is it the same, when did it start, did it die of the signal, and
 * what a death means whose reload has counted already (contract: choosing the target, last paragraph). Nothing else decides
 * these. Pure.
 */

import type { Config } from "../config.ts";
import type { Resolution, Result, Target } from "../model.ts";
import { formatMs } from "../text.ts";
import { retryDate } from "./look.ts";
import type { Liveness, Model, Now, Signalled } from "./model.ts";

/** A process that dies within this time after the signal died of it (contract: choosing the target). */
const DEATH_WINDOW_MS = 2_000;
/**
 * Nobody has looked for longer than this after the signal: when it ended is not known, and nobody is blamed. A look is put
 * off by a status request that hangs, 5 s by default.
 */
const BLAME_MAX_MS = DEATH_WINDOW_MS + 5_500;

/** How many deadly contents are remembered. */
export const KILLED_MAX = 16;
/**
 * The kernel stamps files with a clock that ticks 100 to 1000 times a second, so a change may be up to 10 ms later
 * than the file says: an app that started less than this after it may in truth have started before. (The start of a
 * process, cut to ticks of 10 ms in proc(5), errs to the earlier and so to one reload too many.)
 */
export const START_MARGIN_MS = 10;

/** The same process: same number, same start. */
export function isSameProcess(a: Target, b: Target | null | undefined): boolean {
  return a.pid === b?.pid && a.startTicks === b.startTicks;
}

/** Whether a process that started then has certainly read content that came at `changedAtMs`. */
export function startedAfter(processStartedAtMs: number, changedAtMs: number): boolean {
  return processStartedAtMs >= changedAtMs + START_MARGIN_MS;
}

/**
 * Whether nobody is there because the app has not come yet. Of several that may be it one may still open its port, but which
 * of them it is somebody may have to say.
 */
export function isStillToCome(resolution: Resolution): boolean {
  return resolution.kind === "none" && resolution.again === true && resolution.code !== "ambiguous";
}

/** Whether a process that has ended died of its signal. */
export function diedOfSignal(
  { triggeredAtMs, lastAliveAtMs }: Pick<Signalled, "triggeredAtMs" | "lastAliveAtMs">,
  nowMs: number,
): boolean {
  return lastAliveAtMs - triggeredAtMs < DEATH_WINDOW_MS && nowMs - triggeredAtMs < BLAME_MAX_MS;
}

/** What is said of a process that died `sinceMs` after the signal. */
export function deathText(target: Target, signal: string, sinceMs: number): string {
  return `${target.name} (PID ${target.pid}) ended ${
    formatMs(sinceMs)
  } after ${signal}: the signal killed it; ` +
    "this content is not signalled again, the app reads it when it starts";
}

/** Who is watched after an attempt. One that signalled nobody does not end the watch over whom the one before did. */
export function watchOf(model: Model, digest: string, result: Result, now: Now): Signalled | null {
  const { target, lastTriggeredAtMs: triggeredAtMs, code } = result;
  if (target === null || triggeredAtMs === null) return model.signalled;
  // A proof may take longer, and come from another process than the one that was signalled.
  if (code === "killed" || now.nowMs - triggeredAtMs >= DEATH_WINDOW_MS) return null;
  return { target, triggeredAtMs, lastAliveAtMs: triggeredAtMs, digest };
}

/**
 * Whether the signalled process survives, for two seconds after a reload that has counted: Go, Deno and the JVM show a
 * handler for SIGHUP and still die of it when the application set none.
 */
export function noteLife(model: Model, alive: Liveness, now: Now, config: Config): Model {
  const { signalled } = model;
  if (signalled === null || alive.signalled === null) return model;
  if (alive.signalled) {
    const isOver = now.nowMs - signalled.triggeredAtMs >= DEATH_WINDOW_MS;
    return { ...model, signalled: isOver ? null : { ...signalled, lastAliveAtMs: now.nowMs } };
  }
  const unwatched = { ...model, signalled: null };
  const reason = deathOf(model, alive, now, config);
  return reason === null ? unwatched : noteDeath(unwatched, signalled.digest, reason, now, config);
}

/** What is said where the signalled process died of its signal; null where it did not. */
function deathOf({ signalled }: Model, alive: Liveness, { nowMs }: Now, config: Config): string | null {
  if (signalled === null || alive.signalled !== false || !diedOfSignal(signalled, nowMs)) return null;
  return deathText(signalled.target, config.signal, nowMs - signalled.triggeredAtMs);
}

/** A success that has not counted yet is none where the signal killed the app meanwhile. */
export function survived(model: Model, result: Result, alive: Liveness, now: Now, config: Config): Result {
  const reason = result.outcome === "success" ? deathOf(model, alive, now, config) : null;
  return reason === null ? result : { ...result, outcome: "failed", code: "killed", reason, proof: null };
}

/**
 * The app died soon after a trigger whose reload had already been counted, as a success or as rejected: it is not in sync
 * until it is back and verified, and this content is not signalled again.
 */
function noteDeath(before: Model, digest: string, reason: string, now: Now, config: Config): Model {
  const killed = rememberKilled(before.killed, digest);
  const model = { ...before, killed, failedFor: reason, death: { text: reason } };
  const { failure, phase } = model;
  // Other content has failed since: its next try has a date of its own.
  if (failure !== null && failure.digest !== digest) return model;
  const count = failure?.count ?? 1;
  const retryAtMs = retryDate(count, model, now, config);
  const isWaiting = phase.is === "steady" || phase.is === "due" && phase.atMs > retryAtMs;
  return {
    ...model,
    phase: isWaiting ? { is: "due", atMs: retryAtMs } : phase,
    isUncertain: true,
    failure: { digest, count, retryAtMs, reason },
  };
}

/** The contents whose signal ended the app, with one more. */
export function rememberKilled(killed: readonly string[], digest: string): readonly string[] {
  return [...killed.filter((other) => other !== digest), digest].slice(-KILLED_MAX);
}
