/**
 * The status formats of Prometheus and its relatives: runtime info JSON, and the pair of metrics ending in
 * `_config_last_reload_successful` and `_config_last_reload_success_timestamp_seconds` in the text format. Pure.
 */

import type { StatusReading } from "../model.ts";
import {
  type Answer,
  decodePieces,
  isObject,
  parseJson,
  parseTime,
  startsObject,
  unusable,
} from "./answer.ts";

const SUCCESSFUL = "_config_last_reload_successful";
const TIMESTAMP = "_config_last_reload_success_timestamp_seconds";
/** What both names have in common; a page of metrics is searched for it without being split into lines. */
const COMMON = "_config_last_reload_success";

/**
 * Parses an answer in either format; never throws.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const body = new TextEncoder().encode(
 *   "app_config_last_reload_successful 1\napp_config_last_reload_success_timestamp_seconds 1.7e+09\n",
 * );
 * assert.deepEqual(parsePrometheus({ code: 200, body, truncated: false }), {
 *   kind: "status",
 *   status: { format: "prometheus", successful: true, successWallMs: 1.7e12, wholeSeconds: true },
 * });
 * ```
 */
export function parsePrometheus(answer: Answer): StatusReading {
  if (answer.code < 200 || answer.code > 299) return unusable(answer, "no Prometheus status");
  return startsObject(answer) ? parseRuntimeInfo(answer) : parseMetrics(answer);
}

/** Whether a JSON value is Prometheus's runtime info. */
function isRuntimeInfo(
  value: unknown,
): value is { readonly data: Readonly<Record<string, unknown>> & { readonly reloadConfigSuccess: boolean } } {
  return isObject(value) && isObject(value.data) && typeof value.data.reloadConfigSuccess === "boolean";
}

function parseRuntimeInfo(answer: Answer): StatusReading {
  const json = parseJson(answer);
  if (!("value" in json)) return json;
  if (!isRuntimeInfo(json.value)) {
    return unusable(answer, "not runtime info: it has no data.reloadConfigSuccess");
  }
  const { data } = json.value;
  const successWallMs = parseTime(data.lastConfigTime);
  return {
    kind: "status",
    status: {
      format: "prometheus",
      successful: data.reloadConfigSuccess,
      successWallMs,
      // Prometheus cuts this time to whole seconds (web/web.go: time.Unix(int64(…), 0)).
      wholeSeconds: successWallMs === null || successWallMs % 1000 === 0,
    },
  };
}

/**
 * Several series (one a tenant, say) must all be successful, and the oldest time counts: only then is each of them
 * newer than the baseline.
 */
function parseMetrics(answer: Answer): StatusReading {
  let successful: boolean | null = null;
  let oldestMs: number | null = null;
  for (const line of linesWith(answer, COMMON)) {
    const sample = parseSample(line);
    if (sample?.name.endsWith(SUCCESSFUL)) {
      successful = sample.value === 1 && successful !== false;
    } else if (sample?.name.endsWith(TIMESTAMP)) {
      oldestMs = Math.min(oldestMs ?? Infinity, sample.value * 1000);
    }
  }
  if (successful === null) {
    const where = answer.truncated ? "in the first 1 MiB of the metrics" : "among the metrics";
    return unusable(answer, `no metric ending in ${SUCCESSFUL} ${where}`);
  }
  const successWallMs = oldestMs !== null && Number.isFinite(oldestMs) && oldestMs > 0 ? oldestMs : null;
  return {
    kind: "status",
    status: {
      format: "prometheus",
      successful,
      successWallMs,
      // A float is whole by chance once in a million reloads; taken for whole it costs a second at most.
      wholeSeconds: successWallMs === null || successWallMs % 1000 === 0,
    },
  };
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

/** One sample line: name, labels, value, and perhaps a time that is of no interest; null for comments and junk. */
function parseSample(line: string): { name: string; value: number } | null {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{.*\})?[ \t]+(\S+)/.exec(line);
  if (!match || match[1] === undefined || match[2] === undefined) return null;
  const value = Number(match[2]);
  return Number.isNaN(value) ? null : { name: match[1], value };
}
