/** The listener's rules one by one, on fake sockets and a fake clock; the real ones are in attack_test and below. */

import assert from "node:assert/strict";
import { createClock } from "../../src/clock.ts";
import { ANSWER_TIMEOUT_MS, HEAD_TIMEOUT_MS, IDLE_TIMEOUT_MS } from "../../src/server/connection.ts";
import type { Handler } from "../../src/server/handler.ts";
import type { ListenConfig, SocketListener } from "../../src/server/listen.ts";
import { createServer } from "../../src/server/listener.ts";
import { CONNECTIONS_MAX } from "../../src/server/pool.ts";
import { createFakeClock, settle } from "../support/fake_clock.ts";
import { closeAll, connect, exchange, get } from "../support/http_attack.ts";
import { test } from "../support/strict.ts";

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const CONFIG: ListenConfig = { metricsPort: 0, metricsHost: null, tlsCertFile: null, tlsKeyFile: null };
const REQUEST = "GET /healthz HTTP/1.1\r\n\r\n";
const okHandler: Handler = (ask) =>
  Promise.resolve({ status: 200, type: "text/plain", body: `${ask.method} ${ask.path}\n` });

/** One end of a connection that the test holds. */
function createFakeSocket() {
  let wake: (() => void) | null = null;
  let input = "";
  let ended = false;
  const socket = {
    output: "",
    closed: false,
    writable: true,
    /** As a client: sends. */
    push: async (text: string) => {
      input += text;
      wake?.();
      await settle();
    },
    end: async () => {
      ended = true;
      wake?.();
      await settle();
    },
    read: async (buffer: Uint8Array): Promise<number | null> => {
      while (input === "" && !ended && !socket.closed) await new Promise<void>((resolve) => wake = resolve);
      if (socket.closed) throw new Deno.errors.BadResource("closed");
      if (input === "") return null;
      const count = Math.min(buffer.length, input.length);
      buffer.set(new TextEncoder().encode(input.slice(0, count)));
      input = input.slice(count);
      return count;
    },
    write: async (bytes: Uint8Array): Promise<number> => {
      while (!socket.writable && !socket.closed) await new Promise<void>((resolve) => wake = resolve);
      if (socket.closed) throw new Deno.errors.BadResource("closed");
      socket.output += new TextDecoder().decode(bytes);
      return bytes.length;
    },
    closeWrite: () => Promise.resolve(),
    close: () => {
      socket.closed = true;
      wake?.();
    },
  };
  return socket;
}

/** A server whose listener is the test: `arrive` is a client that connects, `fail` an accept that throws. */
async function startFakeServer({ handler = okHandler, maxFds = 1024 } = {}) {
  const clock = createFakeClock();
  const log: string[] = [];
  const say = (level: string) => (message: string) => void log.push(`${level} ${message}`);
  const logger = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
  let waiting: PromiseWithResolvers<Deno.Conn> | null = null;
  const opened: number[] = [];
  const effects = {
    open: (_: ListenConfig, port: number): SocketListener => {
      opened.push(port);
      return {
        addr: { transport: "tcp", hostname: "::", port: port || 4711 },
        accept: () => {
          waiting = Promise.withResolvers<Deno.Conn>();
          return waiting.promise;
        },
        close: () => waiting?.reject(new Deno.errors.BadResource("listener closed")),
      };
    },
    readMaxFds: () => maxFds,
  };
  const server = createServer(CONFIG, handler, logger, clock, effects);
  const { port } = await server.start();
  return {
    server,
    clock,
    log,
    port,
    opened,
    arrive: async () => {
      const socket = createFakeSocket();
      waiting!.resolve(socket as unknown as Deno.Conn);
      await clock.advance(0);
      return socket;
    },
    fail: async (error: Error) => {
      waiting!.reject(error);
      await settle();
    },
    stop: async () => {
      const stopped = server.stop();
      await clock.advance(1_000);
      await stopped;
    },
  };
}

