import assert from "node:assert/strict";
import { createHandler, type HandlerDeps } from "../../src/server/handler.ts";
import { type Answer, parseAsk } from "../../src/server/wire.ts";
import { goodView } from "../support/status_view.ts";
import { test } from "../support/strict.ts";

function ask(deps: Partial<HandlerDeps>, path: string, method = "GET", headers = ""): Promise<Answer> {
  const handler = createHandler({
    metrics: () => Promise.resolve("a 1\n"),
    health: () => ({ ok: true }),
    ready: () => ({ ok: true }),
    status: () => goodView(),
    auth: null,
    onError: (_, error) => assert.fail(String(error)),
    ...deps,
  });
  const bytes = new TextEncoder().encode(`${method} ${path} HTTP/1.1\r\n${headers}\r\n`);
  const parsed = parseAsk(bytes, bytes.length);
  assert.equal(parsed.kind, "ask");
  return parsed.kind === "ask" ? handler(parsed.ask) : Promise.reject();
}

test("/metrics has the text and the type that Prometheus asks for", async () => {
  const answer = await ask({}, "/metrics?name[]=x");
  assert.deepEqual(answer, { status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: "a 1\n" });
});

test("scrapes at the same moment share one text, later ones get a new one", async () => {
  let renders = 0;
  const handler = createHandler({
    metrics: () => Promise.resolve(`renders ${++renders}\n`),
    health: () => ({ ok: true }),
    ready: () => ({ ok: true }),
    status: () => goodView(),
    auth: null,
    onError: (_, error) => assert.fail(String(error)),
  });
  const scrape = { method: "GET", path: "/metrics", query: "", header: () => null, keepAlive: true };
  const answers = await Promise.all([handler(scrape), handler(scrape), handler(scrape)]);
  assert.deepEqual(answers.map((answer) => answer.body), Array(3).fill("renders 1\n"));
  assert.equal((await handler(scrape)).body, "renders 2\n");
});

for (const [path, key] of [["/healthz", "health"], ["/readyz", "ready"]] as const) {
  test(`${path} says ok, or why not`, async () => {
    assert.deepEqual(await ask({}, path), { status: 200, type: "text/plain; charset=utf-8", body: "ok\n" });
    const bad = { ok: false as const, reason: "the loop has not turned for 31 s" };
    const answer = await ask({ [key]: () => bad }, path);
    assert.deepEqual([answer.status, answer.body], [503, "the loop has not turned for 31 s\n"]);
  });
}

test("/status is the view as JSON", async () => {
  const answer = await ask({}, "/status");
  assert.equal(answer.type, "application/json; charset=utf-8");
  assert.deepEqual(JSON.parse(answer.body), JSON.parse(JSON.stringify(goodView())));
});

test("/ is a page", async () => {
  const answer = await ask({}, "/");
  assert.equal(answer.status, 200);
  assert.equal(answer.type, "text/html; charset=utf-8");
  assert.match(answer.body, /^<!doctype html>/i);
});

for (
  const path of [
    "/nope",
    "/metrics/",
    "//metrics",
    "/%6detrics",
    "/healthz/..",
    "/__proto__",
    "/constructor",
    "/favicon.ico",
  ]
) {
  test(`${path} is not found, by whatever method`, async () => {
    assert.equal((await ask({}, path)).status, 404);
    assert.equal((await ask({}, path, "POST")).status, 404);
  });
}

for (
  const [method, target] of [
    ["POST", "/metrics"],
    ["PUT", "/"],
    ["DELETE", "/status"],
    ["TRACE", "/"],
    ["OPTIONS", "*"],
    ["CONNECT", "a:1"],
    ["GETX", "/"],
  ] as const
) {
  test(`${method} ${target} is told what is allowed`, async () => {
    const answer = await ask({}, target, method);
    assert.equal(answer.status, 405);
    assert.deepEqual(answer.headers, { Allow: "GET, HEAD" });
  });
}

test("HEAD is handled as GET", async () => {
  assert.deepEqual(await ask({}, "/metrics", "HEAD"), await ask({}, "/metrics"));
});

test("what is behind credentials, and what is not", async () => {
  const seen: (string | null)[] = [];
  const auth = (value: string | null) => {
    seen.push(value);
    return value === "Bearer t" ? null : 'Basic realm="x"';
  };
  for (const path of ["/metrics", "/status", "/"]) {
    const answer = await ask({ auth }, path);
    assert.deepEqual([answer.status, answer.headers], [401, { "WWW-Authenticate": 'Basic realm="x"' }]);
    assert.equal((await ask({ auth }, path, "GET", "Authorization: Bearer t\r\n")).status, 200);
  }
  assert.equal(seen.length, 6);
  for (const path of ["/healthz", "/readyz"]) assert.equal((await ask({ auth }, path)).status, 200);
  assert.equal(seen.length, 6);
});

for (const path of ["/metrics", "/status", "/", "/healthz", "/readyz"]) {
  test(`an error behind ${path} is a 500 that tells nothing, and is reported`, async () => {
    const errors: string[] = [];
    const fail = () => {
      throw new Error("secret detail");
    };
    const deps = {
      health: fail,
      ready: fail,
      status: fail,
      metrics: () => Promise.reject(new Error("secret detail")),
    };
    const answer = await ask({ ...deps, onError: (at, error) => errors.push(`${at} ${error}`) }, path);
    assert.equal(answer.status, 500);
    assert.doesNotMatch(answer.body, /secret/);
    assert.deepEqual(errors, [`${path} Error: secret detail`]);
  });
}
