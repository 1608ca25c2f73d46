/**
 * The own HTTP server: listens, accepts, and survives. An accept that fails (no descriptors) is tried again, a socket that
 * keeps failing is opened anew, and the pool bounds what clients can take: the probes are answered whatever they do.
 * It replaces `Deno.serve`, which has no timeouts, ends for good on EMFILE, and costs 9 ms of CPU at the start
 * (ARCHITECTURE.md has the figures).
 */

import { readMaxFds } from "../observe/process_stats.ts";
import type { Clock, Logger } from "../ports.ts";
import { plainReason } from "../text.ts";
import type { Handler } from "./handler.ts";
import {
  type ListenConfig,
  openListener,
  readTlsFiles,
  type SocketListener,
  type TlsFiles,
} from "./listen.ts";
import { createPool } from "./pool.ts";

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

const TLS_CHECK_INTERVAL_MS = 10_000;
/** First and longest pause after an accept that failed. */
const ACCEPT_PAUSE_MS = 1;
const ACCEPT_PAUSE_MS_MAX = 500;
const ACCEPTS_PER_TURN = 16;
/** Failures this far apart have nothing to do with each other. */
const FAILURE_FORGOTTEN_MS = 5_000;
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
  const pool = createPool(handler, clock, effects.readMaxFds, stop.signal);
  let listener: SocketListener | null = null;
  let port = config.metricsPort;
  let tls: TlsFiles | null = null;

  /** Closes the socket; the accept loop, whose accept ends with it, listens again. */
  function reopen(): void {
    const old = listener;
    listener = null;
    old?.close();
  }

  async function acceptAll(): Promise<void> {
    let accepted = 0;
    let failures = 0;
    let failingSinceMs = 0;
    let lastFailureMs = 0;
    while (!stop.signal.aborted) {
      try {
        listener ??= effects.open(config, port, tls);
        pool.admit(await listener.accept());
        if (failures > 1) {
          const seconds = Math.round((clock.nowMs() - failingSinceMs) / 1000);
          logger.info(`Connections are accepted again on port ${port} after ${seconds} s`, { port });
        }
        failures = 0;
        // A full backlog is accepted without waiting; the rest of the program must have its turn meanwhile.
        if (++accepted % ACCEPTS_PER_TURN === 0) await clock.sleep(0, stop.signal);
      } catch (error) {
        if (stop.signal.aborted) return;
        if (clock.nowMs() - lastFailureMs > FAILURE_FORGOTTEN_MS) failures = 0;
        lastFailureMs = clock.nowMs();
        if (++failures === 1) failingSinceMs = lastFailureMs;
        // One failure alone is a client that was gone before it was accepted, or a socket closed to be opened anew.
        if (failures === 2) {
          logger.warn(`Cannot accept connections on port ${port}: ${plainReason(error)}; trying again`, {
            port,
          });
        }
        if (failures > 1) pool.shrink();
        await clock.sleep(Math.min(ACCEPT_PAUSE_MS * 2 ** failures, ACCEPT_PAUSE_MS_MAX), stop.signal);
        if (!stop.signal.aborted && failures % FAILURES_BEFORE_REOPEN === 0) reopen();
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
