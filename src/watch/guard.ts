/**
 * Bounds what a disk that does not answer can cost: one operation in flight per name, few that hang at once, and a
 * caller that always gets an answer. Deno has 32 threads for files, name lookups and hashing together: when all of them
 * wait for a FIFO or a dead server, nothing of that works any more.
 */

import type { Clock } from "../ports.ts";

/** How long one file or directory may take before the look goes on without it. */
const ANSWER_MS_MAX = 5_000;
/** With so many operations hanging no new ones are started. A quarter of Deno's threads. */
const HUNG_MAX = 8;

/** Bounds operations; see the top of this file. */
export interface Guard {
  /**
   * Runs `operation` unless one of that name is still on its way, and waits 5 s at most.
   * Resolves to null where there is no answer. An operation that hangs is forgotten when it ends.
   */
  run<T>(name: string, operation: () => Promise<T>): Promise<T | null>;
  /** Lets `name` be run again although it hangs, where what it waits for is no more what the name stands for. */
  release(name: string): void;
  /** To be called when a series of operations is over: an idle process is not woken for what is no more in flight. */
  rest(): void;
}

interface Flight {
  readonly startedMs: number;
  readonly giveUp: () => void;
  late: boolean;
}

/**
 * Makes a guard; `answerMsMax` is for tests.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createFakeClock } from "../../tests/support/fake_clock.ts";
 * const clock = createFakeClock();
 * const guard = createGuard(clock);
 * const answer = guard.run("/mnt/dead", () => new Promise<string>(() => {}));
 * await clock.advance(10_000);
 * assert.equal(await answer, null);
 * assert.equal(await guard.run("/mnt/dead", () => Promise.resolve("again")), null); // one at a time
 * ```
 */
export function createGuard(clock: Pick<Clock, "nowMs" | "sleep">, answerMsMax = ANSWER_MS_MAX): Guard {
  const inFlight = new Map<string, Flight>();
  let hung = 0;
  let sleeper: AbortController | null = null;

  // One sleeper for all: a look has four operations and more, and is over in a fraction of a millisecond.
  const arm = (ms: number) => {
    if (sleeper !== null) return;
    const own = sleeper = new AbortController();
    clock.sleep(ms, own.signal).then(() => {
      if (!own.signal.aborted) sweep();
    });
  };

  const sweep = () => {
    sleeper = null;
    const nowMs = clock.nowMs();
    let nextMs = Infinity;
    for (const flight of inFlight.values()) {
      if (flight.late) continue;
      const leftMs = flight.startedMs + answerMsMax - nowMs;
      if (leftMs > 1) {
        nextMs = Math.min(nextMs, leftMs);
        continue;
      }
      flight.late = true;
      hung++;
      flight.giveUp();
    }
    if (nextMs < Infinity) arm(nextMs);
  };

  const land = (name: string, flight: Flight) => {
    if (inFlight.get(name) === flight) inFlight.delete(name);
    if (flight.late) hung--;
  };

  const isAnyWaitedFor = () => {
    for (const flight of inFlight.values()) if (!flight.late) return true;
    return false;
  };

  return {
    run: (name, operation) => {
      if (inFlight.has(name) || hung >= HUNG_MAX) return Promise.resolve(null);
      return new Promise((resolve, reject) => {
        const flight = { startedMs: clock.nowMs(), giveUp: () => resolve(null), late: false };
        inFlight.set(name, flight);
        arm(answerMsMax);
        operation().then((value) => {
          land(name, flight);
          resolve(value);
        }, (error) => {
          land(name, flight);
          reject(error);
        });
      });
    },
    release: (name) => {
      if (inFlight.get(name)?.late) inFlight.delete(name);
    },
    rest: () => {
      if (isAnyWaitedFor()) return;
      // With a reason of its own it makes no DOMException, which costs more than all the rest.
      sleeper?.abort("nothing in flight");
      sleeper = null;
    },
  };
}
