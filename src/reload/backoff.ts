/** How long to wait before the next try. Pure arithmetic. */

/**
 * Pause in milliseconds after the `failures`-th failure in a row (1 for the first): `retryIntervalMs`, doubled
 * with each further failure, never more than `maxBackoffMs`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(nextRetryDelayMs(1, 5_000, 300_000), 5_000);
 * assert.equal(nextRetryDelayMs(3, 5_000, 300_000), 20_000);
 * assert.equal(nextRetryDelayMs(5_000, 5_000, 300_000), 300_000);
 * ```
 */
export function nextRetryDelayMs(failures: number, retryIntervalMs: number, maxBackoffMs: number): number {
  // 2 ** 1024 is Infinity; min() then gives the cap, which is what is wanted.
  return Math.min(retryIntervalMs * 2 ** Math.max(0, failures - 1), maxBackoffMs);
}
