/**
 * What one look at the disk leads to while no attempt is in progress (contract: what happens on a change, 1 to 3 and 6).
 * Rules: no change of content, no reload. New content goes at once, but not sooner than `--min-reload-interval` after the
 * last trigger. A failed reload is tried again with growing pauses until the content is applied, changes (which resets the
 * pause) or goes back (which is reloaded too, since the app may be half way). Invalid content is left alone until it
 * changes. Content that the app may have read at its own start is a question to the app. Pure.
 */

import type { Config } from "../config.ts";
import type { Cause, FileState, Observation, Snapshot } from "../model.ts";
import { formatMs } from "../text.ts";
import type { Failure, Hint, Job, Model, Now, Pending, Phase, Problem, Question } from "./model.ts";
import { spread, waitForTurn } from "./turn.ts";

/** A model in its next phase; or one that has a reload to do now, with that. */
export type Decision = readonly [Model, Job | null];

/** Decides what a look leads to; `hint` has the causes of all looks since the last that decided something. */
export function decide(
  model: Model,
  observation: Observation,
  hint: Hint,
  now: Now,
  config: Config,
): Decision {
  switch (observation.kind) {
    case "settling":
      return [{
        ...model,
        phase: { is: "settling", untilMs: observation.againAtMs },
        pending: model.pending ?? pendingSince(hint.firstAtMs, now, config),
        firstDigest: model.phase.is === "starting" ? observation.digest ?? null : model.firstDigest,
        undecided: hint.causes,
      }, null];
    case "unreadable":
    case "replaced":
      return [{
        ...model,
        phase: { is: "blocked", why: "unreadable" },
        diskProblem: problemOf(observation),
        // What comes after it is another change: it has a time, and a random wait, of its own.
        pending: null,
        awaySinceAtMs: awaySince(model, now),
        lastLookAtMs: now.nowMs,
        undecided: hint.causes,
      }, null];
    case "content":
      return decideContent({ ...model, undecided: [] }, observation.snapshot, hint, now, config);
  }
}

function pendingSince(seenAtMs: number, now: Now, config: Config): Pending {
  // In a rollout the random wait comes after the group has let it go, and the first has none.
  const jitterMs = config.rollout === "none" ? config.jitterMs : 0;
  return { seenAtMs, notBeforeMs: now.nowMs + now.random * jitterMs };
}

function problemOf(observation: Observation & { kind: "unreadable" | "replaced" }): string {
  if (observation.kind === "replaced") return observation.message;
  const bad = observation.files.find((file) => file.error !== null);
  return bad === undefined ? "the content cannot be read" : `Cannot read "${bad.path}": ${bad.error}`;
}

/** The last moment at which the applied content was certainly on disk. */
export function awaySince(model: Model, now: Now): number | null {
  return model.applied === null ? null : model.awaySinceAtMs ?? model.lastLookAtMs ?? now.nowMs;
}

function decideContent(before: Model, snapshot: Snapshot, hint: Hint, now: Now, config: Config): Decision {
  let model = noteContent(before, snapshot, now);
  const { digest } = snapshot;
  if (before.disk === null) {
    // What nobody triggers cannot be made to reload.
    const always = config.reloadOnStart === "always" && config.trigger !== "none";
    // Also an app that has read it at its start; not one that starts from now on.
    if (always) model = { ...model, changedAtMs: now.nowMs };
    else if (config.reloadOnStart !== "never") {
      return ask(model, { digest, goneSinceAtMs: null }, snapshot, hint);
    } else if (before.firstDigest !== null && before.firstDigest !== digest) {
      // What differs from the first look, even 10 ms later, is a change.
      model = { ...model, applied: before.firstDigest, previous: before.firstDigest };
    } else if (before.diskProblem === null) {
      return ask(model, { digest, goneSinceAtMs: null, isAdopted: true }, snapshot, hint);
    }
    // Content that was missing at the first look is a change when it comes, whatever the policy for the start.
  }
  const { question } = model;
  if (question !== null) {
    const isSame = question.digest === digest;
    const other = { digest, goneSinceAtMs: null, changedFrom: question.digest };
    return ask(model, isSame ? question : other, snapshot, hint);
  }
  if (digest === model.applied && !model.isUncertain) {
    // An app that started while this content was away runs without it.
    const goneSinceAtMs = model.awaySinceAtMs;
    if (goneSinceAtMs !== null) {
      const other = before.disk === digest ? {} : { otherSeen: true } as const;
      return ask({ ...model, awaySinceAtMs: null }, { digest, goneSinceAtMs, ...other }, snapshot, hint);
    }
    return [{ ...model, phase: { is: "steady" }, pending: null }, null];
  }
  return decideReload({ ...model, awaySinceAtMs: awaySince(before, now) }, hint, now, config);
}

