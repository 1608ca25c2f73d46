/**
 * What a status proves about a reload: the table of the contract, pure. Must never say success while the app's own
 * counter, token or time is what it was before the trigger, unless the app has been started with the new content, or
 * the token is the one with which this very content has been proved before.
 */

import type { Proof, ReloadFamily, Status, Verdict } from "../model.ts";

/** What counts besides the status itself. */
export interface JudgeContext {
  /** The status read before the trigger; null where there was none. */
  readonly baseline: Status | null;
  /** Wall time just before the trigger went out. */
  readonly triggeredWallMs: number;
  /** Milliseconds since the trigger. */
  readonly sinceTriggerMs: number;
  /** The app started (again) with this content: any good status proves it. */
  readonly restarted: boolean;
  /**
   * Nothing was triggered (`--trigger none`), so that the baseline may be younger than the app's own reload, or older
   * than one of other content: where the app tells the time of its last reload, that decides, compared with the time of
   * the change, which stands in `triggeredWallMs`.
   */
  readonly untriggered?: boolean;
  /**
   * Where nothing was triggered: since the change the status URL was silent, or answered as at the baseline, so that an
   * app whose counter has begun anew after that was started after the change; or, which cannot be told, it had read its
   * content before it and answers only now.
   */
  readonly startWouldShow?: boolean;
  /** The verdict on the poll before this one was `settling`; the judge then says `success` if it is still good. */
  readonly settled?: boolean;
  /**
   * The token (`--verify-token`) that the app showed at the last success, where that success was of this very content:
   * the content goes back to it after a failure, and a token that is a value of the content cannot change then.
   */
  readonly provedToken?: string | null;
}

type AmpStatus = Extract<Status, { format: "amp" }>;
type PrometheusStatus = Extract<Status, { format: "prometheus" }>;
type JsonStatus = Extract<Status, { format: "json" }>;

/**
 * A Prometheus that had already rejected a configuration before the trigger shows nothing when it rejects the next
 * one: after this many milliseconds a flag that is still 0 counts as rejected (contract: verification).
 */
export const STILL_FAILED_MS = 5_000;

/**
 * An app of VictoriaMetrics counts a reload before it parses: a count that went up while the time stands still is a
 * proof only so many milliseconds after the trigger.
 */
const COUNTED_MS = 1_000;

/**
 * Where nothing was triggered, the app's time and that of the change are whole milliseconds, and the way of the latter over
 * the monotonic clock may cost less than one more: a load told less than this before the change is one of the change.
 */
const GRAIN_MS = 1;

/** A second, and what a timer may be early by. */
const SECOND_MS = 1_002;

const PENDING_INITIAL = "no reload since the app started";
const REJECTED_BY_PROMETHEUS = "it reports that its last reload was not successful";

/**
 * Judges one status read after the trigger.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const amp = { format: "amp", healthy: true, status: "success", splitState: false } as const;
 * const status = (attempts: number) => ({ ...amp, attempts, restartRequired: [], lastReloadWallMs: null });
 * const context = { baseline: status(3), triggeredWallMs: 0, sinceTriggerMs: 5, restarted: false };
 * assert.equal(judge(status(3), context).kind, "pending");
 * assert.equal(judge(status(4), context).kind, "settling");
 * assert.equal(judge(status(4), { ...context, settled: true }).kind, "success");
 * ```
 */
export function judge(status: Status, context: JudgeContext): Verdict {
  switch (status.format) {
    case "amp":
      return judgeAmp(status, context);
    case "prometheus":
      return judgePrometheus(status, context);
    case "json":
      return judgeJson(status, context);
    case "http":
      return judgeHttp(status.code, context);
  }
}

/**
 * The earliest Unix time in milliseconds at which a trigger can be proved against this baseline; `nowWallMs` if that
 * is now. Where the app cuts its time to whole seconds, a second reload within the second of the last one would look
 * unchanged: the trigger then waits for the next second, once and for one second at most. (The other way, to trigger
 * at once and a second time later, would make the app reload twice.)
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const reloadedAt = (successWallMs: number) =>
 *   ({ format: "prometheus", successful: true, successWallMs, wholeSeconds: true }) as const;
 * assert.equal(earliestTriggerWallMs(reloadedAt(8_000), 8_300), 9_002);
 * assert.equal(earliestTriggerWallMs(reloadedAt(8_000), 60_000), 60_000);
 * ```
 */
