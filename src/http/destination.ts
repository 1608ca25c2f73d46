/**
 * Where a request goes: what `fetch` is given for an `http:`, `https:` or `unix:` URL. Owns the syntax of `unix:` URLs;
 * must never put the user, the password or the query of a URL into an error.
 */

import { hideUrlSecrets } from "./hide_url.ts";

/** A URL as `fetch` takes it. */
export interface Destination {
  /** Without user and password. */
  readonly url: string;
  /** Where to ask instead if nobody listens there; null where there is no other place. */
  readonly otherUrl: string | null;
  /** The unix socket to connect to; null where the URL says where to. */
  readonly socket: string | null;
  /** Value for `authorization` from user and password in the URL; null where it has none. */
  readonly authorization: string | null;
}

/**
 * Takes a URL apart.
 * @throws Error that names what is wrong, without the URL's secrets.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { url, socket } = parseDestination("unix:/run/app.sock:/-/reload");
 * assert.deepEqual([url, socket], ["http://localhost/-/reload", "/run/app.sock"]);
 * ```
 */
export function parseDestination(text: string): Destination {
  if (text.startsWith("unix:")) return parseUnix(text);
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
  const hasUser = url.username !== "" || url.password !== "";
  const authorization = hasUser ? basicAuthorization(decode(url.username), decode(url.password)) : null;
  if (hasUser) url.username = url.password = "";
  const { href } = url;
  // An app may listen on one family only, and /etc/hosts may know the other one only.
  const otherUrl = url.hostname === "localhost" ? href.replace("//localhost", "//[::1]") : null;
  return { url: href, otherUrl, socket: null, authorization };
}

/** `unix:/path/to.sock:/uri`, as nginx writes it; without `:/uri` the URI is `/`. */
function parseUnix(text: string): Destination {
  const rest = text.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
  const cut = rest.indexOf(":/");
  const path = cut < 0 ? rest : rest.slice(0, cut);
  if (!path.startsWith("/")) {
    throw new Error(
      `"${hideUrlSecrets(text)}" must name a socket by its absolute path: unix:/path/to.sock:/uri`,
    );
  }
  const url = new URL(cut < 0 ? "/" : rest.slice(cut + 1), "http://localhost");
  return { url: url.href, otherUrl: null, socket: path, authorization: null };
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
