/**
 * The proof of a reload: polls the status URL after the trigger until the judge is certain or the time is over, and
 * watches whether the signalled process survives. The verdict itself is pure and lives in `verify/judge.ts`; nothing
 * here sends a signal, except the one repeated trigger where there was no baseline.
 */

import type { ReloadCode } from "../codes.ts";
import { hideUrlSecrets } from "../http/urls.ts";
import type { Outcome, Proof, Result, Status, Target, TriggerResult, Verdict } from "../model.ts";
import { deathText, diedOfSignal } from "../reload/process.ts";
import { formatMs } from "../text.ts";
import { earliestTriggerWallMs, judge } from "../verify/judge.ts";
import { CONFIRM_PAUSE_MS, nextPollDelayMs } from "../verify/probe.ts";
import { type AttemptDeps, type AttemptInput, resultOf } from "./input.ts";

/** Pause between two looks at whether the app still lives while the sidecar is being stopped, in milliseconds. */
const STOPPING_PAUSE_MS = 50;
/** What the status URL says where nobody listens any more. */
const REFUSED = "connection refused";

/** What one verification is about. */
export interface Verification {
  /** The status before the trigger; null where it was not read. */
  readonly baseline: Status | null;
  /** Since when a reload counts: the trigger, or what stands for it where there is none. */
  readonly since: { readonly atMs: number; readonly wallMs: number };
  readonly deadlineMs: number;
  /** The process that is meant; missing where there is none to be seen. */
  readonly target?: Target | null;
  /** Nobody listened at the status URL at some moment since the change, in an attempt before this one. */
  readonly wasDown?: boolean;
  /** It started with this content: any good status proves it. */
  readonly hasStarted?: true;
  /** Sends the trigger once more; missing where nothing may be triggered. */
  readonly sendAgain?: () => TriggerResult | Promise<TriggerResult>;
  /** Why the trigger has no answer, where it was sent and not answered. */
  readonly unanswered?: string | null;
}

/** How far a verification has come; changed as it goes, and seen by nobody else. */
interface Progress {
  baseline: Status | null;
  triggeredAtMs: number;
  triggeredWallMs: number;
  /** When the trigger went out once more; null where it did not. */
  triggeredAgainAtMs: number | null;
  /** The app has started with this content, or again since the trigger. */
  restarted: boolean;
  lastAliveAtMs: number;
  /** The reading before this one was good. */
  settled: boolean;
  isRefused: boolean;
  /** Nobody listened there at some moment since the change. */
  wasDown: boolean;
  /** It has counted on from the baseline: with a start since the change it would not have. */
  hasCountedOn: boolean;
  status: Status | null;
  lastReason: string;
}

/** One verification, for the functions below. */
interface Run extends Verification {
  readonly deps: AttemptDeps;
  readonly input: AttemptInput;
  readonly progress: Progress;
}

/** Polls until the reload is proved, rejected, overtaken, or out of time. */
export async function verifyReload(
  deps: AttemptDeps,
  input: AttemptInput,
  of: Verification,
): Promise<Result> {
  const { clock, config } = deps;
  const { unanswered = null, target = null, since } = of;
  if (config.verify === "none") {
    if (unanswered !== null) return resultOf("failed", unanswered, "trigger-unanswered", { target });
    return resultOf("success", "", "", { proof: "delivered", target });
  }
  const progress: Progress = {
    baseline: of.baseline,
    triggeredAtMs: since.atMs,
    triggeredWallMs: since.wallMs,
    triggeredAgainAtMs: null,
    restarted: of.hasStarted === true,
    lastAliveAtMs: since.atMs,
    settled: false,
    isRefused: false,
    wasDown: of.wasDown === true,
    hasCountedOn: false,
    status: null,
    lastReason: "no answer yet",
  };
  const run: Run = { ...of, deps, input, progress };
  for (let delayMs = 0, reads = 1;; reads++) {
    const leftMs = of.deadlineMs - clock.nowMs();
    const isLast = delayMs >= leftMs;
    await pause(run, Math.min(delayMs, leftMs));
    const over = endedByProcess(run) ?? givenUp(run) ?? (isLast ? timeout(run) : null);
    if (over !== null) return over;
    const verdict = await readOnce(run);
    const ended = verdict === null ? null : await conclude(run, verdict);
    if (ended !== null) return ended;
    // After a second trigger the first reading comes at once again.
    if (verdict?.kind === "baseline") reads = 0;
    delayMs = verdict?.kind === "settling"
      ? confirmDelayMs(run)
      : nextPollDelayMs(reads, config.pollIntervalMs);
  }
}

