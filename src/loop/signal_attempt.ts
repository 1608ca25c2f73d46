/**
 * An attempt by signal: finds the one process that may be signalled, makes sure that it can see the content, sends, and
 * verifies. An app that started after the change has read it and is not signalled. Only `target/send.ts` signals.
 */

import {
  type AttemptDeps,
  type AttemptInput,
  type AttemptReport,
  baselineOf,
  failure,
  FOUND_FRESH_MS,
  lookForTarget,
  report,
  triggerTimes,
  unsent,
} from "./attempt_steps.ts";
import type { Target } from "../model.ts";
import { startedAfter } from "../reload/start.ts";
import { verifyReload } from "./verification.ts";

/** Pause between two looks for a target that is still starting, in milliseconds. */
const STARTING_PAUSE_MS = 50;

/** Makes one attempt by signal. */
export async function attemptBySignal(deps: AttemptDeps, input: AttemptInput): Promise<AttemptReport> {
  const found = await findTarget(deps, input);
  if (found.kind === "none") return unsent(failure("failed", found.message, found.code));
  const { target } = found;
  const fail = (reason: string, code: string) => unsent(failure("failed", reason, code), target);

  if (found.hasReadIt) return await verifyStarted(deps, input, target);
  if (!input.job.mayTrigger) {
    return fail(
      `a signal with this content ended the app before, so ${target.name} (PID ${target.pid}) is not signalled ` +
        "with it again; restart the app to make it read the content",
      "killed-before",
    );
  }
  const mounts = deps.appMounts(target);
  if (mounts.blind) return fail(mounts.stale.map((mount) => mount.message).join("; "), "stale-mount");

  const baseline = await baselineOf(deps, input);
  if (input.aborted.aborted) return fail("stopped before the signal was sent", "stopped");
  const send = () => Promise.resolve(deps.target.send(target));
  const sent = deps.target.send(target);
  deps.announce();
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
    attempt: input,
  });
  return report(proof, sent.atMs, target, baseline);
}

/** The app started with this content: nothing to trigger, its good status is the proof. */
async function verifyStarted(
  deps: AttemptDeps,
  input: AttemptInput,
  target: Target,
): Promise<AttemptReport> {
  deps.announce();
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
    attempt: input,
  });
  return report(proof, null, target, null);
}

/** Looks until there is a target that has finished starting, nobody, or no time left. */
async function findTarget(deps: AttemptDeps, input: AttemptInput): Promise<Found> {
  const deadlineMs = deps.clock.nowMs() + deps.config.reloadTimeoutMs;
  const { advance } = input;
  const isFresh = advance !== null && deps.clock.nowMs() - advance.atMs < FOUND_FRESH_MS;
  let sighting = (isFresh ? advance.sighting : null) ?? lookForTarget(deps);
  for (;;) {
    deps.turned();
    const { resolution, startedAtMs } = sighting;
    // NaN where there is no process: never after anything.
    const hasReadIt = startedAfter(startedAtMs, input.job.changedAtMs);
    if (resolution.kind === "target" || hasReadIt && resolution.kind === "starting") {
      return { kind: "target", target: resolution.target, hasReadIt };
    }
    if (resolution.kind === "none" && !resolution.again) return resolution;
    if (input.stopping.aborted || deps.clock.nowMs() >= deadlineMs) {
      const code = resolution.kind === "none" ? resolution.code : "starting";
      return { kind: "none", code, message: resolution.message };
    }
    deps.announce();
    await deps.clock.sleep(STARTING_PAUSE_MS, input.stopping);
    sighting = lookForTarget(deps);
  }
}

/** The target that was settled on, and whether it started with the content that is to be reloaded; or nobody. */
type Found =
  | { readonly kind: "target"; readonly target: Target; readonly hasReadIt: boolean }
  | { readonly kind: "none"; readonly code: string; readonly message: string };
