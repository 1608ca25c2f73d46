/**
 * What the loop remembers between two turns, and how results change it. Plain data and pure functions; what to do
 * about it is `decide.ts`.
 */

import type { AttemptResult } from "../model.ts";
import type { ReloadOnStart, TriggerKind } from "../config.ts";
import { nextRetryDelayMs } from "./backoff.ts";

/** The settings that matter here; all in milliseconds. */
export interface Policy {
  readonly retryIntervalMs: number;
  readonly maxBackoffMs: number;
  readonly jitterMs: number;
  readonly minReloadIntervalMs: number;
  readonly reloadOnStart: ReloadOnStart;
  readonly trigger: TriggerKind;
}

/** How the last attempt at one content failed. */
export interface Failure {
  readonly digest: string;
  /** Failed attempts in a row with this content; 0: the app has told of a failure by itself. */
  readonly count: number;
  /** When to try again; null: not before the content changes. */
  readonly retryAtMs: number | null;
  readonly reason: string;
}

/** A question to be asked once the app is there: has it read `digest`? */
export interface Question {
  readonly digest: string;
  /** Since when this content was away before it came back as it was; null where it is new to the sidecar. */
  readonly goneSinceAtMs: number | null;
  /** Other content was on disk meanwhile, and not only nothing. */
  readonly otherSeen?: true;
}

/** All that is remembered between two turns of the loop. */
export interface ReloadState {
  /** Digest of the last complete content on disk. */
  readonly disk: string | null;
  /** Why there is no complete content at present; null where there is. */
  readonly diskProblem: string | null;
  /** Digest of the content that the app is believed to run. */
  readonly applied: string | null;
  /** Since when something else than `applied`, or nothing, may have been on disk; null while it is there. */
  readonly awaySinceAtMs: number | null;
  /** The app was not there when it was to be asked what it has read: ask again at each look. */
  readonly waiting: Question | null;
  /** An attempt has failed since the last success: what the app runs is not certain. */
  readonly dirty: boolean;
  readonly failure: Failure | null;
  /** A change that waits for its turn: since when it is known, and when it may go. */
  readonly pending: { readonly seenAtMs: number; readonly notBeforeMs: number } | null;
  readonly lastTriggerAtMs: number | null;
  /** When the disk was last looked at, whatever was found. */
  readonly lastLookAtMs: number | null;
  /** Not before this moment did `disk` come to the disk. Monotonic: a step of the wall clock must not move it. */
  readonly changedAtMs: number;
  /** The time of the last change as the disk told it. */
  readonly changedWallMs: number;
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
  awaySinceAtMs: null,
  waiting: null,
  dirty: false,
  failure: null,
  pending: null,
  lastTriggerAtMs: null,
  lastLookAtMs: null,
  changedAtMs: 0,
  changedWallMs: 0,
  killed: [],
});

/** One reload to be done now. */
export interface ReloadJob {
  readonly digest: string;
  readonly oldDigest: string | null;
  readonly why: "start" | "change" | "revert" | "retry" | "told";
  /** 1 for the first attempt at this content. */
  readonly attempt: number;
  /** When the change was first noticed. */
  readonly seenAtMs: number;
  /** Not before this moment did the content come to the disk: an app started later has read it. */
  readonly changedAtMs: number;
  /** False where this content's signal ended the app before. */
  readonly mayTrigger: boolean;
}

/**
 * Takes the content on disk as what the app runs, without a reload.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const state = adopt({ ...INITIAL_STATE, disk: "a" });
 * assert.equal(isInSync(state), true);
 * ```
 */
export function adopt(state: ReloadState): ReloadState {
  return { ...state, applied: state.disk, awaySinceAtMs: null, waiting: null, pending: null };
}

/**
 * Remembers that the app could not be asked yet. What it runs is not known until then.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const state = waitForApp({ ...INITIAL_STATE, disk: "a", applied: "a" }, { digest: "a", goneSinceAtMs: 7 });
 * assert.equal(state.applied, null);
 * assert.equal(outOfSyncReason(state), APP_NOT_THERE);
 * ```
 */
export function waitForApp(state: ReloadState, question: Question): ReloadState {
  return { ...state, applied: null, awaySinceAtMs: null, waiting: question, pending: null };
}

/**
 * Takes the result of the attempt `job` into the state.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createTestConfig } from "../../tests/support/config.ts";
 * const more = { triggeredAtMs: 90, lastTriggeredAtMs: 90, killed: false, appIsBlind: false, restartRequired: [] };
 * const result = { outcome: "rejected" as const, reason: "HTTP 500", code: "rejected", ...more };
 * const times = { seenAtMs: 0, changedAtMs: 0 };
 * const job = { digest: "b", oldDigest: "a", why: "retry" as const, attempt: 2, mayTrigger: true, ...times };
 * const policy = createTestConfig({ retryIntervalMs: 5_000 });
 * const state = recordResult({ ...INITIAL_STATE, disk: "b", applied: "a" }, job, result, 100, policy);
 * assert.equal(state.applied, "a");
 * assert.equal(state.failure?.retryAtMs, 10_100); // the second failure in a row: twice the interval
 * ```
 */
