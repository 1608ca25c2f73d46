/** TLS of the own server, with real handshakes: on, rotated, and files that cannot be used. */

import assert from "node:assert/strict";
import { createClock } from "../../src/clock.ts";
import { startServer } from "../../src/serve/server.ts";
import type { Clock } from "../../src/ports.ts";
import { closeAll, connect, exchange } from "../support/http_attack.ts";
import { until } from "../support/poll.ts";
import { test } from "../support/strict.ts";
import { createTestConfig } from "../support/config.ts";

const CERTIFICATES = new URL("../testdata/tls/", import.meta.url).pathname;
const CA = Deno.readTextFileSync(`${CERTIFICATES}ca.pem`);

/** Real time, but long waits are short. */
const hasty: Clock = {
  ...createClock(),
  sleep: (ms, signal) => createClock().sleep(Math.min(ms, 20), signal),
};

async function startTls() {
  const dir = await Deno.makeTempDir();
  const files = { tlsCertFile: `${dir}/tls.crt`, tlsKeyFile: `${dir}/tls.key` };
  const put = async (name: string) => {
    await Deno.copyFile(`${CERTIFICATES}${name}.pem`, files.tlsCertFile);
    await Deno.copyFile(`${CERTIFICATES}${name}.key`, files.tlsKeyFile);
  };
  await put("server");
  const log: string[] = [];
  const say = (message: string) => void log.push(message);
  const server = startServer(
    createTestConfig({ intervalMs: 60_000, ...files }),
    () => Promise.resolve(new Response("hello")),
    { debug: say, info: say, warn: say, error: say },
    hasty,
  );
  const { port } = server;
  return {
    port,
    files,
    put,
    log,
    stop: async () => {
      await server.stop();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

async function greet(port: number, hostname: string): Promise<string> {
  const conn = await Deno.connectTls({ hostname, port, caCerts: [CA] });
  try {
    await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"));
    const buffer = new Uint8Array(4096);
    return new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0));
  } finally {
    conn.close();
  }
}

test("answers over TLS; plain HTTP gets nothing and harms nobody", async () => {
  const { port, stop } = await startTls();
  assert.match(await greet(port, "localhost"), /200 OK[^]*hello$/);
  assert.doesNotMatch(await exchange(port, "GET / HTTP/1.1\r\n\r\n"), /hello/);
  const silent = await connect(port);
  assert.match(await greet(port, "localhost"), /hello$/);
  closeAll([silent]);
  await stop();
});

test("replaced files are taken up; a pair that does not fit is told once and the old one stays", async () => {
  const { port, files, put, log, stop } = await startTls();
  await Deno.copyFile(`${CERTIFICATES}other.key`, files.tlsKeyFile);
  await until("the misfit to be told", () => log.length > 0);
  assert.match(
    log[0]!,
    /^Cannot use the new TLS certificate: .*; the old certificate stays in use$/,
  );
  assert.match(await greet(port, "localhost"), /hello$/);
  await Deno.writeTextFile(files.tlsCertFile, "no certificate");
  await until("the second problem to be told", () => log.length > 1);
  await Deno.remove(files.tlsCertFile);
  await until("the third problem to be told", () => log.length > 2);
  assert.equal(
    log[2],
    `Cannot read TLS file "${files.tlsCertFile}": no such file; the old certificate stays in use`,
  );
  assert.match(await greet(port, "localhost"), /hello$/);
  await put("other");
  // It is made out to another name: that is how it is told from the first one.
  await until(
    "the new certificate",
    () => greet(port, "localhost").then(() => false, (error) => /not valid for name/.test(error.message)),
  );
  await put("server");
  await until("the first certificate again", async () => (await greet(port, "localhost")).endsWith("hello"));
  assert.equal(log.filter((line) => line.startsWith("TLS certificate replaced")).length, 2, log.join("\n"));
  await stop();
});

for (
  const [what, spoil, message] of [
    ["missing", (file: string) => Deno.remove(file), /^Cannot read TLS file ".*\/tls\.crt": no such file$/],
    ["a directory", async (file: string) => {
      await Deno.remove(file);
      await Deno.mkdir(file);
    }, /^Cannot read TLS file ".*\/tls\.crt": not a regular file$/],
    [
      "no certificate",
      (file: string) => Deno.writeTextFile(file, "hello"),
      /^Cannot use TLS certificate ".*\/tls\.crt" with key ".*\/server\.key": No certificates found/,
    ],
  ] as const
) {
  test(`a certificate file that is ${what} is said at the start`, async () => {
    const dir = await Deno.makeTempDir();
    try {
      await Deno.copyFile(`${CERTIFICATES}server.pem`, `${dir}/tls.crt`);
      await spoil(`${dir}/tls.crt`);
      const config = createTestConfig({
        intervalMs: 60_000,
        tlsCertFile: `${dir}/tls.crt`,
        tlsKeyFile: `${CERTIFICATES}server.key`,
      });
      const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
      assert.throws(() => startServer(config, () => Promise.reject(), quiet, hasty), { message });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}
