/**
 * Keeps a `Deno.watchFs` on the directories that the last look has planned: opens it, closes it, gives it up for a while.
 * Must never freeze the process, so it opens and closes nothing while a FIFO could hold the thread behind it (`limits.ts`).
 */

import type { Config } from "../../config.ts";
import type { Clock, Logger, TakeHint } from "../../ports.ts";
import { commonParent } from "../../paths.ts";
import { createDiskTimeout, type Disk, orNull } from "../disk.ts";
import { isSamePlaces, type Places } from "../plan.ts";
import {
  breakPauseMs,
  type Budget,
  createBudget,
  EVENTS,
  isNotifyThreadStuck,
  limitOf,
  mayOpenOrClose,
  nextPauseMs,
} from "./limits.ts";
import { messageOf } from "../../text.ts";

/** What of the configuration the watcher needs. */
export type WatcherConfig = Pick<Config, "intervalMs" | "watchMethod">;

const FIFO_REASON = "a FIFO in a watched directory holds up kernel events";

interface Armed {
  readonly watcher: Deno.FsWatcher;
  /** The reader of its events; a watcher is closed for good only when its reader has ended. */
  readonly pump: Promise<void>;
  readonly places: Places;
  /** Device, inode and birth of each directory as they were when the watch was set. */
  readonly identities: readonly string[];
}

/** All that changes in a watcher. */
export interface State {
  method: "inotify" | "poll";
  reason: string;
  events: number;
  errors: number;
  /** What the last look has planned. */
  places: Places | null;
  armed: Armed | null;
  /** What is armed must be replaced, wherever its directories are. */
  broken: boolean;
  /** Watchers that ended or threw in a row. */
  breaks: number;
  brokeAtMs: number;
  pause: { readonly ms: number; readonly untilMs: number } | null;
  eventBudget: Budget;
  hintBudget: Budget;
  gathering: boolean;
  /** It is time to compare the directories; not after other looks, where a signal may be on its way. */
  upkeep: boolean;
  /** The last reason for polling that was logged. */
  warned: string;
}

/** What the part with the kernel events works with. */
export interface Context {
  readonly config: WatcherConfig;
  readonly state: State;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hint: TakeHint;
  readonly signal: AbortSignal;
  /** Takes the paths of each event that can be about the content. */
  readonly note: (paths: readonly string[]) => void;
}

/**
 * Keeps the watch where the plans want it; one step at a time. `pump` reads the events of a watcher until it ends; `wake` asks
 * for a check of the watch itself.
 */
export function createArming(
  context: Context,
  pump: (context: Context, watcher: Deno.FsWatcher, wake: () => void) => Promise<void>,
): { follow(places: Places): void; end(): Promise<void> } {
  const { config, state, clock, hint, signal } = context;
  const timeout = createDiskTimeout(clock);
  const disk = timeout.on(false);
  let running: Promise<void> = Promise.resolve();
  let isAsked = false;

  const wake = (): void => {
    if (isAsked || signal.aborted) return;
    isAsked = true;
    running = running.then(async () => {
      isAsked = false;
      if (!signal.aborted) await check().finally(timeout.rest);
    });
  };
  const isBusy = () => state.eventBudget.tokens < 0 && config.watchMethod === "auto";

  const check = async (): Promise<void> => {
    const { places, armed, pause } = state;
    if (places === null) return;
    if (armed !== null && isBusy()) {
      if (!await isSafe(context, disk, armed.places)) return;
      await disarm(state, clock);
      return rest(context, "a watched directory is too busy");
    }
    if (pause !== null && clock.nowMs() < pause.untilMs) return;
    if (await isNotifyThreadStuck(clock)) return poll(context, FIFO_REASON);
    if (armed !== null && state.method === "inotify" && !await isOutdated(armed, places)) return;
    if (!await isSafe(context, disk, places)) return;
    await disarm(state, clock);
    const identities = await readIdentities(disk, places);
    const opened = open(context, places, identities, (watcher) => pump(context, watcher, wake));
    if (opened === "gone") {
      // It went away after the look: a new look plans with what is above it.
      clock.sleep(breakPauseMs(++state.breaks), signal).then(() => signal.aborted || hint("event"));
    }
    // What happened until now nobody has told.
    if (opened === "open") hint("event");
  };

  const isOutdated = async (armed: Armed, places: Places): Promise<boolean> => {
    if (state.broken || !isSamePlaces(armed.places, places)) return true;
    if (!state.upkeep) return false;
    state.upkeep = false;
    const identities = await readIdentities(disk, places);
    return identities.some((identity, i) => identity !== armed.identities[i]);
  };

  return {
    follow: (places) => {
      state.places = places;
      if (state.upkeep || state.broken || !isSamePlaces(state.armed?.places, places) || isBusy()) wake();
    },
    end: async () => {
      await running;
      const dirs = state.armed === null ? [] : pathsOf(state.armed.places);
      // Nothing is closed that could freeze the end; the process waits for none of this and takes its watchers with it.
      const isSafe = await mayOpenOrClose(disk, clock, dirs).finally(timeout.rest);
      if (isSafe) await disarm(state, clock);
    },
  };
}

