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

/** What the sessions need. */
export interface SessionsOptions {
  readonly clock: Clock;
  /** Aborts when no more session is wanted. */
  readonly signal: AbortSignal;
  /** Begins one; aborting the signal given closes its port and all its connections at once. @throws as `listen` */
  open(signal: AbortSignal): Listening;
  /** Takes why accepting failed; it is tried again. */
  onFailure(error: unknown): void;
}

/** The sessions of one port. */
export interface Sessions {
  /** Begins the first session. @throws as `open` */
  begin(): Listening;
  /** Keeps the port served until the signal aborts. Rejects with the last failure once nothing was accepted for 30 s. */
  run(): Promise<void>;
  /** Closes the port and all connections; the next session begins at once. */
  renew(): void;
  /** A request has come. Returns how long nothing was accepted before, in milliseconds. */
  accepted(): number;
  /** Ends the session as soon as its answers in progress are out. */
  shutdown(): Promise<void>;
}

/** Creates the sessions; none is begun yet. */
export function createSessions({ clock, signal, open, onFailure }: SessionsOptions): Sessions {
  let session: { readonly http: Listening; readonly abort: AbortController } | null = null;
  let failingSinceMs: number | null = null;
  let lastFailureMs = -Infinity;

  function begin(): Listening {
    const abort = new AbortController();
    session = { http: open(abort.signal), abort };
    return session.http;
  }

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
    renew,
    accepted: () => {
      const failedMs = failingSinceMs === null ? 0 : clock.nowMs() - failingSinceMs;
      failingSinceMs = null;
      return failedMs;
    },
    shutdown: async () => await session?.http.shutdown(),
  };
}
