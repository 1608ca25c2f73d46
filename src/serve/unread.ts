/** How many clients leave answers unread, as the kernel's list of sockets tells. It closes nothing. */

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
