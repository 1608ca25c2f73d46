/**
 * What a pod remembers of its turns, what happens to it, and what it asks the API for: the data of the protocol, and the
 * questions about it that need no event. Pure; the changes are `protocol.ts` and `exchange.ts`.
 */

import type { SoakEnd, Turn } from "../model.ts";
import type { Lease, Trial } from "./lease.ts";

/** The settings that the protocol depends on. */
export interface TurnPolicy {
  /** Name of this pod. */
  readonly pod: string;
  readonly mode: "canary" | "serial";
  /** How long a turn lasts without a sign of life from its holder. */
  readonly durationMs: number;
  readonly soakMs: number;
}

/** A turn that this pod has. */
export interface OwnTurn {
  readonly digest: string;
  /** When the write that took or renewed it was sent: no other pod counts from an earlier time. */
  readonly sentAtMs: number;
  readonly takenAtMs: number;
  /** A new try of what this pod's app has rejected: all others are held anyway, so nothing is renewed. */
  readonly isRetry: boolean;
  /** The Lease named this pod when it was read: an earlier process, or an earlier turn, may have sent the content. */
  readonly isResumed: boolean;
  /** Until when the app has to live on; null before its proof. */
  readonly soakUntilMs: number | null;
}

/** All that this pod remembers of the rollout. */
export interface TurnState {
  /** The content whose reload is due here; null where none is. */
  readonly wanted: string | null;
  readonly answer: Turn;
  /** How often the Lease was read for this content without a go. */
  readonly asked: number;
  readonly askAtMs: number;
  readonly turn: OwnTurn | null;
  /** What came of the turn and is not written yet. */
  readonly verdict: Trial | null;
  /** What held this pod last: restored where the Lease was deleted or filled with nonsense. */
  readonly heldBy: Trial | null;
  /** Since when each sign of life of another pod has been seen unchanged, by this pod's own clock. */
  readonly signsSinceMs: Readonly<Record<string, number>>;
  /** A request is on its way; for a write, with what and when it was sent. */
  readonly pending: "read" | { readonly sentAtMs: number; readonly isResumed: boolean } | null;
  /** Requests that failed or were refused in a row, and when the next may go out. */
  readonly failures: number;
  readonly resumeAtMs: number;
  readonly soakEnd: SoakEnd | null;
  /** Why the last request failed; null once all is read and written. */
  readonly problem: string | null;
  /** A pod that gave the turn back lets others have it until then. */
  readonly standBackUntilMs: number;
}

/** Before anything is known. */
export const INITIAL_TURN: TurnState = {
  wanted: null,
  answer: { is: "asking" },
  asked: 0,
  askAtMs: 0,
  turn: null,
  verdict: null,
  heldBy: null,
  signsSinceMs: {},
  pending: null,
  failures: 0,
  resumeAtMs: 0,
  soakEnd: null,
  problem: null,
  standBackUntilMs: 0,
};

/** How a reload ended, as the group has to know it. */
export type TurnEnd =
  | { readonly is: "success" }
  | { readonly is: "rejected"; readonly outcome: string; readonly reason: string }
  /** Nothing could be sent (no target, no permission): the content has not been tried here. */
  | { readonly is: "untried" }
  /** The app runs the content without having taken it as a reload: started with it after its signal had ended it. */
  | { readonly is: "unproved" };

/** What happens to this pod. */
export type TurnEvent =
  /** A reload of this content is due here; null: none is any more. */
  | { readonly is: "wanted"; readonly digest: string | null }
  | { readonly is: "read"; readonly lease: Lease | null }
  | { readonly is: "written"; readonly lease: Lease }
  /** Somebody else wrote in between (409), or the Lease is not there any more (404). */
  | { readonly is: "refused" }
  | { readonly is: "failed"; readonly message: string; readonly retryAfterMs: number | null }
  | { readonly is: "ended"; readonly digest: string; readonly end: TurnEnd }
  /** A look at the app during the soak; `trouble` where it is gone or its status is bad. */
  | { readonly is: "soaked"; readonly trouble: string | null }
  | { readonly is: "time" };

/** When an event came, and a random number in [0, 1). */
export interface Moment {
  readonly nowMs: number;
  readonly random: number;
}

/** What the API has to be asked next. A write is an update where `lease.object` is there, else a creation. */
export type TurnRequest = { readonly is: "read" } | { readonly is: "write"; readonly lease: Lease };

/** First pause between two questions: the contract's number. */
export const ASK_FIRST_MS = 1_000;
/** The longest one: the contract's number. */
export const ASK_MAX_MS = 10_000;
const ASK_GROWTH = 1.6;
/** A turn whose reload never ends is not renewed for ever: after so many durations it runs out. */
export const TURN_DURATIONS_MAX = 10;

/** When `time` has to be told next; Infinity where nothing is due by itself. */
export function dueAtMs(state: TurnState, policy: TurnPolicy): number {
  if (state.pending !== null) return Infinity;
  const { turn } = state;
  const isRenewed = turn !== null && !turn.isRetry &&
    turn.sentAtMs < turn.takenAtMs + TURN_DURATIONS_MAX * policy.durationMs;
  const dueMs = Math.min(
    state.verdict === null ? Infinity : 0,
    state.wanted === null || state.answer.is === "go" ? Infinity : state.askAtMs,
    isRenewed ? turn.sentAtMs + policy.durationMs / 3 : Infinity,
  );
  return Math.max(dueMs, state.resumeAtMs);
}

/**
 * Whether content may be triggered at this moment: its holder may have been stopped for longer than its turn lasts, and
 * another pod may have it by now.
 */
export function mayTrigger(state: TurnState, digest: string, nowMs: number, policy: TurnPolicy): boolean {
  const { answer, turn } = state;
  if (state.wanted !== digest || answer.is !== "go") return false;
  if (!answer.isFirst) return true;
  return turn !== null && turn.digest === digest && nowMs < turn.sentAtMs + policy.durationMs;
}

/** A pause between two questions: 1 s, then longer, 10 s at most, each with a part by chance. */
export function askPauseMs(asked: number, random: number): number {
  const pauseMs = grow(ASK_FIRST_MS, asked, ASK_MAX_MS) * (0.85 + 0.3 * random);
  return Math.min(pauseMs, ASK_MAX_MS * (0.9 + 0.1 * random));
}

/** A pause that grows each time, up to a most. */
export function grow(firstMs: number, times: number, mostMs: number): number {
  return Math.min(firstMs * ASK_GROWTH ** Math.min(times, 30), mostMs);
}
