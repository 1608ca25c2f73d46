/**
 * All that is remembered between two turns of the loop: one immutable `Model`, with the closed unions of its phases, of the
 * events that change it and of the effects that it asks for. Types and questions about a model; the changes are `step.ts`.
 * Times named `…AtMs` are monotonic milliseconds, those named `…WallMs` Unix milliseconds.
 */

import type {
  AppMounts,
  Cause,
  FileState,
  Observation,
  Proof,
  Resolution,
  Result,
  RolloutView,
  Snapshot,
  StaleMount,
  Status,
  StatusReading,
  Target,
  TargetView,
  Turn,
} from "../model.ts";
import type { PrepareResult } from "../ports.ts";

/** The moment of an event, and a random number in [0, 1) for jitter. */
export interface Now {
  readonly nowMs: number;
  readonly wallMs: number;
  readonly random: number;
}

/** Hints that came since the last one was taken, as one. */
export interface Hint {
  /** Distinct causes in order of arrival. */
  readonly causes: readonly Cause[];
  /** Monotonic time of the first of them. */
  readonly firstAtMs: number;
}

/** What the loop is doing, or waiting for. */
export type Phase =
  /** The disk has not been looked at yet. */
  | { readonly is: "starting" }
  /** Nothing is left to do until something hints at a change. */
  | { readonly is: "steady" }
  /** A file is being written: look again at `untilMs`. */
  | { readonly is: "settling"; readonly untilMs: number }
  /** Content that is missing or unreadable, or was refused before it was sent: only a change or a SIGHUP helps. */
  | { readonly is: "blocked"; readonly why: "unreadable" | "invalid" }
  /** A reload is due at `atMs`: after jitter, the gap between two triggers, or the pause before a retry. */
  | { readonly is: "due"; readonly atMs: number }
  /** A reload is due, and the group has not let it go: it waits for its turn, or is held. */
  | { readonly is: "waiting"; readonly job: Job; readonly turn: Turn }
  /** Finding out whether the app has read this content at its own start. */
  | { readonly is: "asking"; readonly question: Question; readonly snapshot: Snapshot; readonly hint: Hint }
  /** The app is not there. It reads the content when it starts, and is asked `Model.question` then. */
  | { readonly is: "absent" }
  /** `--once` with an output file: it is being written. */
  | { readonly is: "rendering"; readonly snapshot: Snapshot }
  | { readonly is: "reloading"; readonly reload: Reload }
  /** The attempt is over: one more look says whether the disk still holds what was sent. */
  | { readonly is: "concluding"; readonly reload: Reload; readonly result: Result }
  | { readonly is: "ended"; readonly code: number };

/** One reload to be done now. */
export interface Job {
  readonly digest: string;
  /** What the app runs, or what was on disk before where that is not known; null where neither is. */
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

/** The attempt in progress, and what the looks beside it have shown. */
export interface Reload {
  readonly job: Job;
  readonly snapshot: Snapshot;
  readonly causes: readonly Cause[];
  readonly startedWallMs: number;
  /** It goes on with newer content: already counted. */
  readonly isContinued: boolean;
  /** Since when the proof is pending (the trigger went out, or there is none to send); null before that. */
  readonly sentAtMs: number | null;
  /** The disk held this content, unchanged, at every look since. */
  readonly isPure: boolean;
  /** Newer content is on disk: since which hint, and from when on it may be sent. */
  readonly newer: { readonly hint: Hint; readonly notBeforeMs: number } | null;
  /** When to look again: a file is being written, or, after the attempt, the next trigger is not allowed yet. Infinity: never. */
  readonly lookAtMs: number;
  /** SIGHUP came: try again right after this. */
  readonly isAsked: boolean;
  /** Its verification is being ended, since newer content is there. */
  readonly isOvertaken: boolean;
}

/** How the last attempt at one content failed. */
export interface Failure {
  readonly digest: string;
  /** Failed attempts in a row with this content; 0: the app has reported a failure by itself. */
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
  /** `--reload-on-start never`: it counts as applied as soon as its output is there; nobody is asked. */
  readonly isAdopted?: true;
  /** The content from which the disk went to this one while the app was not there. */
  readonly changedFrom?: string;
}

/** A process that got a signal, watched for a while whether it survives. */
export interface Signalled {
  readonly target: Target;
  /** Monotonic time of the last signal. */
  readonly triggeredAtMs: number;
  readonly lastAliveAtMs: number;
  /** The content with which it was signalled. */
  readonly digest: string;
}

/** The process that would be signalled now, as the last look for it showed. */
export interface KnownTarget {
  readonly target: Target | null;
  /** It is not there yet, and that passes by itself. */
  readonly isExpected: boolean;
  readonly view: TargetView;
  readonly mounts: AppMounts | null;
}

/** What is wrong with a path. */
export interface Problem {
  readonly path: string;
  readonly text: string;
  readonly sinceAtMs: number;
}

/** A trigger that the app may still be at. It says nothing once other content was on disk, were it for a moment. */
export interface OpenTrigger {
  readonly digest: string;
  /** `Job.changedAtMs` of this content. */
  readonly changedAtMs: number;
  /** The status before the first one with this content: whatever is reloaded since then is this content. */
  readonly baseline: Status | null;
  readonly sinceAtMs: number;
  /** Nobody listened at the status URL at some moment since then. */
  readonly wasDown: boolean;
}

/** A change that waits for its time. */
export interface Pending {
  /** Since when it is known. */
  readonly seenAtMs: number;
  /** When it may go. */
  readonly notBeforeMs: number;
  /** The group of the rollout has let it go, and this is its random wait after that. */
  readonly isSpread?: true;
}

/** An attempt that is over. */
export interface Concluded {
  readonly job: Job;
  readonly result: Result;
}

/** All that is remembered between two turns of the loop. */
export interface Model {
  readonly phase: Phase;
  readonly startedAtMs: number;
  /** SIGTERM has come: the reload in progress is finished, and nothing is begun. */
  readonly isStopping: boolean;
  /** A look that is still to be made. */
  readonly owed: Hint | null;

