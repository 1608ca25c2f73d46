/**
 * What to do about what is on disk: the whole policy of reloading, as pure functions over a plain state.
 * It never reads, waits, signals or logs; the caller brings the time and the random number.
 *
 * Rules: no change of content, no reload. New content goes at once, but not sooner than `--min-reload-interval`
 * after the last trigger. A failed reload is tried again with growing pauses until the content is applied, changes
 * (which resets the pause) or goes back (which is reloaded too, since the app may be half way). Invalid content
 * is left alone until it changes.
 */

import type { AttemptResult, Cause, Observation } from "../model.ts";
import type { ReloadOnStart } from "../config.ts";
import { nextRetryDelayMs } from "./backoff.ts";

/** The settings that matter here; all in milliseconds. */
export interface Policy {
  readonly retryIntervalMs: number;
  readonly maxBackoffMs: number;
  readonly jitterMs: number;
  readonly minReloadIntervalMs: number;
  readonly reloadOnStart: ReloadOnStart;
}

/** How the last attempt at one content failed. */
export interface Failure {
  readonly digest: string;
  /** Failures in a row with this content. */
  readonly count: number;
  /** When to try again; null: not before the content changes. */
  readonly retryAtMs: number | null;
  readonly reason: string;
}

/** All that is remembered between two turns of the loop. */
export interface ReloadState {
  /** Digest of the last complete content on disk. */
  readonly disk: string | null;
  /** Why there is no complete content at present; null where there is. */
  readonly diskProblem: string | null;
  /** Digest of the content that the app is believed to run. */
  readonly applied: string | null;
  /** An attempt has failed since the last success: what the app runs is not certain. */
  readonly dirty: boolean;
  readonly failure: Failure | null;
  /** A change that waits for its turn: since when it is known, and when it may go. */
  readonly pending: { readonly seenAtMs: number; readonly notBeforeMs: number } | null;
  readonly lastTriggerAtMs: number | null;
  /** When the content on disk was last seen to be `disk`. */
  readonly lastSeenAtMs: number | null;
  /** Not before this moment did `disk` come to the disk. Monotonic: a step of the wall clock must not move it. */
  readonly changedAtMs: number;
  /** Contents whose signal ended the app: never signalled again. Newest last, `KILLED_MAX` at most. */
  readonly killed: readonly string[];
}

/** How many deadly contents are remembered. */
export const KILLED_MAX = 16;

/** The state before the first look. */
export const INITIAL_STATE: ReloadState = Object.freeze({
  disk: null,
  diskProblem: null,
  applied: null,
  dirty: false,
  failure: null,
  pending: null,
  lastTriggerAtMs: null,
  lastSeenAtMs: null,
  changedAtMs: 0,
  killed: [],
});

/** One reload to be done now. */
export interface ReloadJob {
  readonly digest: string;
  readonly oldDigest: string | null;
  readonly why: "start" | "change" | "revert" | "retry";
  /** 1 for the first attempt at this content. */
  readonly attempt: number;
  /** When the change was first noticed. */
  readonly seenAtMs: number;
  /** Not before this moment did the content come to the disk: an app started later has read it. */
  readonly changedAtMs: number;
  /** False where this content's signal ended the app before. */
  readonly mayTrigger: boolean;
}

export type Action =
  | { readonly kind: "skip"; readonly reason: "unchanged" | "unreadable" | "invalid" | "adopted" }
  | { readonly kind: "wait"; readonly untilMs: number }
  /** First content, `--reload-on-start auto`: ask the app, then call `decideStart`. */
  | { readonly kind: "ask-app" }
  | { readonly kind: "reload"; readonly job: ReloadJob };

/** What `decide` is told besides state and observation. */
export interface Moment {
  readonly nowMs: number;
  readonly wallMs: number;
  /** Monotonic time of the hint that led to this look. */
  readonly hintAtMs: number;
  readonly causes: readonly Cause[];
  /** In [0, 1), for jitter. */
  readonly random: number;
}

export interface Decision {
  readonly state: ReloadState;
  readonly action: Action;
}

/** Decides what one look at the disk leads to. */
export function decide(
  state: ReloadState,
  observation: Observation,
  moment: Moment,
  policy: Policy,
): Decision {
  switch (observation.kind) {
    case "settling":
      return {
        state: state.pending ? state : {
          ...state,
          pending: { seenAtMs: moment.hintAtMs, notBeforeMs: moment.nowMs + moment.random * policy.jitterMs },
        },
        action: { kind: "wait", untilMs: observation.againAtMs },
      };
    case "unreadable":
    case "replaced":
      return {
        state: { ...state, diskProblem: problemOf(observation) },
        action: { kind: "skip", reason: "unreadable" },
      };
    case "content":
      return decideContent(state, observation.snapshot, moment, policy);
  }
}

function problemOf(observation: Observation & { kind: "unreadable" | "replaced" }): string {
  if (observation.kind === "replaced") return observation.message;
  return observation.files.find((file) => file.error !== null)?.error ?? "the content cannot be read";
}

function decideContent(
  before: ReloadState,
  snapshot: { readonly digest: string; readonly changedWallMs: number },
  moment: Moment,
  policy: Policy,
): Decision {
  const { digest } = snapshot;
  const first = before.disk === null;
  const state = noteContent(before, snapshot, moment);
  if (first && before.diskProblem === null) {
    // Found complete at the very first look: whether the app has read it depends on when the app started.
    if (policy.reloadOnStart === "never") return adopt(state);
    if (policy.reloadOnStart === "auto") return { state, action: { kind: "ask-app" } };
  }
  if (digest === state.applied && !state.dirty) {
    return { state: { ...state, pending: null }, action: { kind: "skip", reason: "unchanged" } };
  }
  return decideReload(state, moment, policy);
}

