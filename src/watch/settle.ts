/**
 * When changed content counts: for how long it has to stay as it is, as `--delay-interval` says: quiet first, then the same at
 * two reads. An absent or unreadable file settles like any other state, so a moment of absence is no removal. Pure.
 */

/** Quiet time of `auto` for plain files (contract, `--delay-interval`). */
export const AUTO_DELAY_MS = 200;
/** A busy writer can put content off for this many quiet times: 2 s of 200 ms, as the contract has it. */
const BUSY_FACTOR = 10;
/** A timer may fire this much too early by the monotonic clock. */
const TIMER_SLACK_MS = 1;

/** A difference that is being waited out. */
export interface Settling {
  /** When the difference was first seen. */
  readonly sinceMs: number;
  /** Since when nothing moved. */
  readonly quietSinceMs: number;
  /** Time of the first of the two equal reads, null before it. */
  readonly firstReadAtMs: number | null;
  readonly againAtMs: number;
}

/** What one look found. */
export interface SettleInput {
  readonly nowMs: number;
  /** 0: nothing is waited for. */
  readonly delayMs: number;
  /** The look differs from the last state that counted. */
  readonly differs: boolean;
  /** Sizes, times, contents and errors are those of the look before. */
  readonly sameAsBefore: boolean;
  /** No file changed while it was being read. */
  readonly stable: boolean;
  /** All that differs was published by a rename of `..data`: it is never half-written, so one read will do. */
  readonly atomic: boolean;
}

/**
 * Null: the look counts. Otherwise when to look again.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const look = { delayMs: 200, differs: true, sameAsBefore: true, stable: true, atomic: false };
 * const first = decideSettling(null, { ...look, nowMs: 0 });
 * assert.equal(first?.againAtMs, 200); // quiet until then,
 * const second = decideSettling(first, { ...look, nowMs: 200 });
 * assert.equal(second?.againAtMs, 400); // the same at a second read:
 * assert.equal(decideSettling(second, { ...look, nowMs: 400 }), null); // it counts
 * ```
 */
export function decideSettling(state: Settling | null, input: SettleInput): Settling | null {
  const { nowMs, delayMs } = input;
  if (!input.differs || delayMs === 0) return null;
  if (state === null) return waitFrom(nowMs, nowMs, null, nowMs + delayMs);
  const busyMaxMs = delayMs * BUSY_FACTOR;
  const waitedMs = nowMs - state.sinceMs + TIMER_SLACK_MS;
  // A file that changes under every read is given as long again, and then taken as it is.
  if (waitedMs >= busyMaxMs && (input.stable || waitedMs >= 2 * busyMaxMs)) return null;
  if (!input.sameAsBefore) {
    const nextMs = waitedMs < busyMaxMs
      ? Math.min(nowMs + delayMs, state.sinceMs + busyMaxMs)
      : nowMs + delayMs / 8;
    return waitFrom(state.sinceMs, nowMs, null, nextMs);
  }
  const passed = (sinceMs: number) => nowMs - sinceMs + TIMER_SLACK_MS >= delayMs;
  if (!passed(state.quietSinceMs)) {
    return waitFrom(state.sinceMs, state.quietSinceMs, null, state.quietSinceMs + delayMs);
  }
  if (input.atomic) return null;
  const firstReadAtMs = state.firstReadAtMs ?? nowMs;
  if (passed(firstReadAtMs)) return null;
  return waitFrom(state.sinceMs, state.quietSinceMs, firstReadAtMs, firstReadAtMs + delayMs);
}

function waitFrom(
  sinceMs: number,
  quietSinceMs: number,
  firstReadAtMs: number | null,
  againAtMs: number,
): Settling {
  return { sinceMs, quietSinceMs, firstReadAtMs, againAtMs };
}
