/**
 * The proof of a reload: polls the status URL after the trigger until the judge is certain or the time is over, and
 * watches whether the signalled process survives. The verdict itself is pure and lives in `verify/judge.ts`; nothing
 * here sends a signal, except the one repeated trigger where there was no baseline.
 */

import type { ReloadCode } from "../codes.ts";
import { hideUrlSecrets } from "../http/hide_url.ts";
import type { Outcome, Proof, Result, Status, Target, TriggerResult, Verdict } from "../model.ts";
import { deathText, diedOfSignal } from "../reload/process.ts";
import { formatMs } from "../text.ts";
import { earliestTriggerWallMs, judge } from "../verify/judge.ts";
import { CONFIRM_PAUSE_MS, nextPollDelayMs } from "../verify/probe.ts";
import { type AttemptDeps, type AttemptInput, failure, outcomeOfUnsent } from "./attempt_input.ts";

/** Pause between two looks at whether the app still lives while the sidecar is being stopped, in milliseconds. */
const STOPPING_PAUSE_MS = 50;
/** What the status URL says where nobody listens any more. */
const REFUSED = "connection refused";

/** What one verification is about. */
export interface Verification {
  readonly attempt: AttemptInput;
  /** The status before the trigger; null where it was not read. */
  readonly baseline: Status | null;
  readonly triggeredAtMs: number;
  readonly triggeredWallMs: number;
  readonly deadlineMs: number;
  /** The app started with this content: any good status proves it. */
  readonly restarted: boolean;
  /** The signalled process; null where none was signalled. */
  readonly target: Target | null;
  /** Sends the trigger once more; null where nothing may be triggered. */
  readonly triggerAgain: (() => Promise<TriggerResult>) | null;
  /** Why the trigger has no answer, where it was sent and not answered. */
  readonly unanswered: string | null;
}

/** How far a verification has come. */
interface Progress {
  readonly baseline: Status | null;
  readonly triggeredAtMs: number;
  readonly triggeredWallMs: number;
  /** When the trigger went out once more; null where it did not. */
  readonly triggeredAgainAtMs: number | null;
  /** The app has started with this content, or again since the trigger. */
  readonly restarted: boolean;
  readonly lastAliveAtMs: number;
  /** The reading before this one was good. */
  readonly settled: boolean;
  readonly isRefused: boolean;
  /** A start of the app since the change would have shown: it was silent, or counted as before. */
  readonly startWouldShow: boolean;
  readonly status: Status | null;
  readonly lastReason: string;
}

/** Polls until the reload is proved, rejected, overtaken, or out of time. */
export async function verifyReload(deps: AttemptDeps, of: Verification): Promise<Result> {
  if (deps.config.verify === "none") {
    const result = of.unanswered === null
      ? failure("success", "", "", { proof: "delivered" })
      : failure("failed", of.unanswered, "trigger-unanswered");
    return { ...result, target: of.target };
  }
  let progress: Progress = {
    baseline: of.attempt.tokens.baseline ?? of.baseline,
    triggeredAtMs: of.triggeredAtMs,
    triggeredWallMs: of.triggeredWallMs,
    triggeredAgainAtMs: null,
    restarted: of.restarted,
    lastAliveAtMs: of.triggeredAtMs,
    settled: false,
    isRefused: false,
    startWouldShow: false,
    status: null,
    lastReason: "no answer yet",
  };
  for (let delayMs = 0, reads = 0;; reads++) {
    const turn = await poll(deps, of, progress, delayMs);
    progress = turn.progress;
    if (turn.result !== null) return turn.result;
    // After a second trigger the first reading comes at once again.
    if (turn.verdict?.kind === "baseline") reads = -1;
    delayMs = turn.verdict?.kind === "settling"
      ? confirmDelayMs(deps, of)
      : nextPollDelayMs(reads + 1, deps.config.pollIntervalMs);
  }
}

interface Turn {
  readonly progress: Progress;
  readonly verdict: Verdict | null;
  /** Null while the proof is pending. */
  readonly result: Result | null;
}

