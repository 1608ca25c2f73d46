/** A clock that stands still until a test moves it. Sleepers wake in the order of their deadlines. */

import type { Clock } from "../../src/ports.ts";

/** The fake; `advance` moves both times and lets everything that became due run, in order. */
export interface FakeClock extends Clock {
  /** Moves time by `ms`, waking sleepers one by one and letting their promises settle in between. */
  advance(ms: number): Promise<void>;
  /** Steps the wall clock alone, as NTP or an operator does. */
  stepWall(ms: number): void;
  /** Sleepers that have not woken yet. */
  pending(): number;
}

/** Makes a clock that starts at monotonic 0 and `startWallMs`. */
export function createFakeClock(startWallMs = 1_700_000_000_000): FakeClock {
  let now = 0;
  let wall = startWallMs;
  let sleepers: { at: number; wake: () => void }[] = [];
  const timer: Clock["timer"] = (ms, act) => {
    const sleeper = { at: now + Math.max(0, ms), wake: act };
    sleepers.push(sleeper);
    return () => sleepers = sleepers.filter((other) => other !== sleeper);
  };
  return {
    nowMs: () => now,
    wallMs: () => wall,
    stepWall: (ms) => {
      wall += ms;
    },
    pending: () => sleepers.length,
    timer,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const disarm = timer(ms, resolve);
        signal?.addEventListener("abort", () => {
          disarm();
          resolve();
        }, { once: true });
      }),
    advance: async (ms) => {
      const end = now + ms;
      await settle();
      for (;;) {
        const next = sleepers.filter((s) => s.at <= end).sort((a, b) => a.at - b.at)[0];
        if (!next) break;
        sleepers = sleepers.filter((other) => other !== next);
        wall += next.at - now;
        now = next.at;
        next.wake();
        await settle();
      }
      wall += end - now;
      now = end;
      await settle();
    },
  };
}

/** Lets promise chains run to their next wait; chains between two waits are shorter than this. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 100; i++) await null;
}
