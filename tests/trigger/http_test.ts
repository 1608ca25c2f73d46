/** The HTTP trigger: every URL must answer 2xx, each is asked once, and errors tell the reason and no secret. */

import assert from "node:assert/strict";
import type { Config } from "../../src/config.ts";
import { createClock } from "../../src/clock.ts";
import { createHttpClient } from "../../src/http/client.ts";
import type { TriggerResult } from "../../src/model.ts";
import { createHttpTrigger } from "../../src/trigger/http.ts";
import { createTestConfig } from "../support/config.ts";
import { createHostileServer } from "../support/hostile_server.ts";
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
  const client = createHttpClient(clock);
  const before = { atMs: clock.nowMs(), wallMs: clock.wallMs() };
  const result = await createHttpTrigger(createTestConfig({ triggerUrls, ...more }), client, clock)(NEVER);
  client.close();
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
  assert.equal(failed(result).code, "trigger-status");
  assert.ok(failed(result).atMs! >= before.atMs, "it has reached the first");
  assert.equal(seen.length, 2);
});

for (
  const [code, kind] of [[500, "refused"], [400, "refused"], [422, "refused"], [409, "refused"], [
    401,
    "status",
  ], [503, "status"]]
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
  const client = createHttpClient(clock);
  const config = createTestConfig({ triggerUrls: [server.url("redirect")] });
  const result = failed(await createHttpTrigger(config, client, clock)(NEVER));
  assert.equal(result.code, "trigger-failed");
  assert.match(result.message, /^Cannot POST http:\/\/127.+\/redirect: HTTP 302: redirected/);
  assert.equal(server.requests.length, 1);
  await server.close();
});

test("no answer in time, and nobody there, are told apart", async () => {
  const server = createHostileServer();
  const clock = createClock();
  const client = createHttpClient(clock);
  const of = async (url: string) => {
    const config = createTestConfig({ triggerUrls: [url], httpTimeoutMs: 200 });
    return failed(await createHttpTrigger(config, client, clock)(NEVER));
  };
  const late = await of(server.url("no-answer"));
  assert.deepEqual([late.code, late.message.split(": ")[1]], ["trigger-timeout", "timed out after 200ms"]);
  assert.equal(typeof late.atMs, "number", "the app may be at it all the same");
  assert.equal(server.requests.length, 1);
  await server.close();
  const nobody = await of("http://127.0.0.1:1/-/reload");
  assert.deepEqual(nobody, {
    kind: "not-sent",
    code: "trigger-failed",
    message: "Cannot POST http://127.0.0.1:1/-/reload: connection refused",
  });
});

test("a credentials file that cannot be used keeps the trigger back", async () => {
  const { credentials } = createTestConfig();
  const { result, seen } = await trigger(["/200"], {
    credentials: { ...credentials, basicAuthFile: "/nowhere" },
  });
  assert.deepEqual(result, {
    kind: "not-sent",
    code: "credentials",
    message: 'Cannot read basic auth file "/nowhere": no such file',
  });
  assert.deepEqual(seen, []);
});
