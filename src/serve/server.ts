/**
 * The own HTTP server: `Deno.serve`, kept alive. Deno.serve has no timeouts and no limit of connections, and it ends when
 * accepting fails (no descriptors). The answer to all three: close all connections and serve again on the same port
 * a moment later; scrapers and probes connect again. It decides nothing about requests.
 */

import type { Config } from "../config.ts";
import { countOpenFds, readMaxFds } from "../observe/process_stats.ts";
import type { Clock, Logger } from "../ports.ts";
import { messageOf, plainReason } from "../text.ts";
import { COUNT_INTERVAL_MS, countUnread, createClientLimit } from "./client_limit.ts";
import type { Handler } from "./handler.ts";
import { listen, type Listening, readTlsFiles, type TlsFiles, tryTlsFiles } from "./listen.ts";

/** Pause before the next try where the last one failed at once, too, in milliseconds. */
const RETRY_PAUSE_MS = 500;
/** So long nothing is accepted before it is given up; failures further apart have nothing to do with each other. */
const FAILING_MS_MAX = 30_000;
const TLS_CHECK_INTERVAL_MS = 10_000;
const LOG_INTERVAL_MS = 60_000;
const STOP_TIMEOUT_MS = 1_000;

/** What the tests replace. */
const EFFECTS = { listen, countOpenFds, readMaxFds, countUnread };

/** Listens, and serves until it is stopped. @throws Error for people: port taken, bad certificate */
export function startServer(
  config: Config,
  handler: Handler,
  logger: Logger,
  clock: Clock,
  effects: typeof EFFECTS = EFFECTS,
) {
  const stop = new AbortController();
  const { signal } = stop;
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  let port = config.metricsPort;
  let tls = readTlsFiles(config);
  const warn = createWarning(logger, clock);
  const limit = createClientLimit({
    ...effects,
    clock,
    signal,
    shed,
    countUnread: () => effects.countUnread(port),
  });
  const sessions = createSessions(
    clock,
    signal,
    (signal) => effects.listen({ config, port, tls, signal, handle }),
    (error) => warn(`${cannotAccept(port, error)}; all connections are closed, and it is tried again`, port),
  );

  function handle(request: Request): Promise<Response> {
    limit.asked();
    const failedMs = sessions.accepted();
    if (failedMs >= 1_000) {
      const seconds = Math.round(failedMs / 1_000);
      logger.info(`Connections are accepted again on port ${port} after ${seconds} s`, { port });
    }
    return handler(request);
  }

  /** Closes all connections, and says why. */
  function shed(reason: string): void {
    warn(`Clients on port ${port} take too much: ${reason}; all connections are closed`, port);
    sessions.renew();
    // What the closed connections held is garbage, and the next flood may come before V8 collects it by itself.
    void clock.sleep(0, signal).then(() => (globalThis as { gc?: () => void }).gc?.());
  }

  // The kernel picks one for 0, which later sessions keep.
  port = sessions.begin().addr.port;
  sessions.run().catch((error) =>
    failed.reject(new Error(`${cannotAccept(port, error)}, for 30 s; ending, to be started anew`))
  );
  // Else `look` comes often enough.
  if (config.intervalMs > COUNT_INTERVAL_MS) void limit.run();
  if (tls !== null) {
    void watchTlsFiles(config, tls, logger, clock, signal, (fresh) => {
      tls = fresh;
      sessions.renew();
    });
  }
  return {
    port,
    /** Looks at what clients hold, at a moment when the process is awake anyway: the next look by itself can wait. */
    look: limit.look,
    shed,
    /** Rejects once nothing could be accepted for 30 s: the process should end then. Else it stays pending. */
    failed: failed.promise,
    /** Closes; answers in progress get a second. */
    stop: async () => {
      stop.abort();
      const late = new AbortController();
      await Promise.race([sessions.shutdown(), clock.sleep(STOP_TIMEOUT_MS, late.signal)]);
      late.abort();
    },
  };
}

