/**
 * What each path answers: `Request` → `Response`. It reads no file. It never parses Host, which may hold anything, and
 * it answers whatever happens in what it asks: an error becomes a 500 that tells nothing but its kind.
 */

import type { Health, StatusView } from "../model.ts";
import type { Clock } from "../ports.ts";
import type { LargeAnswers } from "./large_answers.ts";

/** What the handler asks for its answers. */
export interface HandlerDeps {
  readonly clock: Pick<Clock, "nowMs" | "sleep">;
  /** The Prometheus text. */
  metrics(): Promise<string>;
  /** Whether the loop turns. */
  health(): Health;
  /** See `--ready-when`. */
  ready(): Health;
  /** What `/status` and the page show; made when somebody looks. */
  status(): StatusView | Promise<StatusView>;
  /** Whether this request may see more than the probes; null: nothing is asked for. */
  auth: Authorize | null;
  /** Told about what should not happen: an answer that could not be made. */
  onError(path: string, error: unknown): void;
}

/** Judges the value of `Authorization`: null lets the request pass, else the value of `WWW-Authenticate`. */
export type Authorize = (authorization: string | null) => string | null;

/** The parts of a request that count here. */
export type Ask = Pick<Request, "method" | "url" | "headers">;

/** Answers one request; never rejects for what goes wrong behind a path. */
export type Handler = (ask: Ask, large: LargeAnswers) => Promise<Response>;

/** What a path says, before it becomes a `Response`. */
interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const TEXT = "text/plain; charset=utf-8";
/** What prom-client writes (and Prometheus asks for). */
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
/** Pause after making an answer, as a multiple of the time that took: a third of the time at most goes into answers. */
const PAUSE_FACTOR = 2;
const OPEN_PATHS: readonly string[] = ["/healthz", "/readyz"];

/** On every answer: nothing is cached, sniffed, framed or loaded from anywhere. The page sets a policy of its own. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
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
  const page = (refresh: boolean) =>
    shared(deps.clock, async () => {
      // The page and its helper are loaded when somebody looks, not at every start.
      const { renderPage } = await import("./page.ts");
      return {
        status: 200,
        type: "text/html; charset=utf-8",
        ...await renderPage(await deps.status(), { refresh }),
      };
    });
  const [refreshing, still] = [page(true), page(false)];
  const routes: Readonly<Record<string, (query: string) => Answer | Promise<Answer>>> = {
    "/metrics": shared(
      deps.clock,
      async () => ({ status: 200, type: METRICS_TYPE, body: await deps.metrics() }),
    ),
    "/healthz": () => probe(deps.health()),
    "/readyz": () => probe(deps.ready()),
    "/status": shared(deps.clock, async () => {
      const { renderStatusJson } = await import("./status_json.ts");
      return {
        status: 200,
        type: "application/json; charset=utf-8",
        body: renderStatusJson(await deps.status()),
      };
    }),
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

  return async (ask, large) => respond(await answer(ask), large);
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

function respond({ status, type, body, headers }: Answer, large: LargeAnswers): Response {
  const taken = large.take(body);
  if (taken === null) return respond(text(503, "clients have not read their last answers yet\n"), large);
  const length = taken.lengthBytes === null ? {} : { "Content-Length": String(taken.lengthBytes) };
  return new Response(taken.body, {
    status,
    headers: { ...SECURITY_HEADERS, "Content-Type": type, ...length, ...headers },
  });
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
