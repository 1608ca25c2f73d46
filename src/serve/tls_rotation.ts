/**
 * Notices that certificate or key were replaced and hands the new pair over. A pair that does not fit or cannot be read
 * is logged once and the old one stays. Loaded only where TLS is on.
 */

import type { Clock, Logger } from "../ports.ts";
import { plainReason } from "../text.ts";
import { type ListenConfig, readTlsFiles, type TlsFiles, tryListening } from "./listen.ts";

/** Looks every `intervalMs` until `signal` aborts; `use` gets each new pair that works. */
export async function watchTlsFiles(options: {
  readonly config: ListenConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly current: TlsFiles;
  readonly signal: AbortSignal;
  readonly intervalMs: number;
  use(fresh: TlsFiles): void;
}): Promise<void> {
  const { config, clock, logger, signal } = options;
  let current = options.current;
  let logged = "";
  for (;;) {
    await clock.sleep(options.intervalMs, signal);
    if (signal.aborted) return;
    try {
      const fresh = readTlsFiles(config)!;
      if (fresh.cert === current.cert && fresh.key === current.key) continue;
      await assertUsable(fresh);
      options.use(fresh);
      current = fresh;
      logged = "";
      logger.info("TLS certificate replaced: new connections get the new one", { file: config.tlsCertFile });
    } catch (error) {
      const message = `${(error as Error).message}; the old certificate stays in use`;
      if (message !== logged) logger.warn(message, { file: config.tlsCertFile });
      logged = message;
    }
  }
}

/** Tries the pair on a port of its own: the real one must not be closed for a pair that does not fit. */
async function assertUsable(tls: TlsFiles): Promise<void> {
  const config = { metricsPort: 0, metricsHost: "127.0.0.1", tlsCertFile: null, tlsKeyFile: null };
  try {
    await tryListening(config, 0, tls);
  } catch (error) {
    throw new Error(`Cannot use the new TLS certificate: ${plainReason((error as Error).cause)}`, {
      cause: error,
    });
  }
}
