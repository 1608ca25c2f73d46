/**
 * The judge of Prometheus's status and its relatives': runtime info, or families of metrics of which one has to move
 * and all have to be good. Pure.
 */

import type { Proof, ReloadFamily, Status, Verdict } from "../model.ts";
import { GRAIN_MS, isInFuture, type JudgeContext, pending, rejected, success } from "./verdict.ts";

type PrometheusStatus = Extract<Status, { format: "prometheus" }>;

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

const REJECTED_BY_PROMETHEUS = "it reports that its last reload was not successful";

/** Judges one status read after the trigger. */
export function judgePrometheus(status: PrometheusStatus, context: JudgeContext): Verdict {
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
      : families.some(({ family }) => family.reloads !== null)
      ? "neither the count nor the time of the app's last successful reload has changed"
      : "the time of the app's last successful reload has not changed",
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