function ask(model: Model, question: Question, snapshot: Snapshot, hint: Hint): Decision {
  return [{ ...model, phase: { is: "asking", question, snapshot, hint }, pending: null }, null];
}

/** Takes the content on disk into the model. */
export function noteContent(model: Model, { digest, changedWallMs }: Snapshot, now: Now): Model {
  const looked = { ...model, diskProblem: null, lastLookAtMs: now.nowMs, changedWallMs };
  // Compared as reported, so that a step of the wall clock is no change.
  const reportedAtMs = changedWallMs === model.changedWallMs
    ? model.changedAtMs
    : Math.min(now.nowMs, now.nowMs - (now.wallMs - changedWallMs));
  if (digest === model.disk && model.diskProblem === null) {
    // The same content under a new time: it may have been another one for a moment between two looks.
    return { ...looked, changedAtMs: Math.max(model.changedAtMs, reportedAtMs) };
  }
  // File times can lie (clock of a file server, restored backups), but at the last look the content was another or
  // was not there: it cannot have come before that.
  return {
    ...looked,
    disk: digest,
    previous: digest === model.disk ? model.previous : model.disk,
    changedAtMs: Math.max(reportedAtMs, model.lastLookAtMs ?? -Infinity),
  };
}

/** The content on disk is not proved to be what the app runs: reload it now or later, or leave it. */
export function decideReload(model: Model, hint: Hint, now: Now, config: Config): Decision {
  const digest = model.disk!;
  const failure = model.failure?.digest === digest ? model.failure : null;
  const isAsked = hint.causes.includes("signal");
  // An app that is there again has read this content at its start: no reason to wait before it is verified.
  const isEarly = isAsked || hint.causes.includes("target");
  if (failure && failure.retryAtMs === null && !isAsked) {
    return [{ ...model, phase: { is: "blocked", why: "invalid" }, pending: null }, null];
  }
  // A retry has no jitter of its own: the first tries of the replicas were spread already, and so are their ends.
  const pending: Pending = failure
    ? { seenAtMs: now.nowMs, notBeforeMs: -Infinity }
    : model.pending ?? pendingSince(hint.firstAtMs, now, config);
  const atMs = Math.max(
    pending.notBeforeMs,
    model.lastTriggerAtMs === null ? -Infinity : model.lastTriggerAtMs + config.minReloadIntervalMs,
    failure && !isEarly ? failure.retryAtMs ?? -Infinity : -Infinity,
  );
  if (now.nowMs < atMs) {
    // A retry waits without being pending: new content meanwhile must not inherit its time. What was asked for early
    // is remembered as its date: the wake-up itself asks for nothing.
    const failed = failure && isEarly ? { failure: { ...failure, retryAtMs: atMs } } : {};
    return [{ ...model, ...failed, phase: { is: "due", atMs }, pending: failure ? null : pending }, null];
  }
  const job = jobOf(model, failure, pending.seenAtMs);
  const phase = waitForTurn(model, job, config);
  if (phase !== null) return [{ ...model, phase, pending: failure ? null : pending }, null];
  const spreadAtMs = failure || pending.isSpread ? null : spread(model, digest, now, config);
  if (spreadAtMs !== null) {
    const spreading = { ...pending, notBeforeMs: spreadAtMs, isSpread: true } as const;
    return [{ ...model, phase: { is: "due", atMs: spreadAtMs }, pending: spreading }, null];
  }
  return [{ ...model, question: null, pending: null }, job];
}

/** The reload of what is on disk. */
export function jobOf(model: Model, failure: Failure | null, seenAtMs: number): Job {
  const digest = model.disk!;
  return {
    digest,
    oldDigest: model.applied ?? model.previous,
    why: whyOf(model, failure),
    attempt: (failure?.count ?? 0) + 1,
    seenAtMs,
    changedAtMs: model.changedAtMs,
    mayTrigger: !model.killed.includes(digest),
  };
}

