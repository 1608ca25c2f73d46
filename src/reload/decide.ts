/**
 * What to do about what is on disk: the whole policy of reloading, as pure functions over a plain state.
 * It never reads, waits, signals or logs; the caller brings the time and the random number.
 *
 * Rules: no change of content, no reload. New content goes at once, but not sooner than `--min-reload-interval`
 * after the last trigger. A failed reload is tried again with growing pauses until the content is applied, changes
 * (which resets the pause) or goes back (which is reloaded too, since the app may be half way). Invalid content
 * is left alone until it changes. Content that the app may have read at its own start is a question to the app.
 */

import type { Cause, Observation, Snapshot } from "../model.ts";
import {
  adopt,
  type Failure,
  type Policy,
  type Question,
  type ReloadJob,
  type ReloadState,
} from "./state.ts";

/** What to do now. */
export type Action =
  | { readonly kind: "skip"; readonly reason: "unchanged" | "unreadable" | "invalid" | "adopted" | "waiting" }
  | { readonly kind: "wait"; readonly untilMs: number }
  /** Whether the app has read this content depends on when it started: find out, then call `decideStart`. */
  | { readonly kind: "ask-app"; readonly question: Question }
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

/** A new state, and what to do now. */
export interface Decision {
  readonly state: ReloadState;
  readonly action: Action;
}

/** What counts of a snapshot here. */
type Content = Pick<Snapshot, "digest" | "changedWallMs">;

/**
 * Decides what one look at the disk leads to.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createTestConfig } from "../../tests/support/config.ts";
 * import { INITIAL_STATE } from "./state.ts";
 * const policy = createTestConfig({ reloadOnStart: "always" });
 * const moment = { nowMs: 10, wallMs: 1_010, hintAtMs: 9, causes: ["event" as const], random: 0.5 };
 * const snapshot = { digest: "a", files: [], changedWallMs: 1_000 };
 * const seen = { kind: "content" as const, snapshot, skipped: [] };
 * const first = decide(INITIAL_STATE, seen, moment, policy);
 * assert.equal(first.action.kind, "reload");
 * const later = decide({ ...first.state, applied: "a" }, seen, moment, policy);
 * assert.deepEqual(later.action, { kind: "skip", reason: "unchanged" });
 * ```
 */
export function decide(
  state: ReloadState,
  observation: Observation,
  moment: Moment,
  policy: Policy,
): Decision {
  switch (observation.kind) {
    case "settling": {
      const pending = state.pending ?? {
        seenAtMs: moment.hintAtMs,
        notBeforeMs: moment.nowMs + moment.random * policy.jitterMs,
      };
      return { state: { ...state, pending }, action: { kind: "wait", untilMs: observation.againAtMs } };
    }
    case "unreadable":
    case "replaced":
      return {
        state: {
          ...state,
          diskProblem: problemOf(observation),
          // What comes after it is another change: it has a time, and a random wait, of its own.
          pending: null,
          awaySinceAtMs: awaySince(state, moment),
          lastLookAtMs: moment.nowMs,
        },
        action: { kind: "skip", reason: "unreadable" },
      };
    case "content":
      return decideContent(state, observation.snapshot, moment, policy);
  }
}

function problemOf(observation: Observation & { kind: "unreadable" | "replaced" }): string {
  if (observation.kind === "replaced") return observation.message;
  const bad = observation.files.find((file) => file.error !== null);
  return bad === undefined ? "the content cannot be read" : `Cannot read "${bad.path}": ${bad.error}`;
}

/** The last moment at which the applied content was certainly on disk. */
function awaySince(state: ReloadState, moment: Moment): number | null {
  return state.applied === null ? null : state.awaySinceAtMs ?? state.lastLookAtMs ?? moment.nowMs;
}

function decideContent(before: ReloadState, content: Content, moment: Moment, policy: Policy): Decision {
  let state = noteContent(before, content, moment);
  const { digest } = content;
  if (before.disk === null) {
    // What nobody triggers cannot be made to reload.
    const always = policy.reloadOnStart === "always" && policy.trigger !== "none";
    // Also an app that has read it at its start; not one that starts from now on.
    if (always) state = { ...state, changedAtMs: moment.nowMs };
    else if (policy.reloadOnStart !== "never") return ask(state, { digest, goneSinceAtMs: null });
    // Content that was missing at the first look is a change when it comes, whatever the policy for the start.
    if (policy.reloadOnStart === "never" && before.diskProblem === null) {
      return { state: adopt(state), action: { kind: "skip", reason: "adopted" } };
    }
  }
  if (state.waiting) {
    return ask(state, state.waiting.digest === digest ? state.waiting : { digest, goneSinceAtMs: null });
  }
  if (digest === state.applied && !state.dirty) {
    // An app that started while this content was away runs without it.
    const goneSinceAtMs = state.awaySinceAtMs;
    if (goneSinceAtMs !== null) {
      const other = before.disk === digest ? {} : { otherSeen: true } as const;
      return ask({ ...state, awaySinceAtMs: null }, { digest, goneSinceAtMs, ...other });
    }
    return { state: { ...state, pending: null }, action: { kind: "skip", reason: "unchanged" } };
  }
  return decideReload({ ...state, awaySinceAtMs: awaySince(before, moment) }, moment, policy);
}