test("an answer, and the connection stays for the next request", async () => {
  const { arrive, clock, server, stop } = await startFakeServer();
  const client = await arrive();
  await client.push(REQUEST);
  await clock.advance(1);
  await client.push(REQUEST);
  assert.equal(client.output.match(/HTTP\/1\.1 200 OK/g)?.length, 2);
  assert.equal(server.connections(), 1);
  await client.end();
  await clock.advance(1);
  assert.equal(client.closed, true);
  assert.equal(server.connections(), 0);
  await stop();
});

for (
  const [what, before, deadlineMs] of [
    ["says nothing", "", HEAD_TIMEOUT_MS],
    ["sends half a head", "GET /healthz HT", HEAD_TIMEOUT_MS],
    ["rests after an answer", REQUEST, IDLE_TIMEOUT_MS],
  ] as const
) {
  test(`a client that ${what} is cut`, async () => {
    const { arrive, clock, stop } = await startFakeServer();
    const client = await arrive();
    if (before !== "") await client.push(before);
    await clock.advance(deadlineMs - 1);
    assert.equal(client.closed, false);
    await clock.advance(5_001);
    assert.equal(client.closed, true);
    await stop();
  });
}

test("dripping bytes does not move the deadline", async () => {
  const { arrive, clock, stop } = await startFakeServer();
  const client = await arrive();
  for (let i = 0; i < 12 && !client.closed; i++) {
    await client.push("GET /healthz"[i % 12]!);
    await clock.advance(1_000);
  }
  assert.equal(client.closed, true);
  await stop();
});

test("a client that does not read its answer is cut", async () => {
  const { arrive, clock, stop } = await startFakeServer();
  const client = await arrive();
  client.writable = false;
  await client.push(REQUEST);
  await clock.advance(ANSWER_TIMEOUT_MS + 5_001);
  assert.equal(client.closed, true);
  await stop();
});

test("an answer that never comes does not hold its connection for ever", async () => {
  const { arrive, clock, stop, server } = await startFakeServer({ handler: () => new Promise(() => {}) });
  const client = await arrive();
  await client.push(REQUEST);
  await clock.advance(ANSWER_TIMEOUT_MS + 5_001);
  assert.equal(client.closed, true);
  await stop();
  assert.equal(server.connections(), 1, "its handler never ended");
});

test("one too many: the least recently used idle connection makes room", async () => {
  const { arrive, clock, server, stop } = await startFakeServer();
  const clients = [];
  for (let i = 0; i < CONNECTIONS_MAX; i++) clients.push(await arrive());
  await clients[0]!.push(REQUEST);
  await clock.advance(1);
  const late = await arrive();
  assert.equal(server.connections(), CONNECTIONS_MAX);
  assert.deepEqual(clients.map((client) => client.closed).indexOf(true), 1);
  assert.equal(clients.filter((client) => client.closed).length, 1);
  await late.push(REQUEST);
  assert.match(late.output, /200 OK/);
  await stop();
  assert.ok(clients.every((client) => client.closed));
});

test("a connection whose answer is being made is not the one to go", async () => {
  const { arrive, stop } = await startFakeServer({
    handler: (ask) => ask.path === "/slow" ? new Promise(() => {}) : okHandler(ask),
  });
  const busy = await arrive();
  await busy.push("GET /slow HTTP/1.1\r\n\r\n");
  for (let i = 0; i < CONNECTIONS_MAX + 5; i++) await arrive();
  assert.equal(busy.closed, false);
  await stop();
});

test("kept connections take turns: a burst is answered at once, then 200 requests a second; a new client never waits", async () => {
  const { arrive, clock, stop } = await startFakeServer();
  const greedy = await arrive();
  await greedy.push(REQUEST.repeat(300));
  await clock.advance(0);
  const answers = () => greedy.output.match(/200 OK/g)!.length;
  assert.ok(answers() >= 20 && answers() <= 22, `${answers()} at once`);
  const other = await arrive();
  await other.push(REQUEST);
  assert.match(other.output, /200 OK/);
  const before = answers();
  await clock.advance(1_000);
  assert.ok(answers() - before >= 195 && answers() - before <= 201, `${answers() - before} in a second`);
  await stop();
});

