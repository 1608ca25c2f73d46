import assert from "node:assert/strict";
import fc from "fast-check";
import { HEAD_BYTES_MAX, parseAsk, renderAnswer } from "../../src/server/wire.ts";
import { test } from "../support/strict.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const parse = (text: string) => parseAsk(encode(text), encode(text).length);
const latin1 = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);

const ASKS: readonly (readonly [string, string, string, boolean])[] = [
  ["GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/metrics", true],
  ["GET /metrics HTTP/1.1\r\n\r\n", "GET", "/metrics", true],
  ["HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HEAD", "/", false],
  ["GET / HTTP/1.1\r\nConnection: Upgrade, Close\r\n\r\n", "GET", "/", false],
  ["GET / HTTP/1.0\r\n\r\n", "GET", "/", false],
  ["GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET", "/", true],
  ["\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET", "/", true],
  ["GET / HTTP/1.1\nHost: x\n\n", "GET", "/", true],
  ["GET /metrics?name[]=a&b#c HTTP/1.1\r\n\r\n", "GET", "/metrics", true],
  ["GET http://evil:99999/healthz?x HTTP/1.1\r\n\r\n", "GET", "/healthz", true],
  ["GET http://evil HTTP/1.1\r\n\r\n", "GET", "/", true],
  ["GET http://evil?/healthz HTTP/1.1\r\n\r\n", "GET", "", true],
  ["CONNECT app:443 HTTP/1.1\r\nHost: app:443\r\n\r\n", "CONNECT", "", true],
  ["OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS", "", true],
  ["GET //metrics HTTP/1.1\r\n\r\n", "GET", "//metrics", true],
  ["GET /%6detrics HTTP/1.1\r\n\r\n", "GET", "/%6detrics", true],
  ["GET / HTTP/1.1\r\nHost: [::::]:99999999/\r\n\r\n", "GET", "/", true],
  ["POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "POST", "/", false],
  ["GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", "/", false],
  ["GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "GET", "/", true],
  ["GET / HTTP/1.1\r\nContent-Length: banana\r\n\r\n", "GET", "/", false],
];

for (const [text, method, path, keepAlive] of ASKS) {
  test(`request ${JSON.stringify(text)}`, () => {
    const parsed = parse(text);
    assert.equal(parsed.kind, "ask");
    if (parsed.kind !== "ask") return;
    assert.deepEqual([parsed.ask.method, parsed.ask.path, parsed.ask.keepAlive], [method, path, keepAlive]);
    assert.equal(parsed.bytesUsed, text.endsWith("hello") ? text.length - 5 : text.length);
  });
}

const BAD: readonly (readonly [string, string, number])[] = [
  ["a TLS handshake", "\x16\x03\x01\x02\x00\x01", 400],
  ["noise", "\x00\x01\x02", 400],
  ["lower case method", "get / HTTP/1.1\r\n\r\n", 400],
  ["HTTP/0.9", "GET /\r\n\r\n", 400],
  ["HTTP/2 prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
  ["HTTP/3 of a kind", "GET / HTTP/3.0\r\n\r\n", 505],
  ["nonsense version", "GET / HTTPS/1.1\r\n\r\n", 400],
  ["two spaces", "GET  / HTTP/1.1\r\n\r\n", 400],
  ["a space in the path", "GET /a b HTTP/1.1\r\n\r\n", 400],
  ["a folded header", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400],
  ["a header without a colon", "GET / HTTP/1.1\r\nnothing\r\n\r\n", 400],
  ["a space before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400],
  ["an empty header name", "GET / HTTP/1.1\r\n: x\r\n\r\n", 400],
  ["NUL in a header", "GET / HTTP/1.1\r\nHost: \0\r\n\r\n", 400],
  ["a lone CR in a header", "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400],
  ["101 headers", `GET / HTTP/1.1\r\n${"a: b\r\n".repeat(101)}\r\n`, 431],
  ["a huge header", `GET / HTTP/1.1\r\na: ${"b".repeat(HEAD_BYTES_MAX)}`, 431],
  ["a huge path", `GET /${"b".repeat(HEAD_BYTES_MAX)}`, 431],
  ["only empty lines", "\r\n".repeat(HEAD_BYTES_MAX / 2), 431],
];

for (const [what, text, status] of BAD) {
  test(`refused: ${what}`, () => {
    const parsed = parse(text);
    assert.equal(parsed.kind, "bad");
    if (parsed.kind === "bad") assert.equal(parsed.status, status);
  });
}

test("a head in pieces is waited for, byte by byte", () => {
  // What stands behind the length is left over from before.
  for (const end of ["\r\n", "\n"]) {
    const text = `GET /healthz HTTP/1.1${end}Host: x${end}${end}`;
    for (let length = 0; length < text.length; length++) {
      assert.equal(parseAsk(encode(text), length).kind, "more", `after ${length} bytes`);
    }
    assert.equal(parse(text).kind, "ask");
  }
});

test("bytes after a head belong to the next request", () => {
  const first = "GET /a HTTP/1.1\r\n\r\n";
  const parsed = parse(`${first}GET /b HTTP/1.1\r\n\r\n`);
  assert.equal(parsed.kind === "ask" && parsed.bytesUsed, first.length);
});

test("no input makes the parser throw", () => {
  const piece = fc.constantFrom(
    "GET ",
    "/",
    " HTTP/1.1",
    "\r\n",
    "\n",
    "\r",
    ": ",
    "a",
    "\0",
    "http://",
    "é",
    "PRI * HTTP/2.0",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.array(piece).map((p) => encode(p.join(""))),
      ),
      (bytes) => {
        const parsed = parseAsk(bytes, bytes.length);
        if (parsed.kind === "ask") {
          assert.ok(parsed.bytesUsed <= bytes.length);
          assert.ok(parsed.ask.path === "" || parsed.ask.path.startsWith("/"));
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test("an answer has its length in bytes, the date, and headers that forbid everything", () => {
  const options = { bodyless: false, keepAlive: true, wallMs: Date.UTC(2026, 10, 24, 8) };
  const text = latin1(renderAnswer({ status: 200, type: "text/plain", body: "é" }, options));
  const [head, body] = text.split("\r\n\r\n");
  assert.equal(body?.length, 2);
  assert.deepEqual(head?.split("\r\n"), [
    "HTTP/1.1 200 OK",
    "Date: Tue, 24 Nov 2026 08:00:00 GMT",
    "Content-Type: text/plain",
    "Content-Length: 2",
    "Connection: keep-alive",
    "Cache-Control: no-store",
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy: same-origin",
    "Cross-Origin-Resource-Policy: same-origin",
    "Referrer-Policy: no-referrer",
    "X-Content-Type-Options: nosniff",
    "X-Frame-Options: DENY",
  ]);
});

test("HEAD has the headers of GET and no body", () => {
  const answer = { status: 200, type: "text/plain", body: "hello", headers: { "X-A": "1\r\nX-B: 2" } };
  const common = { keepAlive: false, wallMs: 0 };
  const full = latin1(renderAnswer(answer, { ...common, bodyless: false }));
  const head = latin1(renderAnswer(answer, { ...common, bodyless: true }));
  assert.equal(full, head + "hello");
  assert.match(head, /Content-Length: 5\r\n/);
  assert.match(head, /X-A: 1 {2}X-B: 2\r\n/);
});
