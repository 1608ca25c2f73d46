/**
 * What all judges of a status share: the other facts that count, how times compare, and the verdicts. Pure.
 */

import type { Proof, Status, Verdict } from "../model.ts";

/** What counts besides the status itself. */
export interface JudgeContext {
  /** The status read before the trigger; null where there was none. */
  readonly baseline: Status | null;
  /** Wall time just before the trigger went out. */
  readonly triggeredWallMs: number;
  /** Milliseconds since the trigger. */
  readonly sinceTriggerMs: number;
  /** The app started (again) with this content: any good status proves it. */
  readonly restarted: boolean;
  /**
   * Nothing was triggered (`--trigger none`), so that the baseline may be younger than the app's own reload, or older
   * than one of other content: where the app tells the time of its last reload, that decides, compared with the time of
   * the change, which stands in `triggeredWallMs`.
   */
  readonly untriggered?: boolean;
  /**
   * Where nothing was triggered: since the change the status URL was silent, or answered as at the baseline, so that an
   * app whose counter has begun anew after that was started after the change; or, which cannot be told, it had read its
   * content before it and answers only now.
   */
  readonly startWouldShow?: boolean;
  /** The verdict on the poll before this one was `settling`; the judge then says `success` if it is still good. */
  readonly settled?: boolean;
  /**
   * The token (`--verify-token`; the count of AMP) that the app showed at the last success, where that success was of this very
   * content: the content goes back to it, and a token that is a value of the content cannot change then.
   */
  readonly provedToken?: string | null;
}

/**
 * Where nothing was triggered, the app's time and that of the change are whole milliseconds, and converting the latter to the
 * monotonic clock and back loses up to one more: a load told less than this before the change is one of the change.
 */
export const GRAIN_MS = 1;

/** A second, and what a timer may be early by. */
export const SECOND_MS = 1_002;

/** The clock was set back since, and the time says nothing. */
export function isInFuture(wallMs: number, { triggeredWallMs, sinceTriggerMs }: JudgeContext): boolean {
  return wallMs > triggeredWallMs + sinceTriggerMs + SECOND_MS;
}

/** The reload is proved. */
export function success(proof: Proof): Verdict {
  return { kind: "success", proof };
}

/** Nothing is certain yet; `reason` is what a timeout would report. */
export function pending(reason: string): Verdict {
  return { kind: "pending", reason };
}

/** The app says no. */
export function rejected(reason: string): Verdict {
  return { kind: "rejected", reason };
}
