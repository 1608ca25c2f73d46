/**
 * What each path answers: request head → answer. No sockets, no files, no clock. It never parses Host, and it answers
 * whatever happens in what it asks: an error becomes a 500 that tells nothing but its kind.
 */

import type { StatusView } from "../model.ts";
import type { Answer, Ask } from "./wire.ts";

/** A state for probes. */
export type Health = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** What the handler asks for its answers. */
export interface HandlerDeps {
  /** The Prometheus text. */
  metrics(): Promise<string>;
  /** Whether the loop turns. */
  health(): Health;
  /** See `--ready-when`. */
  ready(): Health;
  status(): StatusView;
  /** Whether this request may see more than the probes; null: nothing is asked for. */
  auth: Authorize | null;
  /** Told about what should not happen: an answer that could not be made. */
  onError(path: string, error: unknown): void;
}

/** Judges the value of `Authorization`: null lets the request pass, else the value of `WWW-Authenticate`. */
export type Authorize = (authorization: string | null) => string | null;

/** Answers one request; never rejects for what goes wrong behind a path. */
export type Handler = (ask: Ask) => Promise<Answer>;

const TEXT = "text/plain; charset=utf-8";
/** What prom-client writes (and Prometheus asks for). */
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_PATHS: readonly string[] = ["/healthz", "/readyz"];

/**
 * Creates the handler.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const handler = createHandler({
 *   health: () => ({ ok: false, reason: "the loop stands still" }),
 *   auth: () => "Bearer",
 * } as unknown as HandlerDeps);
 * const head = { method: "GET", query: "", header: () => null, keepAlive: true };
 * const ask = (path: string) => handler({ ...head, path });
 * assert.equal((await ask("/healthz")).body, "the loop stands still\n");
 * assert.equal((await ask("/status")).status, 401);
 * assert.equal((await ask("/favicon.ico")).status, 404);
 * ```
 */
export function createHandler(deps: HandlerDeps): Handler {
  let rendering: Promise<string> | null = null;
  /** Scrapes at the same moment share one text: a flood of them costs little more than one. */
  const sharedMetrics = () => rendering ??= deps.metrics().finally(() => rendering = null);
  const routes: Readonly<Record<string, (ask: Ask) => Answer | Promise<Answer>>> = {
    "/metrics": async () => ({ status: 200, type: METRICS_TYPE, body: await sharedMetrics() }),
    "/healthz": () => probe(deps.health()),
    "/readyz": () => probe(deps.ready()),
    "/status": () => ({
      status: 200,
      type: "application/json; charset=utf-8",
      body: JSON.stringify(deps.status(), null, 2) + "\n",
    }),
    "/": async (ask) => {
      // The page and its helper are loaded when somebody looks, not at every start.
      const { renderPage } = await import("./page.ts");
      return await renderPage(deps.status(), { refresh: ask.query !== "refresh=off" });
    },
  };
  return async (ask) => {
    const route = routes[ask.path];
    if (route === undefined && ask.path !== "") return text(404, "not found\n");
    if (route === undefined || (ask.method !== "GET" && ask.method !== "HEAD")) {
      return text(405, "only GET and HEAD are answered here\n", { "Allow": "GET, HEAD" });
    }
    if (deps.auth !== null && !OPEN_PATHS.includes(ask.path)) {
      const challenge = deps.auth(ask.header("authorization"));
      if (challenge !== null) return text(401, "credentials are needed\n", { "WWW-Authenticate": challenge });
    }
    try {
      return await route(ask);
    } catch (error) {
      deps.onError(ask.path, error);
      return text(500, "internal error; the log has it\n");
    }
  };
}

function probe(health: Health): Answer {
  return health.ok ? text(200, "ok\n") : text(503, `${health.reason}\n`);
}

function text(status: number, body: string, headers?: Answer["headers"]): Answer {
  return { status, type: TEXT, body, ...(headers ? { headers } : {}) };
}