test("answers that grow with the files are made two at a time; clients that do not read them hold no more", async () => {
  let made = 0;
  const { arrive, clock, stop } = await startFakeServer({
    handler: (ask) => {
      if (ask.path === "/status") made++;
      return okHandler(ask);
    },
  });
  const stuck = [];
  for (let i = 0; i < 12; i++) {
    const client = await arrive();
    client.writable = false;
    await client.push("GET /status HTTP/1.1\r\n\r\n");
    stuck.push(client);
  }
  assert.equal(made, 2);
  for (const path of ["/metrics", "/healthz", "/readyz", "/nothing"]) {
    const other = await arrive();
    await other.push(`GET ${path} HTTP/1.1\r\n\r\n`);
    assert.match(other.output, /200 OK/, path);
  }
  const patient = await arrive();
  await patient.push("GET /status HTTP/1.1\r\n\r\n");
  assert.equal(patient.output, "");
  // The first that reads makes room for the next, and those that are cut were not made for nothing.
  stuck[0]!.writable = true;
  stuck[0]!.close();
  await settle();
  assert.equal(made, 3);
  await clock.advance(ANSWER_TIMEOUT_MS + 5_001);
  assert.ok(stuck.every((client) => client.closed));
  assert.equal(made, 3, "nothing is made for clients that are gone");
  const next = await arrive();
  await next.push("GET /status HTTP/1.1\r\n\r\n");
  assert.match(next.output, /200 OK/);
  await stop();
});

test("few descriptors: clients get a quarter of them", async () => {
  const { arrive, server, stop } = await startFakeServer({ maxFds: 64 });
  for (let i = 0; i < 100; i++) await arrive();
  assert.equal(server.connections(), 16);
  await stop();
});

test("an accept that fails is tried again: said once, and that it goes again", async () => {
  const { arrive, clock, fail, log, stop, server } = await startFakeServer();
  for (let i = 0; i < 10; i++) await arrive();
  for (let i = 0; i < 8; i++) {
    await fail(new Error("Too many open files (os error 24)"));
    await clock.advance(500);
  }
  assert.deepEqual(log, ["warn Cannot accept connections on port 4711: Too many open files; trying again"]);
  assert.ok(server.connections() <= 4, "connections were let go");
  const client = await arrive();
  await client.push(REQUEST);
  assert.match(client.output, /200 OK/);
  assert.equal(log.at(-1), "info Connections are accepted again on port 4711 after 4 s");
  await stop();
});

test("a failed accept now and then is not worth a line", async () => {
  const { arrive, clock, fail, log, stop } = await startFakeServer();
  await fail(new Deno.errors.ConnectionAborted("gone"));
  await clock.advance(10_000);
  await fail(new Deno.errors.ConnectionAborted("gone"));
  await clock.advance(1_000);
  await arrive();
  assert.deepEqual(log, []);
  await stop();
});

test("a socket that keeps failing is opened anew, on the same port", async () => {
  const { clock, fail, opened, arrive, stop } = await startFakeServer();
  for (let i = 0; i < 20; i++) {
    await fail(new Error("Invalid argument (os error 22)"));
    await clock.advance(1_000);
  }
  assert.deepEqual(opened, [0, 4711]);
  assert.match((await pushed(await arrive())).output, /200 OK/);
  await stop();
});

async function pushed(client: ReturnType<typeof createFakeSocket>) {
  await client.push(REQUEST);
  return client;
}