/** One pause and one reading. */
async function poll(deps: AttemptDeps, of: Verification, before: Progress, delayMs: number): Promise<Turn> {
  const { clock } = deps;
  const { deadlineMs } = of;
  const isLast = clock.nowMs() + delayMs >= deadlineMs;
  await pause(deps, of, before, isLast ? deadlineMs - clock.nowMs() : delayMs);
  const alive = watchProcess(deps, of, before);
  if (alive.result !== null) return { ...alive, verdict: null };
  const given = givenUp(of, alive.progress);
  if (given !== null) return { progress: alive.progress, verdict: null, result: given };
  if (isLast) return { progress: alive.progress, verdict: null, result: timeout(deps, of, alive.progress) };

  const { progress, verdict } = await readOnce(deps, of, alive.progress);
  switch (verdict?.kind) {
    case "success": {
      // An answer may have been on its way while the process died.
      const { result } = watchProcess(deps, of, progress);
      return { progress, verdict, result: result ?? end(of, progress, "success", "", "", verdict.proof) };
    }
    case "rejected":
      return { progress, verdict, result: end(of, progress, "rejected", verdict.reason, "rejected") };
    case "baseline":
      return { ...await adoptBaseline(deps, of, progress), verdict };
    default:
      return { progress, verdict: verdict ?? null, result: null };
  }
}

/** The second look at a good status comes in time, even if that is sooner. */
function confirmDelayMs({ clock, config }: AttemptDeps, of: Verification): number {
  const leftMs = of.deadlineMs - clock.nowMs() - 1;
  return Math.max(0, Math.min(CONFIRM_PAUSE_MS, config.pollIntervalMs, leftMs));
}

function end(
  of: Verification,
  progress: Progress,
  outcome: Outcome,
  reason: string,
  code: ReloadCode | "",
  proof: Proof | null = null,
): Result {
  return failure(outcome, reason, code, {
    proof,
    target: of.target,
    lastTriggeredAtMs: progress.triggeredAgainAtMs,
    baseline: of.baseline,
    status: progress.status,
    unanswered: of.unanswered !== null && outcome !== "success",
  });
}

function timeout({ config }: AttemptDeps, of: Verification, progress: Progress): Result {
  const text = `reload verification timeout after ${
    formatMs(config.reloadTimeoutMs)
  }: ${progress.lastReason}`;
  const reason = of.unanswered === null ? text : `${text}; ${of.unanswered}`;
  return end(of, progress, "timeout", reason, "timeout");
}

/** The shutdown time is over, or newer content is due. */
function givenUp(of: Verification, progress: Progress): Result | null {
  const { aborted, overtaken } = of.attempt;
  if (aborted.aborted) {
    return end(of, progress, "failed", "stopped before the reload was proved", "stopped");
  }
  if (overtaken.aborted) return end(of, progress, "failed", "newer content came", "overtaken");
  return null;
}

/** The signalled process went long after the signal: another one is being verified. */
function hasLeft(of: Verification, { restarted }: Progress): boolean {
  return restarted && !of.restarted;
}

/** Ends the verification where the signalled process has gone; goes on where it has been replaced long after. */
function watchProcess(
  deps: AttemptDeps,
  of: Verification,
  progress: Progress,
): { readonly progress: Progress; readonly result: Result | null } {
  const { clock, config } = deps;
  const { target } = of;
  const isStopping = of.attempt.stopping.aborted;
  const stopped = (what: string) =>
    end(of, progress, "failed", `${what} has ended during the shutdown`, "stopped");
  if (target === null) {
    return { progress, result: progress.isRefused && isStopping ? stopped("the app") : null };
  }
  if (hasLeft(of, progress)) return { progress, result: null };
  const nowMs = clock.nowMs();
  if (deps.target.isAlive(target)) return { progress: { ...progress, lastAliveAtMs: nowMs }, result: null };
  if (isStopping) return { progress, result: stopped(`${target.name} (PID ${target.pid})`) };
  if (!of.restarted && diedOfSignal(progress, nowMs)) {
    const reason = deathText(target, config.signal, nowMs - progress.triggeredAtMs);
    return { progress, result: { ...end(of, progress, "failed", reason, "killed"), killed: true } };
  }
  return { progress: { ...progress, restarted: true }, result: null };
}

