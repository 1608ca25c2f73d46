/** Listening TCP sockets out of /proc/net/tcp and tcp6. Pure parsing; the port is all that is compared. */

/** State TCP_LISTEN, include/net/tcp_states.h. */
const LISTEN = "0A";

/** Inodes of the sockets that listen on `port`, from the text of /proc/net/tcp or /proc/net/tcp6. */
export function parseListeners(text: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes: string[] = [];
  for (const line of text.split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields[3] === LISTEN && fields[1]?.endsWith(`:${wanted}`) && fields[9] !== undefined) {
      inodes.push(fields[9]);
    }
  }
  return inodes;
}
