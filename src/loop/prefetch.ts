/**
 * What an attempt needs first, begun while the disk is still being read: the status request, and the look for the target in
 * its shadow. Both are then off the way from a swap to its signal: half within 2 ms (contract, footprint). It decides nothing
 * and signals nobody.
 */

import type { Config } from "../config.ts";
import type { AppMounts, Resolution, Target } from "../model.ts";
import type { Clock, TargetPort } from "../ports.ts";
import { askBaseline, type BaselineDeps, type BaselineRequest } from "./baseline.ts";

/** How long a look for the target counts, in milliseconds; its identity is checked again at the signal. */
export const FOUND_FRESH_MS = 100;

/** A look for the target. */
export interface FoundTarget {
  readonly resolution: Resolution;
  /** What it can see; null where there is no process. */
  readonly mounts: AppMounts | null;
  readonly atMs: number;
}

/** See the top of this file. */
export interface Prefetch {
  /** Null where nobody is asked. */
  readonly baseline: BaselineRequest | null;
  /** Null where nothing is signalled. */
  readonly found: FoundTarget | null;
}

/** Begins it, part by part. */
export interface Prefetcher {
  /** Asks for the status, unless that was done in the last `freshMs`. */
  ask(freshMs: number): void;
  /** Looks for the target. */
  look(known: Target | null): void;
  /** For the attempt that begins now. */
  take(): Prefetch;
}

/** Looks for the target now. */
export function lookForTarget(
  { clock, target }: { readonly clock: Clock; readonly target: TargetPort },
  known: Target | null,
): FoundTarget {
  const resolution = target.resolve(known);
  const mounts = resolution.kind === "none" ? null : target.staleMounts(resolution.target);
  return { resolution, mounts, atMs: clock.nowMs() };
}

/** What is on its way for the next attempt; each part is begun where it is in nobody's way. */
export function createPrefetcher(
  deps: BaselineDeps & { readonly config: Config; readonly target: TargetPort },
): Prefetcher {
  const { clock, config } = deps;
  const isAsked = config.verify !== "none" && config.trigger !== "none";
  let baseline: BaselineRequest | null = null;
  let found: FoundTarget | null = null;
  return {
    ask(freshMs) {
      if (!isAsked || baseline !== null && clock.nowMs() - baseline.atMs < freshMs) return;
      baseline?.cancel();
      baseline = askBaseline(deps);
    },
    look(known) {
      if (config.trigger === "signal") found = lookForTarget(deps, known);
    },
    take() {
      const taken = { baseline, found };
      baseline = found = null;
      return taken;
    },
  };
}
