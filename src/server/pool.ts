/**
 * The open connections: how many there may be, who makes room for whom, when one is cut, and how fast kept ones may ask.
 * It knows nothing of what is asked.
 */

import type { Clock } from "../ports.ts";
import { type Connection, createConnection, serve } from "./connection.ts";
import type { Handler } from "./handler.ts";

/** Most connections at a time: Prometheus, a kubelet and some people need ten. */
export const CONNECTIONS_MAX = 64;
/** Of the descriptors a process may have, clients get a quarter: reloading needs some, too. */
const DESCRIPTOR_SHARE = 4;
/** So many are taken before the limit is read from /proc: most sidecars never have more, and need not read it. */
const UNLIMITED = 8;
/** However few descriptors there are, the probes and a scrape must find room. */
const CONNECTIONS_MIN = 4;
const SWEEP_INTERVAL_MS = 5_000;
const STOP_TIMEOUT_MS = 1_000;
/** 200 requests a second on kept connections, all together, after a burst of 20: nobody honest comes near. */
const SLOT_MS = 5;
const BURST_MS = 20 * SLOT_MS;

/** Answers that grow with the watched files: 2 MB for 10,000 of them. */
const LARGE_PATHS: readonly string[] = ["/status", "/"];
/** So many of those are made and written at a time; clients that do not read would hold one each. */
const LARGE_MAX = 2;

/** The connections of a server. */
export interface Pool {
  /** Serves a new connection; where there are too many, another one is closed for it. */
  admit(socket: Deno.Conn): void;
  size(): number;
  /** No descriptors left: half of the connections go, and there are never as many again. */
  shrink(): void;
  /** Ends all of them; answers in progress get a second. */
  close(): Promise<void>;
}

/** Creates an empty pool; `signal` aborts when the server stops. */
export function createPool(
  handler: Handler,
  clock: Clock,
  readMaxFds: () => number,
  signal: AbortSignal,
): Pool {
  /** In the order of their last use, with the promise of their end. */
  const open = new Map<Connection, Promise<void>>();
  let limit = CONNECTIONS_MAX;
  let limitKnown = false;
  let sweeping = false;
  let nextSlotMs = -Infinity;
  let large = 0;
  const waiting: (() => void)[] = [];

  function admit(socket: Deno.Conn): void {
    if (!limitKnown && open.size >= UNLIMITED) {
      limitKnown = true;
      limit = limitFor(readMaxFds);
    }
    while (open.size >= limit) evict();
    const connection = createConnection(socket, clock.nowMs());
    const ended = serve(socket, connection, {
      handle: handler,
      nowMs: clock.nowMs,
      wallMs: clock.wallMs,
      yieldTurn,
      takeTurn,
      onAnswer: () => {
        // Deleted and added: last in the order.
        if (open.delete(connection)) open.set(connection, ended);
      },
    }).finally(() => open.delete(connection));
    open.set(connection, ended);
    if (!sweeping) void sweep();
  }

  /** Kept connections take turns: after a burst, one request each SLOT_MS; the first of a connection never waits. */
  function yieldTurn(): Promise<void> {
    const nowMs = clock.nowMs();
    nextSlotMs = Math.max(nextSlotMs + SLOT_MS, nowMs - BURST_MS);
    return clock.sleep(Math.max(0, nextSlotMs - nowMs), signal);
  }

  /** Large answers wait for one another, all others for nobody: a waiting request holds no more than its head. */
  async function takeTurn(path: string): Promise<() => void> {
    if (!LARGE_PATHS.includes(path)) return () => {};
    if (large < LARGE_MAX) large++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    return () => {
      const next = waiting.shift();
      if (next) next();
      else large--;
    };
  }

  /** Closes the idle connection that was used least recently; where none is idle, the one used least recently. */
  function evict(): void {
    let victim: Connection | undefined;
    for (const connection of open.keys()) {
      victim ??= connection;
      if (!connection.idle) continue;
      victim = connection;
      break;
    }
    if (victim === undefined) return;
    open.delete(victim);
    victim.close();
  }

  /** Closes what has passed its deadline, as long as there are connections. */
  async function sweep(): Promise<void> {
    sweeping = true;
    while (open.size > 0 && !signal.aborted) {
      await clock.sleep(SWEEP_INTERVAL_MS, signal);
      const nowMs = clock.nowMs();
      for (const connection of [...open.keys()]) if (connection.deadlineMs <= nowMs) connection.close();
    }
    sweeping = false;
  }

  return {
    admit,
    size: () => open.size,
    shrink: () => {
      limit = Math.max(CONNECTIONS_MIN, Math.min(limit, Math.floor(open.size / 2)));
      while (open.size > limit) evict();
    },
    close: async () => {
      for (const connection of open.keys()) {
        connection.stopping = true;
        if (connection.idle) connection.close();
      }
      const late = new AbortController();
      await Promise.race([Promise.allSettled(open.values()), clock.sleep(STOP_TIMEOUT_MS, late.signal)]);
      late.abort();
      for (const connection of open.keys()) connection.close();
    },
  };
}

function limitFor(readMaxFds: () => number): number {
  try {
    return Math.max(CONNECTIONS_MIN, Math.min(CONNECTIONS_MAX, Math.floor(readMaxFds() / DESCRIPTOR_SHARE)));
  } catch {
    return CONNECTIONS_MAX;
  }
}
