/**
 * Opens the listening socket of the own server, plain or TLS, and words what goes wrong with it. Certificates are read
 * here and nowhere else.
 */

import type { Config } from "../config.ts";
import { plainReason } from "../text.ts";

/** The settings that decide where and how the server listens. */
export type ListenConfig = Pick<Config, "metricsPort" | "metricsHost" | "tlsCertFile" | "tlsKeyFile">;

/** PEM texts. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** The part of a Deno listener that is used. */
export interface SocketListener {
  readonly addr: Deno.Addr;
  accept(): Promise<Deno.Conn>;
  close(): void;
}

/**
 * Reads certificate and key; null where TLS is off.
 * @throws Error that names the file and the reason
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const config = { metricsPort: 9091, metricsHost: null, tlsCertFile: null, tlsKeyFile: null };
 * assert.equal(readTlsFiles(config), null);
 * const missing = { ...config, tlsCertFile: "/none.crt", tlsKeyFile: "/none.key" };
 * assert.throws(() => readTlsFiles(missing), /^Error: Cannot read TLS file "\/none.crt": no such file$/);
 * ```
 */
export function readTlsFiles(config: ListenConfig): TlsFiles | null {
  if (config.tlsCertFile === null || config.tlsKeyFile === null) return null;
  return { cert: readPem(config.tlsCertFile), key: readPem(config.tlsKeyFile) };
}

function readPem(path: string): string {
  try {
    if (!Deno.statSync(path).isFile) throw new Error("not a regular file");
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new Error(`Cannot read TLS file "${path}": ${plainReason(error)}`, { cause: error });
  }
}

/**
 * Listens on `port` of all addresses (`::`, or 0.0.0.0 where the machine has no IPv6) or of the host given.
 * @throws Error that says what is wrong and which flag helps
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const config = { metricsPort: 0, metricsHost: "127.0.0.1", tlsCertFile: null, tlsKeyFile: null };
 * const listener = openListener(config, 0, null);
 * const { port } = listener.addr as Deno.NetAddr;
 * assert.throws(() => openListener(config, port, null), /another process .* uses it; set --metrics-port to/);
 * listener.close();
 * ```
 */
export function openListener(config: ListenConfig, port: number, tls: TlsFiles | null): SocketListener {
  const hosts = config.metricsHost === null ? ["::", "0.0.0.0"] : [config.metricsHost];
  let failure: unknown;
  for (const hostname of hosts) {
    try {
      return tls === null ? Deno.listen({ hostname, port }) : Deno.listenTls({ hostname, port, ...tls });
    } catch (error) {
      failure = error;
      // Only "no such address family" is worth another address.
      if (error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.PermissionDenied) break;
    }
  }
  // Before it listens, Deno looks whether the pair can be used: what it says of that is not about the port.
  if (tls !== null && !(failure instanceof Deno.errors.AddrInUse) && isTlsProblem(failure)) {
    const [cert, key] = [config.tlsCertFile, config.tlsKeyFile];
    throw new Error(`Cannot use TLS certificate "${cert}" with key "${key}": ${plainReason(failure)}`, {
      cause: failure,
    });
  }
  throw new Error(describeFailure(config, port, failure), { cause: failure });
}

/** Whether an error is about certificate or key: Deno 2.9.6 has no class of its own for all of them. */
function isTlsProblem(error: unknown): boolean {
  return error instanceof Deno.errors.InvalidData ||
    error instanceof Error && /certificate|private key|keys? found|key.*match|pem/i.test(error.message);
}

function describeFailure(config: ListenConfig, port: number, error: unknown): string {
  const where = config.metricsHost === null ? `port ${port}` : `${config.metricsHost}, port ${port}`;
  if (error instanceof Deno.errors.AddrInUse) {
    return `Cannot listen on ${where}: another process in this pod (containers of a pod share ports) uses it; ` +
      `set --metrics-port to a free one`;
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return `Cannot listen on ${where}: permission denied; ports below 1024 need privileges, set --metrics-port`;
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return `Cannot listen on ${where}: this machine does not have that address; set --metrics-host`;
  }
  return `Cannot listen on ${where}: ${plainReason(error)}`;
}
