/** Whether the loop still turns, for `/healthz`: it beats at each event, and an attempt at each of its steps. */

import type { Clock } from "../ports.ts";
import { type Health, judgeHealth } from "../reload/health.ts";

/** The heartbeat; see the top of this file. */
export interface Heartbeat {
  /** Progress; the next one may take `mayTakeMs` by a deadline of its own, which is no silence. */
  beat(mayTakeMs?: number): void;
  health(): Health;
}

/** Makes one that beats now. */
export function createHeartbeat(clock: Clock, intervalMs: number): Heartbeat {
  let lastAtMs = clock.nowMs();
  return {
    beat: (mayTakeMs = 0) => lastAtMs = clock.nowMs() + mayTakeMs,
    health: () => judgeHealth(lastAtMs, clock.nowMs(), intervalMs),
  };
}
