/**
 * The queue between everything that hints at a change and the one loop that acts: one operation in flight (the
 * loop's own) and one waiting slot. Further hints coalesce into that slot and keep their causes for the log.
 * It starts nothing and has no timers.
 */

import type { Cause } from "../model.ts";

/** Hints that arrived since the last `take`, as one. */
export interface Hint {
  /** Distinct causes in order of arrival. */
  readonly causes: readonly Cause[];
  /** Monotonic time of the first of them. */
  readonly firstAtMs: number;
}

/** The queue; see the top of this file. */
export interface HintQueue {
  /** Puts a hint into the waiting slot; `nowMs` may lie in the past, where one is put back. */
  push(cause: Cause, nowMs: number): void;
  /** Empties the slot; null where nothing waits. */
  take(): Hint | null;
  /** Resolves as soon as the slot is filled (at once when it is), or at the next `wake`. */
  filled(): Promise<void>;
  /** Lets `filled` resolve although nothing has been put into the slot: a date has come. */
  wake(): void;
  /** What was taken is dealt with, or what is left of it is in no hurry. */
  calm(): void;
  /** Resolves when no hint is waiting or being dealt with in a hurry: whoever gave one does his other work then. */
  calmed(): Promise<void>;
  /** Nobody takes hints any more, so nobody waits for that. */
  close(): void;
}

/**
 * Makes an empty queue.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const queue = createHintQueue();
 * queue.push("event", 100);
 * queue.push("event", 101);
 * queue.push("interval", 102);
 * assert.deepEqual(queue.take(), { causes: ["event", "interval"], firstAtMs: 100 });
 * assert.equal(queue.take(), null);
 * ```
 */
export function createHintQueue(): HintQueue {
  let causes: Cause[] = [];
  let firstAtMs = 0;
  let resolve: (() => void) | null = null;
  let waiting: Promise<void> | null = null;
  let isHurried = false;
  let isClosed = false;
  let whenCalm: (() => void)[] = [];
  const wake = () => {
    resolve?.();
    resolve = waiting = null;
  };
  const relax = () => {
    isHurried = false;
    for (const resolve of whenCalm) resolve();
    whenCalm = [];
  };
  return {
    push(cause, nowMs) {
      firstAtMs = causes.length === 0 ? nowMs : Math.min(firstAtMs, nowMs);
      if (!causes.includes(cause)) causes.push(cause);
      isHurried = !isClosed;
      wake();
    },
    take() {
      if (causes.length === 0) return null;
      const hint = { causes, firstAtMs };
      causes = [];
      return hint;
    },
    filled() {
      if (causes.length > 0) return Promise.resolve();
      return waiting ??= new Promise((done) => resolve = done);
    },
    wake,
    calm() {
      if (causes.length === 0) relax();
    },
    close() {
      isClosed = true;
      relax();
    },
    calmed: () => isHurried ? new Promise((done) => whenCalm.push(done)) : Promise.resolve(),
  };
}
