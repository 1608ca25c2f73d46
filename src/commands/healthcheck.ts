/**
 * `config-reloader healthcheck`: asks the running sidecar's `/healthz`, for container health checks where there is no
 * curl. Changes nothing and reads no file.
 */

import type { Config, TakenSettings } from "../config.ts";
import { toHttpError } from "../http/errors.ts";
import { sendRequest } from "../http/request.ts";
import { refusedPortOf } from "../http/urls.ts";
import type { WriteOut } from "../ports.ts";
import { escapeUnsafe, formatMs } from "../text.ts";

interface Reply {
  readonly status: number;
  readonly body: string;
}

/**
 * Asks once and says in one line how it went.
 * @param taken from which sidecar the settings were taken
 * @param write takes the line, without newline, and is awaited
 * @returns the exit code: 0 healthy, 1 not, or no answer
 */
export async function runHealthcheck(
  config: Config,
  write: WriteOut,
  taken: TakenSettings | null = null,
): Promise<number> {
  // Whoever has the port may answer anything.
  const whose = taken ? ` (settings of the running config-reloader, PID ${taken.pid})` : "";
  const print = (line: string) => write(escapeUnsafe(line + whose));
  if (config.metricsPort === 0) {
    await print("Cannot ask for health: --metrics-port 0 lets the kernel pick the port; set a fixed one");
    return 1;
  }
  const url = ownUrl(config, "/healthz");
  try {
    const { status, body } = await ask(url, config.httpTimeoutMs);
    await print(
      status === 200 ? `ok: ${url}` : `Not healthy: ${url} answered ${status}: ${body.trim().slice(0, 500)}`,
    );
    return status === 200 ? 0 : 1;
  } catch (error) {
    await print(`Cannot ask ${url}: ${whyNot(error, taken !== null)}`);
    return 1;
  }
}

/** Why there is no answer, and what to look at where the settings may be another sidecar's. */
function whyNot(error: unknown, isTaken: boolean): string {
  const { code, message } = toHttpError(error);
  if (code === "protocol") {
    return "the answer is not HTTP/1.1; where the sidecar has --tls-cert-file and --tls-key-file, give both here, too";
  }
  const flag = code === "tls" ? "--tls-cert-file" : "--metrics-port";
  return isTaken ? message : `${message}; is the sidecar running with the same ${flag}`;
}

/** Where the sidecar with these settings answers a path, as seen from within its pod. */
function ownUrl(config: Config, path: string): string {
  const scheme = config.tlsCertFile === null ? "http" : "https";
  return `${scheme}://${reachableHost(config.metricsHost)}:${config.metricsPort}${path}`;
}

/** A sidecar that is well answers at once. */
const OWN_TIMEOUT_MS = 2_000;

/** What the sidecar with these settings answers; null where it does not, or its certificate cannot be checked. */
export async function askOwn(config: Config, path: string): Promise<string | null> {
  if (config.tlsCertFile !== null) return null;
  try {
    const { status, body } = await ask(ownUrl(config, path), OWN_TIMEOUT_MS);
    return status === 200 ? body : null;
  } catch {
    return null;
  }
}

/** An address for "all addresses" is none to connect to. */
function reachableHost(host: string | null): string {
  if (host === null || host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}

async function ask(url: string, timeoutMs: number): Promise<Reply> {
  if (url.startsWith("https:") || refusedPortOf(url) !== null) return await askByNode(url, timeoutMs);
  const { status, body } = await sendRequest({ url, method: "GET", timeoutMs }, new AbortController().signal);
  return { status, body: new TextDecoder().decode(body) };
}

/**
 * For what `fetch` does not do: it refuses some ports, and always checks the certificate. That is not checked here: it is
 * made out to the pod's name and often by a private authority, the connection stays within the pod, and nothing secret goes
 * over it.
 */
async function askByNode(url: string, timeoutMs: number): Promise<Reply> {
  const { get } = url.startsWith("https:") ? await import("node:https") : await import("node:http");
  return await new Promise((resolve, reject) => {
    const request = get(url, { rejectUnauthorized: false, timeout: timeoutMs, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => body += chunk);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      response.on("error", reject);
    });
    request.on("timeout", () => request.destroy(new Error(`no answer within ${formatMs(timeoutMs)}`)));
    request.on("error", reject);
  });
}
