/** The HTTP trigger: every URL must answer 2xx, each is asked once, and errors tell the reason and no secret. */

import assert from "node:assert/strict";
import type { Config } from "../../src/config.ts";
import { createClock } from "../../src/clock.ts";
import { sendRequest } from "../../src/http/request.ts";
import type { TriggerResult } from "../../src/model.ts";
import { createHttpTrigger } from "../../src/trigger/http.ts";
import { createTestConfig } from "../support/config.ts";
import { createHostileServer } from "../support/hostile_server.ts";
import { freePort } from "../support/scene.ts";
import { test } from "../support/strict.ts";

const NEVER = new AbortController().signal;

/** Runs the trigger against a server that answers by path: `/200`, `/500?text`. */
async function trigger(paths: string[], more: Partial<Config> = {}) {
  const seen: { line: string; authorization: string | null }[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const url = new URL(request.url);
    seen.push({
      line: `${request.method} ${url.pathname}${url.search}`,
      authorization: request.headers.get("authorization"),
    });
    const status = Number(url.pathname.slice(1));
    return new Response(status === 204 ? null : decodeURIComponent(url.search.slice(1)), { status });
  });
  const base = `http://127.0.0.1:${server.addr.port}`;
  const triggerUrls = paths.map((path) =>
    path.includes(":") ? path.replace("BASE", base.slice(7)) : base + path
  );
  const clock = createClock();
  const before = { atMs: clock.nowMs(), wallMs: clock.wallMs() };
  const result = await createHttpTrigger(createTestConfig({ triggerUrls, ...more }), sendRequest, clock)(
    NEVER,
  );
  await server.shutdown();
  return { result, seen, base, before };
}

function failed(result: TriggerResult) {
  assert.ok(result.kind === "not-sent", JSON.stringify(result));
  return result;
}

test("asks every URL once, in order, and tells when it began", async () => {
  const { result, seen, before } = await trigger(["/200", "/204", "/202"]);
  assert.deepEqual(seen.map(({ line }) => line), ["POST /200", "POST /204", "POST /202"]);
  assert.ok(result.kind === "sent");
  assert.ok(result.atMs >= before.atMs && result.wallMs >= before.wallMs);
});

test("uses the method asked for", async () => {
  const { seen } = await trigger(["/200"], { triggerMethod: "PUT" });
  assert.deepEqual(seen.map(({ line }) => line), ["PUT /200"]);
});

test("the first URL that fails ends it", async () => {
  const { result, seen, before } = await trigger(["/200", "/404", "/200"]);
  assert.equal(failed(result).code, "trigger-refused");
  assert.ok(failed(result).atMs! >= before.atMs, "it has reached the first");
  assert.equal(seen.length, 2);
});

for (
  const [code, kind] of [
    [500, "refused"],
    [400, "refused"],
    [422, "refused"],
    [409, "refused"],
    [401, "refused"],
    [404, "refused"],
    [501, "status"],
  ]
) {
  test(`code ${code} is trigger-${kind}, with the first line of the answer`, async () => {
    const body = encodeURIComponent("bad config: line 3\nsecond line");
    const { result, base } = await trigger([`/${code}?${body}`]);
    const { code: stable, message } = failed(result);
    assert.equal(stable, `trigger-${kind}`);
    assert.equal(message, `POST ${base}/${code}?*** answered HTTP ${code}: bad config: line 3`);
  });
}

test("an answer is cut and cannot command a terminal", async () => {
  const { result } = await trigger([`/500?${encodeURIComponent("\u001b[2J" + "x".repeat(3000))}`]);
  const reason = failed(result).message.split("answered HTTP 500: ")[1]!;
  assert.equal(reason.length, 200);
  assert.ok(!reason.includes("\u001b"));
});

test("credentials are sent and never shown", async () => {
  const { result, seen } = await trigger(["http://me:secret@BASE/403?secret"]);
  assert.equal(seen[0]!.authorization, `Basic ${btoa("me:secret")}`);
  const { message } = failed(result);
  assert.match(message, /^POST http:\/\/\*\*\*@127\.0\.0\.1:\d+\/403\?\*\*\* answered HTTP 403: secret$/);
});

test("a redirect is not followed", async () => {
  const server = createHostileServer();
  const clock = createClock();
  const config = createTestConfig({ triggerUrls: [server.url("redirect")] });
  const result = failed(await createHttpTrigger(config, sendRequest, clock)(NEVER));
  assert.equal(result.code, "trigger-failed");
  assert.match(result.message, /^Cannot POST http:\/\/127.+\/redirect: HTTP 302: redirected/);
  assert.equal(server.requests.length, 1);
  await server.close();
});

for (const status of [502, 503, 504]) {
  test(`code ${status} comes from something in between: the app may be at it`, async () => {
    const { result, base, before, seen } = await trigger([`/${status}?upstream`, "/200"]);
    assert.ok(result.kind === "sent" && result.atMs >= before.atMs, JSON.stringify(result));
    assert.equal(result.unanswered, `POST ${base}/${status}?*** answered HTTP ${status}: upstream`);
    assert.equal(seen.length, 2, "the other URLs are asked all the same");
  });
}

test("a refusal after an unanswered request is the app's no", async () => {
  const { result } = await trigger(["/503", "/500?bad"]);
  assert.equal(failed(result).code, "trigger-refused");
});

test("what may have arrived is told apart from what has not", async () => {
  const server = createHostileServer();
  const of = (url: string) =>
    createHttpTrigger(
      createTestConfig({ triggerUrls: [url], httpTimeoutMs: 200 }),
      sendRequest,
      createClock(),
    )(NEVER);
  const unanswered: readonly [kind: string, reason: RegExp][] = [
    ["no-answer", /^timed out after 200ms$/],
    ["close", /^connection closed without an answer$/],
    ["half-head", /^connection closed without an answer$/],
    ["half-body", /^connection closed in the middle of the answer$/],
  ];
  for (const [kind, reason] of unanswered) {
    const result = await of(server.url(kind));
    assert.ok(result.kind === "sent", `${kind}: ${JSON.stringify(result)}`);
    assert.match(result.unanswered!.split(": ")[1]!, reason);
  }
  assert.equal(server.requests.length, unanswered.length, "each was sent once");
  const greeting = failed(await of(server.url("greeting")));
  assert.equal(greeting.code, "trigger-failed", "nothing that speaks HTTP is there");
  await server.close();
  const url = `http://127.0.0.1:${freePort()}/-/reload`;
  assert.deepEqual(await of(url), {
    kind: "not-sent",
    code: "trigger-failed",
    message: `Cannot POST ${url}: connection refused`,
  });
  assert.match(failed(await of("unix:/nowhere/app.sock:/")).message, /no such socket$/);
});

test("a credentials file that cannot be used keeps the trigger back", async () => {
  const { result, seen } = await trigger(["/200"], { basicAuthFile: "/nowhere" });
  assert.deepEqual(result, {
    kind: "not-sent",
    code: "credentials",
    message: 'Cannot read basic auth file "/nowhere": no such file',
  });
  assert.deepEqual(seen, []);
});
