/**
 * The server under attack: whatever clients do, `/healthz` answers within a second and work goes on; where they are too
 * many, all of them are closed and the next request is answered within two.
 */

import assert from "node:assert/strict";
import { CLIENTS_MAX } from "../../src/serve/client_limit.ts";
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
import { ownMs, until } from "../support/poll.ts";
import { test } from "../support/strict.ts";

/** Asks `/healthz` again and again for `forMs`; each answer must be a 200 within a second. */
async function assertHealthy(victim: Victim, forMs = 500): Promise<void> {
  const before = await victim.work();
  const end = performance.now() + forMs;
  do {
    const ms = await ownMs(victim.pid, async () => {
      const { status, body } = await get(victim.port, "/healthz");
      assert.deepEqual([status, body], [200, "ok\n"]);
    });
    assert.ok(ms < 1_000, `/healthz took ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  } while (performance.now() < end);
  await until("work to go on", async () => (await victim.work()).done > before.done);
  assert.equal((await victim.work()).failed, before.failed, "work fails");
}

/** A request that is cut is followed by one that is not, within two seconds. */
async function assertAnswers(victim: Victim): Promise<void> {
  const answer = async () => (await get(victim.port, "/healthz")).status === 200;
  const ms = await ownMs(victim.pid, () => until("an answer", answer));
  assert.ok(ms < 2_000, `an answer after ${ms} ms`);
}

/**
 * Waits until clients have been shed, and for the next answers.
 * `leftOver`: those that came after the moment of shedding may stay.
 */
async function assertShed(victim: Victim, leftOver = 0): Promise<void> {
  await until("the clients to be shed", () => openDescriptors(victim) < 60 + leftOver);
  await assertAnswers(victim);
  // A slow machine may still be taking in what they have sent, and close them once more.
  await until("healthy answers from then on", async () => (await assertHealthy(victim), true));
}

/** Memory that has not grown by `mib` since it was `before`, as soon as garbage has been collected. */
async function assertMemory(victim: Victim, before: number, mib: number): Promise<void> {
  const grown = () => victim.anonymousMiB() - before;
  await until(
    `memory below ${before} + ${mib} MiB`,
    () => grown() < mib || Promise.reject(new Error(`${grown()} more`)),
  );
}

const openDescriptors = ({ pid }: Victim) => [...Deno.readDirSync(`/proc/${pid}/fd`)].length;

const GET = "GET /healthz HTTP/1.1\r\nHost: x\r\n";

const SECOND_REQUEST = "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

const ODD: readonly (readonly [string, string, RegExp])[] = [
  ["garbage", "\x00\xff\x13\x37".repeat(500), /^HTTP\/1\.1 400 /],
  ["a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00", /^HTTP\/1\.1 400 /],
  ["a header of 1 MB", `${GET}X: ${"x".repeat(1_000_000)}\r\n\r\n`, /^(HTTP\/1\.1 4\d\d |$)/],
  ["10,000 headers", `${GET}${"a: b\r\n".repeat(10_000)}\r\n`, /^(HTTP\/1\.1 4\d\d |$)/],
  ["a path of 1 MB", `GET /${"x".repeat(1_000_000)} HTTP/1.1\r\n\r\n`, /^(HTTP\/1\.1 4\d\d |$)/],
  [
    "a bad Host",
    "GET /healthz HTTP/1.1\r\nHost: [::::]:99999999/\r\nConnection: close\r\n\r\n",
    /^HTTP\/1\.1 200 .*ok\n$/s,
  ],
  ["no Host", "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", /^HTTP\/1\.1 200 .*ok\n$/s],
  [
    "an upgrade to HTTP/2",
    `${GET}Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n`,
    /^HTTP\/1\.1 200 /,
  ],
  [
    "CONNECT",
    "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\nConnection: close\r\n\r\n",
    /^HTTP\/1\.1 405 .*allow: GET, HEAD\r\n/is,
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
    "a request within the body of another one",
    `GET /healthz HTTP/1.1\r\nContent-Length: 39\r\nConnection: close\r\n\r\nGET /status HTTP/1.1\r\nHost: x\r\n\r\n\r\n\r\n\r\n`,
    /^HTTP\/1\.1 200 [^{]*ok\n$/,
  ],
  // Two ways to tell where the first request ends: whoever forwards requests may see another end than the server does.
  [
    "two Content-Lengths",
    `GET /healthz HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\n${SECOND_REQUEST}`,
    /^HTTP\/1\.1 400 [^{]*$/,
  ],
  [
    "a Content-Length beside Transfer-Encoding",
    `GET /healthz HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SECOND_REQUEST}`,
    /^HTTP\/1\.1 400 [^{]*$/,
  ],
  [
    "Transfer-Encoding beside a Content-Length",
    `GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${SECOND_REQUEST}`,
    /^HTTP\/1\.1 400 [^{]*$/,
  ],
  [
    "a Transfer-Encoding that nobody knows",
    `GET /healthz HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SECOND_REQUEST}`,
    /^HTTP\/1\.1 400 [^{]*$/,
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
  await context.step("an endless chunked body: answered before its end, which nobody waits for", async () => {
    const conn = await connect(victim.port);
    await send(
      conn,
      `GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(20_000)}`,
    );
    const buffer = new Uint8Array(64);
    assert.match(
      new TextDecoder().decode(buffer.subarray(0, await conn.read(buffer) ?? 0)),
      /^HTTP\/1\.1 200 /,
    );
    conn.close();
    assert.equal((await get(victim.port, "/healthz")).status, 200);
  });
  await context.step("half a request, then a closed write side", async () => {
    const conn = await connect(victim.port);
    await send(conn, "GET /healthz HTT");
    await conn.closeWrite();
    assert.doesNotMatch(await readAll(conn), /200/);
    conn.close();
  });
  await context.step("reset in the middle of an answer", async () => {
    const conns = await openMany(victim.port, 50);
    for (const conn of conns) {
      // On a slow machine they may be too fast: until they are gone, all clients may be closed at any time.
      await send(conn, "GET /metrics HTTP/1.1\r\n\r\n".repeat(20)).catch(() => {});
      conn.close();
    }
    await assertShed(victim);
  });
});

test("500 idle and 300 half-sent connections: all stay, health answers, memory stays", async () => {
  await using victim = await startVictim();
  await assertHealthy(victim);
  const before = victim.anonymousMiB();
  const idle = await openMany(victim.port, 500);
  const half = await openMany(victim.port, 300);
  try {
    await Promise.all(half.map((conn) => send(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-")));
    await assertHealthy(victim, 5_000);
    assert.ok(openDescriptors(victim) > 800);
    await assertMemory(victim, before, 28);
  } finally {
    closeAll([...idle, ...half]);
  }
});

for (
  const [what, request] of [
    ["say nothing", ""],
    ["sent half a head", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-"],
    ["made a request and stay", `${GET}\r\n`],
  ] as const
) {
  test(`3,000 connections that ${what}, in rounds: all are shed, and the next request is answered`, async () => {
    await using victim = await startVictim();
    await assertHealthy(victim);
    for (let round = 0; round < 3; round++) {
      const conns: Deno.Conn[] = [];
      try {
        for (let i = 0; i < 10; i++) {
          const batch = await openMany(victim.port, 100);
          conns.push(...batch);
          if (request !== "") await Promise.all(batch.map((conn) => send(conn, request).catch(() => {})));
        }
        let isClosed = false;
        readAll(conns[0]!).catch(() => {}).then(() => isClosed = true);
        await until("the first client to be closed", () => isClosed);
        await assertShed(victim, CLIENTS_MAX);
      } finally {
        closeAll(conns);
      }
    }
  });
}

test("a hard limit of 1,024 descriptors, and twice as many clients: closed at once, answered within two seconds", async () => {
  await using victim = await startVictim({ descriptors: 1024 });
  await assertHealthy(victim);
  for (let round = 0; round < 3; round++) {
    const conns = await openMany(victim.port, 2_000);
    try {
      await assertAnswers(victim);
    } finally {
      closeAll(conns);
    }
  }
  await assertHealthy(victim);
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
  for (const path of ["/metrics", "/healthz"]) {
    const conns = await openMany(victim.port, 40);
    const sending = conns.map((conn) =>
      send(conn, `GET ${path} HTTP/1.1\r\n\r\n`.repeat(20_000)).catch(() => {})
    );
    try {
      await assertShed(victim);
      await assertMemory(victim, before, 40);
    } finally {
      closeAll(conns);
      await Promise.all(sending);
    }
  }
});

test("64 descriptors: 500 connections are shed, and the work goes on", async () => {
  await using victim = await startVictim({ descriptors: 64 });
  const conns = await openMany(victim.port, 500);
  try {
    await assertShed(victim);
  } finally {
    closeAll(conns);
  }
});

test("no descriptor left, for a while: the server neither ends nor spins, and answers again", async () => {
  await using victim = await startVictim({ descriptors: 64 });
  await victim.command("hog");
  const cpuBefore = cpuTicks(victim.pid);
  const end = performance.now() + 1_500;
  while (performance.now() < end) await get(victim.port, "/healthz").catch(() => {});
  assert.ok(cpuTicks(victim.pid) - cpuBefore < 75, "it spins");
  await victim.command("release");
  await assertAnswers(victim);
  await assertHealthy(victim);
});

function cpuTicks(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
