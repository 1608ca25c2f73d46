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
  readonly atMs: number;
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

/** Begins both. The request goes first: it is on its way while the process table is read. */
export function beginPrefetch(
  deps: BaselineDeps & { readonly config: Config; readonly target: TargetPort },
  known: Target | null,
): Prefetch {
  const { trigger, verify } = deps.config;
  return {
    baseline: verify === "none" || trigger === "none" ? null : askBaseline(deps),
    found: trigger === "signal" ? lookForTarget(deps, known) : null,
    atMs: deps.clock.nowMs(),
  };
}
