/**
 * The whole policy as one pure function: `step(model, event, now, config) → [model, effect]`, the only place that changes a
 * model. The cases stand in the order of the contract's *What happens on a change*. It never reads, waits, signals or logs;
 * the loop performs the effect and brings the next event. The table of phases and events is in docs/ARCHITECTURE.md.
 */

import { type Config, rendersOutput } from "../config.ts";
import type { Cause, Result } from "../model.ts";
import { adopt, decide, decideReload, waitForApp } from "./look.ts";
import {
  begunIn,
  type Event,
  type Hint,
  isInSync,
  type Liveness,
  mergeCauses,
  mergeHints,
  type Model,
  type Now,
  type Phase,
  type Reload,
  type Step,
} from "./model.ts";
import { conclude, count, noteBeside, withReload } from "./outcome.ts";
import { isSameProcess, isStillToCome, noteLife, watchOf } from "./process.ts";
import { decideStart, statusIn, tellsFailure } from "./start.ts";

/** For so long after the start the other containers of a pod may still come, one after the other. */
const EARLY_MS = 60_000;
/** So long after its trigger a proof may be pending before newer content overtakes it (contract: on a change, 5). */
const OVERTAKE_MS = 2_000;
/** Pause between two looks at whether the signalled process survives, in milliseconds; each takes 0.25 ms of CPU. */
const SURVIVAL_LOOK_MS = 500;

/** What `event` makes of `model`, and what to do next. */
export function step(model: Model, event: Event, now: Now, config: Config): Step {
  const [after, effect] = react(model, event, now, config);
  const reload = begunIn(model, after);
  return [noteSync(model, after, event, now), reload === null ? effect : { do: "reload", reload }];
}

function react(model: Model, event: Event, now: Now, config: Config): Step {
  switch (event.kind) {
    case "hinted":
      return onHint(model, event.hint, now, config);
    case "woke":
      return onDate(model, now, config);
    case "looked":
      return onLook(model, event, now, config);
    case "answered":
      return onAnswer(model, event, now, config);
    case "sent":
      // On a change, 4. Now there is time to look at what was hinted at meanwhile.
      return next(withReload(model, { sentAtMs: event.atMs }), now, config);
    case "ended":
      return onEnd(model, event, now, config);
    case "checked":
      return onCheck(model, event, now, config);
    case "told":
      return onStatus(model, event, now, config);
    case "rendered":
      return next(end(model, event.prepared.kind === "ok" ? 0 : 1), now, config);
    case "stop":
      return onStop(model, now, config);
  }
}

/** On a change, 1: something hints at it. Nothing is done beside a trigger that is on its way: then a look is owed. */
function onHint(model: Model, hint: Hint, now: Now, config: Config): Step {
  const asked = hint.causes.includes("signal") ? withReload(model, { isAsked: true }) : model;
  if (!isSending(model)) return [asked, { do: "look", hint }];
  return next({ ...asked, owed: mergeHints(asked.owed, hint) }, now, config);
}

/** Whether an attempt has begun and its trigger is not out yet. */
function isSending({ phase }: Model): boolean {
  return phase.is === "reloading" && phase.reload.sentAtMs === null;
}

/**
 * A date has come (on a change, 1 and 6): of a look, of a reload that is due, of newer content, or of a look at whether who was
 * signalled lives.
 */
function onDate(model: Model, now: Now, config: Config): Step {
  const { phase } = model;
  if (dateOf(model, config) > now.nowMs) {
    return isWatching(model) ? [model, { do: "check", afresh: false }] : next(model, now, config);
  }
  const lookFor = (...causes: Cause[]): Step => [
    model,
    { do: "look", hint: { causes, firstAtMs: now.nowMs } },
  ];
  switch (phase.is) {
    case "reloading":
      // On a change, 5: new content does not wait for the timeout of a pending proof.
      if (overtakeAtMs(phase.reload, model, config) > now.nowMs) return lookFor("settle");
      return [withReload(model, { isOvertaken: true }), { do: "overtake" }];
    case "concluding":
      return lookFor();
    case "settling":
      return lookFor("settle");
    default:
      return lookFor("retry");
  }
}

/** On a change, 2 and 3: the content was read. */
function onLook(model: Model, event: Event & { kind: "looked" }, now: Now, config: Config): Step {
  const { phase } = model;
  if (phase.is === "reloading") {
    return onDate(noteBeside(model, phase.reload, event, now, config), now, config);
  }
  if (phase.is === "concluding") {
    const after = conclude(model, phase, event, now, config);
    const isOver = after.last !== model.last && after.phase.is !== "ended";
    return isOver
      ? [after, { do: "check", afresh: isTargetDoubtful(after, config) }]
      : next(after, now, config);
  }
  const hint = { ...event.hint, causes: mergeCauses(model.undecided, event.hint.causes) };
  const noted = { ...model, ownStaleMounts: event.staleMounts, rollout: event.rollout ?? null };
  const living = noteLife(noted, event.alive, now, config);
  const decided = decide(living, event.observation, hint, now, config);
  if (isTargetOpen(decided, event.alive, now, config)) return [decided, { do: "check", afresh: true }];
  const isQuiet = decided.phase.is === "steady" && event.hint.causes.includes("interval");
  if (isQuiet && config.trigger === "none" && config.verify !== "none") {
    return [decided, { do: "read-status" }];
  }
  return next(decided, now, config);
}

