/**
 * Recognises the format of an answer, for `--verify auto`. Pure. What looks like neither AMP's nor Prometheus's status
 * is judged by its code, but only a 200: an error page must not decide how the app is asked from then on.
 */

import type { StatusReading } from "../model.ts";
import { isAmp, parseAmp } from "./amp.ts";
import { type Answer, isObject, parseJson, unusable } from "./answer.ts";
import { parseHttp } from "./http.ts";
import { hasReloadMetrics, isRuntimeInfo, parsePrometheus } from "./prometheus.ts";

/** The formats that an answer shows by itself. */
export type KnownFormat = "amp" | "prometheus";

/**
 * Parses an answer in whichever format it is; never throws.
 * @param known what an earlier answer of this app was; then nothing else is accepted any more
 */
export function parseAuto(answer: Answer, known: KnownFormat | null): StatusReading {
  const format = known ?? detectFormat(answer);
  if (format === "amp") return parseAmp(answer);
  if (format === "prometheus") return parsePrometheus(answer);
  return answer.code === 200 ? parseHttp(answer) : unusable(answer, "no status");
}

function detectFormat(answer: Answer): KnownFormat | null {
  if (hasReloadMetrics(answer.text)) return "prometheus";
  if (!answer.text.trimStart().startsWith("{")) return null;
  const json = parseJson(answer);
  if (!("value" in json) || !isObject(json.value)) return null;
  if (isAmp(json.value)) return "amp";
  return isRuntimeInfo(json.value) ? "prometheus" : null;
}
