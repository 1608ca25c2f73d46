/**
 * What each path answers: `Request` → `Response`. It reads no file. It never parses Host, which may
 * hold anything. It always answers: an error becomes a 500 that shows only the kind of the error.
 */

import type { Health, StatusView } from "../model.ts";
import type { Clock } from "../ports.ts";
import { escapeUnsafeLines } from "../text.ts";

/** What the handler asks for its answers. */
export interface HandlerDeps {
  readonly clock: Pick<Clock, "nowMs" | "sleep">;
  metrics(): Promise<string>;
  health(): Health;
  ready(): Health;
  /** Made when somebody looks at `/status` or the page. */
  status(): StatusView | Promise<StatusView>;
  /** null: everybody may see everything. */
  auth: Authorize | null;
  /** Clients hold more of large answers than they may, and the next one was refused. */
  onUnread(): void;
  /** An answer could not be made. */
  onError(path: string, error: unknown): void;
}

/** Judges the value of `Authorization`: null lets the request pass, else the value of `WWW-Authenticate`. */
export type Authorize = (authorization: string | null) => string | null;

/** The parts of a request that count here. */
export type Ask = Pick<Request, "method" | "url" | "headers">;

/** Answers one request; never rejects for what goes wrong behind a path. */
export type Handler = (ask: Ask) => Promise<Response>;

/** What a path says, before it becomes a `Response`. */
interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const TEXT = "text/plain; charset=utf-8";
const JSON_TYPE = "application/json; charset=utf-8";
/** What prom-client writes (and Prometheus asks for). */
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
/** Pause after making an answer, as a multiple of the time that took: a third of the time at most goes into answers. */
const PAUSE_FACTOR = 2;
/**
 * `/status` of 10,000 files has 2 MB, and a client that never reads holds its answer for as long as it is connected: so
 * much may be held beside one answer. Smaller ones are not counted, since the kernel takes them at once.
 */
export const HELD_BYTES_MAX = 8 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
const OPEN_PATHS: readonly string[] = ["/healthz", "/readyz"];

/** On every answer: nothing is cached, sniffed, framed or loaded from anywhere. The page sets a policy of its own. */
const HEADERS: Readonly<Record<string, string>> = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

/** Creates the handler. */
export function createHandler(deps: HandlerDeps): Handler {
  const make = (type: string, render: () => Promise<Pick<Answer, "body" | "headers">>) =>
    shared(deps.clock, async () => ({ status: 200, type, ...await render() }));
  const page = (refresh: boolean) =>
    make("text/html; charset=utf-8", async () => {
      // The page and its helper are loaded when somebody looks, not at every start.
      const { renderPage } = await import("./page.ts");
      return await renderPage(await deps.status(), { refresh });
    });
  const [refreshing, still] = [page(true), page(false)];
  const routes: Readonly<Record<string, (query: string) => Answer | Promise<Answer>>> = {
    "/metrics": make(METRICS_TYPE, async () => ({ body: await deps.metrics() })),
    "/healthz": () => probe(deps.health()),
    "/readyz": () => probe(deps.ready()),
    "/status": make(JSON_TYPE, async () => ({ body: renderStatusJson(await deps.status()) })),
    "/": (query) => query === "refresh=off" ? still() : refreshing(),
  };

  async function answer(ask: Ask): Promise<Answer> {
    const { path, query } = parseTarget(ask);
    const route = routes[path];
    if (route === undefined && path !== "") return text(404, "not found\n");
    if (route === undefined || (ask.method !== "GET" && ask.method !== "HEAD")) {
      return text(405, "only GET and HEAD are answered here\n", { "Allow": "GET, HEAD" });
    }
    if (deps.auth !== null && !OPEN_PATHS.includes(path)) {
      const challenge = deps.auth(ask.headers.get("authorization"));
      if (challenge !== null) return text(401, "credentials are needed\n", { "WWW-Authenticate": challenge });
    }
    try {
      return await route(query);
    } catch (error) {
      deps.onError(path, error);
      return text(500, "internal error; the log has it\n");
    }
  }

  let heldBytes = 0;
  /** A large answer goes in pieces, as the client takes them. */
  function inPieces(bytes: Uint8Array): ReadableStream {
    let at = 0;
    const cancel = () => void (heldBytes -= bytes.length);
    heldBytes += bytes.length;
    const pull = (controller: ReadableStreamDefaultController) => {
      if (at < bytes.length) return controller.enqueue(bytes.subarray(at, at += CHUNK_BYTES));
      cancel();
      controller.close();
    };
    return new ReadableStream({ pull, cancel }, { highWaterMark: 0 });
  }

  function respond({ status, type, body, headers }: Answer, isHead: boolean): Response {
    const bytes = new TextEncoder().encode(body);
    const isLarge = bytes.length >= CHUNK_BYTES && !isHead;
    if (isLarge && heldBytes > HELD_BYTES_MAX) {
      deps.onUnread();
      return respond(text(503, "clients have not read their last answers yet\n"), isHead);
    }
    // Deno leaves the body out in HTTP/1.1 alone: over HTTP/2 it sends one, and the client closes for a protocol error.
    return new Response(isHead ? null : isLarge ? inPieces(bytes) : bytes, {
      status,
      headers: { ...HEADERS, "Content-Type": type, "Content-Length": String(bytes.length), ...headers },
    });
  }

  return async (ask) => respond(await answer(ask), ask.method === "HEAD");
}

