/**
 * Wakes the loop when the disk may have changed: by the interval always, and by kernel events where there are any. Watches
 * what the last look has planned, renews the watch when the plan changes, and pauses while events cost too much or are not
 * available. Must never freeze the process, so it opens and closes nothing while a FIFO could hold the thread behind the
 * events (`kernel_watch.ts`). It never decides or reads content.
 */

import type { Config } from "../config.ts";
import type { Clock, Logger, TakeHint, Watcher } from "../ports.ts";
import { createDisk } from "./disk.ts";
import {
  closeWatch,
  createBudget,
  EVENTS,
  gatherHints,
  isNotifyThreadStuck,
  mayOpenOrClose,
  openWatch,
  watchedPaths,
} from "./kernel_watch.ts";
import { isSamePlan, type Plan, subjectOf } from "./plan.ts";
import type { WatchedReader } from "./reader.ts";

/** How long to do without events where they cost too much or a limit of the kernel is met. */
const REST_MS = 60_000;
/** And how long where they ended by themselves, as all do with a name that is not UTF-8: too short to be told. */
const SHORT_REST_MS = 1_000;

const FIFO_REASON = "a FIFO in a watched directory holds up kernel events";

/**
 * At every so many intervals it is asked whether the thread behind the events is stuck. The intervals between find what is
 * not told meanwhile, and cost half (idle, contract: footprint).
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
 * const watcher = createWatcher(config, { onPlan: () => {}, noteEvent: () => {} }, clock, logger);
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
  reader: Pick<WatchedReader, "onPlan" | "noteEvent">,
  clock: Clock,
  logger: Logger,
): Watcher {
  const isPoll = config.watchMethod === "poll";
  const state: State = {
    watch: { is: "off" },
    plan: null,
    polling: isPoll ? "as configured" : "starting",
    warned: null,
    events: 0,
    errors: 0,
  };
  return {
    run: async (hint, signal) => {
      const isAuto = config.watchMethod === "auto";
      const gathered = gatherHints(hint, clock, signal);
      const context = { state, isAuto, clock, logger, hint: gathered, note: reader.noteEvent, signal };
      const events = isPoll ? null : createKernelEvents(context);
      if (events !== null) reader.onPlan(events.follow);
      for (let intervals = 1; !signal.aborted; intervals++) {
        await clock.sleep(config.intervalMs, signal);
        if (signal.aborted) break;
        if (intervals % INSPECT_INTERVALS === 0) events?.inspect();
        hint("interval");
      }
      reader.onPlan(() => {});
      await events?.end();
    },
    view: () => viewOf(state),
  };
}

/** A watch whose events are read. */
interface Watching {
  readonly is: "open";
  readonly watcher: Deno.FsWatcher;
  readonly plan: Plan;
  /** Takes an event from the budget; false: there are too many. */
  readonly take: () => boolean;
  /** Ends after the last event: only then a watch that was closed is gone. */
  reading: Promise<void>;
  /** Why it must not stay: one of its directories was removed or renamed, it costs too much, its events have ended. */
  flaw: "moved" | "busy" | "ended" | null;
}

/** All that changes. */
interface State {
  watch: Watching | { readonly is: "off" } | { readonly is: "resting"; readonly untilMs: number };
  /** What the last look has planned. */
  plan: Plan | null;
  /** Why only the interval can be counted on; null where events can. */
  polling: string | null;
  /** The last reason for it that was logged. */
  warned: string | null;
  events: number;
  errors: number;
}

interface Context {
  readonly state: State;
  /** `--watch-method auto`: a busy directory is polled. */
  readonly isAuto: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hint: TakeHint;
  /** Takes the paths of each event that can be about the content. */
  readonly note: (paths: readonly string[]) => void;
  readonly signal: AbortSignal;
}

