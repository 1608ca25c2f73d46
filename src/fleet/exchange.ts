/**
 * What follows from a Lease that was read, and from one that was written: the answer for the content that is due, and what
 * has to be written. Pure; one part of the protocol (`protocol.ts`).
 */

import type { Turn } from "../model.ts";
import { findTrial, freeTrial, type Lease, NO_LEASE, type Trial, withCurrent, withTrial } from "./lease.ts";
import {
  askPauseMs,
  type Moment,
  type OwnTurn,
  TURN_DURATIONS_MAX,
  type TurnPolicy,
  type TurnState,
} from "./turn_state.ts";

/** Notes since when each other holder's sign of life has stayed the same. */
function see(state: TurnState, lease: Lease | null, nowMs: number, policy: TurnPolicy): TurnState {
  const signs = (lease === null ? [] : [lease.current, ...lease.earlier])
    .filter((trial) => trial !== null && trial.state === "trying" && trial.pod !== policy.pod)
    .map((trial) => signOf(trial!));
  const signsSinceMs = Object.fromEntries(signs.map((sign) => [sign, state.signsSinceMs[sign] ?? nowMs]));
  return { ...state, signsSinceMs };
}

function signOf(trial: Trial): string {
  return `${trial.digest} ${trial.pod} ${trial.renewTime}`;
}

/** Whether the holder has given no sign of life for as long as its turn lasts. A Lease cannot block for ever. */
function hasRunOut(trial: Trial, lease: Lease, state: TurnState, nowMs: number, policy: TurnPolicy): boolean {
  const sinceMs = state.signsSinceMs[signOf(trial)] ?? nowMs;
  const lastsMs = Math.min(lease.durationMs ?? policy.durationMs, TURN_DURATIONS_MAX * policy.durationMs);
  return nowMs - sinceMs >= lastsMs;
}

/** What follows from a Lease that was just read, null where there is none: the answer, and what to write, if anything. */
export function afterRead(
  state: TurnState,
  read: Lease | null,
  moment: Moment,
  policy: TurnPolicy,
): readonly [TurnState, Lease | null] {
  const before = read ?? NO_LEASE;
  const seen = see({ ...state, pending: null }, read, moment.nowMs, policy);
  const told = applyVerdict(before, seen.verdict, policy);
  // With nothing to write the verdict is known there already, or is nobody's business any more.
  const known = told === before ? withoutVerdict(seen, before) : seen;
  const isAsked = known.wanted !== null && known.answer.is !== "go";
  const [after, lease] = isAsked
    ? decide(known, told, moment, policy)
    : renew(known, told, read, moment, policy);
  if (lease === before) return [{ ...after, failures: 0, problem: null }, null];
  const { current } = lease;
  const isResumed = current !== null &&
    isHeldBy(findTrial(before, current.digest), policy.pod, current.digest);
  return [{ ...after, pending: { sentAtMs: moment.nowMs, isResumed } }, lease];
}

/** The verdict is in the Lease, or of no use any more. */
function withoutVerdict(state: TurnState, lease: Lease): TurnState {
  const { verdict } = state;
  const isProved = verdict?.state === "proved" && findTrial(lease, verdict.digest)?.state === "proved";
  return { ...state, verdict: null, ...(isProved && { soakEnd: { is: "proved" } }) };
}

/** Writes what came of this pod's turn. Whose turn has passed to another pod writes nothing. */
function applyVerdict(lease: Lease, verdict: Trial | null, { pod }: TurnPolicy): Lease {
  if (verdict === null) return lease;
  const trial = findTrial(lease, verdict.digest);
  const isMine = trial !== null && trial.pod === pod &&
    (trial.state === "trying" || trial.state === "rejected");
  // The Lease was deleted or filled with nonsense: what came of it still counts.
  const isLost = trial === null && verdict.state !== "free";
  if (!isMine && !isLost || trial?.state === verdict.state && trial.reason === verdict.reason) return lease;
  return withTrial(lease, verdict);
}

/** The holder's sign of life while it tries and soaks. */
function renew(
  state: TurnState,
  lease: Lease,
  read: Lease | null,
  { nowMs }: Moment,
  policy: TurnPolicy,
): readonly [TurnState, Lease] {
  const { turn } = state;
  if (turn === null || turn.isRetry) return [state, lease];
  const isMine = read === null || isHeldBy(lease.current, policy.pod, turn.digest);
  if (!isMine) {
    // Another pod has it, or a person has spoken. A reload under way that has sent nothing yet must ask again.
    const isOverridden = findTrial(lease, turn.digest)?.state === "proved";
    const answer: Turn = isOverridden ? { is: "go", isFirst: false } : { is: "asking" };
    const lost = { ...state, turn: null };
    return [state.wanted === null ? lost : { ...lost, answer, askAtMs: nowMs }, lease];
  }
  return [state, withCurrent(lease, trying(turn.digest, policy.pod))];
}

