/**
 * The proof of a reload: polls the status URL after the trigger until the judge is certain or the time is over, and
 * watches whether the signalled process survives. The verdict itself is pure and lives in `verify/judge.ts`; nothing
 * here sends a signal, except the one repeated trigger where there was no baseline.
 */

import type { Config } from "../config.ts";
import type { Outcome, Status, StatusReading, Target, TriggerResult, Verdict } from "../model.ts";
import { hideUrlSecrets } from "../http/hide_url.ts";
import type { Clock, Logger, StatusProbe, TargetPort } from "../ports.ts";
import { formatMs } from "../text.ts";
import { DEATH_WINDOW_MS, deathText } from "./survival.ts";
import type { TokenHints } from "./token_memory.ts";
import { statusOf } from "../verify/answer.ts";
import { earliestTriggerWallMs, judge } from "../verify/judge.ts";
import { CONFIRM_PAUSE_MS, nextPollDelayMs } from "../verify/probe.ts";

/** Pause between two looks at whether the app still lives while the sidecar is being stopped, in milliseconds. */
const STOPPING_PAUSE_MS = 50;
/** What the status URL says where nobody listens any more. */
const REFUSED = "connection refused";

/** The effects of a verification. */
export interface VerificationDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly probe: StatusProbe;
  readonly target: TargetPort;
  readonly turned: (mayTakeMs?: number) => void;
}

/** What a verification needs of the attempt that it ends. */
export interface VerificationContext {
  /** For `--verify json`: what earlier attempts have shown. */
  readonly tokens: TokenHints;
  /** SIGTERM has come: finish soon, and at once when the app is gone. */
  readonly stopping: AbortSignal;
  /** The shutdown time is over: end now. */
  readonly aborted: AbortSignal;
}

/** What one verification is about. */
export interface VerificationInput {
  readonly attempt: VerificationContext;
  /** The status before the trigger, or why there is none; null where it was not asked for or came too late. */
  readonly baseline: StatusReading | null;
  readonly triggeredAtMs: number;
  readonly triggeredWallMs: number;
  readonly deadlineMs: number;
  /** The app started with this content: any good status proves it. */
  readonly restarted: boolean;
  /** The signalled process; null where none was signalled. */
  readonly target: Target | null;
  /** Sends the trigger once more; null where nothing may be triggered. */
  readonly triggerAgain: (() => Promise<TriggerResult>) | null;
}

/** How verification ended. */
export interface Proof {
  readonly outcome: Outcome;
  readonly reason: string;
  readonly code: string;
  readonly killed: boolean;
  /** When the trigger went out once more for want of a baseline, monotonic; null where it did not. */
  readonly triggeredAgainAtMs: number | null;
  readonly restartRequired: readonly string[];
  /** The last status read, for the next baseline of an app that is not triggered. */
  readonly status: Status | null;
}

/** Polls until the reload is proved, rejected, or out of time. */
export async function verifyReload(deps: VerificationDeps, input: VerificationInput): Promise<Proof> {
  if (deps.config.verify === "none") return end("success", "", "", null);
  const verification = createVerification(deps, input);
  return { ...await verification.run(), triggeredAgainAtMs: verification.triggeredAgainAtMs() };
}

/**
 * An app that has looked at the content and said no has rejected it: that is no trigger that did not arrive.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(outcomeOfUnsent("trigger-refused"), "rejected");
 * assert.equal(outcomeOfUnsent("permission"), "failed");
 * ```
 */
export function outcomeOfUnsent(code: string): Outcome {
  return code === "trigger-refused" ? "rejected" : "failed";
}

function end(outcome: Outcome, reason: string, code: string, status: Status | null): Proof {
  const restartRequired = status?.format === "amp" ? status.restartRequired : [];
  return { outcome, reason, code, killed: false, triggeredAgainAtMs: null, restartRequired, status };
}

