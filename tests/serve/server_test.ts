/** The server's rules one by one on fake sessions and a fake clock, then on real sockets; attacks are in attack_test. */

import assert from "node:assert/strict";
import { createClock } from "../../src/clock.ts";
import { CLIENTS_MAX } from "../../src/serve/client_limit.ts";
import type { Handler } from "../../src/serve/handler.ts";
import type { ListenOptions } from "../../src/serve/listen.ts";
import { startServer } from "../../src/serve/server.ts";
import { createFakeClock, settle } from "../support/fake_clock.ts";
import { closeAll, connect, exchange, get, readAll, send } from "../support/http_attack.ts";
import { until } from "../support/poll.ts";
import { test } from "../support/strict.ts";
import { createTestConfig } from "../support/config.ts";

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const CONFIG = createTestConfig({ intervalMs: 60_000 });
const echo: Handler = ({ method, url }) =>
  Promise.resolve(new Response(`${method} ${url.replace(/^http:\/\/[^/]*/, "")}\n`));

/** A server whose sessions are the test's. */
function startFakeServer({ maxFds = 1024 } = {}) {
  const clock = createFakeClock();
  const log: string[] = [];
  const say = (level: string) => (message: string) => void log.push(`${level} ${message}`);
  const logger = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  const sessions: { port: number; aborted: boolean; options: ListenOptions; fail(error: Error): void }[] = [];
  const world = { fds: 20, unread: 0, refuse: null as Error | null, countUnread: () => world.unread };
  const effects = {
    listen: (options: ListenOptions) => {
      if (world.refuse) throw world.refuse;
      const finished = Promise.withResolvers<void>();
      const session = { port: options.port, aborted: false, options, fail: finished.reject };
      options.signal.addEventListener("abort", () => {
        session.aborted = true;
        world.fds = 20;
        finished.resolve();
      });
      sessions.push(session);
      const addr: Deno.NetAddr = { transport: "tcp", hostname: "::", port: options.port || 4711 };
      return { addr, finished: finished.promise, shutdown: () => Promise.resolve(finished.resolve()) };
    },
    countOpenFds: () => world.fds,
    readMaxFds: () => maxFds,
    countUnread: () => world.countUnread(),
  };
  const server = startServer(CONFIG, echo, logger, clock, effects);
  return {
    server,
    clock,
    log,
    sessions,
    world,
    fail: async (text = "Too many open files (os error 24)") => {
      sessions.at(-1)!.fail(new Deno.errors.Http(`Error: ${text}`));
      await settle();
    },
    request: async () => {
      const remoteAddr: Deno.NetAddr = { transport: "tcp", hostname: "::1", port: 1 };
      const info = { remoteAddr, completed: Promise.resolve() };
      const response = await sessions.at(-1)!.options.handle(new Request("http://x/healthz"), info);
      return await response.text();
    },
  };
}

test("many clients stay; too many are all closed, and the same port is served again at once", async () => {
  const { server, clock, log, sessions, world } = startFakeServer();
  world.fds = 20 + 878;
  await clock.advance(60_000);
  assert.equal(sessions.length, 1);
  world.fds = 20 + 879;
  await clock.advance(2_000);
  assert.deepEqual(sessions.map(({ port, aborted }) => [port, aborted]), [[0, true], [4711, false]]);
  assert.deepEqual(log, [
    "warn Clients on port 4711 take too much: about 879 connections, at most 878 are allowed; all connections are closed",
  ]);
  await server.stop();
});

for (
  const [maxFds, clientsMax] of [[64, 38], [1024, 878], [1_048_576, CLIENTS_MAX], [Infinity, CLIENTS_MAX]]
) {
  test(`with ${maxFds} descriptors clients may have ${clientsMax}`, async () => {
    const { server, clock, sessions, world } = startFakeServer({ maxFds: maxFds! });
    world.fds = 20 + clientsMax!;
    await clock.advance(5_000);
    assert.equal(sessions.length, 1);
    world.fds++;
    await clock.advance(5_000);
    assert.equal(sessions.length, 2);
    await server.stop();
  });
}

test("a flood that goes on is met four times a second, and logged once a minute", async () => {
  const { server, clock, log, sessions, world } = startFakeServer();
  for (let i = 0; i < 240; i++) {
    world.fds = 1_000;
    await clock.advance(250);
  }
  assert.ok(sessions.length > 200, `${sessions.length} sessions`);
  assert.equal(log.length, 1);
  world.fds = 20;
  await clock.advance(10_000);
  assert.equal(clock.pending(), 1);
  await server.stop();
});