/** Follows the plans of the looks. */
function createKernelEvents(context: Context) {
  const { state, clock, signal } = context;
  const disk = createDisk(clock);
  let running: Promise<void> = Promise.resolve();

  /** Sets the watch where the plan wants it, if it is not there. */
  const renew = async (): Promise<void> => {
    const { plan, watch } = state;
    if (signal.aborted || plan === null || watch.is === "resting" && clock.nowMs() < watch.untilMs) return;
    if (await isNotifyThreadStuck(clock)) return poll(context, FIFO_REASON);
    const before = watch.is === "open" ? watch : null;
    if (before?.flaw === null && state.polling === null && isSamePlan(before.plan, plan)) return;
    const paths = new Set([...watchedPaths(plan), ...watchedPaths(before?.plan ?? plan)]);
    if (!await mayOpenOrClose(disk, clock, paths)) return poll(context, FIFO_REASON);
    if (signal.aborted) return;
    await close(context);
    if (before?.flaw === "busy") return rest(context, "a watched directory is too busy");
    if (before?.flaw === "ended") return rest(context, "kernel events have ended", SHORT_REST_MS);
    const opened = openWatch(plan, (error, path) => {
      state.errors++;
      context.logger.debug("A directory cannot be watched", { path, error });
    });
    if (!("why" in opened)) return begin(context, opened, plan, inspect);
    if (opened.why === "limit") rest(context, opened.reason);
    else if (opened.why === "gone") rest(context, opened.reason, SHORT_REST_MS);
    else poll(context, opened.reason);
  };

  /** Sees whether the watch is as it should be, and events can come. One at a time. */
  const inspect = (): void => {
    running = running.then(renew);
  };

  return {
    inspect,
    /** Watches what a look has planned. */
    follow: (plan: Plan): void => {
      state.plan = plan;
      const { watch } = state;
      if (watch.is !== "open" || watch.flaw !== null || !isSamePlan(watch.plan, plan)) inspect();
    },
    end: async (): Promise<void> => {
      await running;
      const paths = state.watch.is === "open" ? watchedPaths(state.watch.plan) : [];
      // Nothing is closed that could freeze the end; the process waits for none of this and takes its watchers with it.
      if (await mayOpenOrClose(disk, clock, paths)) await close(context);
    },
  };
}

function viewOf({ polling, plan, events, errors }: State): ReturnType<Watcher["view"]> {
  if (polling !== null) return { method: "poll", reason: polling, events, errors };
  const reason = plan?.missing
    ? "a directory is missing, its parent is watched"
    : "kernel events and interval";
  return { method: "inotify", reason, events, errors };
}

/** Only the interval can be counted on. */
function poll({ state, logger }: Context, reason: string): void {
  state.polling = reason;
  if (state.warned === reason) return;
  state.warned = reason;
  // Polling was not asked for: alerts tell so by the count of errors.
  state.errors++;
  logger.warn(`Watching by interval only: ${reason}`, { reason });
}

/** Does without events for a while; the look after it plans anew. */
function rest(context: Context, reason: string, ms: number = REST_MS): void {
  const { state, clock, hint, signal } = context;
  state.watch = { is: "resting", untilMs: clock.nowMs() + ms };
  if (ms < REST_MS) state.polling = reason;
  else poll(context, reason);
  clock.sleep(ms, signal).then(() => signal.aborted || hint("event"));
}

async function close({ state, clock }: Context): Promise<void> {
  if (state.watch.is !== "open") return;
  const { watch } = state;
  state.watch = { is: "off" };
  await closeWatch(watch.watcher, watch.reading, clock);
}

/** Counts on events from now on. */
function begin(context: Context, watcher: Deno.FsWatcher, plan: Plan, inspect: () => void): void {
  const { state, clock, logger, hint } = context;
  const take = createBudget(EVENTS, clock);
  const watch: Watching = { is: "open", watcher, plan, take, reading: Promise.resolve(), flaw: null };
  state.watch = watch;
  watch.reading = readEvents(context, watch, inspect);
  if (state.warned !== null) logger.info("Watching by kernel events again");
  [state.polling, state.warned] = [null, null];
  // What happened until now nobody has told.
  hint("event");
}

/** Reads events until they end; `inspect` is for the watch itself. */
async function readEvents(context: Context, watch: Watching, inspect: () => void): Promise<void> {
  const { state, isAuto, logger, hint, note } = context;
  const give = (flaw: Watching["flaw"]) => {
    watch.flaw = flaw;
    inspect();
  };
  try {
    for await (const event of watch.watcher) {
      const plan = state.plan ?? watch.plan;
      const subject = subjectOf(plan, event);
      // Below the root lies everything: what is in no planned directory is another watcher's of this process.
      if (subject === "elsewhere") continue;
      state.events++;
      if (!watch.take() && isAuto && watch.flaw !== "busy") give("busy");
      const { kind, paths } = event;
      // The look that follows sets the watch anew: another directory in this one's place may even have its inode number.
      const isGone = kind !== "modify" && kind !== "access" && paths.some((path) => plan.dirs.has(path));
      if (isGone) watch.flaw ??= "moved";
      if (subject === "content") {
        note(paths);
        hint("event");
      } else if (subject === "update") hint("update");
    }
  } catch (error) {
    // A name that is not UTF-8 ends every watcher.
    state.errors++;
    logger.debug("A watcher broke and is opened again", { error: String(error) });
  }
  if (state.watch === watch) give("ended");
}