function ask(state: ReloadState, question: Question): Decision {
  return { state: { ...state, pending: null }, action: { kind: "ask-app", question } };
}

/** Takes the content on disk into the state. */
function noteContent(state: ReloadState, content: Content, moment: Moment): ReloadState {
  const { digest, changedWallMs } = content;
  const looked = { ...state, diskProblem: null, lastLookAtMs: moment.nowMs, changedWallMs };
  // Compared as told, so that a step of the wall clock is no change.
  const toldAtMs = changedWallMs === state.changedWallMs
    ? state.changedAtMs
    : Math.min(moment.nowMs, moment.nowMs - (moment.wallMs - changedWallMs));
  if (digest === state.disk && state.diskProblem === null) {
    // The same content under a new time: it may have been another one for a moment between two looks.
    return { ...looked, changedAtMs: Math.max(state.changedAtMs, toldAtMs) };
  }
  // File times can lie (clock of a file server, restored backups), but at the last look the content was another or
  // was not there: it cannot have come before that.
  return { ...looked, disk: digest, changedAtMs: Math.max(toldAtMs, state.lastLookAtMs ?? -Infinity) };
}

/**
 * The content on disk is not proved to be what the app runs: reload it now or later, or leave it.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createTestConfig } from "../../tests/support/config.ts";
 * import { INITIAL_STATE } from "./state.ts";
 * const moment = { nowMs: 2_000, wallMs: 0, hintAtMs: 1_999, causes: ["event" as const], random: 0.5 };
 * const state = { ...INITIAL_STATE, disk: "b", applied: "a" };
 * assert.equal(decideReload(state, moment, createTestConfig()).action.kind, "reload");
 * const policy = createTestConfig({ minReloadIntervalMs: 1_000 });
 * const { action } = decideReload({ ...state, lastTriggerAtMs: 1_500 }, moment, policy);
 * assert.deepEqual(action, { kind: "wait", untilMs: 2_500 });
 * ```
 */
export function decideReload(state: ReloadState, moment: Moment, policy: Policy): Decision {
  const digest = state.disk!;
  const failure = state.failure?.digest === digest ? state.failure : null;
  const asked = moment.causes.includes("signal");
  // An app that is there again has read this content at its start: no reason to wait before it is verified.
  const early = asked || moment.causes.includes("target");
  if (failure && failure.retryAtMs === null && !asked) {
    return { state: { ...state, pending: null }, action: { kind: "skip", reason: "invalid" } };
  }
  // A retry has no jitter of its own: the first tries of the replicas were spread already, and so are their ends.
  const pending = failure ? { seenAtMs: moment.nowMs, notBeforeMs: -Infinity } : state.pending ?? {
    seenAtMs: moment.hintAtMs,
    notBeforeMs: moment.nowMs + moment.random * policy.jitterMs,
  };
  const untilMs = Math.max(
    pending.notBeforeMs,
    state.lastTriggerAtMs === null ? -Infinity : state.lastTriggerAtMs + policy.minReloadIntervalMs,
    failure && !early ? failure.retryAtMs ?? -Infinity : -Infinity,
  );
  if (moment.nowMs < untilMs) {
    // A retry waits without being pending: new content meanwhile must not inherit its time. What was asked for early
    // is remembered as its date: the wake-up itself asks for nothing.
    const failed = failure && early ? { failure: { ...failure, retryAtMs: untilMs } } : {};
    return {
      state: { ...state, ...failed, pending: failure ? null : pending },
      action: { kind: "wait", untilMs },
    };
  }
  const job: ReloadJob = {
    digest,
    oldDigest: state.applied,
    why: whyOf(state, failure),
    attempt: (failure?.count ?? 0) + 1,
    seenAtMs: pending.seenAtMs,
    changedAtMs: state.changedAtMs,
    mayTrigger: !state.killed.includes(digest),
  };
  return { state: { ...state, waiting: null, pending: null }, action: { kind: "reload", job } };
}

function whyOf(state: ReloadState, failure: Failure | null): ReloadJob["why"] {
  if (failure !== null) return failure.count === 0 ? "told" : "retry";
  if (state.applied === null) return "start";
  return state.disk === state.applied ? "revert" : "change";
}
