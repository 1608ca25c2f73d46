/** Requests on real sockets: framings, deadlines, address families, TLS, proxies, and the words for each failure. */

import assert from "node:assert/strict";
import { HttpError } from "../../src/http/errors.ts";
import { createSender, type HttpRequest, sendRequest } from "../../src/http/request.ts";
import { createHostileServer } from "../support/hostile_server.ts";
import { until, WAIT_MS } from "../support/poll.ts";
import { freePort } from "../support/scene.ts";
import { test } from "../support/strict.ts";

const PEM = "tests/testdata/tls/";
const NEVER = new AbortController().signal;

function get(url: string, more: Partial<HttpRequest> = {}, signal = NEVER) {
  return sendRequest({ url, method: "GET", timeoutMs: 20_000, ...more }, signal);
}

async function failureOf(promise: Promise<unknown>): Promise<HttpError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof HttpError, `not an HttpError: ${error}`);
    return error;
  }
  throw new Error("there was an answer");
}

/** A server that sends `answer` to every request and remembers what came; closes after `answersMax` a connection. */
function createRawServer(
  answer: string | Uint8Array,
  { hostname = "127.0.0.1", answersMax = Infinity } = {},
) {
  const listener = Deno.listen({ hostname, port: 0 });
  const requests: string[] = [];
  const conns = new Set<Deno.Conn>();
  let accepted = 0;
  const bytes = typeof answer === "string" ? new TextEncoder().encode(answer) : answer;
  const running: Promise<void>[] = [];
  const accept = async () => {
    for await (const conn of listener) {
      accepted++;
      conns.add(conn);
      running.push(serve(conn));
    }
  };
  const accepting = accept().catch(() => {});
  async function serve(conn: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(65536);
    try {
      for (let answers = 0; answers < answersMax; answers++) {
        const count = await conn.read(buffer);
        if (count === null) break;
        requests.push(new TextDecoder().decode(buffer.subarray(0, count)));
        await conn.write(bytes);
      }
    } catch { /* closed by the client or by the end of the test */ }
    if (conns.delete(conn)) conn.close();
  }
  const { port } = listener.addr as Deno.NetAddr;
  return {
    port,
    requests,
    url: `http://127.0.0.1:${port}/x`,
    accepted: () => accepted,
    open: () => conns.size,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      for (const conn of conns) {
        conns.delete(conn);
        conn.close();
      }
      await accepting;
      await Promise.all(running);
    },
  };
}

const ANSWERS: readonly [name: string, answer: string, body: string][] = [
  ["content-length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"],
  ["equal content-lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\nok", "ok"],
  ["bare line feeds", "HTTP/1.1 200 OK\ncontent-length: 2\n\nok", "ok"],
  ["no reason phrase", "HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", "ok"],
  ["chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", "ok"],
  [
    "trailers",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\na: b\r\nc: d\r\n\r\n",
    "ok",
  ],
  ["until close", "HTTP/1.1 200 OK\r\n\r\nok", "ok"],
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nok", "ok"],
  ["interim answer", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "ok"],
  ["no body", "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", ""],
];
for (const [name, answer, body] of ANSWERS) {
  test(`reads an answer: ${name}`, async () => {
    await using server = createRawServer(answer, { answersMax: 1 });
    const response = await get(server.url);
    assert.equal(new TextDecoder().decode(response.body), body);
    assert.equal(response.truncated, false);
  });
}

test("reads an answer that comes byte by byte", async () => {
  const answer = new TextEncoder().encode(
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n3\r\n!!!\r\n0\r\n\r\n",
  );
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using conn = await listener.accept();
    await conn.read(new Uint8Array(1000));
    for (const byte of answer) await conn.write(Uint8Array.of(byte));
  })();
  const response = await get(`http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}/`);
  assert.equal(new TextDecoder().decode(response.body), "ok!!!");
  await serving;
  listener.close();
});

test("sends what is asked, once each, and nothing that changes the framing", async () => {
  await using server = createRawServer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  const url = server.url.replace("http://", "http://me:p%40ss@") + "/a b?c=d#e";
  await get(url, { method: "POST", headers: [["Accept", "x/y"], ["X-A", "1"]] });
  const [line, ...headers] = server.requests[0]!.trimEnd().split("\r\n");
  assert.equal(line, "POST /x/a%20b?c=d HTTP/1.1");
  assert.deepEqual(headers.sort(), [
    "accept-encoding: identity",
    "accept-language: *",
    "accept: x/y",
    `authorization: Basic ${btoa("me:p@ss")}`,
    "content-length: 0",
    `host: 127.0.0.1:${server.port}`,
    "user-agent: config-reloader",
    "x-a: 1",
  ]);
});