export function earliestTriggerWallMs(baseline: Status | null, nowWallMs: number): number {
  if (baseline?.format !== "prometheus" || !baseline.wholeSeconds || baseline.successWallMs === null) {
    return nowWallMs;
  }
  // A counter tells two reloads in one second apart.
  if (baseline.families?.every(({ reloads }) => reloads !== null)) return nowWallMs;
  const nextMs = baseline.successWallMs + SECOND_MS;
  // A time in the future means that the clock was set back: waiting for it could take for ever.
  return nextMs > nowWallMs && nextMs - nowWallMs <= SECOND_MS ? nextMs : nowWallMs;
}

function judgeAmp(status: AmpStatus, context: JudgeContext): Verdict {
  const baseline = context.baseline?.format === "amp" ? context.baseline : null;
  // A lower counter is one that started anew: the app restarted after the baseline, and so with the new content, unless
  // the baseline may be older than the change.
  const isAnew = baseline !== null && status.attempts < baseline.attempts;
  const isBefore = context.untriggered === true && context.startWouldShow !== true;
  const restarted = context.restarted || isAnew && !isBefore;
  const { lastReloadWallMs } = status;
  // Null where it is not asked, not told, or says nothing.
  const toldLater = context.untriggered !== true || lastReloadWallMs === null ||
      isInFuture(lastReloadWallMs, context)
    ? null
    : lastReloadWallMs > context.triggeredWallMs - GRAIN_MS;
  if ((baseline === null || isAnew) && !restarted && toldLater === null) return { kind: "baseline" };
  const moved = status.attempts > (restarted ? 0 : baseline?.attempts ?? Infinity);
  const counted = toldLater === null || restarted ? moved : toldLater;
  const good = status.status === "success" || status.status === "no_changes";
  if (counted && status.splitState) return rejected(good ? "split_state" : `${status.status}, split_state`);
  if (counted && !good && !(restarted && status.status === "initial")) return rejected(status.status);
  if (counted || (restarted && !status.splitState && (good || status.status === "initial"))) {
    if (!context.settled) return { kind: "settling" };
    return success(restarted ? "restarted" : toldLater === null ? "counter" : "time");
  }
  if (restarted) return pending(`the app has restarted and its status is ${status.status}`);
  const before = status.status === "initial" ? PENDING_INITIAL : `status is still ${status.status}`;
  return pending(`the app has not counted a new reload: attempts is still ${status.attempts}, ${before}`);
}

function judgePrometheus(status: PrometheusStatus, context: JudgeContext): Verdict {
  if (context.restarted) {
    return status.successful
      ? success("restarted")
      : pending(`the app has restarted and ${REJECTED_BY_PROMETHEUS}`);
  }
  const baseline = context.baseline?.format === "prometheus" ? familiesOf(context.baseline) : null;
  const families = familiesOf(status).map((family) => ({
    family,
    before: baseline?.find(({ prefix }) => prefix === family.prefix) ?? null,
  }));
  const failed = families.filter(({ family }) => !family.successful);
  if (failed.length > 0) {
    const isNew = failed.some(({ before }) => before?.successful);
    return isNew || context.sinceTriggerMs >= STILL_FAILED_MS
      ? rejected(REJECTED_BY_PROMETHEUS)
      : pending(`${REJECTED_BY_PROMETHEUS}, as it did before the trigger`);
  }
  const moves = families.map(({ family, before }) => judgeFamily(family, before, context));
  // Where there are several, the others may still be at it; where there is only a flag, the app itself may be.
  const confirmed = (proof: Proof): Verdict =>
    families.length === 1 && proof !== "http-200" || context.settled ? success(proof) : { kind: "settling" };
  if (moves.includes("time")) return confirmed("time");
  if (moves.includes("counter")) return confirmed("counter");
  if (moves.includes("counting")) return pending("the app has begun a reload and not told its end");
  if (moves.every((move) => move === "flag")) return confirmed("http-200");
  if (moves.includes("unknown")) return { kind: "baseline" };
  return pending(
    baseline === null
      ? "the app's last reload is older than the trigger"
      : `the ${
        families.some(({ family }) => family.reloads !== null) ? "count and the " : ""
      }time of the app's last successful reload has not changed`,
  );
}

