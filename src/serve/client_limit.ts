/**
 * How much clients may hold: descriptors, and answers that they do not read, as the kernel's list of sockets shows. Deno.serve
 * has no limit and no timeout for either, and no way to close one connection, so both are counted now and then; beyond the
 * limits all connections are closed. It closes nothing itself.
 */

import type { Clock } from "../ports.ts";

/**
 * Most descriptors that clients may hold: room for 500 idle and 300 half-sent connections, which cost 12 MiB. Where the
 * process may have few descriptors, seven eighths of those that are free at the start.
 */
export const CLIENTS_MAX = 900;
const CLIENTS_SHARE = 7 / 8;
/**
 * How often clients are counted at least, in milliseconds; and while they are many. Nobody is told of a connection that asks
 * nothing. At an interval they are counted anyway, and a wake-up for them alone would cost as much as all that the interval does.
 */
export const COUNT_INTERVAL_MS = 5_000;
const COUNT_INTERVAL_BUSY_MS = 250;
/** After so many requests they are counted as well: a flood that asks is met at once. */
const REQUESTS_PER_COUNT = 4;
/**
 * Timers that had no turn for so long, in milliseconds, while so many requests were answered: clients take all the time. Of
 * few requests it was the machine, which let this process wait.
 */
const STARVED_MS = 250;
const STARVED_REQUESTS = 32;
/** So many may leave answers unread: each holds 400 KiB here where it goes on asking. */
const UNREAD_MAX = 8;
/** Pause after that look, as a multiple of the time it took: 60,000 sockets take 180 ms. */
const PAUSE_FACTOR = 2;

/** What is looked at, and what is done. */
export interface ClientLimitOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  countOpenFds(): number;
  readMaxFds(): number;
  /** Connections of the server on which answers wait to be read by the client. */
  countUnread(): number;
  /** Takes why all clients have to go. */
  shed(reason: string): void;
}

/** Makes the limit, before the first client comes: the descriptors that are open then are nobody's. */
export function createClientLimit(options: ClientLimitOptions) {
  const { clock, signal, shed } = options;
  const ownFds = options.countOpenFds();
  const clientsMax = Math.min(CLIENTS_MAX, Math.floor((options.readMaxFds() - ownFds) * CLIENTS_SHARE));
  let requests = 0;
  let requestsSeen = 0;
  let unreadPauseEndMs = -Infinity;
  let waiting: { readonly sinceMs: number; readonly requests: number } | null = null;
  let clients = 0;
  let busyUntilMs = -Infinity;

  function look(isTime: boolean): void {
    try {
      clients = options.countOpenFds() - ownFds;
    } catch {
      // Before Linux 6.2 to count needs a descriptor itself, and there is none.
      clients = Infinity;
    }
    if (clients > clientsMax / 2) countOften();
    if (clients > clientsMax) return shed(`about ${clients} connections, at most ${clientsMax} are allowed`);
    // The kernel's list of sockets may be long: it is read only where there can be answers, and not all the time.
    if (clock.nowMs() < unreadPauseEndMs) return;
    const asked = requests - requestsSeen;
    if (isTime || asked > UNREAD_MAX) requestsSeen = requests;
    if (clients > UNREAD_MAX && asked > UNREAD_MAX) lookForUnread();
  }

  function lookForUnread(): void {
    const beganMs = clock.nowMs();
    const unread = options.countUnread();
    const endMs = clock.nowMs();
    unreadPauseEndMs = endMs + PAUSE_FACTOR * (endMs - beganMs);
    if (unread > UNREAD_MAX) shed("they ask and do not read the answers");
  }

  /** They are many, or were so a moment ago. */
  async function countOften(): Promise<void> {
    const isCounting = clock.nowMs() < busyUntilMs;
    busyUntilMs = clock.nowMs() + COUNT_INTERVAL_MS;
    while (!isCounting && !signal.aborted && clock.nowMs() < busyUntilMs) {
      await clock.sleep(COUNT_INTERVAL_BUSY_MS, signal);
      if (!signal.aborted) look(true);
    }
  }

  /** Pipelined requests are answered one after another without end, and timers wait for them. */
  function checkTurn(): void {
    const nowMs = clock.nowMs();
    if (waiting === null) {
      waiting = { sinceMs: nowMs, requests };
      void clock.sleep(0, signal).then(() => waiting = null);
    } else if (nowMs - waiting.sinceMs > STARVED_MS && requests - waiting.requests >= STARVED_REQUESTS) {
      waiting = { sinceMs: nowMs, requests };
      shed("they ask so fast that nothing else has its turn");
    }
  }

  return {
    /** Looks now and then until `signal` aborts. */
    run: async () => {
      while (!signal.aborted) {
        await clock.sleep(COUNT_INTERVAL_MS, signal);
        if (!signal.aborted) look(true);
      }
    },
    /** Looks now. */
    look: () => look(true),
    /** A request has come. */
    asked: () => {
      if (++requests % REQUESTS_PER_COUNT !== 0) return;
      look(false);
      checkTurn();
    },
  };
}

/** Most that is read at once: after a flood the list has megabytes of sockets that are closed already. */
const PIECE_BYTES = 64 * 1024;

/**
 * Connections of the local `port` on which 32 KiB or more wait to be read by the client. Those that are closed here do not
 * count: what they have not delivered yet is the kernel's.
 */
export function countUnread(port: number, root = "/proc/net"): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  // ESTABLISHED, or CLOSE_WAIT where the client is done with asking; tx_queue from 8000 on.
  const unread = new RegExp(`^ *\\d+: \\w+${local} \\S+ (?:01|08) (?!0000[0-7])`, "gm");
  return ["tcp", "tcp6"].reduce((count, file) => count + countMatches(`${root}/${file}`, unread), 0);
}

function countMatches(path: string, pattern: RegExp): number {
  let count = 0;
  try {
    using file = Deno.openSync(path);
    const piece = new Uint8Array(PIECE_BYTES);
    const decoder = new TextDecoder();
    // The kernel gives whole lines only.
    for (let length; (length = file.readSync(piece));) {
      count += decoder.decode(piece.subarray(0, length)).match(pattern)?.length ?? 0;
    }
  } catch {
    // No IPv6, or no descriptor left; then the clients are too many anyway.
  }
  return count;
}
