/**
 * The real clock. The only place that reads time or arms timers for the loop. It never uses `setTimeout`: the first
 * one loads Deno's Node timers and costs 7 ms of CPU, which is 140 ms of waiting in 50 thousandths of a core.
 */

import type { Clock } from "./ports.ts";

interface Sleeper {
  readonly atMs: number;
  /** How much earlier it may be woken, to share a timer. */
  readonly slackMs: number;
  readonly wake: () => void;
}

/** A long sleep may end so much too early, in parts of its length and at most in milliseconds: one wake-up less. */
const SLACK = 0.005;
const SLACK_MS_MAX = 25;
/** Longest single timer in milliseconds; a longer sleep is armed again. */
const TIMER_MAX_MS = 3_600_000;

/**
 * A clock on `performance.now` (monotonic) and `Date.now` (wall). Sleepers share timers, since an
 * `AbortSignal.timeout` cannot be taken back: at most one more is armed whenever an earlier deadline comes, and one
 * that fires for nobody does nothing. These timers do not keep the process alive; the listening server does.
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
  const sleepers = new Set<Sleeper>();
  /** Those that a signal ends: one listener a signal, since to add and remove one takes longer than all the rest. */
  const bySignal = new WeakMap<AbortSignal, Set<Sleeper>>();
  /** Deadlines of the timers that are armed, earliest last. */
  const armed: number[] = [];

  function arm(atMs: number): void {
    const earliest = armed.at(-1);
    if (earliest !== undefined && earliest <= atMs) return;
    const delayMs = Math.min(Math.max(0, Math.ceil(atMs - performance.now())), TIMER_MAX_MS);
    armed.push(atMs);
    AbortSignal.timeout(delayMs).addEventListener("abort", () => {
      armed.splice(armed.indexOf(atMs), 1);
      fire();
    }, { once: true });
  }

  function fire(): void {
    const nowMs = performance.now();
    // In the order of their dates, also where this timer came late.
    for (const sleeper of [...sleepers].sort((a, b) => a.atMs - b.atMs)) {
      // A timer counts whole milliseconds: what is due within the next half is due.
      if (sleeper.atMs - sleeper.slackMs <= nowMs + 0.5) sleeper.wake();
      else return arm(sleeper.atMs);
    }
  }

  function endedBy(signal: AbortSignal): Set<Sleeper> {
    let ended = bySignal.get(signal);
    if (ended !== undefined) return ended;
    bySignal.set(signal, ended = new Set());
    const all = ended;
    signal.addEventListener("abort", () => all.forEach((sleeper) => sleeper.wake()), { once: true });
    return ended;
  }

  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const ended = signal && endedBy(signal);
        const wake = () => {
          sleepers.delete(sleeper);
          ended?.delete(sleeper);
          resolve();
        };
        const slackMs = Math.min(ms * SLACK, SLACK_MS_MAX);
        const sleeper: Sleeper = { atMs: performance.now() + Math.max(0, ms), slackMs, wake };
        sleepers.add(sleeper);
        ended?.add(sleeper);
        arm(sleeper.atMs);
      }),
  };
}
