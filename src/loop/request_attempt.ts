/**
 * An attempt by HTTP request, or one where nothing is sent since the app watches by itself. A request that was sent and not
 * answered may have been delivered: it is verified like one that was, and a retry asks the status first.
 */

import type { Result, TriggerResult } from "../model.ts";
import { statusIn } from "../reload/start.ts";
import { type AttemptDeps, type AttemptInput, failure, outcomeOfUnsent, sentAt } from "./attempt_input.ts";
import { baselineOf } from "./baseline.ts";
import { verifyReload } from "./verification.ts";

/** `--trigger none`: nothing is sent, the app's own reload is waited for. */
export async function attemptUntriggered(deps: AttemptDeps, input: AttemptInput): Promise<Result> {
  const { clock, config } = deps;
  const { changedAtMs } = input.reload.job;
  const reading = config.verify === "none"
    ? null
    : input.lastReading ?? await baselineOf(deps, input.begun, input.aborted);
  const nowMs = clock.nowMs();
  input.onSent({ kind: "sent", how: "nothing", target: null, atMs: nowMs, isAgain: false });
  return await verifyReload(deps, {
    attempt: input,
    baseline: statusIn(reading),
    triggeredAtMs: changedAtMs,
    triggeredWallMs: clock.wallMs() - (nowMs - changedAtMs),
    deadlineMs: nowMs + config.reloadTimeoutMs,
    restarted: false,
    target: null,
    triggerAgain: null,
    unanswered: null,
  });
}

/** Makes one attempt by a request to each trigger URL. */
export async function attemptByRequest(deps: AttemptDeps, input: AttemptInput): Promise<Result> {
  const { config, clock, heartbeat } = deps;
  const delivered = await verifyDelivered(deps, input);
  if (delivered !== null) return delivered;
  const reading = config.verify === "none" ? null : await baselineOf(deps, input.begun, input.aborted);
  const baseline = statusIn(reading);
  const send = async (): Promise<TriggerResult> => {
    heartbeat.beat(config.httpTimeoutMs * config.triggerUrls.length);
    const sent = await deps.httpTrigger(input.aborted);
    heartbeat.beat();
    return sent;
  };
  const sent = await send();
  if (sent.kind === "not-sent") {
    const atMs = sent.atMs ?? null;
    return failure(outcomeOfUnsent(sent.code), sent.message, sent.code, {
      triggeredAtMs: atMs,
      lastTriggeredAtMs: atMs,
      baseline,
    });
  }
  const unanswered = sent.unanswered !== undefined && config.verify !== "none"
    ? { unanswered: sent.unanswered }
    : {};
  input.onSent({
    kind: "sent",
    how: "request",
    target: null,
    atMs: sent.atMs,
    isAgain: false,
    ...unanswered,
  });
  const result = await verifyReload(deps, {
    attempt: input,
    baseline,
    ...sentAt(deps, sent),
    // The app was at it while nobody answered: its time counts from now.
    deadlineMs: (sent.unanswered === undefined ? sent.atMs : clock.nowMs()) + config.reloadTimeoutMs,
    restarted: false,
    target: null,
    triggerAgain: send,
    unanswered: sent.unanswered ?? null,
  });
  return { ...result, triggeredAtMs: sent.atMs, lastTriggeredAtMs: result.lastTriggeredAtMs ?? sent.atMs };
}

/** A request that was not answered may have been delivered: before the next one the status says whether it was. */
async function verifyDelivered(deps: AttemptDeps, input: AttemptInput): Promise<Result | null> {
  const { clock, config } = deps;
  const { unanswered } = input;
  if (unanswered === null || config.verify === "none") return null;
  const nowMs = clock.nowMs();
  const result = await verifyReload(deps, {
    attempt: input,
    baseline: unanswered.baseline,
    triggeredAtMs: unanswered.triggeredAtMs,
    triggeredWallMs: clock.wallMs() - (nowMs - unanswered.triggeredAtMs),
    // One reading, and the one that confirms it.
    deadlineMs: nowMs + 2 * config.pollIntervalMs,
    restarted: false,
    target: null,
    triggerAgain: null,
    unanswered: null,
  });
  return result.outcome === "timeout" || result.code === "overtaken" ? null : result;
}