/** The end to which a verdict leads; null where the proof is still pending. */
async function conclude(run: Run, verdict: Verdict): Promise<Result | null> {
  switch (verdict.kind) {
    case "success":
      // The answer may have been on its way while the process died.
      return endedByProcess(run) ?? end(run, "success", "", "", verdict.proof);
    case "rejected":
      return end(run, "rejected", verdict.reason, "rejected");
    case "baseline":
      return await adoptBaseline(run);
    default:
      return null;
  }
}

/** The second look at a good status comes in time, even if that is sooner. */
function confirmDelayMs({ deps: { clock, config }, deadlineMs }: Run): number {
  const leftMs = deadlineMs - clock.nowMs() - 1;
  return Math.max(0, Math.min(CONFIRM_PAUSE_MS, config.pollIntervalMs, leftMs));
}

function end(
  { baseline, target = null, unanswered = null, progress }: Run,
  outcome: Outcome,
  reason: string,
  code: ReloadCode | "",
  proof: Proof | null = null,
): Result {
  return resultOf(outcome, reason, code, {
    proof,
    target,
    lastTriggeredAtMs: progress.triggeredAgainAtMs,
    baseline,
    status: progress.status,
    wasDown: progress.wasDown,
    isOpen: outcome === "timeout" || unanswered !== null && outcome !== "success",
  });
}

function timeout(run: Run): Result {
  const waited = formatMs(run.deps.config.reloadTimeoutMs);
  const reason = `reload verification timeout after ${waited}: ${run.progress.lastReason}`;
  return end(run, "timeout", run.unanswered ? `${reason}; ${run.unanswered}` : reason, "timeout");
}

/** The shutdown time is over, or newer content is due. */
function givenUp(run: Run): Result | null {
  const { aborted, overtaken } = run.input;
  if (aborted.aborted) return end(run, "failed", "stopped before the reload was proved", "stopped");
  if (overtaken.aborted) return end(run, "failed", "newer content came", "overtaken");
  return null;
}

/** The process that was signalled, or found started; null where it went long ago, and another one is being verified. */
function watched({ target = null, hasStarted, progress }: Run): Target | null {
  return progress.restarted && !hasStarted ? null : target;
}

/**
 * The end to which the death of the process leads; null where it lives. One that goes long after its signal has restarted:
 * the verification goes on with the next one.
 */
function endedByProcess(run: Run): Result | null {
  const { deps: { clock, config }, input, progress, hasStarted } = run;
  const isStopping = input.stopping.aborted;
  const stopped = (what: string) => end(run, "failed", `${what} has ended during the shutdown`, "stopped");
  if (!run.target) return progress.isRefused && isStopping ? stopped("the app") : null;
  const target = watched(run);
  if (target === null) return null;
  const nowMs = clock.nowMs();
  if (run.deps.target.isAlive(target)) {
    progress.lastAliveAtMs = nowMs;
    return null;
  }
  if (isStopping) return stopped(`${target.name} (PID ${target.pid})`);
  if (!hasStarted && diedOfSignal(progress, nowMs)) {
    const reason = deathText(target, config.signal, nowMs - progress.triggeredAtMs);
    return { ...end(run, "failed", reason, "killed"), killed: true };
  }
  progress.restarted = true;
  return null;
}

