/** Every hostile answer ends in time, with the right reading, in bounded memory and without leaked descriptors. */

import assert from "node:assert/strict";
import { V8_FLAGS } from "../../scripts/v8_flags.ts";
import type { StatusReading } from "../../src/model.ts";
import { judge } from "../../src/verify/judge.ts";
import { createHostileServer, HOSTILE_KINDS, TIMES_OUT } from "../support/hostile_server.ts";
import { freePort } from "../support/scene.ts";
import { amp } from "../support/status.ts";
import { test } from "../support/strict.ts";

interface Read {
  kind: string;
  verify: string;
  reading: StatusReading;
  ms: number;
  cpuMs: number;
}

/** What the reason must say, by kind; for the modes that need a status. */
const REASONS: Readonly<Record<string, RegExp>> = {
  "no-answer": /^timed out after 400ms$/,
  "half-head": /^connection closed without an answer$/,
  "half-body": /^connection closed in the middle of the answer$/,
  "half-chunk": /^connection closed in the middle of the answer$/,
  "drip": /^timed out after 400ms$/,
  "huge": /^body is larger than 1 MiB$|in the first 1 MiB of the metrics$/,
  "endless-head": /^the answer's headers are too large$/,
  "huge-headers": /^the answer's headers are too large$/,
  "endless-interim": /^timed out after 400ms$/,
  "gzip-bomb": /^HTTP 200: body is packed \(gzip\) unasked$/,
  "chunk-flood": /^the body comes in more than 10000 pieces$|^timed out after 400ms$/,
  "redirect":
    /^HTTP 302: redirected to http:\/\/\*\*\*@127\.0\.0\.1:9\/\?\*\*\*, and redirects are not followed$/,
  "reset": /^connection (reset|closed)/,
  "close": /^connection closed without an answer$/,
  "no-content": /^HTTP 204/,
  "truncated-json": /^not JSON: "/,
  "wrong-types": /^not an AMP status|^not runtime info/,
  "deep-json": /^JSON has too many values or levels|^not runtime info/,
  "wide-json": /^JSON has too many values or levels|^not runtime info/,
  "bad-utf8": /^body is not UTF-8$/,
  "bad-chunk": /^connection closed in the middle of the answer$/,
  "bad-length": /^the answer's content-length is no number$/,
  "greeting": /^the answer is not HTTP\/1\.1; if the server speaks TLS, use https:\/\/$/,
  "empty": /^empty body$|^no metric ending in/,
};

/** Kinds that are an answer with code 200, whatever is in it. */
const OK_BY_CODE = ["huge", "truncated-json", "wrong-types", "deep-json", "wide-json", "bad-utf8", "empty"];

test("every hostile answer ends in time, with a reason, in bounded memory", async (t) => {
  const server = createHostileServer();
  const lines: unknown[] = [];
  try {
    const child = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        `--v8-flags=${V8_FLAGS.join(",")}`,
        "tests/http/hostile_child.ts",
        String(server.port),
      ],
      stderr: "inherit",
    }).output();
    assert.equal(child.code, 0);
    for (const line of new TextDecoder().decode(child.stdout).trim().split("\n")) {
      lines.push(JSON.parse(line));
    }
  } finally {
    await server.close();
  }
  const end = lines.pop() as { grownBytes: number; grownFds: number };
  const reads = lines as Read[];
  assert.equal(reads.length, HOSTILE_KINDS.length * 5);
  await t.step("within the deadline", () => {
    for (const { kind, verify, ms } of reads) {
      if (TIMES_OUT.has(kind)) assert.ok(ms < 400 + 300, `${kind} with ${verify} took ${ms} ms`);
    }
  });
  await t.step("at a bounded cost", () => {
    for (const { kind, verify, cpuMs } of reads) {
      assert.ok(cpuMs <= 800, `${kind} with ${verify} took ${cpuMs} ms of CPU`);
    }
  });
  await t.step("with the right reading, and never a proof", () => {
    for (const read of reads) checkReading(read);
  });
  await t.step("memory grows by at most 10 MB", () => {
    assert.ok(end.grownBytes <= 10 * 1024 * 1024, `grown by ${end.grownBytes} bytes`);
  });
  await t.step("no descriptor is left behind", () => {
    assert.ok(end.grownFds <= 2, `${end.grownFds} more descriptors after 400 reads`);
  });
});

function checkReading({ kind, verify, reading }: Read): void {
  const what = `${kind} with ${verify}: ${JSON.stringify(reading)}`;
  if (reading.kind === "error") {
    assert.match(reading.reason, REASONS[kind]!, what);
    assert.ok(!reading.reason.includes("secret"), what);
    return;
  }
  const { status } = reading;
  if (status.format === "json") return assert.deepEqual([kind, status.ok], ["wrong-types", false], what);
  assert.equal(status.format, "http", what);
  const byCode = verify === "http" ? [...OK_BY_CODE, "no-content"] : ["huge", "empty"];
  assert.ok((verify === "http" || verify === "auto") && byCode.includes(kind), what);
  // With a known status before the trigger, an answer that is only a code proves nothing.
  const verdict = judge(status, { baseline: amp(), triggeredWallMs: 0, sinceTriggerMs: 0, restarted: false });
  assert.equal(verdict.kind, "pending", what);
}

test("proxies from the environment are never used", async () => {
  const proxy = createHostileServer();
  const url = `http://127.0.0.1:${proxy.port}`;
  const env: Record<string, string> = {};
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]) {
    env[name] = env[name.toLowerCase()] = url;
  }
  const code = `
    import { forgetProxies, sendRequest } from "./src/http/request.ts";
        forgetProxies();
    for (const base of ["http://127.0.0.1", "http://localhost", "https://127.0.0.1"]) {
      await sendRequest({ url: base + ":${freePort()}/stale", method: "GET", timeoutMs: 2000 },
        new AbortController().signal).then(() => console.log("answered"), (error) => console.log(error.message));
    }`;
  try {
    const child = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--ext=ts", code],
      env,
      stderr: "inherit",
    }).output();
    assert.deepEqual(
      new TextDecoder().decode(child.stdout).trim().split("\n"),
      ["connection refused", "connection refused", "connection refused"],
    );
    assert.deepEqual(proxy.requests, []);
  } finally {
    await proxy.close();
  }
});
