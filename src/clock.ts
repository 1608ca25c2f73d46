/** The real clock. The only place that reads time or sets timers for the loop. */

import type { Clock } from "./ports.ts";

/** A clock on `performance.now` (monotonic) and `Date.now` (wall). */
export function createClock(): Clock {
  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const done = () => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", done);
          resolve();
        };
        const timer = setTimeout(done, Math.max(0, ms));
        signal?.addEventListener("abort", done, { once: true });
      }),
  };
}
