/** What `check` and `healthcheck` print may hold anybody's words: a process name, an answer. None may command a terminal. */

import assert from "node:assert/strict";
import { checkApp } from "../../src/commands/check/app.ts";
import { checkServer } from "../../src/commands/check/server.ts";
import { type Finding, renderJson, renderText } from "../../src/commands/check/finding.ts";
import { runHealthcheck } from "../../src/commands/healthcheck.ts";
import { createTestConfig } from "../support/config.ts";
import { collect } from "../support/lines.ts";
import { test } from "../support/strict.ts";

/** Sets a terminal's title, hides the line before, turns the text around. */
const EVIL = "\u001b]0;owned\u0007\u001b[1A\u001b[2K\u009b2J\u202eok\r\nfake line";
// deno-lint-ignore no-control-regex -- control characters are what must not be there
const UNSAFE = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]/;

test("check: whatever a process or an answer is called, the report has its own lines only", () => {
  const finding: Finding = {
    area: "target",
    level: "fault",
    code: "ambiguous",
    message: EVIL,
    details: [EVIL],
    fix: { say: EVIL, yaml: `args:\n  - ${EVIL.replace(/[\r\n]/g, "")}` },
  };
  const text = renderText([finding], false, null);
  assert.doesNotMatch(text, UNSAFE);
  assert.equal(
    text.split("\n").length,
    renderText([{ ...finding, message: "", details: [""] }], false, null).split("\n").length,
  );
  assert.match(text, /\\u001b\]0;owned\\u0007/);
  const json = renderJson([finding], null);
  assert.doesNotMatch(json, UNSAFE);
  assert.equal(JSON.parse(json).findings[0].message, EVIL, "JSON gives it back as it was");
});

test("check: a token as long as a document is cut", async () => {
  const config = createTestConfig({ verify: "json", verifyToken: "/t" });
  const status = { format: "json", ok: null, token: `"${"x".repeat(100_000)}"` } as const;
  const [found] = await checkApp(config, { read: () => Promise.resolve({ kind: "status", status }) });
  assert.ok(found!.message.length < 200, found!.message.slice(0, 300));
});

test("healthcheck: what another program on the port answers is shown as text", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(EVIL.repeat(100), { status: 500, headers: { connection: "close" } }),
  );
  const lines: string[] = [];
  const config = createTestConfig({ metricsPort: server.addr.port, metricsHost: "127.0.0.1" });
  assert.equal(await runHealthcheck(config, collect(lines)), 1);
  assert.equal(lines.length, 1);
  assert.doesNotMatch(lines[0]!, UNSAFE);
  assert.ok(!lines[0]!.includes("\n"));
});

test("check: a TLS pair or a credential file that is of no use is said as that", async () => {
  const tls = new URL("../testdata/tls/", import.meta.url).pathname;
  for (const [cert, key] of [["server.pem", "other.key"], ["server.pem", "server.pem"], ["ca.pem/..", "x"]]) {
    const config = createTestConfig({ metricsPort: 0, tlsCertFile: tls + cert, tlsKeyFile: tls + key });
    const found = await checkServer(config);
    assert.deepEqual(
      found.map(({ level, code }) => `${level} ${code}`),
      ["fault tls-file"],
      `${cert} ${key}`,
    );
    assert.match(found[0]!.message, /^Cannot (use TLS certificate ".*" with key ".*"|read TLS file ".*"): ./);
  }
  const broken = createTestConfig({
    verify: "none",
    trigger: "http",
    triggerUrls: ["http://a/"],
    bearerTokenFile: "/nonexistent",
  });
  const probe = { read: () => Promise.reject(new Error("not asked")) };
  const [first] = await checkApp(broken, probe);
  assert.deepEqual([first!.level, first!.code], ["fault", "credentials"]);
  assert.equal(first!.message, 'Cannot read bearer token file "/nonexistent": no such file');
});