/** A status read, as the probe sends it. */
function read(url: string, more: Partial<HttpRequest> = {}): HttpRequest {
  return { url, method: "GET", timeoutMs: 20_000, isRepeatable: true, ...more };
}
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

test("a sender keeps one connection, and closes it with its end", async () => {
  await using server = createRawServer(OK);
  const { send, close } = createSender();
  for (let i = 0; i < 5; i++) await send(read(server.url), NEVER);
  assert.equal(server.accepted(), 1);
  close();
  await until("closed", () => server.open() === 0);
});

test("a kept connection that the app has closed between two polls is no error", async () => {
  await using server = createRawServer(OK, { answersMax: 1 });
  const { send, close } = createSender();
  for (let i = 1; i <= 5; i++) {
    assert.equal((await send(read(server.url), NEVER)).status, 200);
    await until("closed by the app", () => server.open() === 0);
  }
  // The app closes just when the request comes: no answer, and a new connection gets one.
  for (let i = 1; i <= 5; i++) assert.equal((await send(read(server.url), NEVER)).status, 200);
  close();
});

test("a read whose connection breaks is sent once more, a trigger never", async () => {
  const server = createHostileServer();
  const { send, close } = createSender();
  await failureOf(send(read(server.url("close")), NEVER));
  assert.equal(server.requests.length, 2);
  await failureOf(send(read(server.url("close"), { method: "POST", isRepeatable: false }), NEVER));
  assert.equal(server.requests.length, 3);
  close();
  await server.close();
});

test("new certificates are used by the next request", async () => {
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: Deno.readTextFileSync(`${PEM}server.pem`),
    key: Deno.readTextFileSync(`${PEM}server.key`),
    onListen: () => {},
  }, () => new Response("ok"));
  const { send, close } = createSender();
  const ask = (caCerts: string[]) =>
    send(read(`https://localhost:${server.addr.port}/`, { tls: { caCerts } }), NEVER);
  assert.match((await failureOf(ask([]))).message, /unknown authority/);
  assert.equal((await ask([Deno.readTextFileSync(`${PEM}ca.pem`)])).status, 200);
  assert.match((await failureOf(ask([]))).message, /unknown authority/);
  close();
  await server.shutdown();
});

test("one deadline holds where nobody takes the connection", async () => {
  // The kernel drops what comes once the queue of the listener is full.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  const { port } = listener.addr;
  const stop = new AbortController();
  const queue = Array.from(
    { length: 4 },
    () => Deno.connect({ hostname: "127.0.0.1", port, signal: stop.signal }).catch(() => null),
  );
  await Promise.all(queue.slice(0, 2));
  const startMs = performance.now();
  const error = await failureOf(get(`http://127.0.0.1:${port}/`, { timeoutMs: 300 }));
  assert.equal(error.message, "timed out after 300ms");
  assert.ok(performance.now() - startMs < WAIT_MS, "and not when the kernel gives up");
  stop.abort();
  for (const conn of await Promise.all(queue)) conn?.close();
  listener.close();
});

test("bytes of a header file are sent as they are, and no URL gets into an error", async () => {
  await using server = createRawServer(OK);
  await get(server.url, { headers: [["x-name", "jörg"]] });
  assert.match(server.requests[0]!, /x-name: jörg/);
  const error = await failureOf(get(`http://127.0.0.1:${freePort()}/?token=secret`));
  assert.equal(error.message, "connection refused");
  assert.ok(!`${error.stack}`.includes("secret"));
});

test("cuts a body at its limit, in each framing", async () => {
  const body = "x".repeat(5000);
  const chunk = `${body.length.toString(16)}\r\n${body}\r\n`;
  for (
    const head of [
      "content-length: 5000\r\n\r\n" + body,
      "transfer-encoding: chunked\r\n\r\n" + chunk,
      "\r\n" + body,
    ]
  ) {
    await using server = createRawServer(`HTTP/1.1 200 OK\r\n${head}`);
    const response = await get(server.url, { bodyBytesMax: 1000 });
    assert.equal(response.body.length, 1000);
    assert.equal(response.truncated, true);
    await until("cut off", () => server.open() === 0);
  }
});

test("one deadline covers connect, headers and body", async () => {
  const server = createHostileServer();
  for (const kind of ["no-answer", "drip"]) {
    const startMs = performance.now();
    const error = await failureOf(get(server.url(kind), { timeoutMs: 300 }));
    const tookMs = performance.now() - startMs;
    assert.deepEqual([error.code, error.message], ["timeout", "timed out after 300ms"]);
    assert.ok(tookMs >= 290 && tookMs < WAIT_MS, `took ${tookMs} ms`);
  }
  await server.close();
});