/** `--reload-on-start`: whether the app has read this content at its own start. */
function onAnswer(model: Model, event: Event & { kind: "answered" }, now: Now, config: Config): Step {
  const { phase } = model;
  if (phase.is !== "asking") return next(model, now, config);
  const { question, snapshot, hint } = phase;
  const noted = { ...model, reading: event.reading ?? model.reading };
  const verdict = question.isAdopted ? "adopt" : decideStart(model, phase, event, now, config);
  const isReady = event.prepared.kind === "ok";
  if (isReady && verdict === "adopt") return next(adopt(noted), now, config);
  if (isReady && verdict === "later" && mayWait(phase, event, config)) {
    return next(waitForApp(noted, phase), now, config);
  }
  // Nobody is waited for any more: a reload that has to wait itself (jitter) must not be a question again.
  const decided = decideReload({ ...noted, applied: null, question }, snapshot, hint, now, config);
  return next({ ...decided, question: null }, now, config);
}

/**
 * Whether an app that is not there may be waited for in silence. That nobody may be signalled, or that a URL is wrong,
 * does not pass by itself: a change is tried all the same, and `--once` must not end as if all were well.
 */
function mayWait(
  { question }: Phase & { is: "asking" },
  { resolution }: Event & { kind: "answered" },
  config: Config,
): boolean {
  const isChange = question.changedFrom !== undefined;
  if (resolution === null) return !isChange;
  // Where one of several may be it an attempt waits as long, and says so in the end.
  return resolution.kind !== "none" || isStillToCome(resolution) || !isChange && !config.once;
}

/** On a change, 5 and 6: the attempt is over. One more look, by content and time, says what it was worth. */
function onEnd(model: Model, { result }: Event & { kind: "ended" }, now: Now, config: Config): Step {
  const { phase } = model;
  if (phase.is !== "reloading") return next(model, now, config);
  const reload = { ...phase.reload, lookAtMs: now.nowMs };
  const over = { ...model, signalled: watchOf(model, reload.job.digest, result, now) };
  if (model.isStopping) return next(finish(over, reload, result, now, config), now, config);
  const owed: Hint = model.owed ?? { causes: [], firstAtMs: now.nowMs };
  return next({ ...over, owed, phase: { is: "concluding", reload, result } }, now, config);
}

/** Choosing the target: who it is, and, by the last paragraph, whether the signal killed it. */
function onCheck(model: Model, event: Event & { kind: "checked" }, now: Now, config: Config): Step {
  const living = noteLife(model, event.alive, now, config);
  if (event.found === null) return next(living, now, config);
  const before = model.known?.target ?? null;
  const after = event.found.target;
  const attempted = model.last?.result.target;
  const isNew = after !== null && (before === null || event.alive.known === false) &&
    !isSameProcess(after, attempted);
  const known: Model = {
    ...living,
    known: event.found,
    targetSeen: model.targetSeen || after !== null,
    brokenSinceAtMs: event.found.view.ok ? null : model.brokenSinceAtMs ?? now.nowMs,
    restartRequired: isNew ? [] : living.restartRequired,
  };
  // A retry that waits, or an app that was waited for, need not wait any more; what is being written has to settle first.
  if (isNew && known.phase.is === "settling") {
    return next({ ...known, undecided: mergeCauses(known.undecided, ["target"]) }, now, config);
  }
  const isWanted = isNew && ["due", "absent", "blocked"].includes(known.phase.is);
  const hint: Hint = { causes: ["target"], firstAtMs: now.nowMs };
  return next(isWanted ? { ...known, owed: hint } : known, now, config);
}

/** `--trigger none`: the app may have loaded later what it was believed to run, and failed. */
function onStatus(model: Model, { reading }: Event & { kind: "told" }, now: Now, config: Config): Step {
  const status = statusIn(reading);
  if (status === null) return next(model, now, config);
  if (!tellsFailure(status, statusIn(model.reading))) return next({ ...model, reading }, now, config);
  // Not in sync until that is looked into. What it said before a failure stays the baseline: the failure is new.
  const told: Model = {
    ...model,
    phase: { is: "due", atMs: now.nowMs },
    isUncertain: true,
    failure: {
      digest: model.disk!,
      count: 0,
      retryAtMs: now.nowMs,
      reason: "the app says that its last reload failed",
    },
  };
  return next(told, now, config);
}

/** `--shutdown-timeout`: at SIGTERM a reload in progress is finished; without one the end comes at once. */
function onStop(model: Model, now: Now, config: Config): Step {
  const stopping = { ...model, isStopping: true };
  const { phase } = model;
  if (phase.is === "reloading") return next(stopping, now, config);
  const ended = phase.is === "concluding"
    ? finish(stopping, phase.reload, phase.result, now, config)
    : stop(stopping, config);
  return next(ended, now, config);
}