test("a flood that asks is met at once: clients are counted after every 4 requests, too", async () => {
  const { server, sessions, world, request } = startFakeServer();
  world.fds = 2_000;
  for (let i = 1; i < 4; i++) await request();
  assert.equal(sessions[0]!.aborted, false);
  await request();
  assert.equal(sessions[0]!.aborted, true);
  await server.stop();
});

test("clients that ask and do not read are closed: eight may, or as many as there usually are", async () => {
  const { server, clock, log, sessions, world, request } = startFakeServer();
  const askNine = async () => {
    for (let i = 0; i < 9; i++) await request();
    await clock.advance(2_000);
  };
  world.unread = 9;
  world.fds = 20 + 8;
  await askNine();
  world.fds = 20 + 9;
  world.unread = 8;
  await askNine();
  world.unread = 9;
  await clock.advance(10_000);
  assert.equal(sessions.length, 1, "nobody has asked: nothing is counted");
  await askNine();
  assert.equal(sessions.length, 2);
  assert.match(log[0]!, /take too much: they ask and do not read the answers; all connections are closed$/);
  await server.stop();
});

test("to count unread answers takes a third of the time at most, however many sockets there are", async () => {
  const { server, clock, sessions, world, request } = startFakeServer();
  const now = clock.nowMs;
  let tookMs = 0;
  clock.nowMs = () => now() + tookMs;
  let counted = 0;
  world.fds = 20 + 9;
  world.countUnread = () => {
    tookMs += 100;
    return ++counted === 6 ? 9 : 8;
  };
  for (let i = 0; i < 100; i++) {
    for (let j = 0; j < 12; j++) await request();
    await clock.advance(10);
  }
  assert.equal(counted, 5, "after 0, 200, 400, 600 and 800 ms");
  assert.equal(sessions.length, 1);
  for (let j = 0; j < 12; j++) await request();
  assert.equal(sessions.length, 2);
  await server.stop();
});

test("clients that hold too many large answers are closed at once", async () => {
  const { server, log, sessions } = startFakeServer();
  server.shed("they ask and do not read the answers");
  assert.equal(sessions[0]!.aborted, true);
  assert.equal(log.length, 1);
  await server.stop();
});

test("requests without end that let no timer have its turn: all connections are closed", async () => {
  const { server, clock, log, sessions, request } = startFakeServer();
  const now = clock.nowMs;
  let lateMs = 0;
  // The loop is busy: time passes and nothing that sleeps is woken.
  clock.nowMs = () => now() + lateMs;
  for (let i = 0; i < 8; i++) await request();
  lateMs = 251;
  for (let i = 0; i < 24; i++) await request();
  assert.equal(sessions[0]!.aborted, false, "few requests: it was the machine that stood still");
  for (let i = 0; i < 32; i++) await request();
  assert.equal(sessions[0]!.aborted, true);
  assert.match(log[0]!, /they ask so fast that nothing else has its turn/);
  await server.stop();
});

test("accepting that fails: what is connected is closed, the port is served again, and it is said once", async () => {
  const { server, clock, log, sessions, fail, request } = startFakeServer();
  await fail();
  assert.deepEqual(sessions.map(({ port, aborted }) => [port, aborted]), [[0, true]]);
  await clock.advance(0);
  assert.equal(sessions.length, 2, "the first time without a pause");
  assert.equal(await request(), "GET /healthz\n");
  await fail();
  await clock.advance(499);
  assert.equal(sessions.length, 2, "then with one");
  await clock.advance(1);
  assert.equal(sessions.length, 3);
  assert.deepEqual(log, [
    "warn Cannot accept connections on port 4711: Too many open files; all connections are closed, and it is tried again",
  ]);
  await server.stop();
});

test("a port that another process took meanwhile is tried for, and requests say that it goes again", async () => {
  const { server, clock, log, sessions, world, request } = startFakeServer();
  world.refuse = new Error("Cannot listen on port 4711: another process in this pod uses it");
  world.fds = 2_000;
  await clock.advance(12_500);
  assert.equal(sessions.length, 1);
  world.refuse = null;
  await clock.advance(500);
  assert.equal(sessions.length, 2);
  assert.equal(await request(), "GET /healthz\n");
  assert.equal(log.at(-1), "info Connections are accepted again on port 4711 after 8 s");
  await server.stop();
});

test("nothing accepted for 30 s: given up with the reason, so that the container is started anew", async () => {
  const { server, clock, fail } = startFakeServer();
  let failure: Error | null = null;
  server.failed.catch((error) => failure = error);
  for (let s = 0; s < 30; s += 10) {
    await fail();
    await clock.advance(10_000);
    assert.equal(failure, null);
  }
  await fail();
  assert.equal(
    failure!.message,
    "Cannot accept connections on port 4711: Too many open files, for 30 s; ending, to be started anew",
  );
  await server.stop();
});

