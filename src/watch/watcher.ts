/**
 * Wakes the loop when the disk may have changed: by kernel events where there are any, and by the interval always. It
 * never decides or reads content.
 */

import type { Config } from "../config.ts";
import type { Clock, Logger, Watcher } from "../ports.ts";
import { createKernelEvents, type KernelEvents } from "./kernel_events.ts";
import type { WatchedReader } from "./reader.ts";

/**
 * At every so many intervals the watch itself is looked at: whether its directories still are the ones at their paths, and
 * its thread is not stuck. The intervals between find what is not told meanwhile, and cost half (idle, contract: footprint).
 */
const INSPECT_INTERVALS = 12;

/** What of the configuration the watcher needs. */
export type WatcherConfig = Pick<Config, "intervalMs" | "watchMethod">;

/**
 * Makes the watcher; it follows the plans of `reader`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createFakeClock } from "../../tests/support/fake_clock.ts";
 * const clock = createFakeClock();
 * const logger = { debug() {}, info() {}, warn() {}, error() {} };
 * const config = { watchMethod: "poll", intervalMs: 5_000 } as const;
 * const watcher = createWatcher(config, { onPlaces: () => {}, noteEvent: () => {} }, clock, logger);
 * const hints: string[] = [];
 * const stop = new AbortController();
 * const run = watcher.run((cause) => void hints.push(cause), stop.signal);
 * await clock.advance(10_000);
 * assert.deepEqual(hints, ["interval", "interval"]);
 * stop.abort();
 * await run;
 * ```
 */
export function createWatcher(
  config: WatcherConfig,
  reader: Pick<WatchedReader, "onPlaces" | "noteEvent">,
  clock: Clock,
  logger: Logger,
): Watcher {
  const isPoll = config.watchMethod === "poll";
  const idle = {
    method: "poll",
    reason: isPoll ? "as configured" : "starting",
    events: 0,
    errors: 0,
  } as const;
  let events: KernelEvents | null = null;
  return {
    run: async (hint, signal) => {
      if (!isPoll) {
        events = createKernelEvents({
          isAuto: config.watchMethod === "auto",
          clock,
          logger,
          hint,
          note: reader.noteEvent,
          signal,
        });
        reader.onPlaces(events.follow);
      }
      for (let intervals = 1; !signal.aborted; intervals++) {
        await clock.sleep(config.intervalMs, signal);
        if (signal.aborted) break;
        if (intervals % INSPECT_INTERVALS === 0) events?.inspect();
        hint("interval");
      }
      reader.onPlaces(() => {});
      await events?.end();
    },
    view: () => events?.view() ?? idle,
  };
}
