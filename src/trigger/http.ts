/**
 * The HTTP trigger: asks the app to reload by a request to each `--trigger-url`, in the order given. Must never send
 * one a second time by itself, never say that a request which may have arrived was not sent, and never show a URL's
 * secrets or more of an answer than its first line.
 */

import type { ReloadCode } from "../codes.ts";
import { hideUrlSecrets } from "../http/urls.ts";
import type { Config } from "../config.ts";
import type { HttpRequest, HttpResponse, SendRequest } from "../http/request.ts";
import { readCredentials } from "../http/credentials.ts";
import { HttpError } from "../http/errors.ts";
import type { Clock, HttpTrigger } from "../ports.ts";
import { messageOf, printable } from "../text.ts";

/** So much of an answer's first line is told: a reason, not a page. */
const REASON_LENGTH_MAX = 200;
/** So much of an answer is read to find that line. */
const BODY_BYTES_MAX = 4096;
/** A proxy or a mesh between says so where the app did not answer it: the app may be at it. */
const GATEWAY_STATUSES: readonly number[] = [502, 503, 504];

/**
 * Makes the trigger. Its result is `sent`, with the time just before the first request, where every URL answered 2xx; or
 * where the others did and one may have been reached without an answer, which is told in `unanswered`. Otherwise its code
 * is `trigger-refused` (the app answered 4xx or 500: it said no), `trigger-status` (any other code), `trigger-failed`
 * (nobody was reached) or `credentials` (a file cannot be used); with the time of the first request, too, where one has
 * reached an app.
 */
export function createHttpTrigger(config: Config, send: SendRequest, clock: Clock): HttpTrigger {
  return async (signal) => {
    let credentials;
    try {
      credentials = readCredentials(config);
    } catch (error) {
      return { kind: "not-sent", code: "credentials", message: messageOf(error) };
    }
    const atMs = clock.nowMs();
    const wallMs = clock.wallMs();
    let reached = false;
    let unanswered: string | undefined;
    for (const url of config.triggerUrls) {
      const request = {
        url,
        method: config.triggerMethod,
        ...credentials,
        timeoutMs: config.httpTimeoutMs,
        bodyBytesMax: BODY_BYTES_MAX,
      };
      const reply = await ask(request, send, signal);
      reached ||= reply.kind !== "failed";
      if (reply.kind === "unanswered") unanswered ??= reply.message;
      if (reply.kind === "refused" || reply.kind === "failed") {
        const { code, message } = reply;
        return { kind: "not-sent", code, message, ...(reached && { atMs }) };
      }
    }
    return { kind: "sent", atMs, wallMs, ...(unanswered !== undefined && { unanswered }) };
  };
}

/** What came of one URL. `refused`: the app answered and did not do it. `failed`: the app was not reached. */
type Reply =
  | { readonly kind: "done" }
  | { readonly kind: "unanswered"; readonly message: string }
  | { readonly kind: "refused" | "failed"; readonly code: ReloadCode; readonly message: string };

async function ask(request: HttpRequest, send: SendRequest, signal: AbortSignal): Promise<Reply> {
  const what = `${request.method} ${hideUrlSecrets(request.url)}`;
  try {
    const answer = await send(request, signal);
    const { status } = answer;
    if (status >= 200 && status <= 299) return { kind: "done" };
    const message = `${what} answered HTTP ${status}${firstLine(answer)}`;
    if (GATEWAY_STATUSES.includes(status)) return { kind: "unanswered", message };
    const isNo = status >= 400 && status <= 500;
    return { kind: "refused", code: isNo ? "trigger-refused" : "trigger-status", message };
  } catch (error) {
    const message = `Cannot ${what}: ${messageOf(error)}`;
    const mayHaveArrived = error instanceof HttpError &&
      (error.code === "timeout" || error.code === "broken");
    return mayHaveArrived
      ? { kind: "unanswered", message }
      : { kind: "failed", code: "trigger-failed", message };
  }
}

function firstLine({ body }: HttpResponse): string {
  const text = new TextDecoder().decode(body).trimStart();
  const line = printable(text.split(/[\r\n]/, 1)[0] ?? "", REASON_LENGTH_MAX);
  return line === "" ? "" : `: ${line}`;
}
