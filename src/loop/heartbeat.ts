/**
 * Whether the loop still turns, for `/healthz`: it beats at each event, and an attempt at each of its steps. A process whose
 * loop has stopped turning must be restarted.
 */

import type { Health } from "../model.ts";
import type { Clock } from "../ports.ts";
import { formatMs } from "../text.ts";

/** Shortest silence of the loop that counts as dead, whatever the interval. */
const STALL_MIN_MS = 30_000;

/** The heartbeat; see the top of this file. */
export interface Heartbeat {
  /** Progress; the next one may take `mayTakeMs` by a deadline of its own, which is no silence. */
  beat(mayTakeMs?: number): void;
  /** Dead after a silence of three intervals, at least `STALL_MIN_MS` (contract: HTTP, `/healthz`). */
  health(): Health;
}

/** Makes one that beats now. */
export function createHeartbeat(clock: Clock, intervalMs: number): Heartbeat {
  const limitMs = Math.max(3 * intervalMs, STALL_MIN_MS);
  let lastAtMs = clock.nowMs();
  return {
    beat: (mayTakeMs = 0) => lastAtMs = clock.nowMs() + mayTakeMs,
    health() {
      const silentMs = clock.nowMs() - lastAtMs;
      if (silentMs <= limitMs) return { ok: true };
      return {
        ok: false,
        reason: `the loop has not turned for ${formatMs(silentMs)}, at most ${formatMs(limitMs)} is normal`,
      };
    },
  };
}
