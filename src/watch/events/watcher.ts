/**
 * Wakes the loop when the disk may have changed: by kernel events where there are any, and by the interval always. It
 * never decides or reads content; where the watch is set is `open_watch.ts`'s.
 */

import type { Clock, Logger, Watcher } from "../../ports.ts";
import { beginsUpdate, isInPlaces, isRelevant } from "../plan.ts";
import type { WatchedReader } from "../reader.ts";
import { type Context, createArming, type State, type WatcherConfig } from "./open_watch.ts";
import { breakPauseMs, createBudget, EVENTS, GATHER_MS, HINTS, take } from "./limits.ts";

/** Breaks of the watcher with less than this between them are in a row. */
const BREAKS_APART_MS = 60_000;
/**
 * At every so many intervals the watch itself is looked at: whether its directories still are the ones at their paths, and
 * its thread is not stuck. The intervals between find what is not told meanwhile, and cost half (idle, contract: footprint).
 */
const UPKEEP_INTERVALS = 12;

/**
 * Makes the watcher; it follows the plans of `reader`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createFakeClock } from "../../../tests/support/fake_clock.ts";
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
  const state: State = {
    method: "poll",
    reason: isPoll ? "as configured" : "starting",
    events: 0,
    errors: 0,
    places: null,
    armed: null,
    broken: false,
    breaks: 0,
    brokeAtMs: -Infinity,
    pause: null,
    eventBudget: createBudget(EVENTS, clock.nowMs()),
    hintBudget: createBudget(HINTS, clock.nowMs()),
    gathering: false,
    upkeep: false,
    warned: "",
  };
  return {
    run: async (hint, signal) => {
      const context = { config, state, clock, logger, hint, signal, note: reader.noteEvent };
      const events = isPoll ? null : createArming(context, pumpEvents);
      if (events !== null) reader.onPlaces(events.follow);
      let intervals = 0;
      while (!signal.aborted) {
        await clock.sleep(config.intervalMs, signal);
        if (signal.aborted) break;
        if (++intervals % UPKEEP_INTERVALS === 0) state.upkeep = true;
        hint("interval");
      }
      reader.onPlaces(() => {});
      await events?.end();
    },
    view: () => ({ method: state.method, reason: state.reason, events: state.events, errors: state.errors }),
  };
}

/** Reads events until the watcher ends; `wake` asks for a check of the watch itself. */
async function pumpEvents(context: Context, watcher: Deno.FsWatcher, wake: () => void): Promise<void> {
  const { config, state, clock, logger, hint, signal } = context;
  try {
    for await (const event of watcher) {
      const { places } = state;
      // Below the root lies everything: what is in no planned directory is another watcher's of this process.
      if (places !== null && !isInPlaces(places, event.paths)) continue;
      state.events++;
      state.eventBudget = take(state.eventBudget, EVENTS, clock.nowMs());
      if (state.eventBudget.tokens < 0 && config.watchMethod === "auto") wake();
      // Removed or renamed away: another directory in its place may even have its inode number.
      const isOfPlace = event.paths.some((path) => places?.dirs.has(path));
      if (isOfPlace && event.kind !== "modify" && event.kind !== "access") state.broken = true;
      if (places === null || isRelevant(places, event.paths)) {
        context.note(event.paths);
        tell(context);
      } else if (beginsUpdate(places, event.kind, event.paths)) hint("update");
    }
  } catch (error) {
    // A name that is not UTF-8 ends every watcher.
    state.errors++;
    logger.debug("A watcher broke and is opened again", { error: String(error) });
  }
  if (state.armed?.watcher !== watcher) return;
  const nowMs = clock.nowMs();
  state.broken = true;
  state.breaks = nowMs - state.brokeAtMs < BREAKS_APART_MS ? state.breaks + 1 : 1;
  state.brokeAtMs = nowMs;
  clock.sleep(breakPauseMs(state.breaks), signal).then(wake);
}

/** Gives the hint: at once, or where there are very many of them a little later for all. */
function tell({ state, clock, hint, signal }: Context): void {
  if (state.gathering) return;
  state.hintBudget = take(state.hintBudget, HINTS, clock.nowMs());
  if (state.hintBudget.tokens >= 0) return void hint("event");
  state.gathering = true;
  clock.sleep(GATHER_MS, signal).then(() => {
    state.gathering = false;
    if (!signal.aborted) hint("event");
  });
}
