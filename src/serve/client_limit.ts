/**
 * How much clients may hold: descriptors, and answers that they do not read. Deno.serve has no limit and no timeout for
 * either, so it is looked at now and then, and where it is too much all clients go at once. It closes nothing itself.
 */

import type { Clock } from "../ports.ts";
import type { LargeAnswers } from "./large_answers.ts";

/**
 * Most descriptors that clients may hold: room for 500 idle and 300 half-sent connections, which cost 12 MiB. Where the
 * process may have few descriptors, seven eighths of those that are free at the start.
 */
export const CLIENTS_MAX = 900;
const CLIENTS_SHARE = 7 / 8;
/**
 * How often clients are counted, in milliseconds; and while they are many. Nobody is told of a connection that asks
 * nothing, so this is a wake-up of its own: with it 2,000 new connections a second stay within 50 MiB.
 */
const COUNT_INTERVAL_MS = 2_000;
const COUNT_INTERVAL_BUSY_MS = 250;

/** What is looked at, and what is done. */
export interface ClientLimitOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly large: LargeAnswers;
  countOpenFds(): number;
  readMaxFds(): number;
  /** Takes why all clients have to go. */
  shed(reason: string): void;
}

/** Looks until `signal` aborts. Call it before the first client comes: what is open then is nobody's. */
export async function limitClients(options: ClientLimitOptions): Promise<void> {
  const { clock, signal, large, shed } = options;
  const ownFds = options.countOpenFds();
  const clientsMax = Math.min(CLIENTS_MAX, Math.floor((options.readMaxFds() - ownFds) * CLIENTS_SHARE));
  for (let clients = 0;;) {
    await clock.sleep(clients > clientsMax / 2 ? COUNT_INTERVAL_BUSY_MS : COUNT_INTERVAL_MS, signal);
    if (signal.aborted) return;
    clients = countOr(options.countOpenFds, Infinity) - ownFds;
    if (clients > clientsMax) shed(`about ${clients} connections, at most ${clientsMax} are allowed`);
    else if (large.tookRefusal()) shed("clients ask for large answers and do not read them");
  }
}

/** Before Linux 6.2 to count needs a descriptor itself, and there may be none. */
function countOr(count: () => number, otherwise: number): number {
  try {
    return count();
  } catch {
    return otherwise;
  }
}
