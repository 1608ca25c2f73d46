/**
 * The identity of the process that is signalled: is it the same, when did it start, did it die of the signal. Nothing
 * else decides these. Pure.
 */

import type { Resolution, Target } from "../model.ts";
import { formatMs } from "../text.ts";
import type { Signalled } from "./model.ts";

/** A process that dies within this time after the signal died of it (contract: choosing the target). */
export const DEATH_WINDOW_MS = 2_000;
/**
 * Nobody has looked for longer than this after the signal: when it ended is not known, and nobody is blamed. A look is put
 * off by a status request that hangs, 5 s by default.
 */
const BLAME_MAX_MS = DEATH_WINDOW_MS + 5_500;

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