/**
 * Creates the sessions; none is begun yet, none begins after `signal` has aborted. `open` begins one: aborting the signal
 * it is given closes its port and all its connections at once. `onFailure` takes why accepting failed; it is tried again.
 */
function createSessions(
  clock: Clock,
  signal: AbortSignal,
  open: (signal: AbortSignal) => Listening,
  onFailure: (error: unknown) => void,
) {
  let session: { readonly http: Listening; readonly abort: AbortController } | null = null;
  let failingSinceMs: number | null = null;
  let lastFailureMs = -Infinity;

  /** Begins a session. @throws as `open` */
  function begin(): Listening {
    const abort = new AbortController();
    session = { http: open(abort.signal), abort };
    return session.http;
  }

  /** Closes the port and all connections; the next session begins at once. */
  function renew(): void {
    session?.abort.abort();
    session = null;
  }

  async function afterFailure(error: unknown): Promise<void> {
    const nowMs = clock.nowMs();
    if (failingSinceMs === null || nowMs - lastFailureMs > FAILING_MS_MAX) failingSinceMs = nowMs;
    if (nowMs - failingSinceMs >= FAILING_MS_MAX) throw error;
    onFailure(error);
    const pauseMs = nowMs - lastFailureMs < 2 * RETRY_PAUSE_MS ? RETRY_PAUSE_MS : 0;
    lastFailureMs = nowMs;
    await clock.sleep(pauseMs, signal);
  }

  return {
    begin,
    renew,
    /** Keeps the port served until the signal aborts. Rejects with the last failure once nothing was accepted for 30 s. */
    run: async () => {
      while (!signal.aborted) {
        try {
          await (session?.http ?? begin()).finished;
          session = null;
        } catch (error) {
          // Connections are left, and hold the descriptors for want of which accepting failed.
          renew();
          await afterFailure(error);
        }
      }
    },
    /** A request has come. Returns how long nothing was accepted before, in milliseconds. */
    accepted: () => {
      const failedMs = failingSinceMs === null ? 0 : clock.nowMs() - failingSinceMs;
      failingSinceMs = null;
      return failedMs;
    },
    /** Ends the session as soon as its answers in progress are out. */
    shutdown: async () => await session?.http.shutdown(),
  };
}

/** Warns once a minute at most: a flood of clients must not become one of lines. */
function createWarning(logger: Logger, clock: Clock): (message: string, port: number) => void {
  let lastMs = -Infinity;
  return (message, port) => {
    if (clock.nowMs() - lastMs < LOG_INTERVAL_MS) return;
    lastMs = clock.nowMs();
    logger.warn(message, { port });
  };
}

function cannotAccept(port: number, error: unknown): string {
  return `Cannot accept connections on port ${port}: ${plainReason(error).replace(/^Error: /, "")}`;
}

/** Hands each new pair of certificate and key over; one that cannot be used is logged once, and the old one stays. */
async function watchTlsFiles(
  config: Config,
  first: TlsFiles,
  logger: Logger,
  clock: Clock,
  signal: AbortSignal,
  use: (fresh: TlsFiles) => void,
): Promise<void> {
  const fields = { file: config.tlsCertFile };
  let current = first;
  let told = "";
  for (;;) {
    await clock.sleep(TLS_CHECK_INTERVAL_MS, signal);
    if (signal.aborted) return;
    try {
      const fresh = readTlsFiles(config)!;
      if (fresh.cert === current.cert && fresh.key === current.key) continue;
      // The real port must not be closed for a pair that does not fit.
      await tryTlsFiles(config, fresh).catch((error) => {
        throw new Error(`Cannot use the new TLS certificate: ${plainReason(error.cause)}`);
      });
      use(current = fresh);
      told = "";
      logger.info("TLS certificate replaced: new connections get the new one", fields);
    } catch (error) {
      const message = `${messageOf(error)}; the old certificate stays in use`;
      if (message !== told) logger.warn(message, fields);
      told = message;
    }
  }
}
