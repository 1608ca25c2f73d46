/**
 * One client connection: reads heads, writes answers, in order. Every wait has a deadline, and the listener closes the
 * connection when it has passed: a client can be slow or silent without anybody waiting for it.
 */

import type { Answer, Ask, Parsed } from "./wire.ts";
import { HEAD_BYTES_MAX, parseAsk, renderAnswer } from "./wire.ts";

/** The part of `Deno.Conn` that is used. */
export interface Socket {
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
}

/** A connection as the listener sees it. */
export interface Connection {
  /** When it is closed unless something happens before, in monotonic milliseconds. */
  deadlineMs: number;
  /** Waits for the client: closing it loses no answer. */
  idle: boolean;
  /** It has been closed on our side. */
  readonly closed: boolean;
  /** Closes the socket at once; reads and writes in progress end. */
  close(): void;
  /** Ends after the answer in progress. */
  stopping: boolean;
}

/** From the first byte of a request (or the connect) to the end of its head. */
export const HEAD_TIMEOUT_MS = 5_000;
/** From an answer to the next request: longer than the usual scrape intervals. */
export const IDLE_TIMEOUT_MS = 75_000;
/** For making and writing an answer. */
export const ANSWER_TIMEOUT_MS = 10_000;
/** How much of a request that was refused is still read, so that the client sees the answer and not a reset. */
const DRAIN_BYTES_MAX = 64 * 1024;
const DRAIN_TIMEOUT_MS = 1_000;
const BUFFER_BYTES_START = 1024;

/** What a connection needs to serve. */
export interface ConnectionDeps {
  handle(ask: Ask): Promise<Answer>;
  nowMs(): number;
  wallMs(): number;
  /** Called after each answer: the connection is in use. */
  onAnswer(): void;
  /** Lets everything else have its turn. */
  yieldTurn(): Promise<void>;
  /** Waits until an answer of this path may be made; what it resolves to is called when it is written, or never will be. */
  takeTurn(path: string): Promise<() => void>;
}

/**
 * Makes the state of a new connection; `serve` runs it.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const socket = {
 *   read: () => Promise.resolve(null), write: () => Promise.resolve(0), closeWrite: () => Promise.resolve(),
 *   close: () => { throw new Deno.errors.BadResource("closed already"); },
 * };
 * const connection = createConnection(socket, 1_000);
 * assert.equal(connection.deadlineMs, 1_000 + HEAD_TIMEOUT_MS);
 * connection.close();
 * assert.equal(connection.closed, true);
 * ```
 */
export function createConnection(socket: Socket, nowMs: number): Connection {
  let closed = false;
  return {
    deadlineMs: nowMs + HEAD_TIMEOUT_MS,
    idle: true,
    stopping: false,
    get closed() {
      return closed;
    },
    close() {
      if (closed) return;
      closed = true;
      try {
        socket.close();
      } catch {
        // Gone already.
      }
    },
  };
}

/** Serves a connection until it ends. Never rejects. */
export async function serve(socket: Socket, connection: Connection, deps: ConnectionDeps): Promise<void> {
  let buffer = new Uint8Array(BUFFER_BYTES_START);
  let length = 0;
  const setDeadline = (ms: number) => {
    connection.deadlineMs = deps.nowMs() + ms;
  };
  try {
    while (!connection.stopping) {
      const parsed = parseAsk(buffer, length);
      if (parsed.kind === "more") {
        if (length === buffer.length) buffer = grow(buffer);
        connection.idle = true;
        const count = await socket.read(buffer.subarray(length));
        if (count === null) return;
        if (length === 0) setDeadline(HEAD_TIMEOUT_MS);
        length += count;
        continue;
      }
      connection.idle = false;
      setDeadline(ANSWER_TIMEOUT_MS);
      const keepAlive = await answerOnce(socket, connection, deps, parsed);
      if (!keepAlive) {
        setDeadline(DRAIN_TIMEOUT_MS);
        connection.idle = true;
        return await drain(socket, buffer);
      }
      deps.onAnswer();
      length = discard(buffer, length, parsed.kind === "ask" ? parsed.bytesUsed : length);
      if (length === 0) buffer = new Uint8Array(BUFFER_BYTES_START);
      setDeadline(length > 0 ? HEAD_TIMEOUT_MS : IDLE_TIMEOUT_MS);
      // Reads and writes that need not wait complete within the turn: without this a client that sends requests without
      // end would have the loop for itself until the kernel's buffers are full.
      await deps.yieldTurn();
    }
  } catch {
    // The client went away, the deadline closed the socket, or TLS did not come about: all the same to us.
  } finally {
    connection.close();
  }
}

/** Makes one answer and writes it. Returns whether the connection stays open. */
async function answerOnce(
  socket: Socket,
  connection: Connection,
  deps: ConnectionDeps,
  parsed: Exclude<Parsed, { kind: "more" }>,
): Promise<boolean> {
  const ask = parsed.kind === "ask" ? parsed.ask : null;
  const endTurn = await deps.takeTurn(ask?.path ?? "");
  try {
    // Nobody waits for it any more.
    if (connection.closed) return false;
    const answer = parsed.kind === "ask"
      ? await deps.handle(parsed.ask)
      : refuse(parsed.status, parsed.reason);
    const keepAlive = ask !== null && ask.keepAlive && !connection.stopping;
    const bodyless = ask?.method === "HEAD";
    const bytes = renderAnswer(answer, { bodyless, keepAlive, wallMs: deps.wallMs() });
    await writeAll(socket, bytes);
    bytes.buffer.transfer(0);
    return keepAlive;
  } finally {
    endTurn();
  }
}

function refuse(status: number, reason: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body: `${reason}\n` };
}

async function writeAll(socket: Socket, bytes: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) offset += await socket.write(offset === 0 ? bytes : bytes.subarray(offset));
}

/** Closing with unread input resets the connection, and the client may lose the answer (RFC 9112, 9.6). */
async function drain(socket: Socket, buffer: Uint8Array): Promise<void> {
  await socket.closeWrite();
  for (let bytes = 0; bytes < DRAIN_BYTES_MAX;) {
    const count = await socket.read(buffer);
    if (count === null) return;
    bytes += count;
  }
}

function grow(buffer: Uint8Array): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.min(HEAD_BYTES_MAX, buffer.length * 4));
  larger.set(buffer);
  return larger;
}

/** Moves what was sent after the request to the front; returns how much that is. */
function discard(buffer: Uint8Array, length: number, used: number): number {
  buffer.copyWithin(0, used, length);
  return length - used;
}
