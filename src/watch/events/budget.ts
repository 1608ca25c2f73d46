/** When kernel events are worth their price, how often they wake the loop, and which limit of the kernel they have met. Pure. */

/** What may come at once, and how much of it goes on for ever. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/**
 * Beyond it a directory is too busy to be watched: an update of a volume has 10 events, a checkout thousands; each costs
 * about 30 µs, most of it in the thread behind `Deno.watchFs`.
 */
export const EVENTS: Rate = { burst: 5_000, perSecond: 200 };
/** Hints that are given at once; beyond it they are gathered for `GATHER_MS`. */
export const HINTS: Rate = { burst: 50, perSecond: 20 };
/** How long hints beyond their budget are gathered. */
export const GATHER_MS = 50;
/** First and longest pause before events are tried again after they were given up. */
const PAUSE_MS = 60_000;
const PAUSE_MS_MAX = 600_000;

/** A bucket of tokens that fills up again with time. */
export interface Budget {
  readonly tokens: number;
  readonly atMs: number;
}

/** A full budget. */
export function createBudget({ burst }: Rate, nowMs: number): Budget {
  return { tokens: burst, atMs: nowMs };
}

/** Takes one; `tokens` below zero means that there were none left. */
export function take({ tokens, atMs }: Budget, { burst, perSecond }: Rate, nowMs: number): Budget {
  return { tokens: Math.min(burst, tokens + (nowMs - atMs) / 1000 * perSecond) - 1, atMs: nowMs };
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
