/**
 * Where a request goes: an `http:`, `https:` or `unix:` URL taken apart. Owns the syntax of `unix:` URLs; must
 * never put the user, the password or the query of a URL into an error.
 */

import { hideUrlSecrets } from "./hide_url.ts";

/** A URL taken apart. */
export interface Endpoint {
  readonly kind: "tcp" | "tls" | "unix";
  /** Host name or address without brackets; the socket's path for `unix`. */
  readonly host: string;
  /** 0 for `unix`. */
  readonly port: number;
  /** Value of the `host` header. */
  readonly authority: string;
  /** Path and query, as they go on the wire. */
  readonly target: string;
  /** Value for `authorization` from user and password in the URL; null where it has none. */
  readonly authorization: string | null;
}

/**
 * Takes a URL apart.
 * @throws Error that names what is wrong, without the URL's secrets.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { kind, host, port, target } = parseEndpoint("https://[::1]/status?full=1");
 * assert.deepEqual([kind, host, port, target], ["tls", "::1", 443, "/status?full=1"]);
 * const unix = parseEndpoint("unix:/run/app.sock:/-/reload");
 * assert.deepEqual([unix.host, unix.target, unix.authority], ["/run/app.sock", "/-/reload", "localhost"]);
 * ```
 */
export function parseEndpoint(text: string): Endpoint {
  if (text.startsWith("unix:")) return parseUnixEndpoint(text);
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Error(
      `"${hideUrlSecrets(text)}" is no URL; wanted http://host:port/path, https://… or unix:/socket:/path`,
    );
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new Error(`"${hideUrlSecrets(text)}" must start with http://, https:// or unix:/`);
  }
  const tls = url.protocol === "https:";
  return {
    kind: tls ? "tls" : "tcp",
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (tls ? 443 : 80) : Number(url.port),
    authority: url.host,
    target: url.pathname + url.search,
    authorization: url.username === "" && url.password === ""
      ? null
      : basicAuthorization(decode(url.username), decode(url.password)),
  };
}

/** `unix:/path/to.sock:/uri`, as nginx writes it; without `:/uri` the URI is `/`. */
function parseUnixEndpoint(text: string): Endpoint {
  const rest = text.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
  const cut = rest.indexOf(":/");
  const path = cut < 0 ? rest : rest.slice(0, cut);
  if (!path.startsWith("/")) {
    throw new Error(
      `"${hideUrlSecrets(text)}" must name a socket by its absolute path: unix:/path/to.sock:/uri`,
    );
  }
  // Through URL, so that spaces and line ends in the URI are escaped and cannot become headers.
  const url = new URL(cut < 0 ? "/" : rest.slice(cut + 1), "http://localhost");
  return {
    kind: "unix",
    host: path,
    port: 0,
    authority: "localhost",
    target: url.pathname + url.search,
    authorization: null,
  };
}

/**
 * The value of `authorization` for a user and a password (RFC 7617, as UTF-8).
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * // The example of RFC 7617, section 2.1.
 * assert.equal(basicAuthorization("test", "123£"), "Basic dGVzdDoxMjPCow==");
 * ```
 */
export function basicAuthorization(user: string, password: string): string {
  return `Basic ${new TextEncoder().encode(`${user}:${password}`).toBase64()}`;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
