/**
 * An attempt by signal: finds the one process that may be signalled, makes sure that it can see the content, sends, and
 * verifies. An app that started after the change has read it and is not signalled. Only `target/send.ts` signals.
 */

import type { ReloadCode, TargetCode } from "../codes.ts";
import type { AppMounts, Result, Target, TriggerResult } from "../model.ts";
import { startedAfter, startedAtMs } from "../reload/process.ts";
import { statusIn } from "../reload/start.ts";
import { type AttemptDeps, type AttemptInput, failure, sentAt } from "./attempt_input.ts";
import { baselineOf } from "./baseline.ts";
import { FOUND_FRESH_MS, type FoundTarget, lookForTarget } from "./prefetch.ts";
import { verifyReload } from "./verification.ts";

/** Pause between two looks for a target that is still starting, in milliseconds. */
const STARTING_PAUSE_MS = 50;

/** Makes one attempt by signal. */
export async function attemptBySignal(deps: AttemptDeps, input: AttemptInput): Promise<Result> {
  const found = settle(fresh(deps, input), deps, input) ?? await findTarget(deps, input);
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
  if (mounts?.blind) return fail(mounts.stale.map((mount) => mount.message).join("; "), "stale-mount");

  const reading = deps.config.verify === "none"
    ? null
    : await baselineOf(deps, input.prefetch?.baseline ?? null, input.aborted);
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
    readonly mounts: AppMounts | null;
    /** It started after the content came. */
    readonly hasReadIt: boolean;
  }
  | { readonly kind: "none"; readonly code: TargetCode; readonly message: string };

/** The look for the target that was made while the content was read, while it is fresh. */
function fresh({ clock }: AttemptDeps, { prefetch }: AttemptInput): FoundTarget | null {
  const found = prefetch?.found ?? null;
  return found !== null && clock.nowMs() - found.atMs < FOUND_FRESH_MS ? found : null;
}

/** What a look for the target settles; null where it is looked again. */
function settle(found: FoundTarget | null, { clock }: AttemptDeps, input: AttemptInput): Settled | null {
  if (found === null) return null;
  const { resolution, mounts } = found;
  if (resolution.kind === "none") return resolution.again ? null : resolution;
  const { target } = resolution;
  const atMs = startedAtMs(target, { nowMs: clock.nowMs(), wallMs: clock.wallMs() });
  const hasReadIt = startedAfter(atMs, input.reload.job.changedAtMs);
  return resolution.kind === "target" || hasReadIt ? { kind: "target", target, mounts, hasReadIt } : null;
}

/** Looks until there is a target that has finished starting, nobody, or no time left. */
async function findTarget(deps: AttemptDeps, input: AttemptInput): Promise<Settled> {
  const { clock, config, heartbeat } = deps;
  const deadlineMs = clock.nowMs() + config.reloadTimeoutMs;
  for (;;) {
    heartbeat.beat();
    const found = lookForTarget(deps, input.known);
    const settled = settle(found, deps, input);
    if (settled !== null) return settled;
    if (input.stopping.aborted || clock.nowMs() >= deadlineMs) {
      const { resolution } = found;
      if (resolution.kind === "starting") {
        return { kind: "none", code: "starting", message: resolution.message };
      }
      if (resolution.kind === "none") return resolution;
    }
    await clock.sleep(STARTING_PAUSE_MS, input.stopping);
  }
}
