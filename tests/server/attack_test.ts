/** Issue "server under attack": whatever clients do, `/healthz` answers within a second and work goes on. */

import assert from "node:assert/strict";
import { CONNECTIONS_MAX } from "../../src/server/pool.ts";
import {
  closeAll,
  connect,
  exchange,
  get,
  openMany,
  readAll,
  send,
  startVictim,
  type Victim,
} from "../support/http_attack.ts";
import { until } from "../support/poll.ts";
import { test } from "../support/strict.ts";

/** Asks `/healthz` again and again for `forMs`; each answer must be a 200 within a second. */
async function assertHealthy(victim: Victim, forMs = 500): Promise<void> {
  const before = await victim.work();
  const end = performance.now() + forMs;
  do {
    const { status, body, ms } = await get(victim.port, "/healthz");
    assert.deepEqual([status, body], [200, "ok\n"]);
    assert.ok(ms < 1_000, `/healthz took ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  } while (performance.now() < end);
  const after = await victim.work();
  assert.ok(after.done > before.done, "work stands still");
  assert.equal(after.failed, before.failed, "work fails");
}

/** Fails where clients hold more descriptors than there may be connections. */
function assertBounded({ pid }: Victim): void {
  const open = [...Deno.readDirSync(`/proc/${pid}/fd`)].length;
  assert.ok(open < CONNECTIONS_MAX + 40, `${open} descriptors`);
}

const GET = "GET /healthz HTTP/1.1\r\nHost: x\r\n";

const ODD: readonly (readonly [string, string, RegExp])[] = [
  ["garbage", "\x00\xff\x13\x37".repeat(500), /^HTTP\/1\.1 400 /],
  ["a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00", /^HTTP\/1\.1 400 /],
  ["a header of 1 MB", `${GET}X: ${"x".repeat(1_000_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
  ["10,000 headers", `${GET}${"a: b\r\n".repeat(10_000)}\r\n`, /^HTTP\/1\.1 431 /],
  ["a path of 1 MB", `GET /${"x".repeat(1_000_000)} HTTP/1.1\r\n\r\n`, /^HTTP\/1\.1 431 /],
  [
    "a bad Host",
    "GET /healthz HTTP/1.1\r\nHost: [::::]:99999999/\r\nConnection: close\r\n\r\n",
    /^HTTP\/1\.1 200 .*ok\n$/s,
  ],
  ["no Host", "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", /^HTTP\/1\.1 200 .*ok\n$/s],
  [
    "HTTP/2 with prior knowledge",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    /^HTTP\/1\.1 505 /,
  ],
  [
    "an upgrade to HTTP/2",
    `${GET}Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n`,
    /^HTTP\/1\.1 200 /,
  ],
  [
    "CONNECT",
    "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\nConnection: close\r\n\r\n",
    /^HTTP\/1\.1 405 .*Allow: GET, HEAD\r\n/s,
  ],
  [
    "TRACE",
    "TRACE / HTTP/1.1\r\nCookie: secret\r\nConnection: close\r\n\r\n",
    /^HTTP\/1\.1 405 (?!.*secret)/s,
  ],
  [
    "a body of 1 MB",
    `POST /metrics HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(1_000_000)}`,
    /^HTTP\/1\.1 405 /,
  ],
  [
    "an endless chunked body",
    `GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(20_000)}`,
    /^HTTP\/1\.1 200 .*Connection: close/s,
  ],
  [
    "a smuggled request in a body",
    `GET /healthz HTTP/1.1\r\nContent-Length: 40\r\n\r\nGET /status HTTP/1.1\r\nHost: x\r\n\r\n\r\n\r\n\r\n`,
    /^HTTP\/1\.1 200 [^{]*ok\n$/,
  ],
];

test("odd requests get their answer and harm nobody", async (context) => {
  await using victim = await startVictim();
  for (const [what, text, wanted] of ODD) {
    await context.step(what, async () => {
      assert.match(await exchange(victim.port, text), wanted);
      assert.equal((await get(victim.port, "/healthz")).status, 200);
    });
  }
  await context.step("pipelining: answers come in order", async () => {
    const text = await exchange(
      victim.port,
      `${GET}\r\nHEAD /metrics HTTP/1.1\r\n\r\nGET /nope HTTP/1.1\r\n\r\nGET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n`,
    );
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), [
      "HTTP/1.1 200",
      "HTTP/1.1 200",
      "HTTP/1.1 404",
      "HTTP/1.1 200",
    ]);
    assert.ok(text.endsWith("ok\n"));
    assert.doesNotMatch(text, /config_reload/);
  });
  await context.step("half a request, then a closed write side", async () => {
    const conn = await connect(victim.port);
    await send(conn, "GET /healthz HTT");
    await conn.closeWrite();
    assert.equal(await readAll(conn), "");
    conn.close();
  });
  await context.step("reset in the middle of an answer", async () => {
    for (let i = 0; i < 50; i++) {
      const conn = await connect(victim.port);
      await send(conn, "GET /metrics HTTP/1.1\r\n\r\n".repeat(20));
      conn.close();
    }
    await assertHealthy(victim, 0);
  });
});

test("2,000 idle connections: health answers, memory stays bounded", async () => {
  await using victim = await startVictim();
  await assertHealthy(victim);
  const before = victim.anonymousMiB();
  const idle = await openMany(victim.port, 2_000);
  try {
    assert.ok(idle.length >= 1_900, `only ${idle.length} could be opened`);
    await assertHealthy(victim);
    assertBounded(victim);
    assert.ok(victim.anonymousMiB() - before < 16, `from ${before} to ${victim.anonymousMiB()} MiB`);
  } finally {
    closeAll(idle);
  }
});

test("2,000 connections that each made a request and stay", async () => {
  await using victim = await startVictim();
  await assertHealthy(victim);
  const conns: Deno.Conn[] = [];
  try {
    for (let i = 0; i < 20; i++) {
      const batch = await openMany(victim.port, 100);
      conns.push(...batch);
      await Promise.all(batch.map((conn) => send(conn, `${GET}\r\n`).catch(() => {})));
    }
    await assertHealthy(victim);
    assertBounded(victim);
  } finally {
    closeAll(conns);
  }
});

test("300 slow clients, a byte at a time", async () => {
  await using victim = await startVictim();
  const slow = await openMany(victim.port, 300);
  let running = true;
  const drip = Promise.all(slow.map(async (conn, index) => {
    try {
      for (let at = 0; running; at++) {
        await send(conn, `${GET}X-Slow: ${"x".repeat(4000)}`[at % 4000]!);
        await new Promise((resolve) => setTimeout(resolve, 50 + index % 50));
      }
    } catch {
      // Cut off, as it should be.
    }
  }));
  try {
    await assertHealthy(victim, 2_000);
    assertBounded(victim);
  } finally {
    running = false;
    await drip;
    closeAll(slow);
  }
});

test("clients that ask and never read", async () => {
  await using victim = await startVictim();
  await assertHealthy(victim);
  const before = victim.anonymousMiB();
  const conns = await openMany(victim.port, 40);
  const sending = conns.map((conn) =>
    send(conn, "GET /metrics HTTP/1.1\r\n\r\n".repeat(20_000)).catch(() => {})
  );
  try {
    await assertHealthy(victim, 1_000);
    assert.ok(victim.anonymousMiB() - before < 28, `from ${before} to ${victim.anonymousMiB()} MiB`);
  } finally {
    closeAll(conns);
    await Promise.all(sending);
  }
});

test("64 descriptors: 500 connections leave enough for the work", async () => {
  await using victim = await startVictim({ descriptors: 64 });
  const before = await victim.work();
  const conns = await openMany(victim.port, 500);
  try {
    await assertHealthy(victim, 1_000);
    assert.equal((await victim.work()).failed, before.failed, "nor did it fail while they came");
  } finally {
    closeAll(conns);
  }
});

test("no descriptor left: the listener survives and answers again", async () => {
  await using victim = await startVictim({ descriptors: 64 });
  await victim.command("hog");
  const waiting = get(victim.port, "/healthz");
  // The kernel takes the connection; the server cannot. It must neither end nor spin.
  const cpuBefore = cpuTicks(victim.pid);
  await until("some failures to accept", () => performance.now() > 0 && cpuTicks(victim.pid) >= cpuBefore);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assert.ok(cpuTicks(victim.pid) - cpuBefore < 75, "it spins");
  await victim.command("release");
  const { status } = await waiting;
  assert.equal(status, 200);
  await until("work to succeed", async () => {
    const before = await victim.work();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const after = await victim.work();
    return after.done > before.done && after.failed === before.failed;
  });
  await assertHealthy(victim);
});

function cpuTicks(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
