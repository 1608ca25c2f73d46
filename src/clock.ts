/** The real clock: the only place that reads time or arms timers for the loop. */

import type { Clock } from "./ports.ts";

/** Longest single timer in milliseconds: `setTimeout` counts in 32 bits. A longer sleep is armed again. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** Both times at this moment. */
export function momentOf(
  clock: Pick<Clock, "nowMs" | "wallMs">,
): { readonly nowMs: number; readonly wallMs: number } {
  return { nowMs: clock.nowMs(), wallMs: clock.wallMs() };
}

/** The wall time of a monotonic moment, as the wall clock stands now. */
export function wallMsAt(clock: Pick<Clock, "nowMs" | "wallMs">, atMs: number): number {
  return clock.wallMs() - (clock.nowMs() - atMs);
}

/**
 * A clock on `performance.now` (monotonic) and `Date.now` (wall).
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const clock = createClock();
 * const beforeMs = clock.nowMs();
 * await clock.sleep(60_000, AbortSignal.abort()); // ends at once, and does not reject
 * assert.ok(clock.nowMs() - beforeMs < 1_000);
 * ```
 */
export function createClock(): Clock {
  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    timer,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const wake = () => {
          disarm();
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        const disarm = timer(ms, wake);
        signal?.addEventListener("abort", wake, { once: true });
      }),
  };
}

const timer: Clock["timer"] = (ms, act) => {
  const untilMs = performance.now() + ms;
  const arm = (): ReturnType<typeof setTimeout> => {
    const leftMs = untilMs - performance.now();
    return leftMs <= TIMER_MAX_MS
      ? setTimeout(act, Math.max(0, Math.ceil(leftMs)))
      : setTimeout(() => handle = arm(), TIMER_MAX_MS);
  };
  let handle = arm();
  return () => clearTimeout(handle);
};
