/**
 * The own HTTP server: `Deno.serve`, kept alive. Deno.serve has no timeouts and no limit of connections, and it ends when
 * accepting fails (no descriptors). All three have one answer: close all clients at once and serve again on the same port
 * a moment later (sessions.ts); scrapers and probes connect anew. It decides nothing about requests.
 */

import { countOpenFds, readMaxFds } from "../observe/process_stats.ts";
import type { Clock, Logger } from "../ports.ts";
import { plainReason } from "../text.ts";
import { limitClients } from "./client_limit.ts";
import type { Handler } from "./handler.ts";
import { createLargeAnswers } from "./large_answers.ts";
import { listen, type ListenConfig, readTlsFiles, type TlsFiles } from "./listen.ts";
import { createSessions } from "./sessions.ts";

/** The server as a (start, stop) pair. */
export interface Server {
  /**
   * Listens. Resolves with the port (that picked by the kernel where 0 was asked for).
   * @throws Error for people: port taken, bad certificate
   */
  start(): Promise<{ port: number }>;
  /** Rejects once nothing could be accepted for 30 s: the process should end then. Else it stays pending. */
  readonly failed: Promise<never>;
  /** Closes; answers in progress get a second. */
  stop(): Promise<void>;
}

const TLS_CHECK_INTERVAL_MS = 10_000;
/** A flood of clients must not become one of lines. */
const LOG_INTERVAL_MS = 60_000;
const STOP_TIMEOUT_MS = 1_000;

/** What the tests replace. */
export interface ServerEffects {
  listen: typeof listen;
  countOpenFds(): number;
  readMaxFds(): number;
}

/** Creates the server; nothing happens before `start`. */
export function createServer(
  config: ListenConfig,
  handler: Handler,
  logger: Logger,
  clock: Clock,
  effects: ServerEffects = { listen, countOpenFds, readMaxFds },
): Server {
  const stop = new AbortController();
  const { signal } = stop;
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  const large = createLargeAnswers();
  let port = config.metricsPort;
  let tls: TlsFiles | null = null;
  let lastLogMs = -Infinity;

  function handle(request: Request): Promise<Response> {
    const failedMs = sessions.accepted();
    if (failedMs >= 1_000) {
      const seconds = Math.round(failedMs / 1_000);
      logger.info(`Connections are accepted again on port ${port} after ${seconds} s`, { port });
    }
    return handler(request, large);
  }

  function warn(message: string): void {
    if (clock.nowMs() - lastLogMs < LOG_INTERVAL_MS) return;
    lastLogMs = clock.nowMs();
    logger.warn(message, { port });
  }

  const cannotAccept = (error: unknown) =>
    `Cannot accept connections on port ${port}: ${plainReason(error).replace(/^Error: /, "")}`;
  const sessions = createSessions({
    clock,
    signal,
    open: (signal) => effects.listen({ config, port, tls, signal, handle }),
    onFailure: (error) => warn(`${cannotAccept(error)}; all connections are closed, and it is tried again`),
  });

  function shed(reason: string): void {
    warn(`Too many clients on port ${port}: ${reason}; all connections are closed`);
    sessions.renew();
  }

  function use(fresh: TlsFiles): void {
    tls = fresh;
    sessions.renew();
  }

  return {
    start: async () => {
      tls = readTlsFiles(config);
      port = sessions.begin().addr.port;
      sessions.run().catch((error) =>
        failed.reject(new Error(`${cannotAccept(error)}, for 30 s; ending, to be started anew`))
      );
      void limitClients({ ...effects, clock, signal, large, shed });
      if (tls !== null) {
        const { watchTlsFiles } = await import("./tls_rotation.ts");
        const intervalMs = TLS_CHECK_INTERVAL_MS;
        void watchTlsFiles({ config, clock, logger, current: tls, signal, intervalMs, use });
      }
      return { port };
    },
    failed: failed.promise,
    stop: async () => {
      stop.abort();
      const late = new AbortController();
      await Promise.race([sessions.shutdown(), clock.sleep(STOP_TIMEOUT_MS, late.signal)]);
      late.abort();
    },
  };
}