test("a request between failures, or half a minute without one, and the count begins anew", async () => {
  const { server, clock, fail, request } = startFakeServer();
  let failed = false;
  server.failed.catch(() => failed = true);
  for (let i = 0; i < 5; i++) {
    for (let s = 0; s < 20; s += 10) {
      await fail();
      await clock.advance(10_000);
    }
    if (i % 2 === 0) await request();
    else await clock.advance(31_000);
  }
  assert.equal(failed, false);
  await server.stop();
});

test("on Linux before 6.2, to count needs a descriptor: without one all clients are closed", async () => {
  const { server, clock, sessions, world } = startFakeServer();
  Object.defineProperty(world, "fds", {
    get: () => {
      throw new Error("Too many open files (os error 24)");
    },
    set: () => {},
  });
  await clock.advance(5_000);
  assert.equal(sessions[0]!.aborted, true);
  await server.stop();
});

test("stop lets an answer in progress be written, and no longer than a second", async () => {
  const answers: (() => void)[] = [];
  const slow: Handler = (ask) => new Promise((resolve) => answers.push(() => resolve(echo(ask))));
  const clock = createFakeClock();
  const server = startServer(CONFIG, slow, quiet, clock);
  const { port } = server;
  const [idle, quick, never] = [await connect(port), await connect(port), await connect(port)];
  await send(quick, "GET /quick HTTP/1.1\r\n\r\n");
  await until("the first request", () => answers.length === 1);
  await send(never, "GET /never HTTP/1.1\r\n\r\n");
  await until("the second request", () => answers.length === 2);
  let isStopped = false;
  server.stop().then(() => isStopped = true);
  assert.equal(await readAll(idle), "", "who waits is closed at once");
  answers[0]!();
  assert.match(await readAll(quick), /200 OK[^]*GET \/quick\n$/);
  await clock.advance(999);
  assert.equal(isStopped, false);
  await clock.advance(1);
  await until("the end", () => isStopped);
  answers[1]!();
  await readAll(never);
  closeAll([idle, quick, never]);
});

test("port 0 is a port of the kernel's choice, on both address families", async () => {
  const server = startServer(CONFIG, echo, quiet, createClock());
  const { port } = server;
  assert.ok(port > 0);
  for (const hostname of ["127.0.0.1", "::1"]) {
    const conn = await Deno.connect({ hostname, port });
    conn.close();
  }
  assert.deepEqual((await get(port, "/a")).body, "GET /a\n");
  await server.stop();
  await assert.rejects(connect(port), Deno.errors.ConnectionRefused);
});

test("--metrics-host binds that address only", async () => {
  const server = startServer({ ...CONFIG, metricsHost: "127.0.0.1" }, echo, quiet, createClock());
  const { port } = server;
  assert.equal((await get(port, "/a")).status, 200);
  await assert.rejects(Deno.connect({ hostname: "::1", port }));
  await server.stop();
});

test("a taken port is said with the way out", () => {
  const taken = Deno.listen({ port: 0, hostname: "::" });
  const metricsPort = taken.addr.port;
  assert.throws(() => startServer({ ...CONFIG, metricsPort }, echo, quiet, createClock()), {
    message:
      `Cannot listen on port ${metricsPort}: another process in this pod (containers of a pod share ports) ` +
      `uses it; set --metrics-port to a free one`,
  });
  taken.close();
});

for (
  const [metricsHost, message] of [
    [
      "192.0.2.1",
      "Cannot listen on 192.0.2.1, port 0: this machine does not have that address; set --metrics-host",
    ],
    [
      "no.such.host.invalid",
      'Cannot listen on --metrics-host "no.such.host.invalid": no such host name; ' +
      "give an address of this pod, or leave the flag out for all addresses",
    ],
  ] as const
) {
  test(`--metrics-host ${metricsHost} is said with the way out`, () => {
    assert.throws(() => startServer({ ...CONFIG, metricsHost }, echo, quiet, createClock()), { message });
  });
}

test("a client that closes its write side still gets its answer; HEAD has the length and no body", async () => {
  const server = startServer(CONFIG, echo, quiet, createClock());
  const { port } = server;
  const conn = await connect(port);
  await send(conn, "GET /a HTTP/1.0\r\n\r\n");
  await conn.closeWrite();
  assert.match(await readAll(conn), /\r\n\r\nGET \/a\n$/);
  closeAll([conn]);
  assert.match(
    await exchange(port, "HEAD /a HTTP/1.1\r\nConnection: close\r\n\r\n"),
    /content-length: 8\r\n.*\r\n\r\n$/s,
  );
  await server.stop();
});
