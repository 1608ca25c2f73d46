/** The status before the trigger: without it a later one proves little. It must not put the trigger off for long. */

import type { StatusReading } from "../model.ts";
import type { Clock, StatusProbe } from "../ports.ts";
import { statusIn } from "../reload/start.ts";
import { earliestTriggerWallMs } from "../verify/judge.ts";

/**
 * How long a trigger waits for the answer to the baseline request, in milliseconds. A healthy app on the same
 * machine answers within a few; an app that hangs must not put the signal off. An older baseline is read again: what the
 * app did while the content was being checked and written, for others or by itself, proves nothing.
 */
export const BASELINE_WAIT_MS = 1_000;

/** What it needs. */
export interface BaselineDeps {
  readonly clock: Clock;
  readonly probe: StatusProbe;
}

/** A reading, where it comes within `BASELINE_WAIT_MS`; else null. */
export async function readInTime(deps: BaselineDeps, signal: AbortSignal): Promise<StatusReading | null> {
  const giveUp = new AbortController();
  const late = deps.clock.sleep(BASELINE_WAIT_MS, giveUp.signal).then(() => null);
  const first = await Promise.race([deps.probe.read(signal), late]);
  // With a reason of its own it makes no DOMException: this is on the way to the signal.
  giveUp.abort("over");
  return first;
}

/** A request that has been begun. */
export interface BaselineRequest {
  readonly answer: Promise<StatusReading | null>;
  readonly atMs: number;
  /** Nobody waits for the answer any more. */
  cancel(): void;
}

/** Asks now; who triggers takes the answer when it is wanted. */
export function askBaseline(deps: BaselineDeps): BaselineRequest {
  const cancel = new AbortController();
  return {
    answer: readInTime(deps, cancel.signal),
    atMs: deps.clock.nowMs(),
    cancel: () => cancel.abort("not needed"),
  };
}

/**
 * The status before the trigger: of `begun` while that is fresh, else read now. Returns when a trigger can be proved against it:
 * an app that cuts its time to whole seconds needs the next second. Not cut short by SIGTERM: a trigger within that second
 * could not be proved, and would cost the whole shutdown time.
 */
export async function baselineOf(
  deps: BaselineDeps,
  begun: BaselineRequest | null,
  aborted: AbortSignal,
): Promise<StatusReading | null> {
  const { clock } = deps;
  const isFresh = begun !== null && clock.nowMs() - begun.atMs < BASELINE_WAIT_MS;
  const reading = await (isFresh ? begun.answer : readInTime(deps, aborted));
  const earliestMs = earliestTriggerWallMs(statusIn(reading), clock.wallMs());
  const untilMs = clock.nowMs() + earliestMs - clock.wallMs();
  // A sleep may end a little early.
  while (clock.nowMs() < untilMs && !aborted.aborted) {
    await clock.sleep(untilMs - clock.nowMs(), aborted);
  }
  return reading;
}
