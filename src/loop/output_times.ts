/**
 * When the rendered output came to its place, on the monotonic clock. File times are wall times: after a step of the wall
 * clock one that is converted anew lies in the future, where no app has started after it, or too far in the past. So each is
 * converted once, at the first look, and kept as long as it is told again. Nothing else is decided here.
 */

import type { Clock, PrepareResult } from "../ports.ts";

/** Monotonic time in milliseconds of the newest output of what was prepared; null where there is no output. */
export type OutputAtMs = (prepared: PrepareResult) => number | null;

/**
 * Makes a memory that has seen no output.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createFakeClock } from "../../tests/support/fake_clock.ts";
 * const clock = createFakeClock();
 * const outputAtMs = createOutputTimes(clock);
 * const prepared = { kind: "ok", written: false, outputWallMs: clock.wallMs() - 5_000 } as const;
 * assert.equal(outputAtMs(prepared), -5_000);
 * clock.stepWall(-3_600_000);
 * assert.equal(outputAtMs(prepared), -5_000);
 * ```
 */
export function createOutputTimes(clock: Clock): OutputAtMs {
  let known: { readonly wallMs: number; readonly atMs: number } | null = null;
  return (prepared) => {
    if (prepared.kind !== "ok" || prepared.outputWallMs === undefined) return null;
    const { written, outputWallMs: wallMs } = prepared;
    // What was written just now may have an earlier time than an output that was written before the clock was set back.
    if (written || known?.wallMs !== wallMs) {
      known = { wallMs, atMs: clock.nowMs() - Math.max(0, clock.wallMs() - wallMs) };
    }
    return known.atMs;
  };
}