test("what a refused client still sends is read for a while, so that it sees the answer and not a reset", async () => {
  const { arrive, clock, stop } = await startFakeServer();
  const talker = await arrive();
  await talker.push("garbage\r\n\r\n");
  assert.match(talker.output, /^HTTP\/1\.1 400 /);
  assert.equal(talker.closed, false);
  for (let kib = 0; kib < 80; kib++) await talker.push("x".repeat(1024));
  assert.equal(talker.closed, true, "but not without end");
  const silent = await arrive();
  await silent.push("garbage\r\n\r\n");
  await clock.advance(6_001);
  assert.equal(silent.closed, true);
  await stop();
});

test("a full backlog does not keep the rest of the program from its turn", async () => {
  const clock = createFakeClock();
  let accepted = 0;
  const open = (): SocketListener => ({
    addr: { transport: "tcp", hostname: "::", port: 4711 },
    accept: () =>
      ++accepted <= 1_000
        ? Promise.resolve(createFakeSocket() as unknown as Deno.Conn)
        : new Promise<Deno.Conn>(() => {}),
    close: () => {},
  });
  const server = createServer(CONFIG, okHandler, quiet, clock, { open, readMaxFds: () => 1024 });
  await server.start();
  await settle();
  assert.equal(accepted, 16);
  await clock.advance(0);
  assert.ok(accepted > 16);
  const stopped = server.stop();
  await clock.advance(1_000);
  await stopped;
});

test("stop lets an answer in progress be written, and no longer than a second", async () => {
  const answers: (() => void)[] = [];
  const { arrive, clock, server } = await startFakeServer({
    handler: (ask) => new Promise((resolve) => answers.push(() => resolve(okHandler(ask)))),
  });
  const [quick, never] = [await arrive(), await arrive()];
  await quick.push(REQUEST);
  await never.push(REQUEST);
  const stopped = server.stop();
  answers[0]!();
  await settle();
  assert.match(quick.output, /200 OK[^]*Connection: close[^]*GET \/healthz/);
  assert.equal(never.closed, false);
  await clock.advance(1_000);
  await stopped;
  assert.equal(never.closed, true);
});

test("port 0 is a port of the kernel's choice, on both address families", async () => {
  const server = createServer(CONFIG, okHandler, quiet, createClock());
  const { port } = await server.start();
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
  const server = createServer({ ...CONFIG, metricsHost: "127.0.0.1" }, okHandler, quiet, createClock());
  const { port } = await server.start();
  assert.equal((await get(port, "/a")).status, 200);
  await assert.rejects(Deno.connect({ hostname: "::1", port }));
  await server.stop();
});

test("a taken port is said with the way out", async () => {
  const taken = Deno.listen({ port: 0, hostname: "::" });
  const metricsPort = taken.addr.port;
  const server = createServer({ ...CONFIG, metricsPort }, okHandler, quiet, createClock());
  await assert.rejects(server.start(), {
    message:
      `Cannot listen on port ${metricsPort}: another process in this pod (containers of a pod share ports) ` +
      `uses it; set --metrics-port to a free one`,
  });
  taken.close();
});

test("an address of another machine", async () => {
  const server = createServer({ ...CONFIG, metricsHost: "192.0.2.1" }, okHandler, quiet, createClock());
  await assert.rejects(server.start(), {
    message:
      "Cannot listen on 192.0.2.1, port 0: this machine does not have that address; set --metrics-host",
  });
});

test("a client that closes its write side still gets its answer", async () => {
  const server = createServer(CONFIG, okHandler, quiet, createClock());
  const { port } = await server.start();
  const conn = await connect(port);
  await conn.write(new TextEncoder().encode("GET /a HTTP/1.0\r\n\r\n"));
  await conn.closeWrite();
  const buffer = new Uint8Array(4096);
  const count = await conn.read(buffer);
  assert.match(new TextDecoder().decode(buffer.subarray(0, count ?? 0)), /GET \/a\n$/);
  closeAll([conn]);
  assert.match(
    await exchange(port, "HEAD /a HTTP/1.1\r\nConnection: close\r\n\r\n"),
    /Content-Length: 8\r\n.*\r\n\r\n$/s,
  );
  await server.stop();
});
