/**
 * One attempt at a reload, from a snapshot to a result: prepare, find the target, make sure that the app can see
 * the content, trigger, verify. It has no memory: everything it needs comes in, everything it found goes out in one
 * `Result`. It never counts, logs an outcome or decides about a next try.
 */

import { needsPreparing } from "../config.ts";
import type { OutputTime, Result } from "../model.ts";
import { outputTimeOf } from "../reload/start.ts";
import { type AttemptDeps, type AttemptInput, failure } from "./attempt_input.ts";
import { attemptByRequest, attemptUntriggered } from "./request_attempt.ts";
import { attemptBySignal } from "./signal_attempt.ts";

/** Makes one attempt. Never throws for what the app, the disk or the process table do. */
export async function attemptReload(deps: AttemptDeps, input: AttemptInput): Promise<Result> {
  const { config, clock, heartbeat } = deps;
  // Without an await: what is left before the signal is then done before anything is logged.
  if (!needsPreparing(config)) return await trigger(deps, input);
  heartbeat.beat(config.checkCommand === null ? 0 : config.httpTimeoutMs);
  const prepared = await deps.prepare(input.reload.snapshot, input.aborted);
  heartbeat.beat();
  if (prepared.kind !== "ok") {
    const isTransient = prepared.kind === "invalid" && prepared.retry === true;
    return failure(prepared.kind, prepared.reason, isTransient ? "check-command" : prepared.kind);
  }
  const output = outputTimeOf(input.output, prepared, { nowMs: clock.nowMs(), wallMs: clock.wallMs() });
  return { ...await trigger(deps, afterOutput(input, output)), output };
}

/** An app that started before the output came has not read it, whenever the content behind it changed. */
function afterOutput(input: AttemptInput, output: OutputTime | null): AttemptInput {
  if (output === null) return input;
  const { job, snapshot } = input.reload;
  const changedAtMs = Math.max(job.changedAtMs, output.atMs);
  return { ...input, reload: { snapshot, job: { ...job, changedAtMs } } };
}

function trigger(deps: AttemptDeps, input: AttemptInput): Promise<Result> {
  switch (deps.config.trigger) {
    case "none":
      return attemptUntriggered(deps, input);
    case "http":
      return attemptByRequest(deps, input);
    case "signal":
      return attemptBySignal(deps, input);
  }
}
