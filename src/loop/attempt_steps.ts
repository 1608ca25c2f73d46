/**
 * What goes into an attempt and comes out of it, and the few steps that all kinds of attempts share. It decides
 * nothing and sends nothing.
 */

import type { Config } from "../config.ts";
import type {
  AppMounts,
  AttemptResult,
  Outcome,
  Resolution,
  Snapshot,
  Status,
  StatusReading,
  Target,
  TriggerResult,
} from "../model.ts";
import type {
  Clock,
  HttpTrigger,
  Logger,
  Prepare,
  PrepareResult,
  StatusProbe,
  TargetPort,
} from "../ports.ts";
import type { ReloadJob } from "../reload/state.ts";
import type { OutputAtMs } from "./output_times.ts";
import type { Proof, VerificationContext } from "./verification.ts";
import { statusOf } from "../verify/answer.ts";
import { earliestTriggerWallMs } from "../verify/judge.ts";

/**
 * How long a trigger waits for the answer to the baseline request, in milliseconds. A healthy app on the same
 * machine answers within a few; an app that hangs must not put the signal off.
 */
export const BASELINE_WAIT_MS = 1_000;
/** The effects of an attempt. */
export interface AttemptDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly prepare: Prepare;
  readonly target: TargetPort;
  readonly httpTrigger: HttpTrigger;
  readonly probe: StatusProbe;
  /**
   * Called whenever the attempt makes progress, so that liveness is seen during long ones; with the time that the next
   * step may take by its own deadline, in milliseconds.
   */
  readonly turned: (mayTakeMs?: number) => void;
  /** Says that the attempt has begun, once; held back until after the signal where nothing else takes time. */
  readonly announce: () => void;
  /** Config mounts of the target, as known since it was first seen: a mount that is in order stays so. */
  readonly appMounts: (target: Target) => AppMounts;
  /** When the output of what was prepared came to its place. */
  readonly outputAtMs: OutputAtMs;
}

/** What is begun as soon as a change is noticed, while the content is being read and hashed. */
export interface Advance {
  /** The baseline request; null with `--verify none`. */
  readonly baseline: Promise<StatusReading> | null;
  /** Its answer, as soon as it is there. */
  answer: StatusReading | null;
  /** The look for the target; null where nothing is signalled. */
  readonly sighting: Sighting | null;
  readonly atMs: number;
}

/** A look for the target. */
export interface Sighting {
  readonly resolution: Resolution;
  /** Start of its process, monotonic, taken at the look: a step of the wall clock after it must not move it. */
  readonly startedAtMs: number;
}

/** What a look for the target needs. */
interface SightingDeps {
  readonly clock: Clock;
  readonly target: Pick<TargetPort, "resolve">;
}

/**
 * Looks for the target now.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createFakeClock } from "../../tests/support/fake_clock.ts";
 * import { targetOf } from "../../tests/target/fake_table.ts";
 * const clock = createFakeClock();
 * const target = targetOf(7, { startedWallMs: clock.wallMs() - 60_000 });
 * const sighting = lookForTarget({ clock, target: { resolve: () => ({ kind: "target", target }) } });
 * assert.equal(sighting.startedAtMs, clock.nowMs() - 60_000);
 * ```
 */
export function lookForTarget({ clock, target }: SightingDeps): Sighting {
  const resolution = target.resolve(null);
  const startedAtMs = resolution.kind === "none"
    ? NaN
    : clock.nowMs() - (clock.wallMs() - resolution.target.startedWallMs);
  return { resolution, startedAtMs };
}

/** How long a look for the target counts as fresh, in milliseconds; its identity is checked again at the signal. */
export const FOUND_FRESH_MS = 100;

/**
 * Begins what can go on beside the reading of the content.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createTestConfig } from "../../tests/support/config.ts";
 * import { createFakeClock } from "../../tests/support/fake_clock.ts";
 * const answer = { kind: "error" as const, reason: "connection refused" };
 * const advance = beginAdvance({
 *   clock: createFakeClock(),
 *   config: createTestConfig({ trigger: "http" }),
 *   probe: { read: () => Promise.resolve(answer) },
 *   target: { resolve: () => assert.fail("nothing is signalled") },
 * }, new AbortController().signal);
 * assert.equal(advance.answer, null); // nobody waits for it,
 * await advance.baseline;
 * assert.equal(advance.answer, answer); // and it is there when it is wanted
 * ```
 */
export function beginAdvance(
  deps: Pick<AttemptDeps, "config" | "probe"> & SightingDeps,
  signal: AbortSignal,
): Advance {
  const { clock, config, probe } = deps;
  const baseline = config.verify === "none" || config.trigger === "none" ? null : probe.read(signal);
  // Synchronous, but in the shadow of the requests that are on their way.
  const sighting = config.trigger === "signal" ? lookForTarget(deps) : null;
  const advance: Advance = { baseline, answer: null, sighting, atMs: clock.nowMs() };
  baseline?.then((answer) => advance.answer = answer);
  return advance;
}

/** What one attempt is about. */
export interface AttemptInput extends VerificationContext {
  readonly job: ReloadJob;
  readonly snapshot: Snapshot;
  /** What was begun when the change was noticed; null where nothing was. */
  readonly advance: Advance | null;
  /** For `--trigger none`: the last status seen before this change, since the app may have reloaded already. */
  readonly lastReading: StatusReading | null;
}

