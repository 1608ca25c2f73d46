/**
 * The status before the trigger: without it a later one proves little. It is requested before the content has been read, since
 * half of all signals must come within 2 ms of the swap (contract, footprint), and must not put the trigger off for long.
 */

import type { Config } from "../config.ts";
import type { StatusReading } from "../model.ts";
import type { Clock, StatusProbe } from "../ports.ts";
import { statusIn } from "../reload/start.ts";
import { earliestTriggerWallMs } from "../verify/prometheus.ts";

/**
 * How long a trigger waits for the answer to the baseline request, in milliseconds. A healthy app on the same
 * machine answers within a few; an app that hangs must not put the signal off.
 */
export const BASELINE_WAIT_MS = 1_000;
/**
 * A request that is older than this when its attempt begins, in milliseconds, is made again: what the app did while the
 * content was being checked, or waited for its time, proves nothing about this trigger.
 */
export const FRESH_MS = 100;

/** What it needs. */
export interface BaselineDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly probe: StatusProbe;
}

/** What was begun before the attempt. */
export interface Prefetched {
  readonly answer: Promise<StatusReading>;
  readonly atMs: number;
}

/** Asks for the status of the next attempt ahead, unless it was asked for in the last `freshMs`. */
export function prefetch(
  { clock, config, probe, aborted }: BaselineDeps & { readonly aborted: AbortSignal },
  begun: Prefetched | null,
  freshMs: number,
): Prefetched | null {
  const isAsked = config.verify !== "none" && config.trigger !== "none";
  if (!isAsked || begun !== null && clock.nowMs() - begun.atMs < freshMs) return begun;
  return { answer: probe.read(aborted, BASELINE_WAIT_MS), atMs: clock.nowMs() };
}

/**
 * The status before the trigger: of `begun` while that is fresh, else read now. Returns when a trigger can be proved against it:
 * an app that cuts its time to whole seconds needs the next second. Not cut short by SIGTERM: a trigger within that second
 * could not be proved, and would cost the whole shutdown time.
 */
export async function baselineOf(
  deps: BaselineDeps,
  begun: Prefetched | null,
  aborted: AbortSignal,
): Promise<StatusReading | null> {
  const { clock, probe } = deps;
  if (deps.config.verify === "none") return null;
  const isFresh = begun !== null && clock.nowMs() - begun.atMs <= FRESH_MS;
  const reading = await (isFresh ? begun.answer : probe.read(aborted, BASELINE_WAIT_MS));
  const earliestMs = earliestTriggerWallMs(statusIn(reading), clock.wallMs());
  const untilMs = clock.nowMs() + earliestMs - clock.wallMs();
  // A sleep may end a little early.
  while (clock.nowMs() < untilMs && !aborted.aborted) {
    await clock.sleep(untilMs - clock.nowMs(), aborted);
  }
  return reading;
}