function poll({ state, logger }: Context, reason: string): void {
  [state.method, state.reason] = ["poll", reason];
  if (state.warned === reason) return;
  state.warned = reason;
  // Polling was not asked for: alerts tell so by the count of errors.
  state.errors++;
  logger.warn(`Watching by interval only: ${reason}`, { reason });
}

/** Does without events for a while. */
function rest(context: Context, reason: string): void {
  const { state, clock } = context;
  const ms = nextPauseMs(state.pause?.ms ?? null);
  state.pause = { ms, untilMs: clock.nowMs() + ms };
  poll(context, reason);
}

/** True where a watcher may be closed and opened; else it stays as it is, deaf or not. */
async function isSafe(context: Context, disk: Disk, places: Places): Promise<boolean> {
  const dirs = new Set([...pathsOf(places), ...pathsOf(context.state.armed?.places ?? places)]);
  if (await mayOpenOrClose(disk, context.clock, dirs)) return !context.signal.aborted;
  poll(context, FIFO_REASON);
  return false;
}

/**
 * Watches are counted by path: one that is opened before the old one is gone never tells anything. And the old one is
 * gone only a turn of the event loop after its pending read has ended (Deno 2.9.6).
 */
async function disarm(state: State, clock: Clock): Promise<void> {
  if (state.armed === null) return;
  const { watcher, pump } = state.armed;
  state.armed = null;
  try {
    watcher.close();
  } catch {
    // It ended by itself.
  }
  await pump;
  await clock.sleep(0);
}

/** Opens the watch: "gone" where all directories went away, "none" where there can be none now. */
function open(
  context: Context,
  places: Places,
  identities: readonly string[],
  pump: (watcher: Deno.FsWatcher) => Promise<void>,
): "open" | "gone" | "none" {
  const { state, clock, logger } = context;
  const paths = new Set(pathsOf(places));
  let reason = "nothing is there that could be watched";
  let isGone = paths.size > 0;
  while (places.dirs.keys().some((dir) => paths.has(dir))) {
    try {
      const watcher = Deno.watchFs([...paths], { recursive: false });
      state.broken = false;
      state.eventBudget = createBudget(EVENTS, clock.nowMs());
      state.armed = { watcher, pump: pump(watcher), places, identities };
      if (state.warned !== "") logger.info("Watching by kernel events again");
      state.warned = "";
      state.method = "inotify";
      const isAll = !places.missing;
      state.reason = isAll ? "kernel events and interval" : "a directory is missing, its parent is watched";
      return "open";
    } catch (error) {
      state.errors++;
      reason = messageOf(error);
      const limit = limitOf(reason);
      if (limit !== null) {
        rest(context, `${limit} is used up; all processes of this user on the node share it`);
        return "none";
      }
      // It went away, or may not be read: the others are watched without it.
      const bad = [...paths].find((path) => reason.includes(JSON.stringify(path)));
      logger.debug("A directory cannot be watched", { path: bad ?? "", error: reason });
      isGone &&= error instanceof Deno.errors.NotFound && bad !== undefined;
      if (bad === undefined) break;
      paths.delete(bad);
    }
  }
  if (isGone) {
    [state.method, state.reason] = ["poll", "a directory went away"];
    return "gone";
  }
  poll(context, `no directory can be watched: ${reason}`);
  return "none";
}

/**
 * The planned directories, and before them what lies above all of them. Deno passes an event on only if its path, links
 * resolved, lies below a path of the watcher: so none for a link that leads to where nothing is watched yet. And it compares
 * an event with the paths in their order.
 */
function pathsOf({ dirs }: Places): string[] {
  const planned = [...dirs.keys()];
  return [...new Set([commonParent(planned), ...planned])];
}

async function readIdentities(disk: Disk, places: Places): Promise<string[]> {
  return await Promise.all([...places.dirs.keys()].map(async (dir) => {
    const info = await orNull(disk.stat(dir));
    return info === null ? "" : `${info.dev}:${info.ino}:${info.birthtime?.getTime()}`;
  }));
}
