/**
 * Settles what content means for an app that may have been running for long: gathers the facts for `decideStart` (when
 * the process started, what the app says of its last reload) and carries its verdict into the decision. Also makes sure
 * that a rendered output is there before the app is.
 */

import { type AttemptDeps, inTime, lookForTarget, prepareContent, type Sighting } from "./attempt_steps.ts";
import { hideUrlSecrets } from "../http/hide_url.ts";
import type { Snapshot, Status, StatusReading } from "../model.ts";
import { decideReload, type Decision, type Moment } from "../reload/decide.ts";
import { decideStart } from "../reload/start.ts";
import { adopt, waitForApp } from "../reload/state.ts";
import { statusOf } from "../verify/answer.ts";

/** The settled decision. */
export interface StartCheck {
  readonly decision: Decision;
  /** The app's answer where it was asked: the baseline of an app that watches by itself. */
  readonly reading: StatusReading | null;
}

/**
 * Answers the question of a decision `ask-app`, and renders for one that adopts; any other comes back as it is. `before`
 * is what the app was last known to say.
 */
export async function checkStart(
  deps: AttemptDeps,
  decision: Decision,
  snapshot: Snapshot,
  moment: Moment,
  aborted: AbortSignal,
  before: Status | null,
): Promise<StartCheck> {
  const { clock, config } = deps;
  const { action, state } = decision;
  if (action.kind !== "ask-app" && !(action.kind === "skip" && action.reason === "adopted")) {
    return { decision, reading: null };
  }
  // An output file must be there before the app is, whether or not there is anything to reload.
  const prepared = await prepareContent(deps, snapshot, aborted);
  // What the app reads is the output: it came later than the content.
  const outputWallMs = prepared.kind === "ok" ? prepared.outputWallMs ?? -Infinity : -Infinity;
  const changedAtMs = Math.max(state.changedAtMs, deps.outputAtMs(prepared) ?? -Infinity);
  // Nobody is waited for any more: a reload that has to wait itself (jitter) must not be a question again.
  const reload = () => decideReload({ ...state, applied: null, waiting: null }, moment, config);
  if (prepared.kind !== "ok") return { decision: reload(), reading: null };
  if (action.kind !== "ask-app") return { decision, reading: null };

  const sighting = config.trigger === "signal" ? lookForTarget(deps) : null;
  const facts = {
    trigger: config.trigger,
    changedWallMs: Math.max(snapshot.changedWallMs, outputWallMs),
    nowWallMs: clock.wallMs(),
    changedAtMs,
    targetStartedAtMs: sighting === null || sighting.resolution.kind === "none" ? null : sighting.startedAtMs,
    goneSinceAtMs: action.question.goneSinceAtMs,
    otherSeen: action.question.otherSeen === true,
    isAsked: config.verify !== "none",
    status: null,
    before,
  };
  let verdict = decideStart(facts);
  let reading: StatusReading | null = null;
  // The app is asked only where its answer can matter: an app that hangs must not hold up the loop.
  if ((verdict === "reload" || config.trigger !== "signal") && config.verify !== "none") {
    reading = await inTime(deps, deps.probe.read(aborted));
    const status = statusOf(reading);
    verdict = decideStart({ ...facts, nowWallMs: clock.wallMs(), status });
  }
  if (verdict === "later") {
    if (sighting === null && state.waiting === null) tellSilence(deps, reading);
    const isChange = state.waiting !== null && state.waiting.digest !== action.question.digest;
    if (!mayWait(sighting, isChange, config.once)) verdict = "reload";
  }
  if (verdict === "reload") return { decision: reload(), reading };
  const [next, reason] = verdict === "adopt"
    ? [adopt(state), "adopted"] as const
    : [waitForApp(state, action.question), "waiting"] as const;
  return { decision: { state: next, action: { kind: "skip", reason } }, reading };
}

/**
 * Whether an app that is not there may be waited for in silence. That nobody may be signalled, or that a URL is wrong,
 * does not pass by itself: a change is tried all the same, and `--once` must not end as if all were well.
 */
function mayWait(sighting: Sighting | null, isChange: boolean, once: boolean): boolean {
  if (sighting === null) return !isChange;
  const { resolution } = sighting;
  return resolution.kind !== "none" || resolution.again === true || !isChange && !once;
}

/** Without a process to look at, only the status URL tells that the app is there. */
function tellSilence({ config, logger }: AttemptDeps, reading: StatusReading | null): void {
  const why = reading?.kind === "error" ? reading.reason : "no answer in time";
  logger.warn(`Waiting for the app to answer: GET ${hideUrlSecrets(config.reloadUrl)}: ${why}`);
}
