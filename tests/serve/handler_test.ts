import assert from "node:assert/strict";
import fc from "fast-check";
import { createClock } from "../../src/clock.ts";
import {
  createHandler,
  type HandlerDeps,
  HELD_BYTES_MAX,
  parseTarget,
  renderStatusJson,
} from "../../src/serve/handler.ts";
import { createFakeClock, settle } from "../support/fake_clock.ts";
import { goodView } from "../support/status_view.ts";
import { test } from "../support/strict.ts";

const ALL: HandlerDeps = {
  clock: createClock(),
  metrics: () => Promise.resolve("a 1\n"),
  health: () => ({ ok: true }),
  ready: () => ({ ok: true }),
  status: () => goodView(),
  auth: null,
  onUnread: () => assert.fail("too much is unread"),
  onError: (_, error) => assert.fail(String(error)),
};

interface Seen {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers: Headers;
}

/** Asks for a path as Deno would: the URL is put together from a Host header, unchecked. */
async function ask(
  deps: Partial<HandlerDeps>,
  path: string,
  method = "GET",
  { headers = {} }: { headers?: HeadersInit } = {},
): Promise<Seen> {
  const handler = createHandler({ ...ALL, ...deps });
  const response = await handler({ method, url: `http://x${path}`, headers: new Headers(headers) });
  const type = response.headers.get("content-type")!;
  return { status: response.status, type, body: await response.text(), headers: response.headers };
}

test("/metrics has the text and the type that Prometheus asks for", async () => {
  const answer = await ask({}, "/metrics?name[]=x");
  assert.deepEqual([answer.status, answer.type, answer.body], [
    200,
    "text/plain; version=0.0.4; charset=utf-8",
    "a 1\n",
  ]);
});

test("scrapes at the same moment share one text, later ones get a new one", async () => {
  let renders = 0;
  const handler = createHandler({ ...ALL, metrics: () => Promise.resolve(`renders ${++renders}\n`) });
  const scrape = async () => {
    const ask = { method: "GET", url: "http://x/metrics", headers: new Headers() };
    return await (await handler(ask)).text();
  };
  assert.deepEqual(await Promise.all([scrape(), scrape(), scrape()]), Array(3).fill("renders 1\n"));
  assert.equal(await scrape(), "renders 2\n");
});

for (const [path, key] of [["/healthz", "health"], ["/readyz", "ready"]] as const) {
  test(`${path} says ok, or why not`, async () => {
    const good = await ask({}, path);
    assert.deepEqual([good.status, good.type, good.body], [200, "text/plain; charset=utf-8", "ok\n"]);
    const bad = { ok: false as const, reason: "the loop has not turned for 31 s" };
    const answer = await ask({ [key]: () => bad }, path);
    assert.deepEqual([answer.status, answer.body], [503, "the loop has not turned for 31 s\n"]);
  });
}

test("/status is the view as JSON", async () => {
  const answer = await ask({}, "/status");
  assert.equal(answer.type, "application/json; charset=utf-8");
  assert.equal(answer.body, renderStatusJson(goodView()));
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
    ["OPTIONS", "/"],
    ["CONNECT", ""],
    ["GETX", "/"],
  ] as const
) {
  test(`${method} ${target} is told what is allowed`, async () => {
    const answer = await ask({}, target, method);
    assert.equal(answer.status, 405);
    assert.equal(answer.headers.get("allow"), "GET, HEAD");
  });
}

test("HEAD is handled as GET, with its length and without the body, which Deno would send over HTTP/2", async () => {
  const metrics = () => Promise.resolve("é".repeat(100_000));
  for (const path of ["/metrics", "/healthz", "/nope", "/status"]) {
    const [head, get] = [await ask({ metrics }, path, "HEAD"), await ask({ metrics }, path)];
    const length = new TextEncoder().encode(get.body).length;
    assert.deepEqual([head.status, head.type, head.body], [get.status, get.type, ""]);
    assert.equal(head.headers.get("content-length"), String(length), path);
  }
});

test("a flood of scrapes costs a third of the time: between two renderings is a pause, and those that wait share one", async () => {
  const clock = createFakeClock();
  let renders = 0;
  const metrics = async () => {
    await clock.sleep(10);
    return `${++renders}`;
  };
  const handler = createHandler({ ...ALL, clock, metrics });
  const bodies: string[] = [];
  const scrape = async () => {
    const ask = { method: "GET", url: "http://x/metrics", headers: new Headers() };
    bodies.push(await (await handler(ask)).text());
  };
  for (let ms = 0; ms < 1_000; ms++) {
    void scrape();
    await clock.advance(1);
  }
  assert.equal(renders, 34);
  await clock.advance(100);
  await settle();
  assert.equal(bodies.length, 1_000);
  const health = { method: "GET", url: "http://x/healthz", headers: new Headers() };
  assert.equal((await handler(health)).status, 200, "a probe never waits");
});

