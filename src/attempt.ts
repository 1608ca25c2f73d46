/**
 * One attempt at a reload, from a snapshot to an outcome: prepare, find the target, make sure that the app can see
 * the content, trigger, verify. It has no memory: everything it needs comes in, everything it found goes out.
 * It never counts, logs an outcome or decides about a next try.
 */

import type { Config } from "./config.ts";
import type { AttemptResult, Outcome, Snapshot, StatusReading, Target, TriggerResult } from "./model.ts";
import type { Clock, HttpTrigger, Logger, Prepare, StatusProbe, TargetPort } from "./ports.ts";
import type { ReloadJob } from "./reload/state.ts";
import { startedAfter } from "./reload/start.ts";
import { type Proof, verifyReload } from "./verification.ts";
import { earliestTriggerWallMs } from "./verify/judge.ts";

/**
 * How long a trigger waits for the answer to the baseline request, in milliseconds. A healthy app on the same
 * machine answers within a few; an app that hangs must not put the signal off.
 */
export const BASELINE_WAIT_MS = 1_000;
/** Pause between two looks for a target that is still starting, in milliseconds. */
export const STARTING_PAUSE_MS = 50;

export interface AttemptDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly prepare: Prepare;
  readonly target: TargetPort;
  readonly httpTrigger: HttpTrigger;
  readonly probe: StatusProbe;
  /** Called whenever the attempt makes progress, so that liveness is seen during long ones. */
  readonly turned: () => void;
}

/** What one attempt is about. */
export interface AttemptInput {
  readonly job: ReloadJob;
  readonly snapshot: Snapshot;
  /** The baseline, requested when the change was noticed; null where it has not been. */
  readonly baseline: Promise<StatusReading> | null;
  /** For `--trigger none`: the last status seen before this change, since the app may have reloaded already. */
  readonly lastReading: StatusReading | null;
  /** SIGTERM has come: finish soon, and at once when the app is gone. */
  readonly stopping: AbortSignal;
  /** The shutdown time is over: end now. */
  readonly aborted: AbortSignal;
}

/** The result, and whom it was about. */
export interface AttemptReport {
  readonly result: AttemptResult;
  readonly target: Target | null;
}

/** Makes one attempt. Never throws for what the app, the disk or the process table do. */
export async function attemptReload(deps: AttemptDeps, input: AttemptInput): Promise<AttemptReport> {
  const prepared = await deps.prepare(input.snapshot, input.aborted);
  deps.turned();
  if (prepared.kind !== "ok") {
    return { result: failure(prepared.kind, prepared.reason, prepared.kind), target: null };
  }
  switch (deps.config.trigger) {
    case "none":
      return await withoutTrigger(deps, input);
    case "http":
      return await withHttp(deps, input);
    case "signal":
      return await withSignal(deps, input);
  }
}

/** An unsuccessful result in which nothing was triggered. */
export function failure(outcome: Outcome, reason: string, code: string): AttemptResult {
  return {
    outcome,
    reason,
    code,
    triggeredAtMs: null,
    killed: false,
    appIsBlind: code === "stale-mount",
    restartRequired: [],
  };
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
    stopping: input.stopping,
    aborted: input.aborted,
  });
  return { result: resultOf(proof, null), target: null };
}

async function withHttp(deps: AttemptDeps, input: AttemptInput): Promise<AttemptReport> {
  const baseline = await baselineOf(deps, input);
  const send = () => deps.httpTrigger(input.aborted);
  const sent = await send();
  deps.turned();
  if (sent.kind === "not-sent") {
    // The app has looked at the content and said no: that is a rejection, not a trigger that did not arrive.
    const outcome = sent.code === "trigger-refused" ? "rejected" : "failed";
    return { result: failure(outcome, sent.message, sent.code), target: null };
  }
  const proof = await verifyReload(deps, {
    ...triggerTimes(deps, sent),
    baseline,
    restarted: false,
    target: null,
    triggerAgain: send,
    stopping: input.stopping,
    aborted: input.aborted,
  });
  return { result: resultOf(proof, sent.atMs), target: null };
}

