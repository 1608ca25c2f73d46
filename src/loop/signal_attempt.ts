/**
 * An attempt by signal: finds the one process that may be signalled, makes sure that it can see the content, sends, and
 * verifies. An app that started after the change has read it and is not signalled. Only `target/send.ts` signals.
 */

import type { ReloadCode, TargetCode } from "../codes.ts";
import type { AppMounts, Resolution, Result, Target, TriggerResult } from "../model.ts";
import { startedAfter, startedAtMs } from "../reload/process.ts";
import { statusIn } from "../reload/start.ts";
import { type AttemptDeps, type AttemptInput, failure, sentAt } from "./attempt_input.ts";
import { baselineOf } from "./baseline.ts";
import { verifyReload } from "./verification.ts";

/** Pause between two looks for a target that is still starting, in milliseconds. */
const STARTING_PAUSE_MS = 50;

/** Makes one attempt by signal. */
export async function attemptBySignal(deps: AttemptDeps, input: AttemptInput): Promise<Result> {
  const found = await findTarget(deps, input);
  if (found.kind === "none") return failure("failed", found.message, found.code);
  const { target } = found;
  const fail = (reason: string, code: ReloadCode) => failure("failed", reason, code, { target });
  if (found.hasReadIt) return await verifyStarted(deps, input, target);
  if (!input.reload.job.mayTrigger) {
    return fail(
      `a signal with this content ended the app before, so ${target.name} (PID ${target.pid}) is not signalled ` +
        "with it again; restart the app to make it read the content",
      "killed-before",
    );
  }
  const { mounts } = found;
  if (mounts.blind) return fail(mounts.stale.map((mount) => mount.message).join("; "), "stale-mount");

  const reading = deps.config.verify === "none" ? null : await baselineOf(deps, input.begun, input.aborted);
  if (input.aborted.aborted) return fail("stopped before the signal was sent", "stopped");
  const sent = deps.target.send(target);
  if (sent.kind === "not-sent") return fail(sent.message, sent.code);
  input.onSent({ kind: "sent", how: "signal", target, atMs: sent.atMs, isAgain: false });
  const sendAgain = (): Promise<TriggerResult> => Promise.resolve(deps.target.send(target));
  const result = await verifyReload(deps, {
    attempt: input,
    baseline: statusIn(reading),
    ...sentAt(deps, sent),
    restarted: false,
    target,
    triggerAgain: sendAgain,
    unanswered: null,
  });
  return { ...result, triggeredAtMs: sent.atMs, lastTriggeredAtMs: result.lastTriggeredAtMs ?? sent.atMs };
}

/** The app started with this content: nothing to trigger, its good status is the proof. */
async function verifyStarted(deps: AttemptDeps, input: AttemptInput, target: Target): Promise<Result> {
  const nowMs = deps.clock.nowMs();
  input.onSent({ kind: "sent", how: "started", target, atMs: nowMs, isAgain: false });
  return await verifyReload(deps, {
    attempt: input,
    baseline: null,
    triggeredAtMs: nowMs,
    triggeredWallMs: target.startedWallMs,
    deadlineMs: nowMs + deps.config.reloadTimeoutMs,
    restarted: true,
    target,
    triggerAgain: null,
    unanswered: null,
  });
}

/** The target that an attempt goes on with, or nobody. */
type Settled =
  | {
    readonly kind: "target";
    readonly target: Target;
    readonly mounts: AppMounts;
    /** It started after the content came. */
    readonly hasReadIt: boolean;
  }
  | { readonly kind: "none"; readonly code: TargetCode; readonly message: string };

/** What a look for the target settles; null where it is looked again. */
function settle(resolution: Resolution, deps: AttemptDeps, input: AttemptInput): Settled | null {
  if (resolution.kind === "none") return resolution.again ? null : resolution;
  const { clock } = deps;
  const { target } = resolution;
  const atMs = startedAtMs(target, { nowMs: clock.nowMs(), wallMs: clock.wallMs() });
  const hasReadIt = startedAfter(atMs, input.reload.job.changedAtMs);
  if (resolution.kind !== "target" && !hasReadIt) return null;
  return { kind: "target", target, mounts: deps.target.staleMounts(target), hasReadIt };
}

/** Looks until there is a target that has finished starting, nobody, or no time left. */
async function findTarget(deps: AttemptDeps, input: AttemptInput): Promise<Settled> {
  const { clock, config, heartbeat } = deps;
  const deadlineMs = clock.nowMs() + config.reloadTimeoutMs;
  for (;;) {
    heartbeat.beat();
    const resolution = deps.target.resolve(input.known);
    const settled = settle(resolution, deps, input);
    if (settled !== null) return settled;
    if (input.stopping.aborted || clock.nowMs() >= deadlineMs) {
      if (resolution.kind === "starting") {
        return { kind: "none", code: "starting", message: resolution.message };
      }
      if (resolution.kind === "none") return resolution;
    }
    await clock.sleep(STARTING_PAUSE_MS, input.stopping);
  }
}
