/**
 * The status formats of Prometheus and its relatives: runtime info JSON, and in the text format the families of metrics
 * around `_config_last_reload_successful` (Alloy: `_config_last_load_successful`). Pure.
 */

import type { ReloadFamily, Status, StatusReading } from "../model.ts";
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
  return { format: "prometheus", successful, successWallMs: parseTime(lastConfigTime) };
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
  const times = families.map(({ successWallMs }) => successWallMs).filter((time) => time !== null);
  const successWallMs = times.length === 0 ? null : Math.min(...times) || null;
  return {
    kind: "status",
    status: {
      format: "prometheus",
      successful: families.every(({ successful }) => successful),
      successWallMs,
      families,
    },
  };
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
    // The oldest counts: only then each of them is newer than the baseline.
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
