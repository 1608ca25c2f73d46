/**
 * Recognises the format of an answer, for `--verify auto`. Pure. What looks like neither AMP's nor Prometheus's status
 * is judged by its code, but only a 200: an error page must not choose the format of later answers.
 */

import type { Status, StatusReading } from "../model.ts";
import { readAmp } from "./amp.ts";
import { type Answer, isObject, isOk, parseHttp, parseJson, startsObject, unusable } from "./answer.ts";
import { parsePrometheus, readRuntimeInfo } from "./prometheus.ts";

/** Parses an answer in whichever format it is; never throws. */
export function parseAuto(answer: Answer): StatusReading {
  if (startsObject(answer)) return parseJson(answer, (value) => readAny(value, answer));
  // A page of metrics or of anything else: only with the pair of metrics in it, it is a status of Prometheus.
  const reading = parsePrometheus(answer);
  if (reading.kind === "status") return reading;
  return answer.code === 200 ? parseHttp(answer) : unusable(answer, "no status");
}

/**
 * Tells the format by the names of the fields alone: with a wrong type in one of them it is a broken status, not an
 * app that has none.
 */
function readAny(value: unknown, answer: Answer): Status | string {
  if (isObject(value) && "status" in value && "attempts" in value) return readAmp(value);
  if (isObject(value) && isObject(value.data) && "reloadConfigSuccess" in value.data) {
    return isOk(answer) ? readRuntimeInfo(value) : "no Prometheus status";
  }
  return answer.code === 200 ? { format: "http", code: 200 } : "no status";
}
