/**
 * The HTTP client for requests to the app: HTTP/1.1 on Deno's sockets, one deadline over connect, headers and body.
 * Must never follow a redirect, unpack a body, use a proxy from the environment, or keep more than one connection.
 *
 * Own sockets and not `fetch`, since `fetch` goes through proxies, refuses ports, cannot do unix sockets, and costs
 * 7 ms of CPU and 1.3 MB at its first request where this costs 1 ms and 0.1 MB (and 0.18 ms a request, not 0.05).
 */

import { hideUrlSecrets } from "./hide_url.ts";
import type { Clock } from "../ports.ts";
import { connect, type Connection, type TlsMaterial } from "./connect.ts";
import { type Endpoint, parseEndpoint } from "./endpoint.ts";
import { HttpError, printable, toHttpError } from "./errors.ts";
import { createIntake, type Intake, readAhead } from "./intake.ts";
import { readAnswer, type WireAnswer } from "./wire.ts";
import { formatMs } from "../text.ts";

/** Longest body that is kept of an answer; a longer one is cut. Contract: "a body is cut at 1 MiB". */
export const BODY_BYTES_MAX = 1024 * 1024;
/** An unused connection is closed after this time, so that the app never has to wait for it when it stops. */
const IDLE_MS = 10_000;

/** One request. */
export interface HttpRequest {
  /** `http:`, `https:` or `unix:/socket:/path`; user and password in it are sent as basic auth. */
  readonly url: string;
  readonly method: string;
  /** Sent after, and instead of, the client's own headers of the same name. */
  readonly headers: readonly (readonly [string, string])[];
  readonly tls: TlsMaterial;
  /** One deadline over connect, headers and body. */
  readonly timeoutMs: number;
  /** Default BODY_BYTES_MAX. */
  readonly bodyBytesMax?: number;
  /**
   * Use a kept connection and keep this one. For idempotent requests only: if the app closed the kept connection
   * meanwhile, the request is sent a second time.
   */
  readonly keepAlive?: boolean;
}

/** One answer of any status but 3xx. */
export interface HttpResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array<ArrayBuffer>;
  /** The body was longer than `bodyBytesMax` and was cut. */
  readonly truncated: boolean;
}

/** The client. */
export interface HttpClient {
  /** @throws HttpError with the reason in plain words; code `aborted` when `signal` ended it. */
  request(request: HttpRequest, signal: AbortSignal): Promise<HttpResponse>;
  /** Closes the kept connection. The client may still be used. */
  close(): void;
}

interface Kept {
  readonly key: string;
  readonly connection: Connection;
  readonly intake: Intake;
}

/**
 * Makes a client. It keeps one connection at most, for ten seconds.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createClock } from "../clock.ts";
 * import { NO_TLS } from "./connect.ts";
 * const app = Deno.serve({ port: 0, onListen() {} }, () => new Response(null, { status: 404 }));
 * const client = createHttpClient(createClock());
 * const request = { url: `http://localhost:${app.addr.port}/`, method: "GET", headers: [], tls: NO_TLS };
 * const { status } = await client.request({ ...request, timeoutMs: 5_000 }, new AbortController().signal);
 * assert.equal(status, 404);
 * client.close();
 * await app.shutdown();
 * ```
 */
export function createHttpClient(clock: Clock): HttpClient {
  let kept: Kept | null = null;
  let keptSinceMs = 0;
  let watching = false;

  function close(): void {
    kept?.connection.close();
    kept = null;
  }

  function keep(next: Kept): void {
    if (kept !== next) close();
    kept = next;
    keptSinceMs = clock.nowMs();
    if (!watching) closeWhenIdle();
  }

  async function closeWhenIdle(): Promise<void> {
    watching = true;
    for (let leftMs = IDLE_MS; kept !== null && leftMs > 0; leftMs = keptSinceMs + IDLE_MS - clock.nowMs()) {
      await clock.sleep(leftMs);
    }
    watching = false;
    close();
  }

  async function exchange(request: HttpRequest, endpoint: Endpoint, end: Deadline): Promise<WireAnswer> {
    const key = request.keepAlive ? connectionKey(endpoint, request.tls) : "";
    const bytes = renderRequest(request, endpoint);
    const bodyBytesMax = request.bodyBytesMax ?? BODY_BYTES_MAX;
    const reused = kept !== null && kept.key === key ? kept : null;
    if (reused) {
      kept = null;
      const answer = await useKept(reused, bytes, request.method, bodyBytesMax, end);
      if (answer?.reusable) keep(reused);
      if (answer) return answer;
    }
    const connection = await connect(endpoint, request.tls, end.signal);
    const fresh: Kept = { key, connection, intake: createIntake(connection) };
    const answer = await send(fresh, bytes, request.method, bodyBytesMax, end);
    if (answer.reusable && request.keepAlive) keep(fresh);
    else connection.close();
    return answer;
  }

  return {
    close,
    async request(request, signal) {
      const end = createDeadline(clock, request.timeoutMs, signal);
      try {
        if (signal.aborted) throw end.signal.reason;
        const answer = await exchange(request, parse(request.url), end);
        checkAnswer(answer);
        return answer;
      } catch (thrown) {
        throw end.signal.aborted ? end.signal.reason : toHttpError(thrown);
      } finally {
        end.release();
      }
    },
  };
}

