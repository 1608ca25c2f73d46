/** Ports to which `fetch` sends nothing. Pure. */

/** https://fetch.spec.whatwg.org/#port-blocking; a test compares it with what Deno refuses. */
// deno-fmt-ignore -- in rows, as ports are read
const REFUSED_PORTS: readonly number[] = [
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
  111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540,
  548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566,
  6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/**
 * The port of an `http:` or `https:` URL, where `fetch` refuses it; else null.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(refusedPortOf("http://localhost:6000/status"), 6000);
 * assert.equal(refusedPortOf("http://localhost:8080/status"), null);
 * ```
 */
export function refusedPortOf(url: string): number | null {
  const { port } = new URL(url);
  return port !== "" && REFUSED_PORTS.includes(Number(port)) ? Number(port) : null;
}