  // The disk
  /** Digest of the last complete content; during an attempt, of the one that is being reloaded. */
  readonly disk: string | null;
  /** The content before that, seen by this sidecar. */
  readonly previous: string | null;
  /** `--reload-on-start never`: what the very first look found, where the content had not settled yet. */
  readonly firstDigest: string | null;
  /** Why there is no complete content at present; null where there is. */
  readonly diskProblem: string | null;
  readonly problems: readonly Problem[];
  readonly files: readonly FileState[];
  /** The files of the content that the app is believed to run. */
  readonly appliedFiles: readonly FileState[] | null;
  /** While those are not known: the files of the content before this one; null where there was none. */
  readonly previousFiles: readonly FileState[] | null;
  /** Causes of looks that decided nothing, since a file was being written or could not be read. */
  readonly undecided: readonly Cause[];
  /** When the disk was last looked at, whatever was found. */
  readonly lastLookAtMs: number | null;
  readonly lastScanWallMs: number | null;
  /** Not before this moment did `disk` come to the disk. Monotonic: a step of the wall clock must not move it. */
  readonly changedAtMs: number;
  /** The time of the last change as the disk reports it. */
  readonly changedWallMs: number;
  readonly ownStaleMounts: readonly StaleMount[];

  // What the app runs
  /** Digest of the content that the app is believed to run. */
  readonly applied: string | null;
  /** How that was proved. */
  readonly proof: Proof | null;
  /** Since when something else than `applied`, or nothing, may have been on disk; null while it is there. */
  readonly awaySinceAtMs: number | null;
  /** The app was not there when it was to be asked what it has read: ask again at each look. */
  readonly question: Question | null;
  /** What the app runs is not certain: an attempt failed, or the disk changed during one. */
  readonly isUncertain: boolean;
  readonly failure: Failure | null;
  /** Why the last attempt failed; null where none has failed since the app was last in sync. */
  readonly failedFor: string | null;
  /** Since when the app does not run what is on disk; null where it does. */
  readonly outOfSyncSinceAtMs: number | null;
  /** Since when `isInSync` has its value. */
  readonly syncSinceWallMs: number;
  /** Contents whose signal ended the app: never signalled again. Newest last, 16 at most. */
  readonly killed: readonly string[];
  readonly restartRequired: readonly string[];
  /** What the app said when it was last asked between two attempts, or last in one. */
  readonly reading: StatusReading | null;
  /**
   * The token (`--verify json`; the count of AMP) that the app showed when this content was last proved: a token that is a value of
   * the content does not move when that comes back after a failure, nor does a count that nobody triggers.
   */
  readonly provedToken: { readonly digest: string; readonly token: string | null } | null;

  // Attempts
  readonly pending: Pending | null;
  readonly lastTriggerAtMs: number | null;
  /** What the group of the rollout said last; null without one. */
  readonly rollout: RolloutView | null;
  readonly openTrigger: OpenTrigger | null;
  readonly last: Concluded | null;