/** The result, and whom it was about. */
export interface AttemptReport {
  readonly result: AttemptResult;
  readonly target: Target | null;
  /** The status before the trigger; null where it was not read. */
  readonly baseline: Status | null;
  /** The last status read; null where there was none. */
  readonly status: Status | null;
}

/**
 * An unsuccessful result in which nothing was triggered.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { appIsBlind, triggeredAtMs } = failure("failed", "a subPath mount", "stale-mount");
 * assert.deepEqual({ appIsBlind, triggeredAtMs }, { appIsBlind: true, triggeredAtMs: null });
 * ```
 */
export function failure(outcome: Outcome, reason: string, code: string): AttemptResult {
  return {
    outcome,
    reason,
    code,
    triggeredAtMs: null,
    lastTriggeredAtMs: null,
    killed: false,
    appIsBlind: code === "stale-mount",
    restartRequired: [],
  };
}

/** The report of an attempt that ended before its trigger. */
export function unsent(result: AttemptResult, target: Target | null = null): AttemptReport {
  return { result, target, baseline: null, status: null };
}

/**
 * Checks and renders `snapshot`; meanwhile the loop may be silent for as long as a check command may take.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createTestConfig } from "../../tests/support/config.ts";
 * const silentMs: number[] = [];
 * const result = await prepareContent({
 *   config: createTestConfig({ checkCommand: ["check"], httpTimeoutMs: 60_000 }),
 *   prepare: () => Promise.resolve({ kind: "invalid", reason: "exit code 1" }),
 *   turned: (ms = 0) => silentMs.push(ms),
 * }, { digest: "a", files: [], changedWallMs: 0 }, new AbortController().signal);
 * assert.equal(result.kind, "invalid");
 * assert.deepEqual(silentMs, [60_000, 0]);
 * ```
 */
export async function prepareContent(
  { config, prepare, turned }: Pick<AttemptDeps, "config" | "prepare" | "turned">,
  snapshot: Snapshot,
  aborted: AbortSignal,
): Promise<PrepareResult> {
  const goOn = () => turned(config.checkCommand === null ? 0 : config.httpTimeoutMs);
  goOn();
  const prepared = await prepare(snapshot, aborted, goOn);
  turned();
  return prepared;
}

/** The status before the trigger, where it comes in time. */
export async function baselineOf(deps: AttemptDeps, input: AttemptInput): Promise<StatusReading | null> {
  if (deps.config.verify === "none") return null;
  const { clock } = deps;
  // What the app did while the content was being checked and written, for others or by itself, proves nothing.
  const isFresh = input.advance !== null && clock.nowMs() - input.advance.atMs < BASELINE_WAIT_MS;
  const first = (isFresh ? input.advance!.answer : null) ??
    await inTime(deps, (isFresh ? input.advance!.baseline : null) ?? deps.probe.read(input.aborted));
  const earliestMs = earliestTriggerWallMs(statusOf(first), clock.wallMs());
  const untilMs = clock.nowMs() + earliestMs - clock.wallMs();
  // Not cut short by SIGTERM: a trigger within that second could not be proved, and would cost the whole shutdown time.
  // A sleep may end a little early.
  while (clock.nowMs() < untilMs && !input.aborted.aborted) {
    await clock.sleep(untilMs - clock.nowMs(), input.aborted);
  }
  return first;
}

/**
 * A reading, where it comes within `BASELINE_WAIT_MS`; else null.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createFakeClock } from "../../tests/support/fake_clock.ts";
 * const clock = createFakeClock();
 * const answer = { kind: "error" as const, reason: "connection refused" };
 * assert.equal(await inTime({ clock }, Promise.resolve(answer)), answer);
 * const late = inTime({ clock }, new Promise(() => {})); // an app that hangs
 * await clock.advance(BASELINE_WAIT_MS);
 * assert.equal(await late, null);
 * ```
 */
export async function inTime(
  { clock }: Pick<AttemptDeps, "clock">,
  reading: Promise<StatusReading>,
): Promise<StatusReading | null> {
  const giveUp = new AbortController();
  const late = clock.sleep(BASELINE_WAIT_MS, giveUp.signal).then(() => null);
  const first = await Promise.race([reading, late]);
  // With a reason of its own it makes no DOMException: this is on the way to the signal.
  giveUp.abort("over");
  return first;
}

/** The times that count from a trigger that went out. */
export function triggerTimes(deps: AttemptDeps, sent: TriggerResult & { kind: "sent" }) {
  return {
    triggeredAtMs: sent.atMs,
    triggeredWallMs: sent.wallMs,
    deadlineMs: sent.atMs + deps.config.reloadTimeoutMs,
  };
}

/** The report of an attempt that got as far as a proof. */
export function report(
  proof: Proof,
  triggeredAtMs: number | null,
  target: Target | null,
  baseline: StatusReading | null,
): AttemptReport {
  const { outcome, reason, code, killed, restartRequired, status } = proof;
  const lastTriggeredAtMs = triggeredAtMs === null ? null : proof.triggeredAgainAtMs ?? triggeredAtMs;
  return {
    result: {
      outcome,
      reason,
      code,
      triggeredAtMs,
      lastTriggeredAtMs,
      killed,
      appIsBlind: false,
      restartRequired,
    },
    target,
    baseline: statusOf(baseline),
    status,
  };
}