/** Takes the content on disk into the state. */
function noteContent(
  state: ReloadState,
  snapshot: { readonly digest: string; readonly changedWallMs: number },
  moment: Moment,
): ReloadState {
  if (snapshot.digest === state.disk) {
    return { ...state, diskProblem: null, lastSeenAtMs: moment.nowMs };
  }
  const toldAtMs = moment.nowMs - (moment.wallMs - snapshot.changedWallMs);
  return {
    ...state,
    disk: snapshot.digest,
    diskProblem: null,
    lastSeenAtMs: moment.nowMs,
    // File times can lie (clock of a file server, restored backups), but the content was still another one at the
    // last look: it cannot have come before that.
    changedAtMs: Math.max(toldAtMs, state.lastSeenAtMs ?? -Infinity),
  };
}

/** The content on disk is not proved to be what the app runs: reload it now or later, or leave it. */
export function decideReload(state: ReloadState, moment: Moment, policy: Policy): Decision {
  const digest = state.disk!;
  const failure = state.failure?.digest === digest ? state.failure : null;
  const asked = moment.causes.includes("signal");
  if (failure && failure.retryAtMs === null && !asked) {
    return { state: { ...state, pending: null }, action: { kind: "skip", reason: "invalid" } };
  }
  // A retry has no jitter of its own: the first tries of the replicas were spread already, and so are their ends.
  const pending = state.pending ?? {
    seenAtMs: failure ? moment.nowMs : moment.hintAtMs,
    notBeforeMs: failure ? -Infinity : moment.nowMs + moment.random * policy.jitterMs,
  };
  const untilMs = Math.max(
    pending.notBeforeMs,
    state.lastTriggerAtMs === null ? -Infinity : state.lastTriggerAtMs + policy.minReloadIntervalMs,
    failure && !asked ? failure.retryAtMs ?? -Infinity : -Infinity,
  );
  if (moment.nowMs < untilMs) {
    // A retry waits without being pending: new content meanwhile must not inherit its time.
    return { state: failure ? state : { ...state, pending }, action: { kind: "wait", untilMs } };
  }
  const why = failure
    ? "retry"
    : state.applied === null
    ? "start"
    : digest === state.applied
    ? "revert"
    : "change";
  const job: ReloadJob = {
    digest,
    oldDigest: state.applied,
    why,
    attempt: (failure?.count ?? 0) + 1,
    seenAtMs: pending.seenAtMs,
    changedAtMs: state.changedAtMs,
    mayTrigger: !state.killed.includes(digest),
  };
  return { state: { ...state, pending: null }, action: { kind: "reload", job } };
}

/** Takes the content on disk as what the app runs, without a reload. */
export function adopt(state: ReloadState): Decision {
  return {
    state: { ...state, applied: state.disk, pending: null },
    action: { kind: "skip", reason: "adopted" },
  };
}

/** Takes the result of the attempt `job` into the state. */
export function recordResult(
  state: ReloadState,
  job: ReloadJob,
  result: AttemptResult,
  nowMs: number,
  policy: Policy,
): ReloadState {
  const lastTriggerAtMs = result.triggeredAtMs ?? state.lastTriggerAtMs;
  if (result.outcome === "success") {
    return { ...state, applied: job.digest, dirty: false, failure: null, lastTriggerAtMs };
  }
  const retryAtMs = result.outcome === "invalid"
    ? null
    : nowMs + nextRetryDelayMs(job.attempt, policy.retryIntervalMs, policy.maxBackoffMs);
  return {
    ...state,
    dirty: true,
    failure: { digest: job.digest, count: job.attempt, retryAtMs, reason: result.reason },
    lastTriggerAtMs,
    killed: result.killed ? rememberKilled(state.killed, job.digest) : state.killed,
  };
}

/**
 * The app died soon after a trigger whose reload had already been counted as a success: it is not in sync until
 * it is back and verified, and this content is not signalled again.
 */
export function recordDeath(state: ReloadState, reason: string, nowMs: number, policy: Policy): ReloadState {
  if (state.applied === null) return state;
  return {
    ...state,
    dirty: true,
    failure: {
      digest: state.applied,
      count: 1,
      retryAtMs: nowMs + nextRetryDelayMs(1, policy.retryIntervalMs, policy.maxBackoffMs),
      reason,
    },
    killed: rememberKilled(state.killed, state.applied),
  };
}

function rememberKilled(killed: readonly string[], digest: string): readonly string[] {
  return [...killed.filter((other) => other !== digest), digest].slice(-KILLED_MAX);
}

/** Whether the app is believed to run what is on disk. */
export function isInSync(state: ReloadState): boolean {
  return state.diskProblem === null && state.disk !== null && state.disk === state.applied && !state.dirty;
}

/** Why not in sync, for people; empty where it is. */
export function outOfSyncReason(state: ReloadState): string {
  if (isInSync(state)) return "";
  if (state.diskProblem !== null) return state.diskProblem;
  if (state.disk === null) return "the content has not been read yet";
  if (state.failure !== null) return state.failure.reason;
  return "the content on disk has changed and is being reloaded";
}