test("ends at once when the caller stops", async () => {
  const server = createHostileServer();
  const stop = new AbortController();
  const patient = { timeoutMs: 3_600_000 };
  const failing = failureOf(get(server.url("no-answer"), patient, stop.signal));
  await until("the request", () => server.requests.length === 1);
  const startMs = performance.now();
  stop.abort();
  assert.equal((await failing).code, "aborted");
  assert.equal((await failureOf(get(server.url("no-answer"), patient, stop.signal))).code, "aborted");
  assert.ok(performance.now() - startMs < WAIT_MS);
  assert.equal(server.requests.length, 1);
  await server.close();
});

for (const hostname of ["127.0.0.1", "::1"]) {
  test(`localhost reaches an app that listens on ${hostname} only`, async () => {
    await using server = createRawServer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", { hostname });
    const response = await get(`http://localhost:${server.port}/`);
    assert.equal(response.status, 200);
  });
}

test("reaches an app by an IPv6 literal", async () => {
  await using server = createRawServer("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", { hostname: "::1" });
  const response = await get(`http://[::1]:${server.port}/`);
  assert.equal(response.status, 200);
  assert.match(server.requests[0]!, /host: \[::1\]:\d+/);
});

test("speaks to unix sockets", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/app.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const serving = (async () => {
    using conn = await listener.accept();
    const buffer = new Uint8Array(1000);
    const count = await conn.read(buffer);
    await conn.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    return new TextDecoder().decode(buffer.subarray(0, count!));
  })();
  const response = await get(`unix:${path}:/-/reload?a=b`, { method: "POST" });
  assert.equal(response.status, 200);
  assert.match(await serving, /^POST http:\/\/localhost\/-\/reload\?a=b HTTP\/1.1\r\n/);
  listener.close();
  await Deno.remove(dir, { recursive: true });
  assert.equal((await failureOf(get(`unix:${path}:/`))).message, "no such socket");
});

test("every failure keeps its reason", async () => {
  const dir = await Deno.makeTempDir();
  await Deno.writeTextFile(`${dir}/file`, "");
  const port = freePort();
  const cases: [url: string, code: string, message: RegExp][] = [
    [`http://127.0.0.1:${port}/`, "refused", /^connection refused$/],
    [`http://localhost:${port}/`, "refused", /^connection refused$/],
    [`https://localhost:${port}/`, "refused", /^connection refused$/],
    ["http://no-such-host.invalid/", "name", /^name not found/],
    [
      "http://255.255.255.255/",
      "unreachable",
      /^network is unreachable|^no route to host|^permission denied/,
    ],
    [`unix:${dir}/none.sock:/`, "socket", /^no such socket$/],
    [`unix:${dir}/file:/`, "refused", /^connection refused$/],
  ];
  for (const [url, code, message] of cases) {
    const error = await failureOf(get(url));
    assert.match(error.message, message, url);
    if (code !== "unreachable") assert.equal(error.code, code, url);
  }
  await Deno.remove(dir, { recursive: true });
});

const TLS_CASES: readonly [cert: string, ca: boolean, result: RegExp][] = [
  ["server", true, /^200$/],
  ["server", false, /^certificate is signed by an unknown authority; see --ca-file$/],
  ["other", true, /^certificate is not valid for this host name$/],
  ["expired", true, /^certificate has expired$/],
];
for (const [cert, ca, result] of TLS_CASES) {
  test(`TLS: certificate ${cert}, ${ca ? "with" : "without"} its authority`, async () => {
    const server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      cert: Deno.readTextFileSync(`${PEM}${cert}.pem`),
      key: Deno.readTextFileSync(`${PEM}${cert}.key`),
      onListen: () => {},
    }, () => new Response("ok"));
    const tls = { caCerts: ca ? [Deno.readTextFileSync(`${PEM}ca.pem`)] : [] };
    for (const host of ["localhost", "127.0.0.1"]) {
      const outcome = await get(`https://${host}:${server.addr.port}/`, { tls })
        .then(({ status }) => String(status), (error) => error.message);
      assert.match(outcome, result);
    }
    const plain = await failureOf(get(`http://localhost:${server.addr.port}/`));
    assert.match(
      plain.message,
      /^the answer is not HTTP\/1\.1; if the server speaks TLS, use https:\/\/$|^connection closed/,
    );
    await server.shutdown();
  });
}

test("TLS to a server that speaks none is told as such", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response("ok"));
  const error = await failureOf(get(`https://localhost:${server.addr.port}/`));
  assert.equal(error.message, "the server does not speak TLS on this port");
  await server.shutdown();
});