/**
 * Bounds what a flood of requests costs: requests that come while an answer is made or waited for share it, and after
 * each answer there is a pause. A request by itself never waits.
 */
function shared(clock: HandlerDeps["clock"], make: () => Promise<Answer>): () => Promise<Answer> {
  let making: Promise<Answer> | null = null;
  let pauseEndMs = -Infinity;
  const makeNext = async () => {
    const waitMs = pauseEndMs - clock.nowMs();
    if (waitMs > 0) await clock.sleep(waitMs);
    const beganMs = clock.nowMs();
    const answer = await make();
    const endMs = clock.nowMs();
    pauseEndMs = endMs + PAUSE_FACTOR * (endMs - beganMs);
    return answer;
  };
  return () => making ??= makeNext().finally(() => making = null);
}

/**
 * Path and query as they were sent; an empty path for CONNECT, which has none. Deno puts `request.url` together from the
 * Host header as it came: a bad one makes `new URL` throw, and one with a slash moves the place where the path begins.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const ask = { method: "GET", url: "http://[::::]:9/x/healthz?a", headers: new Headers({ host: "[::::]:9/x" }) };
 * assert.deepEqual(parseTarget(ask), { path: "/healthz", query: "a" });
 * ```
 */
export function parseTarget({ url, headers }: Ask): { path: string; query: string } {
  const rest = url.slice(url.indexOf("//") + 2);
  const host = headers.get("host") ?? "";
  const afterHost = rest.startsWith(`${host}/`) ? rest.slice(host.length) : rest.replace(/^[^/]*/, "");
  const [path = "", ...query] = afterHost.split("?");
  return { path, query: query.join("?") };
}

function probe(health: Health): Answer {
  return health.ok ? text(200, "ok\n") : text(503, `${health.reason}\n`);
}

function text(status: number, body: string, headers: Answer["headers"] = {}): Answer {
  return { status, type: TEXT, body, headers };
}

/**
 * `/status` as JSON text: the view as it is, with a time that people and programs read (RFC 3339) beside each Unix time in
 * milliseconds. Characters from outside that could control a terminal are escaped, as JSON allows.
 */
export function renderStatusJson(view: StatusView): string {
  const json = JSON.stringify(view, (_, value) => isRecord(value) ? withTimes(value) : value, 2);
  return escapeUnsafeLines(json) + "\n";
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `startedWallMs: 0` gets `startedAt: "1970-01-01T00:00:00.000Z"` in front of it, `inSyncSinceWallMs` `inSyncSince`. */
function withTimes(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).flatMap(([key, value]) => {
      const stem = /^(.+)WallMs$/.exec(key)?.[1] ?? (key === "wallMs" ? "" : null);
      if (stem === null) return [[key, value]];
      const name = stem === "now" || stem.endsWith("Since") ? stem : stem === "" ? "at" : `${stem}At`;
      return [[name, typeof value === "number" ? new Date(value).toISOString() : null], [key, value]];
    }),
  );
}
