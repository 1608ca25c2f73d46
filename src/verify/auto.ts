/**
 * Recognises the format of an answer, for `--verify auto`. Pure. What looks like neither AMP's nor Prometheus's status
 * is judged by its code, but only a 200: an error page must not decide how the app is asked from then on.
 */

import type { StatusReading } from "../model.ts";
import { parseAmp } from "./amp.ts";
import { type Answer, isObject, parseHttp, parseJson, startsObject, unusable } from "./answer.ts";
import { parsePrometheus } from "./prometheus.ts";

/** The formats that an answer shows by itself. */
export type KnownFormat = "amp" | "prometheus";

/**
 * Parses an answer in whichever format it is; never throws.
 * @param known what an earlier answer of this app was; then nothing else is accepted any more
 */
export function parseAuto(answer: Answer, known: KnownFormat | null): StatusReading {
  if (known === "amp") return parseAmp(answer);
  if (known === "prometheus") return parsePrometheus(answer);
  if (startsObject(answer)) {
    const reading = parseAutoJson(answer);
    if (reading) return reading;
  } else {
    // A page of metrics or of anything else: only with the pair of metrics in it, it is a status of Prometheus.
    const reading = parsePrometheus(answer);
    if (reading.kind === "status") return reading;
  }
  return answer.code === 200 ? parseHttp(answer) : unusable(answer, "no status");
}

/**
 * Tells the format by the names of the fields alone: with a wrong type in one of them it is a broken status, not an
 * app that has none. null where the fields are others'.
 */
function parseAutoJson(answer: Answer): StatusReading | null {
  const json = parseJson(answer);
  if (!("value" in json)) return json;
  const { value } = json;
  if (!isObject(value)) return null;
  if ("status" in value && "attempts" in value) return parseAmp(answer);
  return isObject(value.data) && "reloadConfigSuccess" in value.data ? parsePrometheus(answer) : null;
}
