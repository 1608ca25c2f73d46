/**
 * The HTTP trigger: asks the app to reload by a request to each `--trigger-url`, in the order given. Must never send
 * one a second time by itself, and never show a URL's secrets or more of an answer than its first line.
 */

import { hideUrlSecrets } from "../http/hide_url.ts";
import type { Config } from "../config.ts";
import type { HttpClient, HttpResponse } from "../http/client.ts";
import { readCredentials } from "../http/credentials.ts";
import { HttpError, printable } from "../http/errors.ts";
import type { TriggerResult } from "../model.ts";
import type { Clock, HttpTrigger } from "../ports.ts";

/** The settings that the trigger needs. */
export type HttpTriggerConfig = Pick<
  Config,
  "triggerUrls" | "triggerMethod" | "httpTimeoutMs" | "credentials"
>;

/** So much of an answer's first line is told: a reason, not a page. */
const REASON_LENGTH_MAX = 200;
/** So much of an answer is read to find that line. */
const BODY_BYTES_MAX = 4096;
/** Codes with which an app says that it looked at the new configuration and does not take it (Prometheus: 500). */
const REFUSALS: readonly number[] = [400, 409, 422, 500];

/**
 * Makes the trigger. Its result is `sent`, with the time just before the first request, where every URL answered
 * 2xx. Otherwise its code is `trigger-refused` (the app answered 400, 409, 422 or 500: it said no), `trigger-status`
 * (any other code), `trigger-timeout`, `trigger-failed` (no answer) or `credentials` (a file cannot be used); with the
 * time of the first request, too, where one has reached an app.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createClock } from "../clock.ts";
 * import { resolveConfig } from "../cli/resolve.ts";
 * const given = new Map([["trigger", ["http"]], ["trigger-url", ["http://u:p@app/-/reload"]]] as const);
 * const body = new TextEncoder().encode("line 3: unknown key\nand more");
 * const answer = { status: 422, body, headers: new Map(), truncated: false };
 * const client = { request: () => Promise.resolve(answer), close() {} };
 * const { config } = resolveConfig(given, new Map(), "/");
 * const clock = { ...createClock(), nowMs: () => 5 };
 * assert.deepEqual(await createHttpTrigger(config, client, clock)(new AbortController().signal), {
 *   kind: "not-sent",
 *   atMs: 5,
 *   code: "trigger-refused",
 *   message: "POST http://***@app/-/reload answered HTTP 422: line 3: unknown key",
 * });
 * ```
 */
export function createHttpTrigger(config: HttpTriggerConfig, client: HttpClient, clock: Clock): HttpTrigger {
  return async (signal) => {
    let credentials;
    try {
      credentials = readCredentials(config.credentials);
    } catch (error) {
      return notSent("credentials", error instanceof Error ? error.message : String(error));
    }
    const atMs = clock.nowMs();
    const wallMs = clock.wallMs();
    let reached = false;
    const fail = (code: string, message: string): TriggerResult => ({
      ...notSent(code, message),
      ...(reached && { atMs }),
    });
    for (const url of config.triggerUrls) {
      const what = `${config.triggerMethod} ${hideUrlSecrets(url)}`;
      try {
        const answer = await client.request({
          url,
          method: config.triggerMethod,
          headers: credentials.headers,
          tls: credentials.tls,
          timeoutMs: config.httpTimeoutMs,
          bodyBytesMax: BODY_BYTES_MAX,
        }, signal);
        reached = true;
        if (answer.status < 200 || answer.status > 299) {
          const code = REFUSALS.includes(answer.status) ? "trigger-refused" : "trigger-status";
          return fail(code, `${what} answered HTTP ${answer.status}${firstLine(answer)}`);
        }
      } catch (error) {
        const code = error instanceof HttpError && error.code === "timeout"
          ? "trigger-timeout"
          : "trigger-failed";
        // Without an answer in time the app may be at it all the same.
        reached ||= code === "trigger-timeout";
        return fail(code, `Cannot ${what}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return { kind: "sent", atMs, wallMs };
  };
}

function notSent(code: string, message: string): TriggerResult {
  return { kind: "not-sent", code, message };
}

function firstLine({ body }: HttpResponse): string {
  const text = new TextDecoder().decode(body).trimStart();
  const line = printable(text.split(/[\r\n]/, 1)[0] ?? "", REASON_LENGTH_MAX);
  return line === "" ? "" : `: ${line}`;
}
