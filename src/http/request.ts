/**
 * Requests to the app, by `fetch`: one deadline over connect, headers and body. Must never follow a redirect, unpack a
 * body, keep more than one connection, or read more of a body than it is asked to.
 */

import { formatMs, printable } from "../text.ts";
import { HttpError, toHttpError } from "./errors.ts";
import { type Destination, hideUrlSecrets, parseDestination } from "./urls.ts";

/** Longest body that is kept of an answer; a longer one is cut. Contract: "a body is cut at 1 MiB". */
const BODY_BYTES_MAX = 1024 * 1024;
/** The answers of the apps that are asked fit into it, but for long pages of metrics. */
const FIRST_BUFFER_BYTES = 4 * 1024;
/** A body in more pieces than these is refused: each costs a turn of the event loop, however small it is. */
const BODY_PIECES_MAX = 10_000;
/** An unused connection is closed after this time, so that the app never has to wait for it when it stops. */
const IDLE_MS = 10_000;

/** Authorities that are trusted in addition to the built-in ones, and a certificate of ours; in PEM, as Deno takes them. */
export type TlsOptions = Pick<Deno.CreateHttpClientOptions, "caCerts"> & Partial<Deno.TlsCertifiedKeyPem>;

/** One request. */
export interface HttpRequest {
  /** `http:`, `https:` or `unix:/socket:/path`; user and password in it are sent as basic auth. */
  readonly url: string;
  readonly method: string;
  /** Sent after, and instead of, the client's own headers of the same name. */
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string;
  readonly tls?: TlsOptions;
  /** One deadline over connect, headers and body. */
  readonly timeoutMs: number;
  /** Default BODY_BYTES_MAX. */
  readonly bodyBytesMax?: number;
  /** May be sent a second time where the connection broke before an answer: it changes nothing. */
  readonly isRepeatable?: boolean;
}

/** One answer of any status but 3xx. */
export interface HttpResponse {
  readonly status: number;
  readonly body: Uint8Array<ArrayBuffer>;
  /** The body was longer than `bodyBytesMax` and was cut. */
  readonly truncated: boolean;
  /** The header `Retry-After`; null, or left out, where there is none. */
  readonly retryAfter?: string | null;
}

/**
 * Sends one request and reads its answer.
 * @throws HttpError with the reason in plain words; code `aborted` when the signal ended it.
 */
export type SendRequest = (request: HttpRequest, signal: AbortSignal) => Promise<HttpResponse>;

/**
 * Makes what sends requests and keeps one connection between them, until `close`; it may still be used after that. Its
 * client is made anew when the certificates have changed.
 */
export function createSender() {
  let kept: { readonly key: string; readonly client: Deno.HttpClient } | null = null;
  let last: { readonly url: string; readonly destination: Destination } | null = null;

  function close(): void {
    kept?.client.close();
    kept = null;
  }

  function clientFor({ socket }: Destination, tls: TlsOptions = {}): Deno.HttpClient {
    const key = JSON.stringify([socket, tls]);
    if (kept?.key === key) return kept.client;
    close();
    const client = Deno.createHttpClient({
      // HTTP/1.1 is what every app speaks.
      http2: false,
      poolMaxIdlePerHost: 1,
      poolIdleTimeout: IDLE_MS,
      ...tls,
      ...(socket !== null && { proxy: { transport: "unix", path: socket } }),
    });
    kept = { key, client };
    return client;
  }

  const send: SendRequest = (request, signal) =>
    withDeadline(request.timeoutMs, signal, async (deadline) => {
      // Taking a URL apart once a change, with cold caches, takes 0.1 ms on the way to the signal.
      if (last?.url !== request.url) last = { url: request.url, destination: parseDestination(request.url) };
      const { destination } = last;
      const client = clientFor(destination, request.tls);
      try {
        return await ask(client, request, destination, deadline);
      } catch (error) {
        // The app may have closed the kept connection at this very moment.
        const isLost = request.isRepeatable === true && toHttpError(error).code === "broken";
        if (!isLost || deadline.aborted) throw error;
        return await ask(client, request, destination, deadline);
      }
    });
  return { send, close };
}

/** Sends one request on a connection of its own. */
export const sendRequest: SendRequest = async (request, signal) => {
  const sender = createSender();
  try {
    return await sender.send(request, signal);
  } finally {
    sender.close();
  }
};