/** One reading and its verdict; null where there was no usable answer. */
async function readOnce(
  deps: AttemptDeps,
  of: Verification,
  progress: Progress,
): Promise<{ readonly progress: Progress; readonly verdict: Verdict | null }> {
  const { config, clock, heartbeat } = deps;
  const { aborted, overtaken, tokens } = of.attempt;
  heartbeat.beat(config.httpTimeoutMs);
  const reading = await deps.probe.read(AbortSignal.any([aborted, overtaken]));
  heartbeat.beat();
  if (reading.kind === "error") {
    const isRefused = reading.reason === REFUSED;
    const startWouldShow = progress.startWouldShow || isRefused;
    const lastReason = `GET ${hideUrlSecrets(config.reloadUrl)}: ${reading.reason}`;
    return { progress: { ...progress, isRefused, startWouldShow, lastReason }, verdict: null };
  }
  const { status } = reading;
  const { baseline, restarted, settled, triggeredWallMs } = progress;
  const verdict = judge(status, {
    baseline,
    triggeredWallMs,
    sinceTriggerMs: clock.nowMs() - progress.triggeredAtMs,
    restarted,
    untriggered: config.trigger === "none",
    startWouldShow: progress.startWouldShow,
    settled,
    provedToken: tokens.provedToken,
  });
  const countsAsBefore = status.format === "amp" && baseline?.format === "amp" &&
    status.attempts >= baseline.attempts;
  return {
    progress: {
      ...progress,
      status,
      isRefused: false,
      startWouldShow: progress.startWouldShow || countsAsBefore,
      settled: verdict.kind === "settling",
      lastReason: verdict.kind === "pending" ? verdict.reason : progress.lastReason,
    },
    verdict,
  };
}

/** The app answered for the first time: that is the baseline, and the trigger goes out once more. */
async function adoptBaseline(
  deps: AttemptDeps,
  of: Verification,
  before: Progress,
): Promise<{ readonly progress: Progress; readonly result: Result | null }> {
  const { clock } = deps;
  const { status } = before;
  const progress = { ...before, baseline: status };
  if (before.triggeredAgainAtMs !== null || of.triggerAgain === null) return { progress, result: null };
  // A second trigger within the second that the app has just told could not be seen in a time of whole seconds.
  await pause(deps, of, progress, earliestTriggerWallMs(status, clock.wallMs()) - clock.wallMs());
  const sent = await of.triggerAgain();
  if (sent.kind === "not-sent") {
    const triggeredAgainAtMs = sent.atMs ?? null;
    const refused = { ...progress, triggeredAgainAtMs };
    return { progress, result: end(of, refused, outcomeOfUnsent(sent.code), sent.message, sent.code) };
  }
  of.attempt.onSent({
    kind: "sent",
    how: of.target === null ? "request" : "signal",
    target: of.target,
    atMs: sent.atMs,
    isAgain: true,
  });
  return {
    progress: {
      ...progress,
      triggeredAtMs: sent.atMs,
      triggeredWallMs: sent.wallMs,
      triggeredAgainAtMs: sent.atMs,
      lastAliveAtMs: sent.atMs,
    },
    result: null,
  };
}

/** Waits; while the sidecar is being stopped in short steps, since the app may end at any moment. */
async function pause(deps: AttemptDeps, of: Verification, progress: Progress, ms: number): Promise<void> {
  const { clock } = deps;
  const { stopping, aborted, overtaken } = of.attempt;
  const untilMs = clock.nowMs() + ms;
  deps.heartbeat.beat(Math.max(0, ms));
  await clock.sleep(ms, AbortSignal.any([stopping, overtaken]));
  while (clock.nowMs() < untilMs && !aborted.aborted && !overtaken.aborted) {
    if (of.target !== null && !hasLeft(of, progress) && !deps.target.isAlive(of.target)) return;
    await clock.sleep(
      Math.min(STOPPING_PAUSE_MS, untilMs - clock.nowMs()),
      AbortSignal.any([aborted, overtaken]),
    );
  }
}
