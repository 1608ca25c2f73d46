/**
 * The status request that the next attempt will need, begun before the content has been read: it is then off the way from a
 * swap to its signal, of which half must come within 2 ms (contract, footprint). It decides nothing and signals nobody.
 *
 * The target is not looked for here. `fetch` sends only when the event loop turns, so synchronous work after it would put the
 * request off; the attempt looks while the app is answering.
 */

import type { Config } from "../config.ts";
import { askBaseline, type BaselineDeps, type BaselineRequest } from "./baseline.ts";

/** Holds the request that is on its way. */
export interface Prefetcher {
  /** Asks for the status, unless that was done in the last `freshMs`. */
  ask(freshMs: number): void;
  /** For the attempt that begins now; null where nobody was asked. */
  take(): BaselineRequest | null;
}

/** Makes one with nothing on its way. */
export function createPrefetcher(deps: BaselineDeps & { readonly config: Config }): Prefetcher {
  const { clock, config } = deps;
  const isAsked = config.verify !== "none" && config.trigger !== "none";
  let baseline: BaselineRequest | null = null;
  return {
    ask(freshMs) {
      if (!isAsked || baseline !== null && clock.nowMs() - baseline.atMs < freshMs) return;
      baseline?.cancel();
      baseline = askBaseline(deps);
    },
    take() {
      const taken = baseline;
      baseline = null;
      return taken;
    },
  };
}