async function withSignal(deps: AttemptDeps, input: AttemptInput): Promise<AttemptReport> {
  const found = await findTarget(deps, input);
  if (found.kind === "none") return { result: failure("failed", found.message, found.code), target: null };
  const { target } = found;
  const fail = (reason: string, code: string) => ({ result: failure("failed", reason, code), target });

  const startedAtMs = deps.clock.nowMs() - (deps.clock.wallMs() - target.startedWallMs);
  if (startedAfter(startedAtMs, input.job.changedAtMs)) return await verifyStarted(deps, input, target);
  if (!input.job.mayTrigger) {
    return fail(
      `a signal with this content ended the app before, so ${target.name} (PID ${target.pid}) is not signalled ` +
        "with it again; restart the app to make it read the content",
      "killed-before",
    );
  }
  const mounts = deps.target.staleMounts(target);
  if (mounts.blind) return fail(mounts.stale.map((mount) => mount.message).join("; "), "stale-mount");

  const baseline = await baselineOf(deps, input);
  if (input.aborted.aborted) return fail("stopped before the signal was sent", "stopped");
  const send = () => Promise.resolve(deps.target.send(target));
  const sent = deps.target.send(target);
  if (sent.kind === "not-sent") return fail(sent.message, sent.code);
  deps.logger.info(`Sending ${deps.config.signal} to main process (PID ${target.pid})`, {
    signal: deps.config.signal,
    pid: target.pid,
    process: target.name,
  });
  const proof = await verifyReload(deps, {
    ...triggerTimes(deps, sent),
    baseline,
    restarted: false,
    target,
    triggerAgain: send,
    stopping: input.stopping,
    aborted: input.aborted,
  });
  return { result: resultOf(proof, sent.atMs), target };
}

/** The app started with this content: nothing to trigger, its good status is the proof. */
async function verifyStarted(
  deps: AttemptDeps,
  input: AttemptInput,
  target: Target,
): Promise<AttemptReport> {
  deps.logger.info(
    `${target.name} (PID ${target.pid}) started after the change and has read it; verifying without a signal`,
    { pid: target.pid, process: target.name },
  );
  const nowMs = deps.clock.nowMs();
  const proof = await verifyReload(deps, {
    baseline: null,
    triggeredAtMs: nowMs,
    triggeredWallMs: target.startedWallMs,
    deadlineMs: nowMs + deps.config.reloadTimeoutMs,
    restarted: true,
    target,
    triggerAgain: null,
    stopping: input.stopping,
    aborted: input.aborted,
  });
  return { result: resultOf(proof, null), target };
}

/** Looks until there is a target that has finished starting, nobody, or no time left. */
async function findTarget(deps: AttemptDeps, input: AttemptInput) {
  const deadlineMs = deps.clock.nowMs() + deps.config.reloadTimeoutMs;
  for (;;) {
    const found = deps.target.resolve();
    deps.turned();
    if (found.kind === "target" || found.kind === "none" && !found.again) return found;
    if (found.kind === "starting") {
      const { target } = found;
      const startedAtMs = deps.clock.nowMs() - (deps.clock.wallMs() - target.startedWallMs);
      if (startedAfter(startedAtMs, input.job.changedAtMs)) return { kind: "target", target } as const;
    }
    if (input.stopping.aborted || deps.clock.nowMs() >= deadlineMs) {
      const { message } = found;
      return { kind: "none", code: found.kind === "none" ? found.code : "starting", message } as const;
    }
    await deps.clock.sleep(STARTING_PAUSE_MS, input.stopping);
  }
}

/** The status before the trigger, where it comes in time. */
async function baselineOf(deps: AttemptDeps, input: AttemptInput): Promise<StatusReading | null> {
  if (deps.config.verify === "none") return null;
  const reading = input.baseline ?? deps.probe.read(input.aborted);
  const giveUp = new AbortController();
  const late = deps.clock.sleep(BASELINE_WAIT_MS, giveUp.signal).then(() => null);
  const first = await Promise.race([reading, late]);
  giveUp.abort();
  const waitMs = earliestTriggerWallMs(first?.kind === "status" ? first.status : null, deps.clock.wallMs()) -
    deps.clock.wallMs();
  if (waitMs > 0) await deps.clock.sleep(waitMs, input.stopping);
  return first;
}

function triggerTimes(deps: AttemptDeps, sent: TriggerResult & { kind: "sent" }) {
  return {
    triggeredAtMs: sent.atMs,
    triggeredWallMs: sent.wallMs,
    deadlineMs: sent.atMs + deps.config.reloadTimeoutMs,
  };
}

function resultOf(proof: Proof, triggeredAtMs: number | null): AttemptResult {
  return {
    outcome: proof.outcome,
    reason: proof.reason,
    code: proof.code,
    triggeredAtMs,
    killed: proof.killed,
    appIsBlind: false,
    restartRequired: proof.restartRequired,
  };
}
