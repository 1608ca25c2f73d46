/**
 * Keeps a port served: when one session of `Deno.serve` has ended, on purpose or since accepting failed, the next one
 * begins. It knows nothing of requests, clients or certificates.
 */

import type { Clock } from "../ports.ts";
import type { Listening } from "./listen.ts";

/** Pause before the next try where the last one failed at once, too, in milliseconds. */
const RETRY_PAUSE_MS = 500;
/** So long nothing is accepted before it is given up; failures further apart have nothing to do with each other. */
const FAILING_MS_MAX = 30_000;

/**
 * Creates the sessions; none is begun yet, none begins after `signal` has aborted. `open` begins one: aborting the signal
 * it is given closes its port and all its connections at once. `onFailure` takes why accepting failed; it is tried again.
 */
export function createSessions(
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
