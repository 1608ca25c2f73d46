/**
 * The status code as a status, for apps that tell nothing else: 200 is taken for good. Pure. It proves only that the
 * app answers; what the app does with its configuration it does not say.
 */

import type { StatusReading } from "../model.ts";
import type { Answer } from "./answer.ts";

/**
 * Any answer is a status.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const answer = { code: 503, body: new Uint8Array(), truncated: false };
 * assert.deepEqual(parseHttp(answer), { kind: "status", status: { format: "http", code: 503 } });
 * ```
 */
export function parseHttp(answer: Answer): StatusReading {
  return { kind: "status", status: { format: "http", code: answer.code } };
}