/** Whether a reload of the wanted content may go out, and what has to be written first. */
function decide(
  state: TurnState,
  lease: Lease,
  { nowMs, random }: Moment,
  policy: TurnPolicy,
): readonly [TurnState, Lease] {
  const digest = state.wanted!;
  const { current } = lease;
  const trial = findTrial(lease, digest);
  const own = current?.state === "trying" && current.pod === policy.pod;
  const isTried = (by: Trial | null): by is Trial =>
    by?.state === "trying" && by.pod !== policy.pod && !hasRunOut(by, lease, state, nowMs, policy);
  const later: TurnState = {
    ...state,
    asked: state.asked + 1,
    askAtMs: nowMs + askPauseMs(state.asked, random),
    // A turn for other content is over.
    turn: state.turn?.digest === digest ? state.turn : null,
  };
  const wait = (pod: string): readonly [TurnState, Lease] => [
    { ...later, answer: { is: "waiting", pod }, heldBy: null },
    lease,
  ];
  // The Lease shows the content that is asked for, so that a person can override what holds it.
  const shown = (what: Trial) => isTried(current) || current === what ? lease : withCurrent(lease, what);
  const hold = (by: Trial): readonly [TurnState, Lease] => [
    { ...later, answer: { is: "held", pod: by.pod, outcome: by.outcome, reason: by.reason }, heldBy: by },
    state.asked === 0 || trial === null || trial.state === "free" ? shown(by) : lease,
  ];

  // Rejected: hold. The pod that tried it may try again, and no other.
  if (trial?.state === "rejected") {
    if (trial.pod !== policy.pod) return hold(trial);
    // Only what the Lease says keeps the others from taking a turn that runs out: it is written first.
    if (state.verdict !== null) return [{ ...later, answer: { is: "asking" }, askAtMs: nowMs }, lease];
    const turn = newTurn(digest, nowMs, { isRetry: true, isResumed: true });
    return [{ ...later, turn, answer: { is: "go", isFirst: true }, heldBy: null }, lease];
  }
  // Proved: go. A turn of this pod for other content ends with that.
  if (trial?.state === "proved" && policy.mode === "canary") {
    return [
      { ...later, turn: null, answer: { is: "go", isFirst: false }, heldBy: null },
      own ? shown(trial) : lease,
    ];
  }
  // Somebody tries it, or something else: wait, but for a holder that has run out.
  for (const by of [current, trial]) if (isTried(by)) return wait(by.pod);
  // What held this pod is gone from the Lease, and nobody has said that it holds no more.
  const isForgotten = trial === null || trial.state === "free";
  if (isForgotten && state.heldBy !== null) return hold(state.heldBy);
  // A pod that could send nothing leaves the turn to others for a while.
  if (isForgotten && nowMs < state.standBackUntilMs) return wait(policy.pod);
  // Nobody has tried it: take the turn. It is this pod's once that is written.
  // What came of an earlier turn for it is overtaken by that.
  const verdict = state.verdict?.digest === digest ? null : state.verdict;
  const taking: TurnState = { ...later, answer: { is: "asking" }, heldBy: null, verdict };
  return [taking, withCurrent(lease, trying(digest, policy.pod))];
}

/** What follows from a write that was taken: the turn is this pod's from when it was sent. */
export function afterWrite(state: TurnState, lease: Lease, { nowMs }: Moment, policy: TurnPolicy): TurnState {
  const { pending } = state;
  const { sentAtMs, isResumed } = pending === null || pending === "read"
    ? { sentAtMs: nowMs, isResumed: true }
    : pending;
  const after: TurnState = { ...state, pending: null, failures: 0, problem: null };
  const isTold = applyVerdict(lease, state.verdict, policy) === lease;
  const known = isTold ? withoutVerdict(after, lease) : after;
  const { current } = lease;
  if (current === null || !isHeldBy(current, policy.pod, current.digest)) return known;
  const { digest } = current;
  const isSame = known.turn?.digest === digest && !known.turn.isRetry;
  const turn: OwnTurn = isSame
    ? { ...known.turn!, sentAtMs }
    : newTurn(digest, sentAtMs, { isRetry: false, isResumed });
  const isWanted = known.wanted === digest;
  return {
    ...known,
    turn,
    ...(isWanted ? { answer: { is: "go", isFirst: true } as const } : {}),
    // Other content became due while this was written.
    ...(!isWanted && known.wanted !== null ? { askAtMs: nowMs } : {}),
  };
}

function newTurn(digest: string, atMs: number, how: Pick<OwnTurn, "isRetry" | "isResumed">): OwnTurn {
  return { digest, sentAtMs: atMs, takenAtMs: atMs, ...how, soakUntilMs: null };
}

function isHeldBy(trial: Trial | null, pod: string, digest: string): boolean {
  return trial?.state === "trying" && trial.pod === pod && trial.digest === digest;
}

function trying(digest: string, pod: string): Trial {
  return { ...freeTrial(digest), state: "trying", pod };
}
