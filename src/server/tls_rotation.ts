/**
 * Notices that certificate or key were replaced and hands the new pair over. A pair that does not fit or cannot be read
 * is told once and the old one stays. Loaded only where TLS is on.
 */

import type { Clock, Logger } from "../ports.ts";
import { plainReason } from "../text.ts";
import { type ListenConfig, readTlsFiles, type TlsFiles } from "./listen.ts";

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
  let told = "";
  for (;;) {
    await clock.sleep(options.intervalMs, signal);
    if (signal.aborted) return;
    try {
      const fresh = readTlsFiles(config)!;
      if (fresh.cert === current.cert && fresh.key === current.key) continue;
      assertUsable(fresh);
      options.use(fresh);
      current = fresh;
      told = "";
      logger.info("TLS certificate replaced: new connections get the new one", { file: config.tlsCertFile });
    } catch (error) {
      const message = `${(error as Error).message}; the old certificate stays in use`;
      if (message !== told) logger.warn(message, { file: config.tlsCertFile });
      told = message;
    }
  }
}

/** Tries the pair on a port of its own: the real one must not be closed for a pair that does not fit. */
function assertUsable(tls: TlsFiles): void {
  try {
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...tls }).close();
  } catch (error) {
    throw new Error(`Cannot use the new TLS certificate: ${plainReason(error)}`, { cause: error });
  }
}
