/** Liveness of the loop: a process whose loop has stopped turning must be restarted. Pure. */

import { formatMs } from "../text.ts";

/** Shortest silence of the loop that counts as dead, whatever the interval. */
export const STALL_MIN_MS = 30_000;

/** Well, or why not. */
export type Health = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/**
 * Judges the loop by the time since its last turn: three intervals, at least `STALL_MIN_MS`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(judgeHealth(0, 30_000, 1_000), { ok: true }); // 30 s of silence are fine at any interval
 * const health = judgeHealth(0, 200_000, 60_000);
 * assert.match(health.ok ? "" : health.reason, /has not turned for 3m20s, at most 3m is normal/);
 * ```
 */
export function judgeHealth(lastTurnAtMs: number, nowMs: number, intervalMs: number): Health {
  const limitMs = Math.max(3 * intervalMs, STALL_MIN_MS);
  const silentMs = nowMs - lastTurnAtMs;
  if (silentMs <= limitMs) return { ok: true };
  return {
    ok: false,
    reason: `the loop has not turned for ${formatMs(silentMs)}, at most ${formatMs(limitMs)} is normal`,
  };
}
