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
  return rowsOf(text, port).filter((fields) => fields[3] === LISTEN && fields[9] !== undefined)
    .map((fields) => fields[9]!).toArray();
}

/** The fields of each line whose local port it is, one by one: a flood has thousands of lines, and no memory is left. */
function* rowsOf(text: string, port: number): Generator<string[]> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  for (const line of text.split("\n")) {
    const fields = line.trim().split(/\s+/);
    if (fields[1]?.endsWith(wanted)) yield fields;
  }
}

/** Whether the lines go beyond the listening sockets: Linux lists those first. */
export function isPastListeners(text: string): boolean {
  return /\d: \S+ \S+ (?!0A)/.test(text);
}

/**
 * How many connections of the local `port` have more than `bytes` on their way to a client that does not read them.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const text = `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
 *  0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1
 *  1: 0100007F:1F90 0100007F:8AE2 01 00010001:00000000 00:00000000 00000000 0 0 4712 1`;
 * assert.deepEqual([65536, 65537].map((bytes) => countUnread(text, 8080, bytes)), [1, 0]);
 * ```
 */
export function countUnread(text: string, port: number, bytes: number): number {
  let count = 0;
  for (const fields of rowsOf(text, port)) {
    if (parseInt(fields[4]?.split(":")[0] ?? "0", 16) > bytes) count++;
  }
  return count;
}