function whyOf(model: Model, failure: Failure | null): Job["why"] {
  if (failure !== null) return failure.count === 0 ? "told" : "retry";
  if (model.applied === null) {
    // Nothing was proved yet; whether the disk went from one content to another was seen all the same.
    const from = model.question === null ? model.previous : model.question.changedFrom ?? null;
    return from === null || from === model.disk ? "start" : "change";
  }
  return model.disk === model.applied ? "revert" : "change";
}

/** Takes over what a look has shown besides the content's digest: files, problems, times. */
export function noteObservation(model: Model, observation: Observation, now: Now, config: Config): Model {
  switch (observation.kind) {
    case "settling":
      return model;
    case "replaced": {
      const { path, message } = observation;
      return noteProblems(model, [{ path, text: message }], now);
    }
    case "unreadable": {
      const { files } = observation;
      const again = `looking again at least every ${formatMs(config.intervalMs)}`;
      const problems = files.filter(({ error }) => error !== null)
        .map(({ path, error }) => ({ path, text: `Cannot read "${path}": ${error}; ${again}` }));
      return noteProblems({ ...model, files }, problems, now);
    }
    case "content": {
      const problems = observation.skipped
        .map(({ path, error }) => ({ path, text: `Left "${path}" out of the content: ${error}` }));
      const isOther = model.diskProblem === null && observation.snapshot.digest !== model.disk;
      const before = isOther ? model.files : model.previousFiles;
      const noted = {
        ...model,
        previousFiles: model.appliedFiles !== null || model.disk === null ? null : before,
        files: filesOf(observation),
        lastScanWallMs: now.wallMs,
      };
      return noteProblems(noted, problems, now);
    }
  }
}

/** What is wrong with which path. A problem of a path that had one keeps its beginning. */
function noteProblems(
  model: Model,
  found: readonly Omit<Problem, "sinceAtMs">[],
  { nowMs }: Now,
): Model {
  const known = new Map(model.problems.map(({ path, sinceAtMs }) => [path, sinceAtMs]));
  const problems = found.map((problem) => ({ ...problem, sinceAtMs: known.get(problem.path) ?? nowMs }));
  return problems.length === 0 && known.size === 0 ? model : { ...model, problems };
}

/** The files for the status. Bytes must not live on in it; ten thousand files without any are not copied. */
function filesOf({ snapshot, skipped }: Observation & { kind: "content" }): readonly FileState[] {
  if (skipped.length === 0 && snapshot.files.every(({ bytes }) => bytes === null)) return snapshot.files;
  return [...snapshot.files, ...skipped].map(stateOf);
}

/** What the status has of a file. */
export function stateOf({ path, digest, sizeBytes, error, fault }: FileState): FileState {
  return { path, digest, sizeBytes, error, ...(fault && { fault }) };
}

/** Hints as one. */
export function mergeHints(a: Hint, b: Hint): Hint {
  return { causes: mergeCauses(a.causes, b.causes), firstAtMs: Math.min(a.firstAtMs, b.firstAtMs) };
}

/** Distinct causes in order. */
export function mergeCauses(a: readonly Cause[], b: readonly Cause[]): readonly Cause[] {
  return a.length === 0 ? b : [...new Set([...a, ...b])];
}

/** Takes the content on disk as what the app runs, without a reload. */
export function adopt(model: Model): Model {
  return {
    ...model,
    phase: { is: "steady" },
    applied: model.disk,
    appliedFiles: model.files,
    // Content that was away and came back was proved before.
    proof: model.disk === model.applied && model.proof !== null ? model.proof : "assumed-at-start",
    awaySinceAtMs: null,
    question: null,
    pending: null,
  };
}

/** The app could not be asked yet. What it runs is not known until then. */
export function waitForApp(model: Model, phase: Phase & { is: "asking" }): Model {
  const { changedFrom: _, ...question } = phase.question;
  return {
    ...model,
    phase: { is: "absent" },
    applied: null,
    awaySinceAtMs: null,
    question,
    pending: null,
  };
}
