/** Listening TCP sockets out of /proc/net/tcp and tcp6. Pure parsing; the port is all that is compared. */

/** State TCP_LISTEN, include/net/tcp_states.h. */
const LISTEN = "0A";

/**
 * Inodes of the sockets that listen on `port`, from lines of /proc/net/tcp or /proc/net/tcp6.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const text = `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
 *  0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1
 *  1: 0100007F:1F90 0100007F:8AE2 01 00000000:00000000 00:00000000 00000000 0 0 4712 1`;
 * assert.deepEqual(parseListeners(text, 8080), ["4711"]); // the other one is a connection
 * ```
 */
export function parseListeners(text: string, port: number): string[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return text.split("\n").map((line) => line.trim().split(/\s+/))
    .filter(([, address, , state, , , , , , inode]) => address?.endsWith(local) && state === LISTEN && inode)
    .map((fields) => fields[9]!);
}

/** Whether the lines go beyond the listening sockets: Linux lists those first. */
export function isPastListeners(text: string): boolean {
  return /\d: \S+ \S+ (?!0A)/.test(text);
}