function createVerification(deps: VerificationDeps, input: VerificationInput) {
  const { clock, config } = deps;
  const { tokens, stopping, aborted } = input.attempt;
  let baseline = tokens.baseline ?? statusOf(input.baseline);
  let { triggeredAtMs, triggeredWallMs, deadlineMs } = input;
  let restarted = input.restarted;
  let settled = false;
  let triggeredAgain = false;
  let triggeredAgainAtMs: number | null = null;
  let lastAliveAtMs = triggeredAtMs;
  let lastReason = "no answer yet";
  let isRefused = false;
  let startWouldShow = false;
  let status: Status | null = null;

  /** The signalled process went long after the signal: another one is being verified. */
  const hasLeft = () => restarted && !input.restarted;

  /** Ends the proof where the signalled process has gone; null while it lives or has been replaced long after. */
  function checkProcess(): Proof | null {
    const { target } = input;
    if (target === null && isRefused && stopping.aborted) {
      return end("failed", "the app has ended during the shutdown", "stopped", status);
    }
    if (target === null || hasLeft()) return null;
    if (deps.target.isAlive(target)) {
      lastAliveAtMs = clock.nowMs();
      return null;
    }
    const name = `${target.name} (PID ${target.pid})`;
    if (stopping.aborted) {
      return end("failed", `${name} has ended during the shutdown`, "stopped", status);
    }
    if (!input.restarted && lastAliveAtMs - triggeredAtMs < DEATH_WINDOW_MS) {
      const reason = deathText(target, config.signal, clock.nowMs() - triggeredAtMs);
      return { ...end("failed", reason, "killed", status), killed: true };
    }
    restarted = true;
    return null;
  }

  /** One read and its verdict; null while the proof is pending. */
  async function readOnce(): Promise<Verdict | null> {
    deps.turned(config.httpTimeoutMs);
    const reading = await deps.probe.read(aborted);
    deps.turned();
    isRefused = reading.kind === "error" && reading.reason === REFUSED;
    startWouldShow ||= isRefused;
    if (reading.kind === "error") {
      lastReason = `GET ${hideUrlSecrets(config.reloadUrl)}: ${reading.reason}`;
      return null;
    }
    status = reading.status;
    const verdict = judge(status, {
      baseline,
      triggeredWallMs,
      sinceTriggerMs: clock.nowMs() - triggeredAtMs,
      restarted,
      untriggered: config.trigger === "none",
      startWouldShow,
      settled,
      provedToken: tokens.provedToken,
    });
    settled = verdict.kind === "settling";
    startWouldShow ||= status.format === "amp" && baseline?.format === "amp" &&
      status.attempts >= baseline.attempts;
    if (verdict.kind === "pending") lastReason = verdict.reason;
    return verdict;
  }

  /** The app answered for the first time: that is the baseline, and the trigger goes out once more. */
  async function adoptBaseline(): Promise<Proof | null> {
    baseline = status;
    if (triggeredAgain || input.triggerAgain === null) return null;
    triggeredAgain = true;
    // A second trigger within the second that the app has just told could not be seen in a time of whole seconds.
    await pause(earliestTriggerWallMs(status, clock.wallMs()) - clock.wallMs());
    const sent = await input.triggerAgain();
    if (sent.kind === "not-sent") {
      triggeredAgainAtMs = sent.atMs ?? null;
      return end(outcomeOfUnsent(sent.code), sent.message, sent.code, status);
    }
    deps.logger.debug("There was no status before the trigger: triggered once more to prove the reload");
    triggeredAtMs = triggeredAgainAtMs = lastAliveAtMs = sent.atMs;
    triggeredWallMs = sent.wallMs;
    return null;
  }

  async function run(): Promise<Proof> {
    let delayMs = 0;
    for (let reads = 0; clock.nowMs() + delayMs < deadlineMs; reads++) {
      await pause(delayMs);
      if (aborted.aborted) {
        return end("failed", "stopped before the reload was proved", "stopped", status);
      }
      const gone = checkProcess();
      if (gone) return gone;
      const verdict = await readOnce();
      if (verdict?.kind === "success") {
        // An answer may have been on its way while the process died.
        return checkProcess() ?? end("success", "", "", status);
      }
      if (verdict?.kind === "rejected") return end("rejected", verdict.reason, "rejected", status);
      if (verdict?.kind === "baseline") {
        const failed = await adoptBaseline();
        if (failed) return failed;
        reads = -1;
      }
      // The second look at a good status comes in time, even if that is sooner.
      delayMs = verdict?.kind === "settling"
        ? Math.max(0, Math.min(CONFIRM_PAUSE_MS, config.pollIntervalMs, deadlineMs - clock.nowMs() - 1))
        : nextPollDelayMs(reads + 1, config.pollIntervalMs);
    }
    await pause(deadlineMs - clock.nowMs());
    return checkProcess() ??
      end(
        "timeout",
        `reload verification timeout after ${formatMs(config.reloadTimeoutMs)}: ${lastReason}`,
        "timeout",
        status,
      );
  }

  /** Waits; while the sidecar is being stopped in short steps, since the app may end at any moment. */
  async function pause(ms: number): Promise<void> {
    const untilMs = clock.nowMs() + ms;
    deps.turned(ms);
    await clock.sleep(ms, stopping);
    while (clock.nowMs() < untilMs && !aborted.aborted) {
      if (input.target !== null && !hasLeft() && !deps.target.isAlive(input.target)) return;
      await clock.sleep(Math.min(STOPPING_PAUSE_MS, untilMs - clock.nowMs()), aborted);
    }
  }

  return { run, triggeredAgainAtMs: () => triggeredAgainAtMs };
}
