/** Opens the own server's port with `Deno.serve`, plain or TLS, and words what goes wrong with it. It keeps nothing. */

import type { Config } from "../config.ts";
import { readSecretFile } from "../secret_file.ts";
import { plainReason } from "../text.ts";

/** Certificate and key, in PEM. */
export type TlsFiles = Deno.TlsCertifiedKeyPem;

/** A server that listens. */
export type Listening = Pick<Deno.HttpServer<Deno.NetAddr>, "addr" | "finished" | "shutdown">;

/** How it listens. */
export interface ListenOptions {
  readonly config: Config;
  readonly port: number;
  readonly tls: TlsFiles | null;
  /** Closes the port and all connections at once. It may abort only while `finished` is pending or has just rejected. */
  readonly signal: AbortSignal;
  readonly handle: Deno.ServeHandler<Deno.NetAddr>;
}

/** Reads certificate and key; null where TLS is off. @throws Error that names the file and the reason */
export function readTlsFiles(config: Config): TlsFiles | null {
  if (config.tlsCertFile === null || config.tlsKeyFile === null) return null;
  const read = (path: string) => readSecretFile("TLS file", path, (pem) => pem);
  return { cert: read(config.tlsCertFile), key: read(config.tlsKeyFile) };
}

/** Listens on `port` of all addresses or of the host given. @throws Error that says what is wrong and which flag helps */
export function listen({ config, port, tls, signal, handle }: ListenOptions): Listening {
  // Without IPv6 the machine has no `::`.
  const hosts = config.metricsHost === null ? ["::", "0.0.0.0"] : [config.metricsHost];
  const onError = () => new Response("internal error\n", { status: 500 });
  let failure: unknown;
  for (const hostname of hosts) {
    try {
      return Deno.serve({ hostname, port, ...tls, signal, onError, onListen() {} }, handle);
    } catch (error) {
      failure = error;
      // Only "no such address family" is worth another address.
      if (error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.PermissionDenied) break;
    }
  }
  throw new Error(describeFailure(config, port, failure), { cause: failure });
}

/** Listens for a moment, to see whether it can be done. @throws Error as `listen` */
export async function tryListening(config: Config, port: number, tls: TlsFiles | null): Promise<void> {
  const abort = new AbortController();
  const handle = () => new Response(null, { status: 503 });
  const { finished } = listen({ config, port, tls, signal: abort.signal, handle });
  abort.abort();
  await finished;
}

/** Tries certificate and key on a port of their own, whether or not the real one is free. @throws Error as `listen` */
export async function tryTlsFiles(config: Config, tls: TlsFiles): Promise<void> {
  await tryListening({ ...config, metricsHost: "127.0.0.1" }, 0, tls);
}

/** Whether an error is about certificate or key: Deno 2.9.6 has no class of its own for all of them. */
function isTlsProblem(error: unknown): boolean {
  return error instanceof Deno.errors.InvalidData ||
    error instanceof Error && /certificate|private key|keys? found|key.*match|pem/i.test(error.message);
}

function describeFailure(config: Config, port: number, error: unknown): string {
  const where = config.metricsHost === null ? `port ${port}` : `${config.metricsHost}, port ${port}`;
  if (error instanceof Deno.errors.AddrInUse) {
    return `Cannot listen on ${where}: another process in this pod (containers of a pod share ports) uses it; ` +
      `set --metrics-port to a free one`;
  }
  // Before it listens, Deno looks whether the pair can be used: what it says of that is not about the port.
  if (config.tlsCertFile !== null && isTlsProblem(error)) {
    const { tlsCertFile: cert, tlsKeyFile: key } = config;
    return `Cannot use TLS certificate "${cert}" with key "${key}": ${plainReason(error)}`;
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return `Cannot listen on ${where}: permission denied; ports below 1024 need privileges, set --metrics-port`;
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return `Cannot listen on ${where}: this machine does not have that address; set --metrics-host`;
  }
  if (config.metricsHost !== null && error instanceof Error && /lookup address/i.test(error.message)) {
    return `Cannot listen on --metrics-host "${config.metricsHost}": no such host name; ` +
      `give an address of this pod, or leave the flag out for all addresses`;
  }
  return `Cannot listen on ${where}: ${plainReason(error)}`;
}
