/** Finds the one process that an attempt is about, and waits for one that is still to come. It signals nobody. */

import type { ReloadCode } from "../codes.ts";
import type { Resolution, Target } from "../model.ts";
import { startedAfter } from "../reload/process.ts";
import type { AttemptDeps, AttemptInput } from "./input.ts";

/** Pause between two looks for a target that is still starting, in milliseconds. */
const STARTING_PAUSE_MS = 50;

/** The target, or why there is none. */
export type Found =
  /** `hasReadIt`: it started after the content came. */
  | { readonly kind: "target"; readonly target: Target; readonly hasReadIt: boolean }
  | { readonly kind: "none"; readonly code: ReloadCode; readonly message: string };

/** Looks until there is a target that has finished starting, nobody, or no time left (`--reload-timeout`). */
export async function findTarget(deps: AttemptDeps, input: AttemptInput): Promise<Found> {
  const { clock, config } = deps;
  const deadlineMs = clock.nowMs() + config.reloadTimeoutMs;
  for (;;) {
    deps.beat();
    const resolution = deps.target.resolve(input.known);
    const hasReadIt = hasRead(resolution, input);
    if (resolution.kind === "target" || resolution.kind === "starting" && hasReadIt) {
      return { kind: "target", target: resolution.target, hasReadIt };
    }
    const isOver = input.stopping.aborted || clock.nowMs() >= deadlineMs;
    if (resolution.kind === "starting") {
      if (isOver) return { kind: "none", code: "starting", message: resolution.message };
    } else if (isOver || !resolution.again) return resolution;
    await clock.sleep(STARTING_PAUSE_MS, input.stopping);
  }
}

/** Whether the process that was found started after the content came. */
function hasRead(resolution: Resolution, { reload }: AttemptInput): boolean {
  if (resolution.kind === "none") return false;
  return startedAfter(resolution.target.startedAtMs, reload.job.changedAtMs);
}
