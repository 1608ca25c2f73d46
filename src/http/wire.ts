/**
 * HTTP/1.1 answers off a byte stream: head, the three framings of a body, and limits on all of it (RFC 9112).
 * Knows no sockets and no URLs; must never hold more than the head limit and the asked body limit in memory.
 */

import { HttpError, printable } from "./errors.ts";
import { fill, type Intake, latin1 } from "./intake.ts";

/** Longest head (status line and headers) that is read; the apps we ask send below 1 KiB. */
export const HEAD_BYTES_MAX = 32 * 1024;
/** Interim 1xx answers that are skipped before the real one. */
const INTERIM_MAX = 8;
/** How every answer starts. */
const START = "HTTP/1.";
const LF = 10;
const CR = 13;

/** One answer. */
export interface WireAnswer {
  readonly status: number;
  /** Names in lower case; several of one name are joined by a comma. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array<ArrayBuffer>;
  /** The body was longer than asked for and was cut. */
  readonly truncated: boolean;
  /** The connection may carry another request. */
  readonly reusable: boolean;
}

/**
 * Reads one answer; a body longer than `bodyBytesMax` is cut there and the rest is not read.
 * @throws HttpError `closed` when the stream ends too early, `protocol` for what is no HTTP/1.1 answer.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createIntake } from "./intake.ts";
 * const bytes = new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
 * const intake = createIntake({ read: (into) => Promise.resolve(into.set(bytes) ?? bytes.length) });
 * const { status, body, truncated } = await readAnswer(intake, "GET", 4);
 * assert.deepEqual([status, new TextDecoder().decode(body), truncated], [200, "hell", true]);
 * ```
 */
export async function readAnswer(intake: Intake, method: string, bodyBytesMax: number): Promise<WireAnswer> {
  for (let interim = 0; interim <= INTERIM_MAX; interim++) {
    const head = parseHead(await readHead(intake));
    if (head.status >= 100 && head.status < 200 && head.status !== 101) continue;
    const sink: Sink = { buffer: new Uint8Array(0), bytes: 0, bytesMax: bodyBytesMax, truncated: false };
    const framed = await readBody(intake, head, method, sink);
    return {
      status: head.status,
      headers: head.headers,
      body: sink.buffer.subarray(0, sink.bytes),
      truncated: sink.truncated,
      // Bytes beyond the answer belong to nothing we asked: such a connection is not to be trusted.
      reusable: framed && !sink.truncated && intake.start === intake.end && keepsAlive(head),
    };
  }
  throw new HttpError("protocol", `more than ${INTERIM_MAX} interim answers (1xx)`);
}

