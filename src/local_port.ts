/** Which port of this host a URL names: containers of one pod share them. Pure. */

/**
 * The port of an HTTP URL on this host; null for one elsewhere, whose port says nothing about processes here. `isOwn`
 * knows the host's addresses beside those of its loopback.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(localPort("https://localhost/status"), 443);
 * assert.equal(localPort("http://app.other:8080/"), null);
 * ```
 */
export function localPort(url: string, isOwn: (address: string) => boolean = () => false): number | null {
  if (!/^https?:/i.test(url) || !URL.canParse(url)) return null;
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  const isLocal = ["localhost", "::1", "0.0.0.0"].includes(host) || host.startsWith("127.") ||
    (/^[0-9.]+$|:/.test(host) && isOwn(host));
  return isLocal ? Number(port) || (protocol === "https:" ? 443 : 80) : null;
}
