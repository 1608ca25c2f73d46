/**
 * Watches, for two seconds after a reload that has counted, whether the signalled process survives it: Go, Deno and the
 * JVM show a handler for SIGHUP and still die of it when the application set none. It only looks; the loop decides.
 */

import type { Target } from "../model.ts";
import type { Clock, TargetPort } from "../ports.ts";
import { formatMs } from "../text.ts";

/** A process that dies within this time after the signal died of it (contract: choosing the target). */
export const DEATH_WINDOW_MS = 2_000;
/** Pause between two looks, in milliseconds. */
const LOOK_MS = 100;

/** Who is watched, and after what. */
export interface Watched {
  readonly target: Target;
  /** Monotonic time of the last signal. */
  readonly triggeredAtMs: number;
  /** The content with which it was signalled. */
  readonly digest: string;
}

/** A death that the signal is to blame for. */
export interface Death {
  readonly digest: string;
  /** What is said of it. */
  readonly reason: string;
}

/** The watch over one process at a time. */
export interface Survival {
  /** Watches from now on, unless the signal is too long ago to be blamed; null ends it. */
  watch(next: Watched | null): void;
  /** Milliseconds until the next look is due; Infinity where nobody is watched. */
  dueMs(): number;
  /** Looks; a death, once, or null. */
  check(): Death | null;
}

/**
 * What is said of a process that died `sinceMs` after the signal.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { targetOf } from "../../tests/target/fake_table.ts";
 * assert.match(deathText(targetOf(7), "SIGHUP", 1_500), /^amp \(PID 7\) ended 1\.5s after SIGHUP/);
 * ```
 */
export function deathText(target: Target, signal: string, sinceMs: number): string {
  return `${target.name} (PID ${target.pid}) ended ${
    formatMs(sinceMs)
  } after ${signal}: the signal killed it; ` +
    "this content is not signalled again, the app reads it when it starts";
}

/**
 * Makes a watch over nobody.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createFakeClock } from "../../tests/support/fake_clock.ts";
 * import { targetOf } from "../../tests/target/fake_table.ts";
 * const clock = createFakeClock();
 * let isAlive = true;
 * const survival = createSurvival({ isAlive: () => isAlive }, clock, "SIGHUP");
 * survival.watch({ target: targetOf(7), triggeredAtMs: clock.nowMs(), digest: "a" });
 * assert.equal(survival.check(), null);
 * isAlive = false;
 * assert.match(survival.check()?.reason ?? "", /the signal killed it/);
 * assert.equal(survival.check(), null); // told once
 * ```
 */
export function createSurvival(
  target: Pick<TargetPort, "isAlive">,
  clock: Pick<Clock, "nowMs">,
  signal: string,
): Survival {
  let watched: Watched | null = null;
  return {
    watch(next) {
      // A proof may take longer, and come from another process than the one that was signalled.
      watched = next !== null && clock.nowMs() - next.triggeredAtMs < DEATH_WINDOW_MS ? next : null;
    },
    dueMs: () => watched ? LOOK_MS : Infinity,
    check() {
      if (watched === null) return null;
      const { target: process, triggeredAtMs, digest } = watched;
      const sinceMs = clock.nowMs() - triggeredAtMs;
      if (target.isAlive(process)) {
        if (sinceMs >= DEATH_WINDOW_MS) watched = null;
        return null;
      }
      watched = null;
      // Nobody has looked for long: when it ended is not known.
      if (sinceMs >= 2 * DEATH_WINDOW_MS) return null;
      return { digest, reason: deathText(process, signal, sinceMs) };
    },
  };
}
