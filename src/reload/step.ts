/**
 * The whole policy as one pure function: `step(model, event, now, config) → [model, effect]`, the only place that changes a
 * model. The cases stand in the order of the contract's *What happens on a change*. It never reads, waits, signals or logs;
 * the loop performs the effect and brings the next event. The table of phases and events is in docs/ARCHITECTURE.md.
 */

import { type Config, rendersOutput } from "../config.ts";
import type { Cause, Result } from "../model.ts";
import { begin, conclude, noteBeside, noteTold, tellsFailure, withReload } from "./attempt.ts";
import { adopt, decide, decideReload, mergeCauses, mergeHints, noteObservation, waitForApp } from "./look.ts";
import {
  type Event,
  type Hint,
  isInSync,
  type Liveness,
  type Model,
  type Now,
  type Phase,
  type Step,
} from "./model.ts";
import { dateOf, next, overtakeAtMs } from "./next.ts";
import { count, end, noteLife, stop, watchOf } from "./outcome.ts";
import { isSameProcess, isStillToCome } from "./process.ts";
import { decideStart, startFacts, statusIn } from "./start.ts";

/** For so long after the start the other containers of a pod may still come, one after the other. */
const EARLY_MS = 60_000;

/** What `event` makes of `model`, and what to do next. */
export function step(model: Model, event: Event, now: Now, config: Config): Step {
  const [next, effect] = react(model, event, now, config);
  return [noteSync(model, next, event, now), effect];
}

function react(model: Model, event: Event, now: Now, config: Config): Step {
  if (model.phase.is === "ended") return end(model, model.phase.code);
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
      return onSent(model, event, now, config);
    case "ended":
      return onEnd(model, event, now, config);
    case "checked":
      return onCheck(model, event, now, config);
    case "told":
      return onStatus(model, event, now, config);
    case "rendered":
      return end(model, event.prepared.kind === "ok" ? 0 : 1);
    case "stop":
      return onStop(model, now, config);
  }
}

/** On a change, 1: something hints at it. A look is owed to whoever hints while something else is being done. */
function onHint(model: Model, hint: Hint, now: Now, config: Config): Step {
  const isAsked = hint.causes.includes("signal");
  const asked = isAsked ? withReload(model, { isAsked }) : model;
  const { phase } = asked;
  // Nothing is done beside a trigger that is still on its way.
  const isBusy = phase.is === "asking" || phase.is === "rendering" ||
    phase.is === "reloading" && phase.reload.sentAtMs === null;
  if (!isBusy) return [asked, { do: "look", hint }];
  return next({ ...asked, owed: asked.owed === null ? hint : mergeHints(asked.owed, hint) }, now, config);
}

/**
 * A date has come (on a change, 1 and 6): of a look, of a reload that is due, of newer content, or of a look at whether who was
 * signalled lives.
 */
function onDate(model: Model, now: Now, config: Config): Step {
  const { phase } = model;
  if (dateOf(model, config) > now.nowMs) {
    const isWatching = model.signalled !== null && !["reloading", "asking", "rendering"].includes(phase.is);
    return isWatching ? [model, { do: "check", afresh: false }] : next(model, now, config);
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
  const { observation } = event;
  if (phase.is === "concluding") return conclude(model, phase, event, now, config);
  if (phase.is === "reloading") {
    const beside = noteBeside(model, phase.reload, event, now, config);
    return onDate(beside, now, config);
  }
  const hint = { ...event.hint, causes: mergeCauses(model.undecided, event.hint.causes) };
  const alive = noteLife(
    { ...model, owed: null, ownStaleMounts: event.staleMounts, rollout: event.rollout ?? null },
    event.alive,
    now,
    config,
  );
  const seen = noteObservation(alive, observation, now, config);
  if (config.once && observation.kind === "content" && rendersOutput(config)) {
    const { snapshot } = observation;
    return [{ ...seen, diskProblem: null, phase: { is: "rendering", snapshot } }, { do: "render", snapshot }];
  }
  const [decided, job] = decide(seen, observation, hint, now, config);
  if (job !== null && observation.kind === "content") {
    return begin(decided, job, observation.snapshot, hint.causes);
  }
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
  const { question, snapshot } = phase;
  const facts = startFacts(model, phase, event, now, config);
  const noted = { ...model, reading: event.reading ?? model.reading };
  const reload = (): Step => {
    // Nobody is waited for any more: a reload that has to wait itself (jitter) must not be a question again.
    const asChange = { ...noted, applied: null, question };
    const [decided, job] = decideReload(asChange, phase.hint, now, config);
    if (job === null) return next({ ...decided, question: null }, now, config);
    return begin(decided, job, snapshot, phase.hint.causes);
  };
  if (event.prepared.kind !== "ok") return reload();
  if (question.isAdopted) return next(adopt(noted), now, config);
  const verdict = decideStart(facts);
  if (verdict === "adopt") return next(adopt(noted), now, config);
  if (verdict === "reload" || !mayWait(phase, event, config)) return reload();
  return next(waitForApp(noted, phase), now, config);
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

/** On a change, 4: the trigger is out. Now there is time to look at what was hinted at meanwhile. */
function onSent(model: Model, event: Event & { kind: "sent" }, now: Now, config: Config): Step {
  const sent = withReload(model, { sentAtMs: event.atMs });
  if (sent.phase.is !== "reloading" || sent.owed === null) return next(sent, now, config);
  return [{ ...sent, owed: null }, { do: "look", hint: sent.owed }];
}

/** On a change, 5 and 6: the attempt is over. One more look, by content and time, says what it was worth. */
function onEnd(model: Model, { result }: Event & { kind: "ended" }, now: Now, config: Config): Step {
  const { phase } = model;
  if (phase.is !== "reloading") return next(model, now, config);
  const { reload } = phase;
  const watching = { ...model, signalled: watchOf(model, reload, result, now) };
  if (model.isStopping) {
    if (isGivenUp(result)) return stop(model, config);
    return count(watching, reload, result, now, config);
  }
  const hint: Hint = model.owed ?? { causes: [], firstAtMs: now.nowMs };
  return [
    { ...watching, owed: null, phase: { is: "concluding", reload, result, lookAtMs: now.nowMs } },
    { do: "look", hint },
  ];
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
  // What it said before a failure stays the baseline: the failure is new.
  const isFailed = tellsFailure(status, statusIn(model.reading));
  return next(isFailed ? noteTold(model, now) : { ...model, reading }, now, config);
}

/** `--shutdown-timeout`: at SIGTERM a reload in progress is finished; without one the end comes at once. */
function onStop(model: Model, now: Now, config: Config): Step {
  const stopping = { ...model, isStopping: true };
  const { phase } = model;
  if (phase.is === "reloading") return next(stopping, now, config);
  if (phase.is === "concluding" && !isGivenUp(phase.result)) {
    return count(stopping, phase.reload, phase.result, now, config);
  }
  return stop(stopping, config);
}

/** Given up because of a shutdown, or for newer content that is not sent any more: no failure. */
function isGivenUp({ code }: Result): boolean {
  return code === "stopped" || code === "overtaken";
}

/** Whether to look who is the target: none is known, it is gone or not in order, or others may still come. */
function isTargetOpen(model: Model, alive: Liveness, now: Now, config: Config): boolean {
  // `--once` with an output writes it and ends: nobody is signalled, and none of the app's containers may be there yet.
  if (config.trigger !== "signal" || config.once && rendersOutput(config)) return false;
  const { known } = model;
  const isInOrder = known !== null && known.target !== null && known.view.ok;
  return !isInOrder || alive.known === false || now.nowMs - model.startedAtMs < EARLY_MS;
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
