/** The probe and the pauses between its reads. */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Config } from "../../src/config.ts";
import { HttpError } from "../../src/http/errors.ts";
import type { HttpRequest, SendRequest } from "../../src/http/request.ts";
import { createStatusProbe, nextPollDelayMs } from "../../src/verify/probe.ts";
import { createTestConfig } from "../support/config.ts";
import { test } from "../support/strict.ts";

const NEVER = new AbortController().signal;
const AMP = '{"status":"success","attempts":3}';

/** Answers with the given texts, one after the other; an error is thrown. */
function createFakeSend(answers: (string | Error)[]): SendRequest & { requests: HttpRequest[] } {
  const requests: HttpRequest[] = [];
  const send: SendRequest = (request) => {
    requests.push(request);
    const answer = answers.shift()!;
    if (typeof answer !== "string") return Promise.reject(answer);
    return Promise.resolve({ status: 200, body: new TextEncoder().encode(answer), truncated: false });
  };
  return Object.assign(send, { requests });
}

function createProbe(send: SendRequest, more: Partial<Config> = {}) {
  return createStatusProbe(createTestConfig({ reloadUrl: "http://app:1/health/reload", ...more }), send);
}

test("asks the status URL with a GET and its timeout", async () => {
  const send = createFakeSend([AMP]);
  const reading = await createProbe(send, { httpTimeoutMs: 1234 }).read(NEVER);
  assert.equal(reading.kind === "status" && reading.status.format, "amp");
  const { url, method, timeoutMs, headers } = send.requests[0]!;
  assert.deepEqual(
    { url, method, timeoutMs, headers },
    { url: "http://app:1/health/reload", method: "GET", timeoutMs: 1234, headers: [] },
  );
});

test("each mode reads its own format", async () => {
  const cases: [Partial<Config>, string, string][] = [
    [{ verify: "auto" }, AMP, "amp"],
    [{ verify: "amp" }, AMP, "amp"],
    [{ verify: "http" }, AMP, "http"],
    [{ verify: "none" }, AMP, "http"],
    [{ verify: "json", verifyToken: "/attempts" }, AMP, "json"],
    [{ verify: "prometheus" }, "x_config_last_reload_successful 1\n", "prometheus"],
    [{ verify: "auto" }, "ok", "http"],
  ];
  for (const [config, text, format] of cases) {
    const reading = await createProbe(createFakeSend([text]), config).read(NEVER);
    assert.equal(reading.kind === "status" && reading.status.format, format);
  }
});

test("auto holds on to a known format, and not to a bare code", async () => {
  const probe = createProbe(createFakeSend(["ok", AMP, "ok", AMP]));
  const formats = [];
  for (let i = 0; i < 4; i++) {
    const reading = await probe.read(NEVER);
    formats.push(reading.kind === "status" ? reading.status.format : reading.reason);
  }
  assert.deepEqual(formats, ["http", "amp", 'not JSON: "ok"', "amp"]);
  const metrics = createProbe(createFakeSend(["x_config_last_reload_successful 1\n", AMP]));
  await metrics.read(NEVER);
  assert.equal((await metrics.read(NEVER)).kind, "error");
});

test("credentials are read afresh at each read; what is wrong with them is the reason", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, "one");
  const send = createFakeSend([AMP, AMP]);
  const probe = createProbe(send, { bearerTokenFile: path });
  await probe.read(NEVER);
  await Deno.writeTextFile(path, "two");
  await probe.read(NEVER);
  assert.deepEqual(send.requests.map(({ headers }) => headers![0]![1]), ["Bearer one", "Bearer two"]);
  await Deno.remove(path);
  assert.deepEqual(await probe.read(NEVER), {
    kind: "error",
    reason: `Cannot read bearer token file "${path}": no such file`,
  });
});

test("a failed request is a reading with its reason", async () => {
  const send = createFakeSend([new HttpError("refused", "connection refused")]);
  assert.deepEqual(await createProbe(send).read(NEVER), { kind: "error", reason: "connection refused" });
});

test("the first reads are close, later ones a poll interval apart", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 8, 9, 10, 99].map((n) => nextPollDelayMs(n, 500)), [
    0,
    2,
    4,
    8,
    16,
    256,
    500,
    500,
    500,
  ]);
  fc.assert(fc.property(fc.nat(10_000), fc.integer({ min: 1, max: 60_000 }), (n, interval) => {
    const delay = nextPollDelayMs(n, interval);
    assert.ok(delay >= 0 && delay <= interval && delay <= nextPollDelayMs(n + 1, interval));
  }));
});
