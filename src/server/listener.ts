/**
 * The own HTTP server: accepts, bounds, cuts and survives. At most so many connections, the least recently used idle one
 * makes room for a new one, deadlines are enforced by one sweep, and an accept that fails (no descriptors) is tried again:
 * the probes are answered whatever clients do. It replaces `Deno.serve`, which has no timeouts, ends for good on EMFILE,
 * and costs 9 ms of CPU at the start (ARCHITECTURE.md has the figures).
 */

import { readMaxFds } from "../observe/process_stats.ts";
import type { Clock, Logger } from "../ports.ts";
import { type Connection, createConnection, serve } from "./connection.ts";
import type { Handler } from "./handler.ts";
import {
  type ListenConfig,
  openListener,
  plainReason,
  readTlsFiles,
  type SocketListener,
  type TlsFiles,
} from "./listen.ts";

/** The server as a (start, stop) pair. */
export interface Server {
  /**
   * Listens and accepts. Resolves with the port (that picked by the kernel where 0 was asked for).
   * @throws Error for people: port taken, bad certificate
   */
  start(): Promise<{ port: number }>;
  /** Closes; answers in progress get a second. */
  stop(): Promise<void>;
  /** Open connections at present. */
  connections(): number;
}

/** Most connections at a time: Prometheus, a kubelet and some people need ten. */
export const CONNECTIONS_MAX = 64;
/** Of the descriptors a process may have, clients get a quarter: reloading needs some, too. */
const DESCRIPTOR_SHARE = 4;
const SWEEP_INTERVAL_MS = 5_000;
const STOP_TIMEOUT_MS = 1_000;
const TLS_CHECK_INTERVAL_MS = 10_000;
/** First and longest pause after an accept that failed. */
const ACCEPT_PAUSE_MS = 20;
const ACCEPT_PAUSE_MS_MAX = 500;
const ACCEPTS_PER_TURN = 16;
/** So many failures in a row, and the socket itself is in doubt: listen anew. */
const FAILURES_BEFORE_REOPEN = 20;

/** What the tests replace. */
export interface ServerEffects {
  open(config: ListenConfig, port: number, tls: TlsFiles | null): SocketListener;
  readMaxFds(): number;
}

/** Creates the server; nothing happens before `start`. */
export function createServer(
  config: ListenConfig,
  handler: Handler,
  logger: Logger,
  clock: Clock,
  effects: ServerEffects = { open: openListener, readMaxFds },
): Server {
  const stop = new AbortController();
  const pool = createPool(handler, clock, effects, stop.signal);
  let listener: SocketListener | null = null;
  let port = config.metricsPort;
  let tls: TlsFiles | null = null;

  /** Closes the socket and listens again on the same port; true where that succeeded. */
  function reopen(): boolean {
    listener?.close();
    listener = null;
    try {
      listener = effects.open(config, port, tls);
      return true;
    } catch (error) {
      logger.debug(`Cannot listen again yet: ${(error as Error).message}`);
      return false;
    }
  }

  async function acceptAll(): Promise<void> {
    let accepted = 0;
    let failures = 0;
    let failingSinceMs = 0;
    while (!stop.signal.aborted) {
      const current = listener;
      try {
        if (current === null) throw new Error("the port could not be opened again");
        pool.admit(await current.accept());
        if (failures > 1) {
          const seconds = Math.round((clock.nowMs() - failingSinceMs) / 1000);
          logger.info(`Connections are accepted again on port ${port} after ${seconds} s`, { port });
        }
        failures = 0;
        // A full backlog is accepted without waiting; the rest of the program must have its turn meanwhile.
        if (++accepted % ACCEPTS_PER_TURN === 0) await clock.sleep(0, stop.signal);
      } catch (error) {
        if (stop.signal.aborted || (listener !== current && listener !== null)) continue;
        if (++failures === 1) failingSinceMs = clock.nowMs();
        // One failure alone is a client that was gone before it was accepted.
        if (failures === 2) {
          logger.warn(`Cannot accept connections on port ${port}: ${plainReason(error)}; trying again`, {
            port,
          });
        }
        if (failures > 1) pool.shrink();
        await clock.sleep(Math.min(ACCEPT_PAUSE_MS * 2 ** failures, ACCEPT_PAUSE_MS_MAX), stop.signal);
        if (!stop.signal.aborted && (listener === null || failures % FAILURES_BEFORE_REOPEN === 0)) reopen();
      }
    }
  }

  return {
    start: async () => {
      tls = readTlsFiles(config);
      listener = effects.open(config, port, tls);
      port = (listener.addr as Deno.NetAddr).port;
      void acceptAll();
      if (tls !== null) {
        const { watchTlsFiles } = await import("./tls_rotation.ts");
        void watchTlsFiles({
          config,
          clock,
          logger,
          current: tls,
          signal: stop.signal,
          intervalMs: TLS_CHECK_INTERVAL_MS,
          use: (fresh) => {
            tls = fresh;
            reopen();
          },
        });
      }
      return { port };
    },
    stop: async () => {
      stop.abort();
      listener?.close();
      await pool.close();
    },
    connections: () => pool.size(),
  };
}

/** The open connections: bounded, least recently used first. */
function createPool(handler: Handler, clock: Clock, effects: ServerEffects, signal: AbortSignal) {
  /** In the order of their last use, with the promise of their end. */
  const open = new Map<Connection, Promise<void>>();
  let limit = CONNECTIONS_MAX;
  let limitKnown = false;
  let sweeping = false;

  function admit(socket: Deno.Conn): void {
    if (!limitKnown && open.size >= 8) {
      limitKnown = true;
      limit = limitFor(effects);
    }
    while (open.size >= limit) evict();
    const connection = createConnection(socket, clock.nowMs());
    const ended = serve(socket, connection, {
      handle: handler,
      nowMs: clock.nowMs,
      wallMs: clock.wallMs,
      yieldTurn: () => clock.sleep(0, signal),
      onAnswer: () => {
        // Deleted and added: last in the order.
        if (open.delete(connection)) open.set(connection, ended);
      },
    }).finally(() => open.delete(connection));
    open.set(connection, ended);
    if (!sweeping) void sweep();
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
    /** No descriptors left: half of the connections go, and there are never as many again. */
    shrink: () => {
      limit = Math.max(4, Math.min(limit, Math.floor(open.size / 2)));
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

function limitFor(effects: ServerEffects): number {
  try {
    return Math.max(4, Math.min(CONNECTIONS_MAX, Math.floor(effects.readMaxFds() / DESCRIPTOR_SHARE)));
  } catch {
    return CONNECTIONS_MAX;
  }
}