/** Sends and reads on a kept connection; null where the app had closed it before it said anything. */
async function useKept(
  kept: Kept,
  bytes: Uint8Array,
  method: string,
  bodyBytesMax: number,
  end: Deadline,
): Promise<WireAnswer | null> {
  kept.intake.received = 0;
  try {
    const answer = await send(kept, bytes, method, bodyBytesMax, end);
    if (!answer.reusable) kept.connection.close();
    return answer;
  } catch (thrown) {
    if (end.signal.aborted) throw thrown;
    const { code } = toHttpError(thrown);
    if (kept.intake.received === 0 && (code === "closed" || code === "reset")) return null;
    throw thrown;
  }
}

/** Writes a request and reads its answer. Whatever goes wrong, the connection is closed. */
async function send(
  { connection, intake }: Kept,
  bytes: Uint8Array,
  method: string,
  bodyBytesMax: number,
  end: Deadline,
): Promise<WireAnswer> {
  let open = true;
  const close = () => {
    if (open) connection.close();
    open = false;
  };
  // Closing is what ends a pending read or write.
  end.signal.addEventListener("abort", close, { once: true });
  try {
    if (end.signal.aborted) throw end.signal.reason;
    readAhead(intake);
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    return await readAnswer(intake, method, bodyBytesMax);
  } catch (thrown) {
    close();
    throw thrown;
  } finally {
    end.signal.removeEventListener("abort", close);
  }
}

interface Deadline {
  /** Aborts at the deadline or when the caller's signal does; the reason is an HttpError. */
  readonly signal: AbortSignal;
  release(): void;
}

function createDeadline(clock: Clock, timeoutMs: number, outer: AbortSignal): Deadline {
  const controller = new AbortController();
  const done = new AbortController();
  const onOuter = () => controller.abort(new HttpError("aborted", "stopped"));
  if (outer.aborted) onOuter();
  outer.addEventListener("abort", onOuter, { once: true });
  clock.sleep(timeoutMs, done.signal).then(() => {
    if (done.signal.aborted) return;
    controller.abort(new HttpError("timeout", `timed out after ${formatMs(timeoutMs)}`));
  });
  return {
    signal: controller.signal,
    release: () => {
      outer.removeEventListener("abort", onOuter);
      done.abort("no DOMException, which costs more than all the rest");
    },
  };
}

/** @throws HttpError for answers that are never used: redirects, and bodies that came packed. */
function checkAnswer({ status, headers }: WireAnswer): void {
  if (status >= 300 && status < 400 && status !== 304) {
    const location = headers.get("location");
    const where = location === undefined ? "" : ` to ${printable(hideUrlSecrets(location), 100)}`;
    throw new HttpError("redirect", `HTTP ${status}: redirected${where}, and redirects are not followed`);
  }
  const coding = headers.get("content-encoding");
  if (coding !== undefined && coding.toLowerCase() !== "identity") {
    throw new HttpError("protocol", `HTTP ${status}: body is packed (${printable(coding, 20)}) unasked`);
  }
}

function renderRequest(request: HttpRequest, endpoint: Endpoint): Uint8Array {
  if (!/^[A-Za-z-]+$/.test(request.method)) {
    throw new HttpError("other", `method "${printable(request.method, 20)}" is no HTTP method`);
  }
  const headers = new Map<string, string>([
    ["host", endpoint.authority],
    ["user-agent", "config-reloader"],
    ["accept", "application/json, text/plain;q=0.9, */*;q=0.5"],
    ["accept-encoding", "identity"],
  ]);
  if (endpoint.authorization !== null) headers.set("authorization", endpoint.authorization);
  for (const [name, value] of request.headers) headers.set(name.toLowerCase(), value);
  headers.set("connection", request.keepAlive ? "keep-alive" : "close");
  if (request.method !== "GET" && request.method !== "HEAD") headers.set("content-length", "0");
  let text = `${request.method} ${endpoint.target} HTTP/1.1\r\n`;
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
  return new TextEncoder().encode(`${text}\r\n`);
}

/** Connections are shared only where host and TLS material are the same. */
function connectionKey(endpoint: Endpoint, tls: TlsMaterial): string {
  const { kind, host, port } = endpoint;
  return [kind, host, port, ...tls.caCerts, tls.clientCert ?? "", tls.clientKey ?? ""].join("\n");
}

function parse(url: string): Endpoint {
  try {
    return parseEndpoint(url);
  } catch (error) {
    throw new HttpError("other", error instanceof Error ? error.message : "bad URL", { cause: error });
  }
}