/** What of a family has moved since the baseline or the trigger; `flag`: it has nothing that could. */
type Move = "time" | "counter" | "counting" | "flag" | "none" | "unknown";

/** Judges a family whose last reload was good. */
function judgeFamily(family: ReloadFamily, before: ReloadFamily | null, context: JudgeContext): Move {
  const { successWallMs, reloads } = family;
  const time = successWallMs === null ? "unknown" : compareToTrigger(successWallMs, context);
  if (before === null || context.untriggered && time !== "unknown") {
    if (time === "later") return "time";
    if (successWallMs === null && reloads === null) return "flag";
    // Some apps move their time only when what they parsed differs: then their counter has to tell.
    return time === "unknown" || before === null && reloads !== null ? "unknown" : "none";
  }
  if (successWallMs !== null && hasTimeMoved(successWallMs, before, context)) return "time";
  if (!before.successful) return "counter";
  if (
    reloads !== null && before.reloads !== null && reloads > before.reloads && family.errors === before.errors
  ) {
    return context.sinceTriggerMs >= COUNTED_MS ? "counter" : "counting";
  }
  return successWallMs === null && reloads === null ? "flag" : "none";
}

/** Runtime info is a single family, that tells a time. */
function familiesOf(status: PrometheusStatus): readonly ReloadFamily[] {
  const { families, successful, successWallMs } = status;
  return families ??
    [{ prefix: "", successful, successWallMs: successWallMs ?? 0, reloads: null, errors: null }];
}

/** Strictly newer than the baseline; or, where the clock was set back meanwhile, another time and after the trigger. */
function hasTimeMoved(successWallMs: number, before: ReloadFamily, context: JudgeContext): boolean {
  const beforeMs = before.successWallMs;
  return beforeMs === null || successWallMs > beforeMs ||
    successWallMs < beforeMs && compareToTrigger(successWallMs, context) === "later";
}

/** Where the app's time of its last reload lies; `unknown` within the second of the trigger if it is a whole second. */
function compareToTrigger(successWallMs: number, context: JudgeContext): "later" | "earlier" | "unknown" {
  const { triggeredWallMs } = context;
  if (isInFuture(successWallMs, context)) return "unknown";
  const isWhole = successWallMs % 1000 === 0;
  const grainMs = context.untriggered && !isWhole ? GRAIN_MS : 0;
  if (successWallMs > triggeredWallMs - grainMs) return "later";
  return isWhole && successWallMs + 1000 > triggeredWallMs ? "unknown" : "earlier";
}

/** The clock was set back since, and the time says nothing. */
function isInFuture(wallMs: number, { triggeredWallMs, sinceTriggerMs }: JudgeContext): boolean {
  return wallMs > triggeredWallMs + sinceTriggerMs + SECOND_MS;
}

function judgeJson(status: JsonStatus, context: JudgeContext): Verdict {
  if (status.ok === false) return pending("--verify-ok does not hold");
  if (status.token === null) {
    // No token is asked for: then --verify-ok alone is the proof, as far as it goes.
    return status.ok === true
      ? success(context.restarted ? "restarted" : "http-200")
      : pending("neither --verify-ok nor --verify-token is set");
  }
  if (context.restarted) return success("restarted");
  const before = context.baseline?.format === "json" ? context.baseline.token : null;
  if (before === null) return { kind: "baseline" };
  if (status.token !== before) return success("token");
  // The token with which this content was proved, and it has not changed since: the app never left this content.
  if (status.token === context.provedToken) return success("token");
  return pending("the value at --verify-token has not changed");
}

function judgeHttp(code: number, context: JudgeContext): Verdict {
  const { baseline } = context;
  if (baseline !== null && baseline.format !== "http") {
    return pending(`the answer (HTTP ${code}) is no ${baseline.format} status, as it was before the trigger`);
  }
  return code === 200
    ? success(context.restarted ? "restarted" : "http-200")
    : pending(`HTTP ${code}, wanted 200`);
}

function success(proof: Proof): Verdict {
  return { kind: "success", proof };
}

function pending(reason: string): Verdict {
  return { kind: "pending", reason };
}

function rejected(reason: string): Verdict {
  return { kind: "rejected", reason };
}
