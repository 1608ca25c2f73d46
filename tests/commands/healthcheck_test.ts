import assert from "node:assert/strict";
import { createClock } from "../../src/clock.ts";
import { runHealthcheck } from "../../src/commands/healthcheck.ts";
import type { Health } from "../../src/model.ts";
import { createHandler } from "../../src/serve/handler.ts";
import { startServer } from "../../src/serve/server.ts";
import { collect } from "../support/lines.ts";
import { goodView } from "../support/status_view.ts";
import { test } from "../support/strict.ts";
import { createTestConfig } from "../support/config.ts";

const CERTIFICATES = new URL("../testdata/tls/", import.meta.url).pathname;
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

async function ask(
  { health = { ok: true }, tls = null, asks = tls, host = null, metricsPort = 0 }: {
    health?: Health;
    tls?: string | null;
    /** With which certificate's flags it is asked, where those are not the server's. */
    asks?: string | null;
    host?: string | null;
    metricsPort?: number;
  },
): Promise<{ code: number; lines: string[]; port: number }> {
  const config = createTestConfig({
    intervalMs: 60_000,
    metricsPort,
    metricsHost: host,
    tlsCertFile: tls === null ? null : `${CERTIFICATES}${tls}.pem`,
    tlsKeyFile: tls === null ? null : `${CERTIFICATES}${tls}.key`,
  });
  const handler = createHandler({
    clock: createClock(),
    metrics: () => Promise.resolve(""),
    health: () => health,
    ready: () => ({ ok: false, reason: "not asked for" }),
    status: () => goodView(),
    auth: () => "Basic",
    onUnread: () => {},
    onError: () => {},
  });
  const server = startServer(config, handler, quiet, createClock());
  const { port } = server;
  const lines: string[] = [];
  const tlsCertFile = asks === null ? null : `${CERTIFICATES}${asks}.pem`;
  const code = await runHealthcheck({ ...config, metricsPort: port, tlsCertFile }, collect(lines));
  await server.stop();
  return { code, lines, port };
}

test("healthy: exit 0 and one line", async () => {
  const { code, lines, port } = await ask({});
  assert.deepEqual([code, lines], [0, [`ok: http://127.0.0.1:${port}/healthz`]]);
});

for (
  const [host, shown] of [["0.0.0.0", "127.0.0.1"], ["::", "[::1]"], ["::1", "[::1]"], [
    "localhost",
    "localhost",
  ]]
) {
  test(`--metrics-host ${host}`, async () => {
    const { code, lines, port } = await ask({ host: host! });
    assert.deepEqual([code, lines], [0, [`ok: http://${shown}:${port}/healthz`]]);
  });
}

test("a port to which `fetch` sends nothing", async () => {
  const { code, lines } = await ask({ host: "127.0.0.1", metricsPort: 6697 });
  assert.deepEqual([code, lines], [0, ["ok: http://127.0.0.1:6697/healthz"]]);
});

test("not healthy: exit 1 and the reason", async () => {
  const { code, lines, port } = await ask({
    health: { ok: false, reason: "the loop has not turned for 31 s" },
  });
  assert.deepEqual([code, lines], [
    1,
    [`Not healthy: http://127.0.0.1:${port}/healthz answered 503: the loop has not turned for 31 s`],
  ]);
});

for (const tls of ["server", "other", "expired"]) {
  test(`over TLS, whatever the certificate says: ${tls}`, async () => {
    const { code, lines, port } = await ask({ tls });
    assert.deepEqual([code, lines], [0, [`ok: https://127.0.0.1:${port}/healthz`]]);
  });
}

for (
  const [serves, asks, says] of [
    ["server", null, "where the sidecar has --tls-cert-file and --tls-key-file, give both here, too"],
    [null, "server", "does not speak TLS on this port; is the sidecar running with the same --tls-cert-file"],
  ] as const
) {
  test(`TLS on one side alone: says which flag to look at, ${asks ? "asked" : "served"} with it`, async () => {
    const { code, lines } = await ask({ tls: serves, asks });
    assert.equal(code, 1);
    assert.ok(lines[0]!.endsWith(says), lines[0]);
  });
}

for (const tlsCertFile of [null, `${CERTIFICATES}server.pem`]) {
  test(`nobody there: exit 1 and what to look at${tlsCertFile ? ", TLS" : ""}`, async () => {
    const listener = Deno.listen({ port: 0 });
    const metricsPort = listener.addr.port;
    listener.close();
    const lines: string[] = [];
    const code = await runHealthcheck(
      createTestConfig({ metricsPort, tlsCertFile }),
      collect(lines),
    );
    assert.equal(code, 1);
    assert.equal(lines.length, 1);
    assert.match(
      lines[0]!,
      /^Cannot ask https?:\/\/127\.0\.0\.1:\d+\/healthz: connection refused; is the sidecar running with the same --metrics-port$/,
    );
  });
}

test("nobody there, by the settings of a sidecar that runs: it is not asked whether one does", async () => {
  const lines: string[] = [];
  const config = createTestConfig({ metricsPort: 6697 });
  assert.equal(await runHealthcheck(config, collect(lines), { pid: 3, flags: 1, variables: 0 }), 1);
  assert.match(lines[0]!, /: .*refused.* \(settings of the running config-reloader, PID 3\)$/i);
  assert.doesNotMatch(lines[0]!, /is the sidecar running/);
});

for (const tlsCertFile of [null, `${CERTIFICATES}server.pem`]) {
  test(`a sidecar that accepts and never answers: --http-timeout ends it${tlsCertFile ? ", TLS" : ""}`, async () => {
    const listener = Deno.listen({ port: 0 });
    const accepted = listener.accept();
    const lines: string[] = [];
    const config = createTestConfig({ metricsPort: listener.addr.port, tlsCertFile, httpTimeoutMs: 300 });
    assert.equal(await runHealthcheck(config, collect(lines)), 1);
    assert.match(lines[0]!, /(timed out after|no answer within) 300ms/);
    (await accepted).close();
    listener.close();
  });
}

test("--metrics-port 0 cannot be asked", async () => {
  const lines: string[] = [];
  const config = createTestConfig({ metricsPort: 0 });
  assert.equal(await runHealthcheck(config, collect(lines)), 1);
  assert.deepEqual(lines, [
    "Cannot ask for health: --metrics-port 0 lets the kernel pick the port; set a fixed one",
  ]);
});
