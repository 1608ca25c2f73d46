/**
 * Wakes the loop when the disk may have changed: by kernel events where there are any, and by the interval always. It
 * never decides or reads content, filters no event by name or kind, and must never freeze the process: it neither closes
 * nor opens a `Deno.watchFs` while a FIFO could hold its thread (see `notify_thread.ts`).
 */

import type { Config } from "../config.ts";
import type { Clock, Logger, TakeHint, Watcher } from "../ports.ts";
import { createCaretaker } from "./caretaker.ts";
import { createGuard } from "./guard.ts";
import { createNotifyThread } from "./notify_thread.ts";
import { closeWatcher, limitOf, openWatcher, readIdentities, sameTexts } from "./open_watcher.ts";
import { createSources } from "./scan.ts";
import { holdsFifo, planWatch, type WatchPlace, type WatchPlan } from "./watch_plan.ts";
import { breakPauseMs, createEventBudget, nextPauseMs, takeEvent } from "./watch_policy.ts";

/** What of the configuration the watcher needs. */
export type WatcherConfig = Pick<Config, "configFiles" | "watchedDirs" | "intervalMs" | "watchMethod">;

/** Pause between an event and the look whether the watches still are where they should be. */
const RECHECK_MS = 1_000;
/** The same where a directory is missing or one just went away. */
const RECHECK_SOON_MS = 50;
/** Intervals between two walks along the whole paths; in between the directories' identities do. */
const PLAN_EVERY_TICKS = 12;
/** The directories' identities are asked for so often, but at each tick of an interval below the second figure. */
const UPKEEP_MS = 15_000;
const QUICK_INTERVAL_MS = 2_000;
/** How long the end may wait for a disk to say whether it holds a FIFO. */
const END_MS_MAX = 300;
const FIFO_REASON = "a FIFO in a watched directory holds up kernel events";

interface Armed {
  readonly watchers: readonly Deno.FsWatcher[];
  /** The readers of their events; a watcher is closed for good only when its reader has ended. */
  readonly pumps: readonly Promise<void>[];
  readonly plan: WatchPlan;
  /** Of each place and anchor, as they were when the watch was set. */
  readonly identities: readonly string[];
}

interface State {
  method: "inotify" | "poll";
  reason: string;
  events: number;
  errors: number;
  armed: Armed | null;
  /** Watchers that ended or threw in a row; they must be replaced wherever their directory is. */
  breaks: number;
  broken: boolean;
  brokeAtMs: number;
  pause: { readonly ms: number; readonly untilMs: number } | null;
  /** The last reason for polling that was logged. */
  warned: string;
}

/**
 * Makes the watcher of what `config` names.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createTestConfig } from "../../tests/support/config.ts";
 * import { createFakeClock } from "../../tests/support/fake_clock.ts";
 * const clock = createFakeClock();
 * const logger = { debug() {}, info() {}, warn() {}, error() {} };
 * const watcher = createWatcher(createTestConfig({ watchMethod: "poll", intervalMs: 5_000 }), clock, logger);
 * const hints: string[] = [];
 * const stop = new AbortController();
 * const run = watcher.run((cause) => void hints.push(cause), stop.signal);
 * await clock.advance(10_000);
 * assert.deepEqual(hints, ["interval", "interval"]);
 * stop.abort();
 * await run;
 * ```
 */
export function createWatcher(config: WatcherConfig, clock: Clock, logger: Logger): Watcher {
  const state: State = {
    method: "poll",
    reason: config.watchMethod === "poll" ? "as configured" : "starting",
    events: 0,
    errors: 0,
    armed: null,
    breaks: 0,
    broken: false,
    brokeAtMs: 0,
    pause: null,
    warned: "",
  };
  return {
    run: async (hint, signal) => {
      const events = config.watchMethod === "poll"
        ? null
        : createEventWatch(config, state, clock, logger, hint, signal);
      await events?.check(true);
      // Most of what needs upkeep tells of itself by an event; the rest can wait for some seconds.
      const checkEveryTicks = config.intervalMs < QUICK_INTERVAL_MS
        ? 1
        : Math.max(1, Math.floor(UPKEEP_MS / config.intervalMs));
      for (let tick = 1; !signal.aborted; tick++) {
        await clock.sleep(config.intervalMs, signal);
        if (signal.aborted) break;
        hint("interval");
        if (tick % checkEveryTicks === 0) await events?.check(tick % PLAN_EVERY_TICKS === 0);
      }
      await events?.end();
    },
    view: () => ({ method: state.method, reason: state.reason, events: state.events, errors: state.errors }),
  };
}

