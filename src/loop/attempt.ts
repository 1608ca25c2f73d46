/**
 * One attempt at a reload, from a snapshot to an outcome: prepare, find the target, make sure that the app can see
 * the content, trigger, verify. It has no memory: everything it needs comes in, everything it found goes out.
 * It never counts, logs an outcome or decides about a next try.
 */

import {
  type AttemptDeps,
  type AttemptInput,
  type AttemptReport,
  baselineOf,
  failure,
  prepareContent,
  report,
  triggerTimes,
  unsent,
} from "./attempt_steps.ts";
import { needsPreparing } from "../config.ts";
import { attemptBySignal } from "./signal_attempt.ts";
import { outcomeOfUnsent, verifyReload } from "./verification.ts";

/** Makes one attempt. Never throws for what the app, the disk or the process table do. */
export async function attemptReload(deps: AttemptDeps, input: AttemptInput): Promise<AttemptReport> {
  // What takes time is announced first; else the line comes after the signal.
  if (deps.config.trigger !== "signal" || needsPreparing(deps.config)) deps.announce();
  const prepared = await prepareContent(deps, input.snapshot, input.aborted);
  if (prepared.kind !== "ok") {
    return unsent(failure(prepared.kind, prepared.reason, prepared.kind));
  }
  const ready = afterOutput(input, deps.outputAtMs(prepared));
  switch (deps.config.trigger) {
    case "none":
      return await withoutTrigger(deps, ready);
    case "http":
      return await withHttp(deps, ready);
    case "signal":
      return await attemptBySignal(deps, ready);
  }
}

/** An app that started before the output came has not read it, whenever the content behind it changed. */
function afterOutput(input: AttemptInput, outputAtMs: number | null): AttemptInput {
  if (outputAtMs === null) return input;
  const changedAtMs = Math.max(input.job.changedAtMs, outputAtMs);
  return { ...input, job: { ...input.job, changedAtMs } };
}

async function withoutTrigger(deps: AttemptDeps, input: AttemptInput): Promise<AttemptReport> {
  const baseline = input.lastReading ?? await baselineOf(deps, input);
  const sinceMs = deps.clock.nowMs() - input.job.changedAtMs;
  const proof = await verifyReload(deps, {
    baseline,
    triggeredAtMs: input.job.changedAtMs,
    triggeredWallMs: deps.clock.wallMs() - sinceMs,
    deadlineMs: deps.clock.nowMs() + deps.config.reloadTimeoutMs,
    restarted: false,
    target: null,
    triggerAgain: null,
    attempt: input,
  });
  return report(proof, null, null, baseline);
}

async function withHttp(deps: AttemptDeps, input: AttemptInput): Promise<AttemptReport> {
  const baseline = await baselineOf(deps, input);
  const send = async () => {
    deps.turned(deps.config.httpTimeoutMs * deps.config.triggerUrls.length);
    const sent = await deps.httpTrigger(input.aborted);
    deps.turned();
    return sent;
  };
  const sent = await send();
  if (sent.kind === "not-sent") {
    const triggeredAtMs = sent.atMs ?? null;
    return unsent({
      ...failure(outcomeOfUnsent(sent.code), sent.message, sent.code),
      triggeredAtMs,
      lastTriggeredAtMs: triggeredAtMs,
    });
  }
  if (sent.unanswered !== undefined) {
    // Without verification nothing would ever say whether it arrived.
    if (deps.config.verify === "none") {
      return unsent({
        ...failure("failed", sent.unanswered, "trigger-unanswered"),
        triggeredAtMs: sent.atMs,
        lastTriggeredAtMs: sent.atMs,
      });
    }
    deps.logger.warn(`${sent.unanswered}; the app may have got it all the same: its status is asked`);
  }
  const proof = await verifyReload(deps, {
    ...triggerTimes(deps, sent),
    baseline,
    restarted: false,
    target: null,
    triggerAgain: send,
    attempt: input,
  });
  return report(proof, sent.atMs, null, baseline);
}
