/**
 * What one look at the disk leads to while no attempt is in progress (contract: what happens on a change, 1 to 3 and 6).
 * Rules: no change of content, no reload. New content goes at once, but not sooner than `--min-reload-interval` after the
 * last trigger. A failed reload is tried again with growing pauses until the content is applied, changes (which resets the
 * pause) or goes back (which is reloaded too, since the app may be half way). Invalid content is left alone until it
 * changes. Content that the app may have read at its own start is a question to the app. Pure.
 */

import { type Config, rendersOutput } from "../config.ts";
import type { Cause, FileState, Observation, Snapshot } from "../model.ts";
import { formatMs } from "../text.ts";
import type { Failure, Hint, Job, Model, Now, Pending, Phase, Problem, Question, Reload } from "./model.ts";

/** A look that has found complete content. */
export type Content = Observation & { readonly kind: "content" };

/** Decides what a look leads to; `hint` has the causes of all looks since the last that decided something. */
export function decide(model: Model, observation: Observation, hint: Hint, now: Now, config: Config): Model {
  switch (observation.kind) {
    case "settling":
      return {
        ...model,
        phase: { is: "settling", untilMs: observation.againAtMs },
        pending: model.pending ?? pendingSince(hint.firstAtMs, now, config),
        firstDigest: model.phase.is === "starting" ? observation.digest ?? null : model.firstDigest,
        undecided: hint.causes,
      };
    case "unreadable": {
      const bad = observation.files.filter(({ error }) => error !== null)
        .map(({ path, error }) => ({ path, text: `Cannot read "${path}": ${error}` }));
      const again = `looking again at least every ${formatMs(config.intervalMs)}`;
      const problems = bad.map(({ path, text }) => ({ path, text: `${text}; ${again}` }));
      const seen = noteProblems({ ...model, files: observation.files }, problems, now);
      return block(seen, bad[0]!.text, hint, now);
    }
    case "replaced": {
      const { path, message } = observation;
      return block(noteProblems(model, [{ path, text: message }], now), message, hint, now);
    }
    case "content":
      return decideContent({ ...model, undecided: [] }, observation, hint, now, config);
  }
}

/** There is no complete content: the last state stays. */
function block(model: Model, diskProblem: string, { causes }: Hint, now: Now): Model {
  return {
    ...model,
    phase: { is: "blocked", why: "unreadable" },
    diskProblem,
    // What comes after it is another change: it has a time, and a random wait, of its own.
    pending: null,
    awaySinceAtMs: awaySince(model, now),
    lastLookAtMs: now.nowMs,
    undecided: causes,
  };
}

function pendingSince(seenAtMs: number, now: Now, config: Config): Pending {
  // In a rollout the random wait comes after the group has let it go, and the first has none.
  const jitterMs = config.rollout === "none" ? config.jitterMs : 0;
  return { seenAtMs, notBeforeMs: now.nowMs + now.random * jitterMs };
}

/** The last moment at which the applied content was certainly on disk. */
export function awaySince(model: Model, now: Now): number | null {
  return model.applied === null ? null : model.awaySinceAtMs ?? model.lastLookAtMs ?? now.nowMs;
}

function decideContent(before: Model, observation: Content, hint: Hint, now: Now, config: Config): Model {
  let model = noteContent(before, observation, now);
  const { snapshot } = observation;
  const { digest } = snapshot;
  if (config.once && rendersOutput(config)) return { ...model, phase: { is: "rendering", snapshot } };
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
    return { ...model, phase: { is: "steady" }, pending: null };
  }
  return decideReload({ ...model, awaySinceAtMs: awaySince(before, now) }, snapshot, hint, now, config);
}

function ask(model: Model, question: Question, snapshot: Snapshot, hint: Hint): Model {
  return { ...model, phase: { is: "asking", question, snapshot, hint }, pending: null };
}

/** Takes the content on disk into the model. */
export function noteContent(model: Model, { snapshot, skipped }: Content, now: Now): Model {
  const { digest, files, changedWallMs } = snapshot;
  // Compared as reported, so that a step of the wall clock is no change.
  const reportedAtMs = changedWallMs === model.changedWallMs
    ? model.changedAtMs
    : Math.min(now.nowMs, now.nowMs - (now.wallMs - changedWallMs));
  const isDigest = digest === model.disk;
  // The same content under a new time may have been another one for a moment between two looks. File times can lie (clock of
  // a file server, restored backups), but where the last look found another content, or none, it has not come before that.
  const notBeforeMs = isDigest && model.diskProblem === null ? model.changedAtMs : model.lastLookAtMs;
  const before = isDigest || model.diskProblem !== null ? model.previousFiles : model.files;
  const noted: Model = {
    ...model,
    disk: digest,
    previous: isDigest ? model.previous : model.disk,
    diskProblem: null,
    // Bytes must not live on in the status; ten thousand files without any are not copied.
    files: skipped.length === 0 && files.every(({ bytes }) => bytes === null)
      ? files
      : [...files, ...skipped.map((file) => ({ ...file, leftOut: true } as const))].map(stateOf),
    previousFiles: model.appliedFiles !== null || model.disk === null ? null : before,
    lastLookAtMs: now.nowMs,
    lastScanWallMs: now.wallMs,
    changedAtMs: Math.max(reportedAtMs, notBeforeMs ?? -Infinity),
    changedWallMs,
  };
  const problems = skipped.map(({ path, error }) => ({
    path,
    text: `Left "${path}" out of the content: ${error}`,
  }));
  return noteProblems(noted, problems, now);
}

