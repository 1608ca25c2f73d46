/** Runs one piece of upkeep at a time, now or soon, and never twice at once. Knows nothing of what it runs. */

import type { Clock } from "../ports.ts";

/** The upkeep; see the top of this file. */
export interface Caretaker {
  /** Runs it now, after a run that is on its way. `full` is handed on to the work. */
  now(full: boolean): Promise<void>;
  /** Runs it in `ms`, or earlier if that was asked for before. */
  soon(ms: number): void;
  /** Resolves when nothing is running or waiting any more; called after the abort. */
  idle(): Promise<void>;
}

/**
 * Makes one. `work` must not throw.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createFakeClock } from "../../tests/support/fake_clock.ts";
 * const clock = createFakeClock();
 * const runs: number[] = [];
 * const work = () => Promise.resolve(void runs.push(clock.nowMs()));
 * const caretaker = createCaretaker(work, clock, new AbortController().signal);
 * caretaker.soon(1_000);
 * caretaker.soon(50); // earlier: takes the place of the other
 * await clock.advance(2_000);
 * assert.deepEqual(runs, [50]);
 * ```
 */
export function createCaretaker(
  work: (full: boolean) => Promise<void>,
  clock: Clock,
  signal: AbortSignal,
): Caretaker {
  let running: Promise<void> = Promise.resolve();
  let waiting: Promise<void> = Promise.resolve();
  let dueMs = Infinity;
  const now = (full: boolean): Promise<void> => {
    running = running.then(() => signal.aborted ? undefined : work(full));
    return running;
  };
  return {
    now,
    soon: (ms) => {
      const atMs = clock.nowMs() + ms;
      if (atMs >= dueMs || signal.aborted) return;
      dueMs = atMs;
      waiting = clock.sleep(ms, signal).then(() => {
        // A nearer date was set meanwhile and has its own sleeper.
        if (dueMs !== atMs || signal.aborted) return;
        dueMs = Infinity;
        return now(false);
      });
    },
    idle: async () => {
      await waiting;
      await running;
    },
  };
}