/** The end of the loop with that of the last reload: given up for the shutdown, or for newer content, it does not count. */
function finish(model: Model, reload: Reload, result: Result, now: Now, config: Config): Model {
  const isGivenUp = result.code === "stopped" || result.code === "overtaken";
  const over = isGivenUp ? model : count(model, reload, result, now, config);
  return over.phase.is === "ended" ? over : stop(over, config);
}

function end(model: Model, code: number): Model {
  return { ...model, phase: { is: "ended", code } };
}

/** The end of a loop that was told to stop: what `--once` was to reach was not reached. */
function stop(model: Model, { once }: Config): Model {
  return end(model, once ? 1 : 0);
}

/** What is done next in this phase. */
function next(model: Model, now: Now, config: Config): Step {
  const { phase } = model;
  switch (phase.is) {
    case "ended":
      return [model, { do: "end", code: phase.code }];
    case "asking":
      return [model, { do: "ask", question: phase.question, snapshot: phase.snapshot }];
    case "rendering":
      return [model, { do: "render", snapshot: phase.snapshot }];
  }
  if (model.owed !== null && !isSending(model)) {
    return [{ ...model, owed: null }, { do: "look", hint: model.owed }];
  }
  const code = config.once ? onceCode(model, now, config) : null;
  return code === null ? waitFor(model, now, config) : next(end(model, code), now, config);
}

function waitFor(model: Model, now: Now, config: Config): Step {
  const lifeAtMs = isWatching(model) ? now.nowMs + SURVIVAL_LOOK_MS : Infinity;
  return [model, { do: "wait", untilMs: Math.min(dateOf(model, config), lifeAtMs) }];
}

/** Whether somebody who was signalled has to be looked after: an attempt does that by itself. */
function isWatching({ signalled, phase }: Model): boolean {
  return signalled !== null && phase.is !== "reloading";
}

/** When something is to be done in this phase without a hint; Infinity where nothing is. */
function dateOf(model: Model, config: Config): number {
  const { phase, startedAtMs } = model;
  switch (phase.is) {
    case "starting":
      return startedAtMs;
    case "settling":
      return phase.untilMs;
    case "due":
      return phase.atMs;
    case "blocked":
      // `--once`: the interval may be long, and no event come.
      return config.once ? startedAtMs + config.reloadTimeoutMs : Infinity;
    case "reloading":
      return Math.min(overtakeAtMs(phase.reload, model, config), phase.reload.lookAtMs);
    case "concluding":
      return phase.reload.lookAtMs;
    default:
      return Infinity;
  }
}

/**
 * When newer content may overtake the pending proof; Infinity where there is none, or no trigger to wait for. At SIGTERM the
 * reload in progress is finished, since nothing more will be sent.
 */
function overtakeAtMs(
  { newer, sentAtMs, isOvertaken }: Reload,
  { isStopping }: Pick<Model, "isStopping">,
  config: Config,
): number {
  if (newer === null || sentAtMs === null || isOvertaken || isStopping) return Infinity;
  return Math.max(sentAtMs + OVERTAKE_MS, sentAtMs + config.minReloadIntervalMs, newer.notBeforeMs);
}

/** `--once`: the exit code in this phase; null where it is not done yet. */
function onceCode({ phase, startedAtMs }: Model, now: Now, config: Config): number | null {
  switch (phase.is) {
    case "steady":
    // An app that is not there yet reads the content when it starts.
    case "absent":
      return 0;
    case "blocked":
      // Content that is not there is waited for.
      if (phase.why === "unreadable" && now.nowMs < startedAtMs + config.reloadTimeoutMs) return null;
      return 1;
    default:
      return null;
  }
}

/** Whether to look who is the target: none is known, it is gone or not in order, or others may still come. */
function isTargetOpen(model: Model, alive: Liveness, now: Now, config: Config): boolean {
  // `--once` with an output writes it and ends: nobody is signalled, and none of the app's containers may be there yet.
  if (config.trigger !== "signal" || config.once && rendersOutput(config)) return false;
  const { known } = model;
  const isInOrder = known !== null && known.target !== null && known.view.ok;
  return !isInOrder || alive.known === false || now.nowMs - model.startedAtMs < EARLY_MS;
}

/** Whether the last attempt has shown another process than the known one, or one that could not be signalled. */
function isTargetDoubtful({ known, last }: Model, { trigger }: Config): boolean {
  const { target, outcome } = last!.result;
  if (trigger !== "signal" || target === null) return false;
  return outcome === "failed" || !isSameProcess(target, known?.target);
}

/** Since when it is in sync, or not: counted from when the content differed, not from the first failure. */
function noteSync(before: Model, after: Model, event: Event, now: Now): Model {
  const isNow = isInSync(after);
  if (isNow && after.failedFor !== null) return noteSync(before, { ...after, failedFor: null }, event, now);
  if (isNow === isInSync(before)) return after;
  const hint = event.kind === "looked" ? event.hint : null;
  const sinceAtMs = hint !== null && hint.causes.length > 0 ? hint.firstAtMs : now.nowMs;
  return { ...after, syncSinceWallMs: now.wallMs, outOfSyncSinceAtMs: isNow ? null : sinceAtMs };
}