/** One deadline for all that `act` does; its errors come out as HttpError. */
async function withDeadline<T>(
  timeoutMs: number,
  signal: AbortSignal,
  act: (deadline: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const onAbort = () => deadline.abort(new HttpError("aborted", "stopped"));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(
    () => deadline.abort(new HttpError("timeout", `timed out after ${formatMs(timeoutMs)}`)),
    timeoutMs,
  );
  try {
    return await act(deadline.signal);
  } catch (error) {
    throw deadline.signal.aborted ? deadline.signal.reason : toHttpError(error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/** Asks at the first URL, and where nobody listens there at the second. The first one's error is the one reported. */
async function ask(
  client: Deno.HttpClient,
  { method, body, headers = [], bodyBytesMax = BODY_BYTES_MAX }: HttpRequest,
  { url, otherUrl, authorization }: Destination,
  signal: AbortSignal,
): Promise<HttpResponse> {
  const init: FetchInit = {
    client,
    method,
    body: body ?? null,
    headers: headersOf(authorization, headers),
    redirect: "manual",
    signal,
  };
  try {
    return await exchange(url, init, bodyBytesMax);
  } catch (error) {
    if (otherUrl === null || toHttpError(error).code !== "refused") throw error;
    return await exchange(otherUrl, init, bodyBytesMax).catch(() => Promise.reject(error));
  }
}

type FetchInit = RequestInit & { client: Deno.HttpClient };

async function exchange(url: string, init: FetchInit, bytesMax: number): Promise<HttpResponse> {
  const response = await fetch(url, init);
  try {
    checkHead(response);
    const read = await readBody(response, bytesMax);
    return { status: response.status, retryAfter: response.headers.get("retry-after"), ...read };
  } finally {
    // What is not read must not come in for ever.
    if (response.body?.locked === false) await response.body.cancel();
  }
}

function headersOf(
  authorization: string | null,
  more: readonly (readonly [string, string])[],
): Record<string, string> {
  const headers: Record<string, string> = {
    "user-agent": "config-reloader",
    accept: "application/json, text/plain;q=0.9, */*;q=0.5",
    "accept-encoding": "identity",
  };
  if (authorization !== null) headers.authorization = authorization;
  // `fetch` takes bytes, one a character, and what a file holds is UTF-8.
  const bytesOf = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
  for (const [name, value] of more) headers[name.toLowerCase()] = bytesOf(value);
  return headers;
}

/** @throws HttpError for answers that are never used: redirects, and bodies that came packed. */
function checkHead({ status, headers }: Response): void {
  if (status >= 300 && status < 400 && status !== 304) {
    const location = headers.get("location");
    const where = location === null ? "" : ` to ${printable(hideUrlSecrets(location), 100)}`;
    throw new HttpError("redirect", `HTTP ${status}: redirected${where}, and redirects are not followed`);
  }
  const coding = headers.get("content-encoding");
  if (coding !== null && coding.toLowerCase() !== "identity") {
    throw new HttpError("protocol", `HTTP ${status}: body is packed (${printable(coding, 20)}) unasked`);
  }
}

/**
 * Reads a body up to its limit; the rest is not read. Into one buffer that grows: a piece of one byte comes in a buffer
 * of 64 KiB otherwise, and a flood of them fills the memory.
 */
async function readBody(
  response: Response,
  bytesMax: number,
): Promise<Pick<HttpResponse, "body" | "truncated">> {
  const { body, headers } = response;
  if (body === null) return { body: new Uint8Array(), truncated: false };
  // Nothing beyond its length comes in: read at once it takes 0.2 ms less, on the way to the signal.
  const length = headers.get("content-length");
  if (length !== null && Number(length) <= Math.min(FIRST_BUFFER_BYTES, bytesMax)) {
    return { body: await response.bytes(), truncated: false };
  }
  const reader = body.getReader({ mode: "byob" });
  // With one byte more than is kept, a body that is cut is told from one that just fits.
  let buffer = new ArrayBuffer(Math.min(FIRST_BUFFER_BYTES, bytesMax + 1));
  let bytes = 0;
  for (let pieces = 0; bytes <= bytesMax; pieces++) {
    if (pieces > BODY_PIECES_MAX) {
      await reader.cancel();
      throw new HttpError("protocol", `the body comes in more than ${BODY_PIECES_MAX} pieces`);
    }
    if (bytes === buffer.byteLength) buffer = buffer.transfer(Math.min(2 * bytes, bytesMax + 1));
    const { value, done } = await reader.read(new Uint8Array(buffer, bytes));
    // The reader takes the buffer over and gives it back, at the end as well.
    buffer = value?.buffer ?? new ArrayBuffer(0);
    if (done) break;
    bytes += value.length;
  }
  if (bytes <= bytesMax) return { body: new Uint8Array(buffer, 0, bytes), truncated: false };
  await reader.cancel();
  return { body: new Uint8Array(buffer, 0, bytesMax), truncated: true };
}

/** What `fetch` looks at, in both spellings. */
const PROXY_VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/**
 * Removes the proxy variables from this process's own environment. To be called before the first request, after the
 * environment was copied for those who are to see it whole.
 */
export function forgetProxies(): void {
  for (const name of PROXY_VARIABLES) {
    Deno.env.delete(name);
    Deno.env.delete(name.toLowerCase());
  }
}