/** One reading and its verdict; null where there was no usable answer. */
async function readOnce(run: Run): Promise<Verdict | null> {
  const { deps, input, progress } = run;
  const { config, clock, beat } = deps;
  beat(config.httpTimeoutMs);
  const reading = await deps.probe.read(AbortSignal.any([input.aborted, input.overtaken]));
  beat();
  if (reading.kind === "error") {
    progress.isRefused = reading.reason === REFUSED;
    progress.wasDown ||= progress.isRefused;
    progress.lastReason = `GET ${hideUrlSecrets(config.reloadUrl)}: ${reading.reason}`;
    return null;
  }
  const { status } = reading;
  const { baseline } = progress;
  const verdict = judge(status, {
    ...progress,
    restarted: progress.restarted || hasStartedSince(run, status),
    startWouldShow: progress.wasDown || progress.hasCountedOn,
    sinceTriggerMs: clock.nowMs() - progress.triggeredAtMs,
    untriggered: config.trigger === "none",
    provedToken: input.provedToken,
  });
  progress.status = status;
  progress.isRefused = false;
  progress.hasCountedOn ||= status.format === "amp" && baseline?.format === "amp" &&
    status.attempts >= baseline.attempts;
  progress.settled = verdict.kind === "settling";
  if (verdict.kind === "pending") progress.lastReason = verdict.reason;
  return verdict;
}

/**
 * Nobody triggers it and no process is looked at: one that was down since the change has started since. Where it counts, it
 * does so from 0; where it tells a time, that decides.
 */
function hasStartedSince({ deps: { config }, progress }: Run, status: Status): boolean {
  if (config.trigger !== "none" || !progress.wasDown) return false;
  return status.format === "json" || status.format === "amp" && status.attempts === 0;
}

/** The app answered for the first time: that is the baseline, and the trigger goes out once more. */
async function adoptBaseline(run: Run): Promise<Result | null> {
  const { deps: { clock }, input, progress, target = null, sendAgain } = run;
  progress.baseline = progress.status;
  if (progress.triggeredAgainAtMs !== null || sendAgain === undefined) return null;
  // A second trigger within the second that the app has just told could not be seen in a time of whole seconds.
  await pause(run, earliestTriggerWallMs(progress.status, clock.wallMs()) - clock.wallMs());
  const sent = await sendAgain();
  if (sent.kind === "not-sent") {
    progress.triggeredAgainAtMs = sent.atMs ?? null;
    return end(run, outcomeOfUnsent(sent.code), sent.message, sent.code);
  }
  const { atMs, wallMs } = sent;
  input.onSent({ kind: "sent", how: target === null ? "request" : "signal", target, atMs, isAgain: true });
  progress.triggeredAtMs = progress.triggeredAgainAtMs = progress.lastAliveAtMs = atMs;
  progress.triggeredWallMs = wallMs;
  return null;
}

/** An app that has looked at the content and said no has rejected it: that is no trigger that did not arrive. */
export function outcomeOfUnsent(code: ReloadCode): Outcome {
  return code === "trigger-refused" ? "rejected" : "failed";
}

/** Waits; while the sidecar is being stopped in short steps, since the app may end at any moment. */
async function pause(run: Run, ms: number): Promise<void> {
  const { deps: { clock, beat }, input } = run;
  const { stopping, aborted, overtaken } = input;
  const untilMs = clock.nowMs() + ms;
  beat(Math.max(0, ms));
  await clock.sleep(ms, AbortSignal.any([stopping, overtaken]));
  while (clock.nowMs() < untilMs && !aborted.aborted && !overtaken.aborted) {
    const process = watched(run);
    if (process !== null && !run.deps.target.isAlive(process)) return;
    await clock.sleep(
      Math.min(STOPPING_PAUSE_MS, untilMs - clock.nowMs()),
      AbortSignal.any([aborted, overtaken]),
    );
  }
}
