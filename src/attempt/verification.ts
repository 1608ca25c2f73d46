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
import { judge } from "../verify/judge.ts";
import { CONFIRM_PAUSE_MS, nextPollDelayMs } from "../verify/probe.ts";
import { earliestTriggerWallMs } from "../verify/prometheus.ts";
import { type Attempt, resultOf } from "./input.ts";

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
  readonly process?: Target | null;
  /** Nobody listened at the status URL at some moment since the change, in an attempt before this one. */
  readonly wasDown?: boolean;
  /** It started with this content: any good status proves it. */
  readonly hasStarted?: true;
  /** Sends the trigger once more; missing where nothing may be triggered. */
  readonly sendAgain?: () => TriggerResult | Promise<TriggerResult>;
  /** Why the trigger has no answer, where it was sent and not answered. */
  readonly unanswered?: string | null;
}

/** One verification on its way; what is not `readonly` changes as it goes, and is seen by nobody else. */
interface Run extends Attempt, Verification {
  readonly process: Target | null;
  /** Who is watched: signalled, or found started; null where it went long ago, and another one is being verified. */
  watched: Target | null;
  /** The last trigger. */
  since: Verification["since"];
  /** The first answer, where there was no baseline before the trigger. */
  adopted: Status | null;
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

/** Polls until the reload is proved, rejected, overtaken, or out of time. */
export async function verifyReload(attempt: Attempt, of: Verification): Promise<Result> {
  const { clock, config } = attempt;
  const { unanswered = null, process = null } = of;
  if (config.verify === "none") {
    if (unanswered !== null) return resultOf("failed", unanswered, "trigger-unanswered", { target: process });
    return resultOf("success", "", "", { proof: "delivered", target: process });
  }
  const run: Run = {
    ...attempt,
    ...of,
    process,
    watched: process,
    adopted: null,
    triggeredAgainAtMs: null,
    restarted: of.hasStarted === true,
    lastAliveAtMs: of.since.atMs,
    settled: false,
    isRefused: false,
    wasDown: of.wasDown === true,
    hasCountedOn: false,
    status: null,
    lastReason: "no answer yet",
  };
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
function confirmDelayMs({ clock, config, deadlineMs }: Run): number {
  const leftMs = deadlineMs - clock.nowMs() - 1;
  return Math.max(0, Math.min(CONFIRM_PAUSE_MS, config.pollIntervalMs, leftMs));
}

function end(
  { baseline, process, unanswered = null, triggeredAgainAtMs, status, wasDown }: Run,
  outcome: Outcome,
  reason: string,
  code: ReloadCode | "",
  proof: Proof | null = null,
): Result {
  return resultOf(outcome, reason, code, {
    proof,
    target: process,
    lastTriggeredAtMs: triggeredAgainAtMs,
    baseline,
    status,
    wasDown,
    isOpen: outcome === "timeout" || unanswered !== null && outcome !== "success",
  });
}

function timeout(run: Run): Result {
  const reason = `reload verification timeout after ${
    formatMs(run.config.reloadTimeoutMs)
  }: ${run.lastReason}`;
  return end(run, "timeout", run.unanswered ? `${reason}; ${run.unanswered}` : reason, "timeout");
}

/** The shutdown time is over, or newer content is due. */
function givenUp(run: Run): Result | null {
  if (run.aborted.aborted) return end(run, "failed", "stopped before the reload was proved", "stopped");
  if (run.overtaken.aborted) return end(run, "failed", "newer content came", "overtaken");
  return null;
}

/**
 * The end to which the death of the process leads; null where it lives. One that goes long after its signal has restarted:
 * the verification goes on with the next one.
 */
function endedByProcess(run: Run): Result | null {
  const isStopping = run.stopping.aborted;
  const stopped = (what: string) => end(run, "failed", `${what} has ended during the shutdown`, "stopped");
  if (!run.process) return run.isRefused && isStopping ? stopped("the app") : null;
  const process = run.watched;
  if (process === null) return null;
  const nowMs = run.clock.nowMs();
  if (run.target.isAlive(process)) {
    run.lastAliveAtMs = nowMs;
    return null;
  }
  if (isStopping) return stopped(`${process.name} (PID ${process.pid})`);
  const { hasStarted, lastAliveAtMs, since: { atMs: triggeredAtMs } } = run;
  if (!hasStarted && diedOfSignal({ triggeredAtMs, lastAliveAtMs }, nowMs)) {
    const reason = deathText(process, run.config.signal, nowMs - triggeredAtMs);
    return end(run, "failed", reason, "killed");
  }
  run.restarted = true;
  if (!hasStarted) run.watched = null;
  return null;
}

/** One reading and its verdict; null where there was no usable answer. */
async function readOnce(run: Run): Promise<Verdict | null> {
  const { config, clock, beat } = run;
  beat(config.httpTimeoutMs);
  const reading = await run.probe.read(AbortSignal.any([run.aborted, run.overtaken]));
  beat();
  if (reading.kind === "error") {
    run.isRefused = reading.reason === REFUSED;
    run.wasDown ||= run.isRefused;
    run.lastReason = `GET ${hideUrlSecrets(config.reloadUrl)}: ${reading.reason}`;
    return null;
  }
  const { status } = reading;
  const baseline = run.adopted ?? run.baseline;
  const verdict = judge(status, {
    baseline,
    triggeredWallMs: run.since.wallMs,
    sinceTriggerMs: clock.nowMs() - run.since.atMs,
    restarted: run.restarted || hasStartedSince(run, status),
    startWouldShow: run.wasDown || run.hasCountedOn,
    settled: run.settled,
    untriggered: config.trigger === "none",
    provedToken: run.provedToken,
  });
  run.status = status;
  run.isRefused = false;
  run.hasCountedOn ||= status.format === "amp" && baseline?.format === "amp" &&
    status.attempts >= baseline.attempts;
  run.settled = verdict.kind === "settling";
  if (verdict.kind === "pending") run.lastReason = verdict.reason;
  return verdict;
}

/**
 * Nobody triggers it and no process is looked at: one that was down since the change has started since. Where it counts, it
 * does so from 0; where it tells a time, that decides.
 */
function hasStartedSince({ config, wasDown }: Run, status: Status): boolean {
  if (config.trigger !== "none" || !wasDown) return false;
  return status.format === "json" || status.format === "amp" && status.attempts === 0;
}

/** The app answered for the first time: that is the baseline, and the trigger goes out once more. */
async function adoptBaseline(run: Run): Promise<Result | null> {
  const { clock, process, sendAgain } = run;
  run.adopted = run.status;
  if (run.triggeredAgainAtMs !== null || sendAgain === undefined) return null;
  // A second trigger within the second that the app has just told could not be seen in a time of whole seconds.
  await pause(run, earliestTriggerWallMs(run.status, clock.wallMs()) - clock.wallMs());
  const sent = await sendAgain();
  if (sent.kind === "not-sent") {
    run.triggeredAgainAtMs = sent.atMs ?? null;
    return end(run, outcomeOfUnsent(sent.code), sent.message, sent.code);
  }
  const { atMs } = sent;
  run.onSent({ kind: "sent", how: "again", target: process, atMs });
  run.since = sent;
  run.triggeredAgainAtMs = run.lastAliveAtMs = atMs;
  return null;
}

/** An app that has looked at the content and said no has rejected it: that is no trigger that did not arrive. */
export function outcomeOfUnsent(code: ReloadCode): Outcome {
  return code === "trigger-refused" ? "rejected" : "failed";
}

/** Waits; while the sidecar is being stopped in short steps, since the app may end at any moment. */
async function pause(run: Run, ms: number): Promise<void> {
  const { clock, stopping, aborted, overtaken } = run;
  const untilMs = clock.nowMs() + ms;
  run.beat(Math.max(0, ms));
  await clock.sleep(ms, AbortSignal.any([stopping, overtaken]));
  while (clock.nowMs() < untilMs && !aborted.aborted && !overtaken.aborted) {
    if (run.watched !== null && !run.target.isAlive(run.watched)) return;
    const stepMs = Math.min(STOPPING_PAUSE_MS, untilMs - clock.nowMs());
    await clock.sleep(stepMs, AbortSignal.any([aborted, overtaken]));
  }
}
