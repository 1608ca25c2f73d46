/** When kernel events are worth their price. Pure. */

/**
 * Events that may come in a burst before a directory counts as busy: an update of a volume has 10, a checkout thousands.
 */
const BURST_EVENTS = 5_000;
/** Events a second that may go on for ever; each costs 20 to 40 µs and wakes the loop. */
const STEADY_EVENTS_PER_SECOND = 20;
/** First and longest pause before events are tried again after they were given up. */
const PAUSE_MS = 60_000;
const PAUSE_MS_MAX = 600_000;

/** A bucket of tokens; each event takes one. */
export interface EventBudget {
  readonly tokens: number;
  readonly atMs: number;
}

/**
 * A full budget.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const budget = createEventBudget(1_000);
 * assert.equal(takeEvent(budget, 60_000).tokens, budget.tokens - 1); // never more than full
 * ```
 */
export function createEventBudget(nowMs: number): EventBudget {
  return { tokens: BURST_EVENTS, atMs: nowMs };
}

/**
 * Takes one event; `tokens` below zero means that the directory is too busy to be watched.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const empty = { tokens: 0, atMs: 1_000 };
 * assert.equal(takeEvent(empty, 1_000).tokens, -1); // too busy
 * assert.equal(takeEvent(empty, 2_000).tokens, 19); // 20 came back in the second
 * ```
 */
export function takeEvent(budget: EventBudget, nowMs: number): EventBudget {
  const refill = (nowMs - budget.atMs) / 1000 * STEADY_EVENTS_PER_SECOND;
  return { tokens: Math.min(BURST_EVENTS, budget.tokens + refill) - 1, atMs: nowMs };
}

/**
 * How long to do without events: 1 minute, doubling up to 10.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([null, 60_000, 480_000].map(nextPauseMs), [60_000, 120_000, 600_000]);
 * ```
 */
export function nextPauseMs(previousMs: number | null): number {
  return previousMs === null ? PAUSE_MS : Math.min(previousMs * 2, PAUSE_MS_MAX);
}

/**
 * Pause before a watcher that broke `times` times in a row is opened again: 50 ms, doubling up to 25 s.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([1, 2, 100].map(breakPauseMs), [50, 100, 25_600]);
 * ```
 */
export function breakPauseMs(times: number): number {
  return 50 * 2 ** Math.min(times - 1, 9);
}