/** The part that needs inotify. */
function createEventWatch(
  config: WatcherConfig,
  state: State,
  clock: Clock,
  logger: Logger,
  hint: TakeHint,
  signal: AbortSignal,
): { check(full: boolean): Promise<void>; end(): Promise<void> } {
  const sources = createSources(config.configFiles, config.watchedDirs);
  const guard = createGuard(clock);
  const thread = createNotifyThread();
  let budget = createEventBudget(clock.nowMs());

  const poll = (reason: string): void => {
    state.method = "poll";
    state.reason = reason;
    if (state.warned === reason) return;
    state.warned = reason;
    logger.warn(`Watching by interval only: ${reason}`, { reason });
  };

  const rest = (reason: string): void => {
    const ms = nextPauseMs(state.pause?.ms ?? null);
    state.pause = { ms, untilMs: clock.nowMs() + ms };
    poll(reason);
  };

  /**
   * Watches are counted by path: one that is opened before the old one is gone never tells anything. And the old one is
   * gone only a turn of the event loop after its pending read has ended (Deno 2.9.6).
   */
  const disarm = async (): Promise<void> => {
    if (state.armed === null) return;
    const { watchers, pumps } = state.armed;
    state.armed = null;
    if (watchers.length === 0) return;
    for (const watcher of watchers) closeWatcher(watcher);
    await Promise.all(pumps);
    await clock.sleep(0);
  };

  const pump = async (watcher: Deno.FsWatcher, path: string): Promise<void> => {
    try {
      for await (const event of watcher) {
        state.events++;
        // The loop goes first: what follows is upkeep, and a change is waiting for its signal.
        await hint("event");
        budget = takeEvent(budget, clock.nowMs());
        const isBusy = budget.tokens < 0 && config.watchMethod === "auto";
        const isSelf = event.paths.includes(path);
        // Removed or renamed away: another directory in its place may even have its inode number.
        if (isSelf && event.kind !== "modify") state.broken = true;
        const isNear = isSelf || state.armed?.plan.missing === true;
        caretaker.soon(isBusy ? 0 : isNear ? RECHECK_SOON_MS : RECHECK_MS);
      }
    } catch (error) {
      // A name that is not UTF-8 ends every watcher; so does a limit that is reached in recursive mode.
      state.errors++;
      logger.debug("A watcher broke and is opened again", { error: String(error) });
    }
    if (state.armed?.watchers.includes(watcher) !== true) return;
    state.broken = true;
    state.breaks = clock.nowMs() - state.brokeAtMs < RECHECK_MS * 60 ? state.breaks + 1 : 1;
    state.brokeAtMs = clock.nowMs();
    caretaker.soon(breakPauseMs(state.breaks));
  };

  const open = async (plan: WatchPlan, identities: readonly string[]): Promise<void> => {
    const watchers: Deno.FsWatcher[] = [];
    const pumps: Promise<void>[] = [];
    let isVanishing = false;
    state.armed = { watchers, pumps, plan, identities };
    for (const place of plan.places) {
      const watcher = openWatcher(place);
      if (!(watcher instanceof Error)) {
        watchers.push(watcher);
        pumps.push(pump(watcher, place.path));
        continue;
      }
      state.errors++;
      isVanishing ||= watcher instanceof Deno.errors.NotFound;
      const limit = limitOf(watcher);
      if (limit !== null) {
        await disarm();
        return rest(`${limit} is used up; all processes of this user on the node share it`);
      }
      logger.debug("A directory cannot be watched", { path: place.path, error: watcher.message });
    }
    if (watchers.length === 0 && isVanishing) {
      // It went away between the plan and the watch: a new plan has its parent.
      [state.method, state.reason] = ["poll", "a directory went away"];
      return caretaker.soon(RECHECK_SOON_MS);
    }
    if (watchers.length === 0) return poll("no directory can be watched");
    if (state.warned !== "") logger.info("Watching by kernel events again");
    state.warned = "";
    state.method = "inotify";
    state.reason = plan.missing
      ? "a directory is missing, its parent is watched"
      : "kernel events and interval";
  };

  /** True where watchers may be closed and opened; else they stay as they are, deaf or not. */
  const isSafe = async (places: readonly WatchPlace[]): Promise<boolean> => {
    const all = [...places, ...state.armed?.plan.places ?? []];
    const fifo = await guard.run("fifo", () => holdsFifo(all)) ?? true;
    if (!fifo && !thread.isStuck()) return !signal.aborted;
    poll(FIFO_REASON);
    return false;
  };

  const rearm = async (): Promise<void> => {
    const plan = await guard.run("plan", () => planWatch(sources));
    if (plan === null) return poll("the disk does not answer");
    const identities = await guard.run("identities", () => readIdentities(plan));
    const { armed, broken } = state;
    if (identities === null) return;
    if (armed !== null && !broken && state.method === "inotify" && isSame(armed, plan, identities)) return;
    if (!await isSafe(plan.places)) return;
    await disarm();
    state.broken = false;
    await open(plan, identities);
    // What happened until now nobody has told.
    hint("event");
  };

  const check = async (full: boolean): Promise<void> => {
    const { armed } = state;
    if (armed !== null && budget.tokens < 0 && config.watchMethod === "auto") {
      if (!await isSafe([])) return;
      await disarm();
      return rest("a watched directory is too busy");
    }
    if (state.pause !== null && clock.nowMs() < state.pause.untilMs) return;
    if (armed === null) budget = createEventBudget(clock.nowMs());
    if (thread.isStuck()) return poll(FIFO_REASON);
    if (armed === null || full || state.broken || armed.plan.missing || state.method === "poll") {
      return await rearm();
    }
    const identities = await guard.run("identities", () => readIdentities(armed.plan));
    if (identities !== null && !sameTexts(identities, armed.identities)) await rearm();
  };

  const caretaker = createCaretaker((full) => check(full).finally(guard.rest), clock, signal);
  return {
    check: caretaker.now,
    end: async () => {
      await caretaker.idle();
      const places = state.armed?.plan.places ?? [];
      const patience = createGuard(clock, END_MS_MAX);
      const fifo = await patience.run("fifo", () => holdsFifo(places)) ?? true;
      // Nothing is closed that could freeze the end; the process takes its watchers with it.
      if (!fifo && !thread.isStuck()) await disarm();
    },
  };
}

function isSame(armed: Armed, plan: WatchPlan, identities: readonly string[]): boolean {
  const key = ({ places, missing }: WatchPlan) => JSON.stringify([places, missing]);
  return key(armed.plan) === key(plan) && sameTexts(armed.identities, identities) &&
    armed.watchers.length > 0;
}
