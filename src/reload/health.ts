/** Liveness of the loop: a process whose loop has stopped turning must be restarted. Pure. */

import { formatMs } from "./text.ts";

/** Shortest silence of the loop that counts as dead, whatever the interval. */
export const STALL_MIN_MS = 30_000;

/** Well, or why not. */
export type Health = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** Judges the loop by the time since its last turn: three intervals, at least `STALL_MIN_MS`. */
export function judgeHealth(lastTurnAtMs: number, nowMs: number, intervalMs: number): Health {
  const limitMs = Math.max(3 * intervalMs, STALL_MIN_MS);
  const silentMs = nowMs - lastTurnAtMs;
  if (silentMs <= limitMs) return { ok: true };
  return {
    ok: false,
    reason: `the loop has not turned for ${formatMs(silentMs)}, at most ${formatMs(limitMs)} is normal`,
  };
}
