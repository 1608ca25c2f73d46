/** How many events are borne, and how many of them are passed on: a busy directory must not cost more than it is worth. */

import type { Clock, TakeHint } from "../ports.ts";

/** What may come at once, and how much of it goes on for ever. */
type Rate = { readonly burst: number; readonly perSecond: number };

/**
 * Beyond it a directory is too busy to be watched: an update of a volume has 10 events, a checkout thousands; each costs
 * about 30 µs, most of it in the thread behind `Deno.watchFs`.
 */
export const EVENTS: Rate = { burst: 5_000, perSecond: 200 };
/** Hints beyond it are gathered for `GATHER_MS`. */
const HINTS: Rate = { burst: 50, perSecond: 20 };
const GATHER_MS = 50;

/** Makes a bucket of tokens that fills up again with time. Each call takes one, and is false where there is none left. */
export function createBudget({ burst, perSecond }: Rate, clock: Pick<Clock, "nowMs">): () => boolean {
  let tokens = burst;
  let atMs = clock.nowMs();
  return () => {
    const nowMs = clock.nowMs();
    tokens = Math.min(burst, tokens + (nowMs - atMs) / 1000 * perSecond) - 1;
    atMs = nowMs;
    return tokens >= 0;
  };
}

/**
 * Passes hints on; those of events a little later and together where there are very many. Without, 2,000 writes a second to
 * a file of a `--watched-dir` cost 697 ms of CPU a second with `--watch-method inotify`, and 225 with it (100 writes: 220
 * and 122; one run on a loaded machine).
 */
export function gatherHints(hint: TakeHint, clock: Clock, signal: AbortSignal): TakeHint {
  const take = createBudget(HINTS, clock);
  let isGathering = false;
  return (cause) => {
    if (cause !== "event") return hint(cause);
    if (isGathering) return;
    if (take()) return hint(cause);
    isGathering = true;
    clock.sleep(GATHER_MS, signal).then(() => {
      isGathering = false;
      if (!signal.aborted) hint(cause);
    });
  };
}
