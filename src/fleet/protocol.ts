/**
 * Who may reload when: the protocol by which the pods of a group take turns through one Lease, as one pure step over what
 * this pod knows. No requests, no clock, no chance of its own: each event brings the monotonic time and a random number.
 *
 * One exchange with the API is a read and, where something has to change, one write that holds only if nobody wrote in
 * between (`resourceVersion`). So of two pods that take the turn at the same moment, one is refused and reads again.
 */

import { afterRead, afterWrite } from "./exchange.ts";
import { freeTrial, type Trial } from "./lease.ts";
import {
  ASK_FIRST_MS,
  ASK_MAX_MS,
  askPauseMs,
  dueAtMs,
  grow,
  type Moment,
  type OwnTurn,
  type TurnEnd,
  type TurnEvent,
  type TurnPolicy,
  type TurnRequest,
  type TurnState,
} from "./turn_state.ts";

/** The longest pause that a `Retry-After` may ask for. */
const RETRY_AFTER_MAX_MS = 60_000;
/** First pause after a write was refused: who reads at once again may meet the same crowd. */
const REFUSED_FIRST_MS = 50;

/** One step: what is known then, and the request to make next, if any. */
export function stepTurn(
  state: TurnState,
  event: TurnEvent,
  moment: Moment,
  policy: TurnPolicy,
): readonly [TurnState, TurnRequest | null] {
  switch (event.is) {
    case "wanted":
      return proceed(want(state, event.digest, moment.nowMs), moment, policy);
    case "ended":
      return proceed(end(state, event.digest, event.end, moment.nowMs, policy), moment, policy);
    case "soaked":
      return proceed(soak(state, event.trouble, moment.nowMs, policy), moment, policy);
    case "time":
      return proceed(state, moment, policy);
    case "read": {
      const [after, lease] = afterRead(state, event.lease, moment, policy);
      return lease === null ? proceed(after, moment, policy) : [after, { is: "write", lease }];
    }
    case "written":
      return proceed(afterWrite(state, event.lease, moment, policy), moment, policy);
    case "refused": {
      const pauseMs = grow(REFUSED_FIRST_MS, state.failures, ASK_MAX_MS) * moment.random;
      return [postpone(state, moment.nowMs + pauseMs), null];
    }
    case "failed": {
      const pauseMs = event.retryAfterMs === null
        ? askPauseMs(state.failures, moment.random)
        : Math.min(event.retryAfterMs, RETRY_AFTER_MAX_MS) + ASK_FIRST_MS * moment.random;
      const later = { ...postpone(state, moment.nowMs + pauseMs), problem: event.message };
      const isStuck = later.wanted !== null && later.answer.is !== "go" && later.answer.is !== "held";
      return [isStuck ? { ...later, answer: { is: "unreachable", message: event.message } } : later, null];
    }
  }
}

function postpone(state: TurnState, resumeAtMs: number): TurnState {
  return { ...state, pending: null, failures: state.failures + 1, resumeAtMs };
}

/** Makes the next request where one is due and none is on its way. */
function proceed(
  state: TurnState,
  { nowMs }: Moment,
  policy: TurnPolicy,
): readonly [TurnState, TurnRequest | null] {
  if (dueAtMs(state, policy) > nowMs) return [state, null];
  return [{ ...state, pending: "read" }, { is: "read" }];
}

/** New content is asked for at once; what is wanted already keeps its answer. */
function want(state: TurnState, digest: string | null, nowMs: number): TurnState {
  if (digest === state.wanted) return state;
  const asked: TurnState = { ...state, wanted: digest, answer: { is: "asking" }, asked: 0, askAtMs: nowMs };
  // What held other content says nothing of this one; that nothing is due for a moment forgets nothing.
  const after = digest === null || state.heldBy?.digest === digest ? asked : { ...asked, heldBy: null };
  const { turn } = state;
  // A turn for content that is no longer due was not used: what has been sent ends with `ended`.
  const isUnused = digest === null && turn !== null && turn.digest === state.wanted;
  return isUnused ? giveBack(after, turn) : after;
}

/** What came of the reload is written, if this pod had the turn; who only followed has nothing to tell. */
function end(state: TurnState, digest: string, how: TurnEnd, nowMs: number, policy: TurnPolicy): TurnState {
  const { turn } = state;
  const after: TurnState = state.wanted === digest
    ? { ...state, wanted: null, answer: { is: "asking" } }
    : state;
  if (turn === null || turn.digest !== digest || turn.soakUntilMs !== null) return after;
  switch (how.is) {
    case "success":
      return { ...after, turn: { ...turn, soakUntilMs: nowMs + policy.soakMs }, soakEnd: null };
    case "rejected":
      return { ...after, turn: null, verdict: rejection(policy.pod, digest, how.outcome, how.reason) };
    case "unproved":
      return { ...after, turn: null };
    case "untried":
      return { ...giveBack(after, turn), standBackUntilMs: nowMs + ASK_MAX_MS + ASK_FIRST_MS };
  }
}

/**
 * Others may try the content. What this pod's app has rejected stays so, though; and a turn in which the content may have
 * been sent before is left to run out.
 */
function giveBack(state: TurnState, turn: OwnTurn): TurnState {
  return turn.isRetry || turn.isResumed
    ? { ...state, turn: null }
    : { ...state, turn: null, verdict: freeTrial(turn.digest) };
}

/** The app lives on after its proof, until the soak is over; what goes wrong before is a rejection. */
function soak(state: TurnState, trouble: string | null, nowMs: number, policy: TurnPolicy): TurnState {
  const { turn } = state;
  if (turn === null || turn.soakUntilMs === null) return state;
  if (trouble !== null) {
    const verdict = rejection(policy.pod, turn.digest, "failed", trouble);
    return { ...state, turn: null, soakEnd: { is: "trouble", reason: trouble }, verdict };
  }
  if (nowMs < turn.soakUntilMs) return state;
  return {
    ...state,
    turn: null,
    verdict: { ...freeTrial(turn.digest), state: "proved", pod: policy.pod },
  };
}

function rejection(pod: string, digest: string, outcome: string, reason: string): Trial {
  return { ...freeTrial(digest), state: "rejected", pod, outcome, reason };
}