  // The process
  readonly known: KnownTarget | null;
  /** A target has been seen since the start. */
  readonly targetSeen: boolean;
  readonly brokenSinceAtMs: number | null;
  readonly signalled: Signalled | null;
  /** The last death that a signal is to blame for, although its reload had been counted. */
  readonly death: { readonly text: string } | null;
}

/** What happened. */
export type Event =
  /** Something hints at a change, or a person asks (SIGHUP). */
  | { readonly kind: "hinted"; readonly hint: Hint }
  /** A date has come. */
  | { readonly kind: "woke" }
  | {
    readonly kind: "looked";
    readonly hint: Hint;
    readonly observation: Observation;
    readonly alive: Liveness;
    readonly staleMounts: readonly StaleMount[];
    /** What the group of the rollout says; missing without one. */
    readonly rollout?: RolloutView;
  }
  /** What there is to know about whether the app has read the content at its start. */
  | {
    readonly kind: "answered";
    readonly prepared: PrepareResult;
    /** The look for the app; null where nothing is signalled. */
    readonly resolution: Resolution | null;
    readonly reading: StatusReading | null;
  }
  /** A look for the target; `found` is null where it was only asked whether the known one lives. */
  | {
    readonly kind: "checked";
    readonly alive: Liveness;
    readonly found: KnownTarget | null;
  }
  /** The trigger went out, or there is none to send: the proof is pending from now on. */
  | {
    readonly kind: "sent";
    /** `again`: for want of a baseline; `started`: nothing is sent, since the app has started with this content. */
    readonly how: "first" | "again" | "started";
    /** Who is signalled, or has started. */
    readonly target: Target | null;
    readonly atMs: number;
    /** Why it is not known whether it arrived. */
    readonly unanswered?: string;
  }
  | { readonly kind: "ended"; readonly result: Result }
  /** The status of an app that nobody triggers. */
  | { readonly kind: "told"; readonly reading: StatusReading }
  | { readonly kind: "rendered"; readonly prepared: PrepareResult }
  | { readonly kind: "stop" };

/** Whether a process still lives; null where there is none. */
export interface Liveness {
  readonly known: boolean | null;
  readonly signalled: boolean | null;
}

/** A model and what is to be done now: what `step` returns. */
export type Step = readonly [Model, Effect];

/** What to do next; each brings one event. */
export type Effect =
  /** Wait for a hint, the end of the attempt, or a date. */
  | { readonly do: "wait"; readonly untilMs: number }
  | { readonly do: "look"; readonly hint: Hint }
  | { readonly do: "ask"; readonly question: Question; readonly snapshot: Snapshot }
  /** Does the known target live; who is the target now, if `afresh` or where it does not. */
  | { readonly do: "check"; readonly afresh: boolean }
  /** Begin an attempt, then wait. */
  | { readonly do: "reload"; readonly reload: Reload }
  /** End the verification of the attempt, since newer content is there; then wait. */
  | { readonly do: "overtake" }
  | { readonly do: "read-status" }
  | { readonly do: "render"; readonly snapshot: Snapshot }
  | { readonly do: "end"; readonly code: number };

/** The model before the first look. */
export function createModel(now: Pick<Now, "nowMs" | "wallMs">): Model {
  return {
    phase: { is: "starting" },
    startedAtMs: now.nowMs,
    isStopping: false,
    owed: null,
    disk: null,
    previous: null,
    firstDigest: null,
    diskProblem: null,
    problems: [],
    files: [],
    appliedFiles: null,
    previousFiles: null,
    undecided: [],
    lastLookAtMs: null,
    lastScanWallMs: null,
    changedAtMs: 0,
    changedWallMs: 0,
    ownStaleMounts: [],
    applied: null,
    proof: null,
    awaySinceAtMs: null,
    question: null,
    isUncertain: false,
    failure: null,
    failedFor: null,
    outOfSyncSinceAtMs: now.nowMs,
    syncSinceWallMs: now.wallMs,
    killed: [],
    restartRequired: [],
    reading: null,
    provedToken: null,
    pending: null,
    lastTriggerAtMs: null,
    rollout: null,
    openTrigger: null,
    last: null,
    known: null,
    targetSeen: false,
    brokenSinceAtMs: null,
    signalled: null,
    death: null,
  };
}

/** Whether the app is believed to run what is on disk. */
export function isInSync(model: Model): boolean {
  return model.diskProblem === null && model.disk !== null && model.disk === model.applied &&
    !model.isUncertain;
}

/** How its group answers a reload that waits for it; null where none does. */
export function turnOf({ phase }: Model): Turn["is"] | null {
  return phase.is === "waiting" ? phase.turn.is : null;
}

/** The attempt in progress; null where there is none. */
export function reloadOf(model: Model): Reload | null {
  return model.phase.is === "reloading" || model.phase.is === "concluding" ? model.phase.reload : null;
}

/** Every mount that can never change again, the sidecar's and the app's. */
export function staleMountsOf(model: Model): readonly StaleMount[] {
  const app = model.known?.mounts?.stale ?? [];
  return app.length === 0 ? model.ownStaleMounts : [...model.ownStaleMounts, ...app];
}

/** The attempt that has begun, or has gone on with newer content, between two models; null where none has. */
export function begunIn(before: Model, { phase }: Model): Reload | null {
  if (phase.is !== "reloading" || reloadOf(before)?.job === phase.reload.job) return null;
  return phase.reload;
}

/** Whether the app runs what its group runs, although other content is on disk: no reason to send it no requests. */
export function isWithGroup({ phase, pending }: Model): boolean {
  return phase.is === "waiting" || phase.is === "due" && pending?.isSpread === true;
}

/** The content that the group of a rollout is asked about: what waits for its turn, or is being reloaded. */
export function wantedOf(model: Model): string | null {
  return reloadOf(model)?.job.digest ?? (isWithGroup(model) ? model.disk : null);
}

/** Hints as one. */
export function mergeHints(a: Hint | null, b: Hint): Hint {
  if (a === null) return b;
  return { causes: mergeCauses(a.causes, b.causes), firstAtMs: Math.min(a.firstAtMs, b.firstAtMs) };
}

/** Distinct causes in order. */
export function mergeCauses(a: readonly Cause[], b: readonly Cause[]): readonly Cause[] {
  return a.length === 0 ? b : [...new Set([...a, ...b])];
}