interface Head {
  readonly version: string;
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

/** Reads up to the empty line and returns the head as text, one character a byte. */
async function readHead(intake: Intake): Promise<string> {
  let scanned = 0;
  for (;;) {
    const { buffer, start, end } = intake;
    for (let i = start + scanned; i < end; i++) {
      if (buffer[i] !== LF) continue;
      const next = buffer[i + 1] === CR ? i + 2 : i + 1;
      if (next < end && buffer[next] === LF) {
        intake.start = next + 1;
        return latin1(buffer.subarray(start, i));
      }
    }
    checkStart(buffer.subarray(start, end));
    // The last two bytes may be the beginning of the end: look at them again.
    scanned = Math.max(0, end - start - 2);
    if (end - start >= HEAD_BYTES_MAX) {
      throw new HttpError("protocol", `headers larger than ${HEAD_BYTES_MAX / 1024} KiB`);
    }
    if (!(await fill(intake))) {
      throw intake.received === 0
        ? new HttpError("closed", "connection closed without an answer")
        : new HttpError("closed", "connection closed in the middle of the headers");
    }
  }
}

/** Tells a server of another protocol by its first bytes: some send a greeting and then wait for ever. */
function checkStart(bytes: Uint8Array): void {
  const text = latin1(bytes.subarray(0, START.length));
  if (START.startsWith(text)) return;
  // A TLS alert: content type 21, version 3.
  if (text.startsWith("\u0015\u0003")) throw new HttpError("protocol", "the server speaks TLS; use https://");
  throw notHttp(latin1(bytes.subarray(0, 100)));
}

function notHttp(text: string): HttpError {
  return new HttpError("protocol", `not an HTTP/1.1 answer: "${printable(text, 60)}"`);
}

function parseHead(text: string): Head {
  const lines = text.split(/\r?\n/);
  const match = /^HTTP\/(1\.[01]) (\d{3})(?: |$)/.exec(lines[0] ?? "");
  if (!match) throw notHttp(lines[0] ?? "");
  const headers = new Map<string, string>();
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!;
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { version: match[1]!, status: Number(match[2]), headers };
}

function keepsAlive(head: Head): boolean {
  const connection = (head.headers.get("connection") ?? "").toLowerCase();
  return head.version === "1.1" && !connection.includes("close");
}

/** What was kept of a body. */
interface Sink {
  /** One buffer, however small the pieces are in which the body comes: a chunk of one byte must not cost hundreds. */
  buffer: Uint8Array<ArrayBuffer>;
  bytes: number;
  readonly bytesMax: number;
  truncated: boolean;
}

/** Reads the body into `sink`; false where only the end of the connection ends it (RFC 9112, 6.3). */
async function readBody(intake: Intake, head: Head, method: string, sink: Sink): Promise<boolean> {
  if (method === "HEAD" || head.status === 204 || head.status === 304 || head.status === 101) return true;
  const coding = head.headers.get("transfer-encoding");
  if (coding !== undefined) {
    if (coding.toLowerCase() !== "chunked") {
      throw new HttpError("protocol", `unknown transfer encoding "${printable(coding, 40)}"`);
    }
    await readChunks(intake, sink);
    return true;
  }
  const length = head.headers.get("content-length");
  if (length !== undefined) {
    // Several equal values may come joined as "5, 5".
    const values = new Set(length.split(",").map((value) => value.trim()));
    const text = [...values][0]!;
    if (values.size !== 1 || !/^\d{1,15}$/.test(text)) {
      throw new HttpError("protocol", `content-length "${printable(length, 40)}" is no number`);
    }
    sink.buffer = new Uint8Array(Math.min(Number(text), sink.bytesMax));
    await readExactly(intake, Number(text), sink);
    return true;
  }
  while (!sink.truncated && (intake.start < intake.end || (await fill(intake)))) {
    take(intake, intake.end - intake.start, sink);
  }
  return false;
}

async function readChunks(intake: Intake, sink: Sink): Promise<void> {
  for (;;) {
    const line = await readLine(intake);
    const digits = line.split(";", 1)[0]!.trim();
    if (!/^[0-9a-fA-F]{1,12}$/.test(digits)) {
      throw new HttpError("protocol", `chunk size "${printable(line, 20)}" is no number`);
    }
    const size = parseInt(digits, 16);
    if (size === 0) break;
    await readExactly(intake, size, sink);
    if (sink.truncated) return;
    if ((await readLine(intake)) !== "") throw new HttpError("protocol", "chunk longer than its size");
  }
  for (let bytes = 0, line = " "; line !== ""; bytes += line.length) {
    if (bytes > HEAD_BYTES_MAX) throw new HttpError("protocol", "trailers without an end");
    line = await readLine(intake);
  }
}

/** Reads one line of a chunked body, without its line end. */
async function readLine(intake: Intake): Promise<string> {
  for (;;) {
    const at = intake.buffer.subarray(intake.start, intake.end).indexOf(LF);
    if (at >= 0) {
      const line = latin1(intake.buffer.subarray(intake.start, intake.start + at));
      intake.start += at + 1;
      return line.endsWith("\r") ? line.slice(0, -1) : line;
    }
    if (intake.end - intake.start > 1024) throw new HttpError("protocol", "chunk line longer than 1 KiB");
    if (!(await fill(intake))) throw endedEarly();
  }
}

async function readExactly(intake: Intake, bytes: number, sink: Sink): Promise<void> {
  let left = bytes;
  while (left > 0 && !sink.truncated) {
    if (intake.start === intake.end && !(await fill(intake))) throw endedEarly();
    const count = Math.min(left, intake.end - intake.start);
    take(intake, count, sink);
    left -= count;
  }
}

/** Moves `count` bytes into the sink, as far as there is room. */
function take(intake: Intake, count: number, sink: Sink): void {
  const kept = Math.min(count, sink.bytesMax - sink.bytes);
  if (sink.bytes + kept > sink.buffer.length) widen(sink, sink.bytes + kept);
  sink.buffer.set(intake.buffer.subarray(intake.start, intake.start + kept), sink.bytes);
  sink.bytes += kept;
  if (kept < count) sink.truncated = true;
  intake.start += count;
}

function endedEarly(): HttpError {
  return new HttpError("closed", "connection closed in the middle of the answer");
}

/** Makes room for `bytes` in all, of a body whose length was not told. */
function widen(sink: Sink, bytes: number): void {
  const wider = new Uint8Array(Math.min(Math.max(bytes, 2 * sink.buffer.length), sink.bytesMax));
  wider.set(sink.buffer.subarray(0, sink.bytes));
  // Gives the memory back now, not when the collector comes.
  sink.buffer.buffer.transfer(0);
  sink.buffer = wider;
}
