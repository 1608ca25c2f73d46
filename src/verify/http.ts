/**
 * The formats `http`, where any answer is a status and a 200 all there is of a proof, and `auto`, which recognises the others.
 * Pure. What looks like neither AMP's nor Prometheus's status is judged by its code, but only a 200: an error page must
 * not choose the format of later answers.
 */

import type { Status, StatusReading, Verdict } from "../model.ts";
import { readAmp } from "./amp.ts";
import { type Answer, isObject, isOk, parseJson, startsObject, unusable } from "./answer.ts";
import { parsePrometheus, readRuntimeInfo } from "./prometheus.ts";
import { type JudgeContext, pending, success } from "./verdict.ts";

/** Any answer as a status, for apps that tell nothing else: it proves only that the app answers. */
export function parseHttp({ code }: Answer): StatusReading {
  return { kind: "status", status: { format: "http", code } };
}

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

/** Judges one answer after the trigger. */
export function judgeHttp(code: number, context: JudgeContext): Verdict {
  const { baseline } = context;
  if (baseline !== null && baseline.format !== "http") {
    return pending(`the answer (HTTP ${code}) is no ${baseline.format} status, as it was before the trigger`);
  }
  return code === 200
    ? success(context.restarted ? "restarted" : "http-200")
    : pending(`HTTP ${code}, wanted 200`);
}
