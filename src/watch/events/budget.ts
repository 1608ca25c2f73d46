/** When kernel events are worth their price, how often they wake the loop, and which limit of the kernel they have met. Pure. */

/** Events that may come in a burst before a directory counts as busy: an update of a volume has 10, a checkout thousands. */
const BURST_EVENTS = 5_000;
/** Events a second that may go on for ever; each costs about 30 µs, most of it in the thread behind `Deno.watchFs`. */
const STEADY_EVENTS_PER_SECOND = 200;
/** First and longest pause before events are tried again after they were given up. */
const PAUSE_MS = 60_000;
const PAUSE_MS_MAX = 600_000;
/** Hints that are given at once in a burst; beyond it they are gathered for so long. */
const BURST_HINTS = 50;
const GATHER_MS = 50;

/** A bucket of tokens that fills up again with time. */
export interface Budget {
  readonly tokens: number;
  readonly atMs: number;
}

/** A full budget of events. */
export function createEventBudget(nowMs: number): Budget {
  return { tokens: BURST_EVENTS, atMs: nowMs };
}

/** Takes one event; `tokens` below zero means that the directory is too busy to be watched. */
export function takeEvent(budget: Budget, nowMs: number): Budget {
  return take(budget, nowMs, BURST_EVENTS, STEADY_EVENTS_PER_SECOND);
}

/** A full budget of hints. */
export function createHintBudget(nowMs: number): Budget {
  return { tokens: BURST_HINTS, atMs: nowMs };
}

/** Takes one hint; with `tokens` below zero it is to be given after `GATHER_MS` only, together with those that follow. */
export function takeHint(budget: Budget, nowMs: number): Budget {
  return take(budget, nowMs, BURST_HINTS, 1000 / GATHER_MS);
}

/** How long hints are gathered. */
export const gatherMs = GATHER_MS;

function take({ tokens, atMs }: Budget, nowMs: number, most: number, perSecond: number): Budget {
  return { tokens: Math.min(most, tokens + (nowMs - atMs) / 1000 * perSecond) - 1, atMs: nowMs };
}

/** How long to do without events: 1 minute, doubling up to 10. */
export function nextPauseMs(previousMs: number | null): number {
  return previousMs === null ? PAUSE_MS : Math.min(previousMs * 2, PAUSE_MS_MAX);
}

/** Pause before a watcher that broke `times` times in a row is opened again: 50 ms, doubling up to 25 s. */
export function breakPauseMs(times: number): number {
  return 50 * 2 ** Math.min(times - 1, 9);
}

/** The name of the limit behind an error; Deno gives no code for either. */
export function limitOf(message: string): string | null {
  if (/file watch limit|os error 28/i.test(message)) {
    return "the kernel's limit of watches (fs.inotify.max_user_watches)";
  }
  if (/os error 24/.test(message)) {
    return "the kernel's limit of inotify instances (fs.inotify.max_user_instances)";
  }
  return null;
}
