/**
 * The status of Prometheus and its relatives, and what it proves: runtime info JSON, or in the text format the families of
 * metrics around `_config_last_reload_successful` (Alloy: `_config_last_load_successful`), of which one has to move and all
 * have to be good. Pure.
 */

import type { Proof, ReloadFamily, Status, StatusReading, Verdict } from "../model.ts";
import {
  type Answer,
  decodePieces,
  isObject,
  isOk,
  parseJson,
  parseTime,
  startsObject,
  unusable,
} from "./answer.ts";
import { GRAIN_MS, isInFuture, type JudgeContext, pending, rejected, SECOND_MS, success } from "./verdict.ts";

type PrometheusStatus = Extract<Status, { format: "prometheus" }>;

const SUCCESSFUL = "_config_last_reload_successful";
/** What all names have in common; a page of metrics is searched for it without being split into lines. */
const COMMON = "_config_";
/** No app has more; a hostile page could. */
const FAMILIES_MAX = 100;

/** Parses an answer in either format; never throws. */
export function parsePrometheus(answer: Answer): StatusReading {
  if (!isOk(answer)) return unusable(answer, "no Prometheus status");
  return startsObject(answer) ? parseJson(answer, readRuntimeInfo) : parseMetrics(answer);
}

/** The status that a JSON value is as Prometheus's runtime info; else why it is none. */
export function readRuntimeInfo(value: unknown): Status | string {
  const data = isObject(value) && isObject(value.data) ? value.data : {};
  const { reloadConfigSuccess: successful, lastConfigTime } = data;
  if (typeof successful !== "boolean") return "not runtime info: it has no data.reloadConfigSuccess";
  const successWallMs = parseTime(lastConfigTime) ?? 0;
  return statusOf([{ prefix: "", successful, successWallMs, reloads: null, errors: null }]);
}

/** Good where each family is; of their times the oldest counts: only then each of them is newer than the baseline. */
function statusOf(families: readonly ReloadFamily[]): PrometheusStatus {
  const times = families.map(({ successWallMs }) => successWallMs).filter((time) => time !== null);
  return {
    format: "prometheus",
    successful: families.every(({ successful }) => successful),
    successWallMs: times.length === 0 ? null : Math.min(...times) || null,
    families,
  };
}

/** Names end like this; what stands before is the family's prefix. */
const NAME = new RegExp(
  "^(.*)_config_(?:" +
    "(?<flag>last_(?:re)?load_successful)|(?<time>last_(?:re)?load_success_timestamp_seconds)|" +
    "(?<count>last_reload_total|reloads_total)|(?<errors>last_reload_errors_total|reloads_errors_total))$",
);

/** What was found of one family so far; several series of a metric (one a tenant, say) are joined. */
type Found = {
  -readonly [Name in keyof ReloadFamily]: Name extends "successful" ? boolean | null : ReloadFamily[Name];
};

function parseMetrics(answer: Answer): StatusReading {
  const found = new Map<string, Found>();
  for (const line of linesWith(answer, COMMON)) {
    const sample = parseSample(line);
    if (sample) addSample(found, sample);
  }
  const families = [...found.values()].filter((family): family is ReloadFamily => family.successful !== null);
  if (families.length === 0) {
    const where = answer.truncated ? "in the first 1 MiB of the metrics" : "among the metrics";
    return unusable(answer, `no metric ending in ${SUCCESSFUL} ${where}`);
  }
  return { kind: "status", status: statusOf(families) };
}

function addSample(found: Map<string, Found>, { name, value }: Sample): void {
  const match = NAME.exec(name);
  if (!match) return;
  const [, prefix = ""] = match;
  const { flag, time, count, errors } = match.groups!;
  const family: Found = found.get(prefix) ??
    { prefix, successful: null, successWallMs: null, reloads: null, errors: null };
  if (found.size < FAMILIES_MAX) found.set(prefix, family);
  if (flag !== undefined) family.successful = value === 1 && family.successful !== false;
  else if (time !== undefined) {
    const ms = Number.isFinite(value) && value > 0 ? value * 1000 : 0;
    family.successWallMs = Math.min(family.successWallMs ?? Infinity, ms);
  } else if (count !== undefined) family.reloads = (family.reloads ?? 0) + value;
  else if (errors !== undefined) family.errors = (family.errors ?? 0) + value;
}

/** The lines that hold `part`; a last line that was cut off is left out, since its value may be cut too. */
function* linesWith(answer: Answer, part: string): Generator<string> {
  for (const text of decodePieces(answer)) {
    for (let at = text.indexOf(part); at >= 0;) {
      const start = text.lastIndexOf("\n", at) + 1;
      const end = text.indexOf("\n", at);
      if (end < 0 && answer.truncated) return;
      yield text.slice(start, end < 0 ? text.length : end);
      at = end < 0 ? -1 : text.indexOf(part, end);
    }
  }
}

interface Sample {
  readonly name: string;
  readonly value: number;
}

/** One sample line: name, labels, value, and perhaps a time that is of no interest; null for comments and junk. */
function parseSample(line: string): Sample | null {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{.*\})?[ \t]+(\S+)/.exec(line);
  if (!match || match[1] === undefined || match[2] === undefined) return null;
  const value = Number(match[2]);
  return Number.isNaN(value) ? null : { name: match[1], value };
}

/**
 * The earliest Unix time in milliseconds at which a trigger can be proved against this baseline; `nowWallMs` if that
 * is now. Where the app cuts its time to whole seconds, a second reload within the second of the last one would look
 * unchanged: the trigger then waits for the next second, once and for one second at most. (The other way, to trigger
 * at once and a second time later, would make the app reload twice.)
 */
export function earliestTriggerWallMs(baseline: Status | null, nowWallMs: number): number {
  if (baseline?.format !== "prometheus" || baseline.successWallMs === null) return nowWallMs;
  // Prometheus cuts its time (web/web.go: time.Unix(int64(…), 0)). One that is whole by chance costs a second at most.
  if (baseline.successWallMs % 1000 !== 0) return nowWallMs;
  // A counter tells two reloads in one second apart.
  if (baseline.families.every(({ reloads }) => reloads !== null)) return nowWallMs;
  const nextMs = baseline.successWallMs + SECOND_MS;
  // A time in the future means that the clock was set back: waiting for it could take for ever.
  return nextMs > nowWallMs && nextMs - nowWallMs <= SECOND_MS ? nextMs : nowWallMs;
}

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
  const baseline = context.baseline?.format === "prometheus" ? context.baseline.families : null;
  const families = status.families.map((family) => ({
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