test("every answer has headers that forbid everything; the page has its own policy", async () => {
  const auth = () => "Basic";
  const answers = [await ask({}, "/healthz"), await ask({}, "/nope"), await ask({}, "/", "POST")];
  for (const { headers } of [...answers, await ask({ auth }, "/metrics"), await ask({}, "/")]) {
    assert.deepEqual(
      ["cache-control", "x-content-type-options", "x-frame-options", "referrer-policy"].map((name) =>
        headers.get(name)
      ),
      ["no-store", "nosniff", "DENY", "no-referrer"],
    );
    assert.match(headers.get("content-security-policy")!, /^default-src 'none';.* frame-ancestors 'none'$/);
    assert.equal(headers.get("cross-origin-opener-policy"), "same-origin");
    assert.equal(headers.get("cross-origin-resource-policy"), "same-origin");
  }
});

test("the path is the one that was sent, whatever Host holds", () => {
  const hosts = fc.string({ unit: fc.constantFrom("a", "/", ":", "?", "#", "[", "]", "@", " ", "9") });
  const paths = fc.constantFrom("/", "/healthz", "//metrics", "/status?x=/?y", "/a/../b");
  fc.assert(fc.property(hosts, paths, (host, path) => {
    const { path: found, query } = parseTarget({
      method: "GET",
      url: `https://${host}${path}`,
      headers: new Headers({ host }),
    });
    // A header's value has no blanks at its ends.
    if (host === host.trim()) assert.equal(query === "" ? found : `${found}?${query}`, path);
  }));
  const target = (url: string, host?: string) =>
    parseTarget({ method: "GET", url, headers: new Headers(host === undefined ? {} : { host }) }).path;
  assert.equal(
    target("http://localhost:9091/healthz"),
    "/healthz",
    "no Host, or one that Deno could not use",
  );
  assert.equal(target("http://evil:1/healthz?x", "a"), "/healthz", "the whole URL in the request");
  assert.equal(target("http://evil:1/healthz", "e"), "/healthz");
  assert.equal(target("http://db:5432", "db:5432"), "", "CONNECT");
});

test("large answers that nobody reads: bounded, then refused and reported; a small one always goes", async () => {
  let refused = 0;
  const view = goodView();
  const file = { ...view.files[0]!, path: "/".padEnd(1_000, "x") };
  const status = () => ({ ...view, files: Array(2_000).fill(file) });
  const handler = createHandler({ ...ALL, status, onUnread: () => refused++ });
  const read = (path: string) => handler({ method: "GET", url: `http://x${path}`, headers: new Headers() });
  const unread: Response[] = [];
  for (;;) {
    const response = await read("/status");
    if (response.status !== 200) {
      assert.equal(response.status, 503);
      assert.equal(await response.text(), "clients have not read their last answers yet\n");
      break;
    }
    unread.push(response);
  }
  const bytes = Number(unread[0]!.headers.get("content-length"));
  assert.ok(bytes > 2_000_000);
  assert.equal(unread.length, Math.floor(HELD_BYTES_MAX / bytes) + 1);
  assert.equal(refused, 1);
  assert.equal((await read("/healthz")).status, 200);
  // One that reads to the end, and one that goes away, make room.
  assert.equal((await unread.pop()!.text()).length, bytes);
  assert.equal((await read("/status").then(async (next) => (await next.body!.cancel(), next))).status, 200);
  for (const response of unread) await response.body!.cancel();
  assert.equal((await (await read("/status")).text()).length, bytes);
});

test("what is behind credentials, and what is not", async () => {
  const seen: (string | null)[] = [];
  const auth = (value: string | null) => {
    seen.push(value);
    return value === "Bearer t" ? null : 'Basic realm="x"';
  };
  for (const path of ["/metrics", "/status", "/"]) {
    const answer = await ask({ auth }, path);
    assert.deepEqual([answer.status, answer.headers.get("www-authenticate")], [401, 'Basic realm="x"']);
    const headers = { authorization: "Bearer t" };
    assert.equal((await ask({ auth }, path, "GET", { headers })).status, 200);
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
