/**
 * URLs of requests: what `fetch` is given for an `http:`, `https:` or `unix:` URL, the ports to which it sends nothing, and
 * what of a URL may be shown. Pure. Must never put the user, the password or the query of one into a text.
 */

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
 * Takes a URL apart that the command line has accepted; `unix:/path/to.sock:/uri` is as nginx writes it.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { url, socket } = parseDestination("unix:/run/app.sock:/-/reload");
 * assert.deepEqual([url, socket], ["http://localhost/-/reload", "/run/app.sock"]);
 * ```
 */
export function parseDestination(text: string): Destination {
  const [, socket = null, uri] = /^unix:(\/[^:]+):(\/.*)$/.exec(text) ?? [];
  const url = new URL(socket === null ? text : `http://localhost${uri}`);
  const hasUser = url.username !== "" || url.password !== "";
  const authorization = hasUser ? basicAuthorization(decode(url.username), decode(url.password)) : null;
  if (hasUser) url.username = url.password = "";
  const { href } = url;
  // An app may listen on one family only, and /etc/hosts may know the other one only.
  const hasOther = socket === null && url.hostname === "localhost";
  return {
    url: href,
    otherUrl: hasOther ? href.replace("//localhost", "//[::1]") : null,
    socket,
    authorization,
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

/** https://fetch.spec.whatwg.org/#port-blocking; a test compares it with what Deno refuses. */
// deno-fmt-ignore -- in rows, as ports are read
const REFUSED_PORTS: readonly number[] = [
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
  111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540,
  548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566,
  6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/** The port of an `http:` or `https:` URL, where `fetch` refuses it; else null. */
export function refusedPortOf(url: string): number | null {
  const { port } = new URL(url);
  return port !== "" && REFUSED_PORTS.includes(Number(port)) ? Number(port) : null;
}

/**
 * The URL with user and password, query and fragment replaced by `***`; also for text that is no valid URL.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(hideUrlSecrets("http://user:pass@app:80/x?token=1#y"), "http://***@app:80/x?***#***");
 * assert.equal(hideUrlSecrets("http://app:80/x"), "http://app:80/x");
 * assert.equal(hideUrlSecrets("http://user:pass"), "http://user:***");
 * ```
 */
export function hideUrlSecrets(url: string): string {
  const rest = (text: string) => text.replace(/\?[^#]*/, "?***").replace(/#.*/s, "#***");
  // Not a URL: whatever could be meant as user and password goes, before a `?` or `#` in it can hide its end.
  const isUrl = /^(?:https?:\/\/|unix:\/)/i.test(url) && URL.canParse(url);
  if (!isUrl) {
    // `http://user:pass` is what is left of a URL that was cut in two, at a comma for instance.
    return rest(
      url.replace(/\/\/.*@/s, "//***@").replace(/^[^/]*@/, "***@")
        .replace(/(\/\/[^/?#:@[\]]*):(?!\d{1,5}(?:[/?#]|$))[^/?#]+/, "$1:***"),
    );
  }
  const { username, password } = new URL(url);
  return rest(username === "" && password === "" ? url : url.replace(/\/\/[^/?#]*@/, "//***@"));
}