/** The content on disk is not proved to be what the app runs: reload it now or later, or leave it. */
export function decideReload(model: Model, snapshot: Snapshot, hint: Hint, now: Now, config: Config): Model {
  const { digest } = snapshot;
  const failure = model.failure?.digest === digest ? model.failure : null;
  const isAsked = hint.causes.includes("signal");
  // An app that is there again has read this content at its start: no reason to wait before it is verified.
  const isEarly = isAsked || hint.causes.includes("target");
  if (failure && failure.retryAtMs === null && !isAsked) {
    return { ...model, phase: { is: "blocked", why: "invalid" }, pending: null };
  }
  // A retry has no jitter of its own: the first tries of the replicas were spread already, and so are their ends.
  const change: Pending = failure
    ? { seenAtMs: now.nowMs, notBeforeMs: -Infinity }
    : model.pending ?? pendingSince(hint.firstAtMs, now, config);
  // A retry waits without being pending: new content meanwhile must not inherit its time.
  const pending = failure ? null : change;
  const atMs = Math.max(
    change.notBeforeMs,
    model.lastTriggerAtMs === null ? -Infinity : model.lastTriggerAtMs + config.minReloadIntervalMs,
    failure && !isEarly ? failure.retryAtMs ?? -Infinity : -Infinity,
  );
  if (now.nowMs < atMs) {
    // What was asked for early is remembered as its date: the wake-up itself asks for nothing.
    const failed = failure && isEarly ? { failure: { ...failure, retryAtMs: atMs } } : {};
    return { ...model, ...failed, phase: { is: "due", atMs }, pending };
  }
  const job = jobOf(model, failure, change.seenAtMs);
  if (config.rollout !== "none") {
    const turn = model.rollout?.wanted === digest ? model.rollout.turn : { is: "asking" } as const;
    if (turn.is !== "go") return { ...model, phase: { is: "waiting", job, turn }, pending };
    // Those that follow go with `--jitter`, so that replicas do not go together.
    if (config.jitterMs > 0 && !turn.isFirst && pending !== null && !pending.isSpread) {
      const goesAtMs = now.nowMs + now.random * config.jitterMs;
      const spread: Pending = { ...pending, notBeforeMs: goesAtMs, isSpread: true };
      return { ...model, phase: { is: "due", atMs: goesAtMs }, pending: spread };
    }
  }
  return begin({ ...model, question: null, pending: null }, job, snapshot, hint.causes, now);
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

/** Begins a reload. `continued`: the attempt that goes on with this content. */
export function begin(
  model: Model,
  job: Job,
  snapshot: Snapshot,
  causes: readonly Cause[],
  now: Now,
  continued: Reload | null = null,
): Model {
  const reload: Reload = {
    job,
    snapshot,
    causes,
    startedWallMs: continued?.startedWallMs ?? now.wallMs,
    isContinued: continued !== null,
    sentAtMs: null,
    isPure: true,
    newer: null,
    lookAtMs: Infinity,
    isAsked: continued?.isAsked === true,
    isOvertaken: false,
  };
  return { ...model, phase: { is: "reloading", reload } };
}

/** When the try after `failures` of them is due: the pause after now, and not too soon after the last trigger. */
export function retryDate(failures: number, { lastTriggerAtMs }: Model, now: Now, config: Config): number {
  const atMs = now.nowMs + nextRetryDelayMs(failures, config.retryIntervalMs, config.maxBackoffMs);
  return Math.max(atMs, (lastTriggerAtMs ?? -Infinity) + config.minReloadIntervalMs);
}

/**
 * Pause in milliseconds after the `failures`-th failure in a row (1 for the first): `retryIntervalMs`, doubled
 * with each further failure, never more than `maxBackoffMs`.
 */
export function nextRetryDelayMs(failures: number, retryIntervalMs: number, maxBackoffMs: number): number {
  // 2 ** 1024 is Infinity; min() then gives the cap, which is what is wanted.
  return Math.min(retryIntervalMs * 2 ** Math.max(0, failures - 1), maxBackoffMs);
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

/** What the status has of a file. */
export function stateOf({ path, digest, sizeBytes, error, fault, leftOut }: FileState): FileState {
  return { path, digest, sizeBytes, error, ...(fault && { fault }), ...(leftOut && { leftOut }) };
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
    question: null,
  };
}

/** The app could not be asked yet. What it runs is not known until then. */
export function waitForApp(model: Model, phase: Phase & { is: "asking" }): Model {
  const { changedFrom: _, ...question } = phase.question;
  return { ...model, phase: { is: "absent" }, applied: null, question };
}