export function recordResult(
  state: ReloadState,
  job: ReloadJob,
  result: AttemptResult,
  nowMs: number,
  policy: Policy,
): ReloadState {
  const lastTriggerAtMs = result.lastTriggeredAtMs ?? state.lastTriggerAtMs;
  if (result.outcome === "success") {
    const { digest } = job;
    return { ...state, applied: digest, awaySinceAtMs: null, dirty: false, failure: null, lastTriggerAtMs };
  }
  const retryAtMs = result.outcome === "invalid"
    ? null
    : retryDate(job.attempt, lastTriggerAtMs, nowMs, policy);
  return {
    ...state,
    dirty: true,
    failure: { digest: job.digest, count: job.attempt, retryAtMs, reason: result.reason },
    lastTriggerAtMs,
    killed: result.killed ? rememberKilled(state.killed, job.digest) : state.killed,
  };
}

/** When the try after `failures` of them is due: the pause after now, and not too soon after the last trigger. */
function retryDate(failures: number, lastTriggerAtMs: number | null, nowMs: number, policy: Policy): number {
  const atMs = nowMs + nextRetryDelayMs(failures, policy.retryIntervalMs, policy.maxBackoffMs);
  return Math.max(atMs, (lastTriggerAtMs ?? -Infinity) + policy.minReloadIntervalMs);
}

/**
 * The disk held something else for a moment while the app was reloading: a success proves that it read a content,
 * but not which. What is on disk must be sent once more, even if it is what was sent.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const state = recordFlap({ ...INITIAL_STATE, disk: "a", applied: "a" });
 * assert.equal(isInSync(state), false);
 * ```
 */
export function recordFlap(state: ReloadState): ReloadState {
  return { ...state, dirty: true };
}

/**
 * The app died soon after a trigger with the content `digest` whose reload had already been counted, as a success or as
 * rejected: it is not in sync until it is back and verified, and this content is not signalled again.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createTestConfig } from "../../tests/support/config.ts";
 * const before = { ...INITIAL_STATE, disk: "a", applied: "a" };
 * const state = recordDeath(before, "a", "the signal killed it", 100, createTestConfig());
 * assert.deepEqual(state.killed, ["a"]);
 * assert.equal(outOfSyncReason(state), "the signal killed it");
 * ```
 */
export function recordDeath(
  state: ReloadState,
  digest: string,
  reason: string,
  nowMs: number,
  policy: Policy,
): ReloadState {
  const killed = rememberKilled(state.killed, digest);
  // Other content has failed since: its next try has a date of its own.
  if (state.failure !== null && state.failure.digest !== digest) return { ...state, killed };
  const count = state.failure?.count ?? 1;
  const retryAtMs = retryDate(count, state.lastTriggerAtMs, nowMs, policy);
  return {
    ...state,
    dirty: true,
    failure: { digest, count, retryAtMs, reason },
    killed,
  };
}

/**
 * The app says by itself, at `nowMs`, that it could not load what counts as applied: it is not in sync until that is looked
 * into.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const state = recordTold({ ...INITIAL_STATE, disk: "a", applied: "a" }, 100);
 * assert.equal(outOfSyncReason(state), "the app says that its last reload failed");
 * assert.equal(state.failure?.retryAtMs, 100);
 * ```
 */
export function recordTold(state: ReloadState, nowMs: number): ReloadState {
  const reason = "the app says that its last reload failed";
  return {
    ...state,
    dirty: true,
    failure: { digest: state.disk!, count: 0, retryAtMs: nowMs, reason },
  };
}

function rememberKilled(killed: readonly string[], digest: string): readonly string[] {
  return [...killed.filter((other) => other !== digest), digest].slice(-KILLED_MAX);
}

/**
 * Whether the app is believed to run what is on disk.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(isInSync({ ...INITIAL_STATE, disk: "a", applied: "a" }), true);
 * assert.equal(isInSync({ ...INITIAL_STATE, disk: "a", applied: "a", dirty: true }), false);
 * ```
 */
export function isInSync(state: ReloadState): boolean {
  return state.diskProblem === null && state.disk !== null && state.disk === state.applied && !state.dirty;
}

/** Said while there is nobody to ask; whoever knows more of the target can say why. */
export const APP_NOT_THERE = "the app is not there yet";

/**
 * Why not in sync, for people; empty where it is.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(outOfSyncReason({ ...INITIAL_STATE, disk: "a", applied: "a" }), "");
 * const state = { ...INITIAL_STATE, disk: "b", applied: "a" };
 * assert.match(outOfSyncReason(state), /has changed and is being reloaded/);
 * assert.equal(outOfSyncReason({ ...state, diskProblem: "no such file" }), "no such file");
 * ```
 */
export function outOfSyncReason(state: ReloadState): string {
  if (isInSync(state)) return "";
  if (state.diskProblem !== null) return state.diskProblem;
  if (state.disk === null) return "the content has not been read yet";
  if (state.waiting !== null) return APP_NOT_THERE;
  if (state.failure !== null) return state.failure.reason;
  return "the content on disk has changed and is being reloaded";
}
