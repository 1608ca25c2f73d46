/**
 * Opens the connection of one request: TCP, TLS or a unix socket, with `localhost` in both address families. Never
 * looks at proxy variables, and reaches every port (fetch refuses 80 of them, such as 6000 and 10080).
 */

import type { Endpoint } from "./endpoint.ts";
import { toHttpError } from "./errors.ts";

/** TLS material in PEM; empty texts are never passed. */
export interface TlsMaterial {
  /** Trusted in addition to the built-in authorities. */
  readonly caCerts: readonly string[];
  readonly clientCert: string | null;
  readonly clientKey: string | null;
}

/** Neither a further authority nor a certificate of ours. */
export const NO_TLS: TlsMaterial = { caCerts: [], clientCert: null, clientKey: null };

/** A connection as the client uses it. */
export interface Connection {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** `localhost` is tried in this order: an app may listen on one family only, and /etc/hosts may know one only. */
const LOCALHOST = ["127.0.0.1", "::1"] as const;

/**
 * Connects. `signal` ends it: what Deno cannot cancel (names, TLS, unix sockets) is closed as soon as it comes.
 * @throws HttpError
 */
export async function connect(
  endpoint: Endpoint,
  tls: TlsMaterial,
  signal: AbortSignal,
): Promise<Connection> {
  try {
    if (endpoint.kind === "unix") {
      return await abortable(Deno.connect({ transport: "unix", path: endpoint.host }), signal);
    }
    if (endpoint.kind === "tls") return await abortable(connectTls(endpoint, tls), signal);
    if (endpoint.host !== "localhost") return await connectTcp(endpoint.host, endpoint.port, signal);
    return await connectLocalhost(endpoint.port, signal);
  } catch (thrown) {
    throw signal.aborted ? signal.reason : toHttpError(thrown);
  }
}

async function connectTcp(hostname: string, port: number, signal: AbortSignal): Promise<Deno.TcpConn> {
  const conn = await abortable(Deno.connect({ hostname, port, signal }), signal);
  // A request is one small write that must not wait for an acknowledgement.
  conn.setNoDelay(true);
  return conn;
}

/** One after the other: a refusal on loopback comes within 0.1 ms. The first family's error is the one told. */
async function connectLocalhost(port: number, signal: AbortSignal): Promise<Connection> {
  try {
    return await connectTcp(LOCALHOST[0], port, signal);
  } catch (first) {
    if (signal.aborted) throw first;
    try {
      return await connectTcp(LOCALHOST[1], port, signal);
    } catch {
      throw first;
    }
  }
}

/** The handshake comes with the first write, and its errors with it. */
function connectTls(endpoint: Endpoint, tls: TlsMaterial): Promise<Connection> {
  return Deno.connectTls({
    hostname: endpoint.host,
    port: endpoint.port,
    alpnProtocols: ["http/1.1"],
    ...(tls.caCerts.length > 0 ? { caCerts: [...tls.caCerts] } : {}),
    ...(tls.clientCert !== null && tls.clientKey !== null
      ? { keyFormat: "pem" as const, cert: tls.clientCert, key: tls.clientKey }
      : {}),
  });
}

/** Waits for a connection or for the abort, whichever is first; a connection that comes too late is closed. */
function abortable<T extends { close(): void }>(opening: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    opening.then((conn) => {
      signal.removeEventListener("abort", onAbort);
      if (signal.aborted) conn.close();
      else resolve(conn);
    }, (error) => {
      signal.removeEventListener("abort", onAbort);
      reject(error);
    });
  });
}
