/**
 * HTTP/1.1 as our server speaks it: the head of a request from bytes, an answer to bytes (RFC 9112). Pure. It knows no
 * bodies of requests, no ranges and no Host: GET and HEAD of a few exact paths are all there is, and what is not needed
 * cannot be attacked.
 */

/** The head of one request, as far as anybody asks for it. */
export interface Ask {
  readonly method: string;
  /** Without query; as sent, nothing is decoded. Empty where the target has none (`CONNECT host:1`, `OPTIONS *`). */
  readonly path: string;
  /** After the `?`, as sent; empty where there is none. */
  readonly query: string;
  /** Value of the first header of that (lower case) name, null where there is none. */
  header(name: string): string | null;
  /** The client expects the connection to stay open, and no body follows. */
  readonly keepAlive: boolean;
}

/** What is answered. */
export interface Answer {
  readonly status: number;
  /** Content type. */
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What the bytes received so far are. */
export type Parsed =
  | { readonly kind: "ask"; readonly ask: Ask; readonly bytesUsed: number }
  /** The head is not complete. */
  | { readonly kind: "more" }
  /** Not a request that we answer with content; the connection ends after the answer. */
  | { readonly kind: "bad"; readonly status: number; readonly reason: string };

/** Longest head in bytes: Prometheus sends 300, a browser with many cookies 4 KiB. */
export const HEAD_BYTES_MAX = 8192;
const HEADERS_MAX = 100;

const CR = 13;
const LF = 10;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const decoder = new TextDecoder("latin1");

/**
 * Parses the first `length` bytes of a connection's input. Never throws, whatever they are.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const parse = (text: string) => parseAsk(new TextEncoder().encode(text), text.length);
 * const parsed = parse("GET /status?full=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
 * assert.ok(parsed.kind === "ask");
 * assert.deepEqual([parsed.ask.path, parsed.ask.query, parsed.ask.keepAlive], ["/status", "full=1", false]);
 * assert.equal(parse("GET /status HTTP/1.1\r\nHost").kind, "more");
 * assert.equal(parse("\x16\x03\x01").kind, "bad");
 * ```
 */
export function parseAsk(bytes: Uint8Array, length: number): Parsed {
  let start = 0;
  // A client may send empty lines before a request (RFC 9112, 2.2).
  while (start < length && (bytes[start] === CR || bytes[start] === LF)) start++;
  // A method begins with a letter: tells a TLS handshake or noise at its first byte, not after a timeout.
  if (start < length && !isUpperLetter(bytes[start]!)) return bad(400, "this is not HTTP/1.1");
  const end = findHeadEnd(bytes, start, length);
  if (end < 0) {
    return length >= HEAD_BYTES_MAX
      ? bad(431, `request head over ${HEAD_BYTES_MAX} bytes`)
      : { kind: "more" };
  }
  const lines = decoder.decode(bytes.subarray(start, end)).split("\n").map((line) => line.replace(/\r$/, ""));
  return parseLines(lines.filter((line, index) => index === 0 || line !== ""), end);
}

function parseLines(lines: readonly string[], bytesUsed: number): Parsed {
  const [method = "", target = "", version = "", ...rest] = lines[0]!.split(" ");
  if (/^HTTP\/[02-9]/.test(version)) return bad(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
  if (rest.length > 0 || !TOKEN.test(method) || target === "" || !/^HTTP\/1\.\d$/.test(version)) {
    return bad(400, "malformed request line");
  }
  if (lines.length - 1 > HEADERS_MAX) return bad(431, `more than ${HEADERS_MAX} headers`);
  const headers = new Map<string, string>();
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    if (!TOKEN.test(name) || /[\0\r]/.test(line)) return bad(400, "malformed header");
    if (!headers.has(name)) headers.set(name, line.slice(colon + 1).trim());
  }
  const hasBody = (headers.get("content-length") ?? "0") !== "0" || headers.has("transfer-encoding");
  const connection = (headers.get("connection") ?? "").toLowerCase();
  const keepAlive = version === "HTTP/1.0"
    ? connection.includes("keep-alive")
    : !connection.includes("close");
  const ask: Ask = {
    method,
    ...splitTarget(target),
    header: (name) => headers.get(name) ?? null,
    keepAlive: keepAlive && !hasBody,
  };
  return { kind: "ask", ask, bytesUsed };
}

/** Path and query of a target in origin form, or in absolute form (which a server must accept: RFC 9112, 3.2.2). */
function splitTarget(target: string): { path: string; query: string } {
  const absolute = /^https?:\/\/[^\/?#]*(.*)$/i.exec(target);
  const rest = absolute ? absolute[1] || "/" : target;
  const [, path = "", query = ""] = /^(\/[^?#]*)(?:\?([^#]*))?/.exec(rest) ?? [];
  return { path, query };
}

/** Index just after the empty line that ends a head, -1 where it has not come yet. */
function findHeadEnd(bytes: Uint8Array, start: number, length: number): number {
  for (let at = bytes.indexOf(LF, start); at >= 0 && at < length; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at + 1] === LF && at + 1 < length) return at + 2;
    if (bytes[at + 1] === CR && bytes[at + 2] === LF && at + 2 < length) return at + 3;
  }
  return -1;
}

function isUpperLetter(byte: number): boolean {
  return byte >= 65 && byte <= 90;
}

function bad(status: number, reason: string): Parsed {
  return { kind: "bad", status, reason };
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

/** On every answer: nothing is cached, sniffed, framed or loaded from anywhere. A page may set its own policy. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

/**
 * Renders an answer. With `bodyless` (HEAD) the headers are those of the whole answer, without its body.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const answer = { status: 200, type: "text/plain", body: "ok\n" };
 * const bytes = renderAnswer(answer, { bodyless: true, keepAlive: false, wallMs: 0 });
 * const text = new TextDecoder().decode(bytes);
 * assert.match(text, /^HTTP\/1\.1 200 OK\r\n(.+\r\n)*Content-Length: 3\r\nConnection: close\r\n/);
 * assert.ok(text.endsWith("\r\n\r\n"));
 * ```
 */
export function renderAnswer(
  answer: Answer,
  { bodyless, keepAlive, wallMs }: { bodyless: boolean; keepAlive: boolean; wallMs: number },
): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const body = encoder.encode(answer.body);
  let head = `HTTP/1.1 ${answer.status} ${REASONS[answer.status] ?? ""}\r\n` +
    `Date: ${new Date(wallMs).toUTCString()}\r\n` +
    `Content-Type: ${answer.type}\r\n` +
    `Content-Length: ${body.length}\r\n` +
    `Connection: ${keepAlive ? "keep-alive" : "close"}\r\n`;
  for (const [name, value] of Object.entries({ ...SECURITY_HEADERS, ...answer.headers })) {
    // A value never comes from a request; should one ever, it must not add lines.
    head += `${name}: ${value.replace(/[\r\n]/g, " ")}\r\n`;
  }
  const headBytes = encoder.encode(`${head}\r\n`);
  if (bodyless) return headBytes;
  const all = new Uint8Array(headBytes.length + body.length);
  all.set(headBytes);
  all.set(body, headBytes.length);
  // Gives the memory back now, not when the collector comes: a status can have 2 MB.
  body.buffer.transfer(0);
  return all;
}
