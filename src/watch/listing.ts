/**
 * The digest of several files: that of the listing `sha256sum` prints. Pure but for the hashing itself.
 */

import { digestOf } from "./read_file.ts";

/**
 * Orders paths by their UTF-8 bytes, as `LC_ALL=C sort` and a shell's glob in the C locale do.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const paths = ["/b", "/a", "/\u{1F600}", "/\uFF5E"];
 * assert.deepEqual(paths.sort(comparePaths), ["/a", "/b", "/\uFF5E", "/\u{1F600}"]); // not UTF-16's order
 * ```
 */
export function comparePaths(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a[i] === b[i]) continue;
    // UTF-16 puts surrogates, which are the highest code points, below U+E000 to U+FFFF; UTF-8 does not.
    const [unitA, unitB] = [a.charCodeAt(i), b.charCodeAt(i)];
    const isHigh = (unit: number) => unit >= 0xd800 && unit <= 0xdfff;
    if (isHigh(unitA) !== isHigh(unitB) && unitA >= 0xd800 && unitB >= 0xd800) return isHigh(unitA) ? 1 : -1;
    return unitA - unitB;
  }
  return a.length - b.length;
}

/**
 * True where `comparePaths` and plain comparison may differ.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(hasHighUnits("/etc/übung.yaml"), false);
 * assert.equal(hasHighUnits("/etc/\u{1F600}.yaml"), true);
 * ```
 */
export function hasHighUnits(path: string): boolean {
  return /[\ud800-\uffff]/.test(path);
}

/**
 * One line of `sha256sum`: `<hex>  <path>` and a newline. GNU coreutils escapes backslash, newline and carriage return
 * in a name and says so with a backslash at the start of the line.
 */
function renderListingLine(digest: string, path: string): string {
  if (!/[\\\n\r]/.test(path)) return `${digest}  ${path}\n`;
  const escaped = path.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
  return `\\${digest}  ${escaped}\n`;
}

/**
 * SHA-256 of the listing of `files`, which must be sorted with `comparePaths`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { digestOf } from "./read_file.ts";
 * const digest = await digestOf(new TextEncoder().encode("a"));
 * const listing = `${digest}  /etc/a\n\\${digest}  /etc/b\\\\c\n`; // a backslash as sha256sum escapes it
 * assert.equal(
 *   await digestOfListing([{ digest, path: "/etc/a" }, { digest, path: "/etc/b\\c" }]),
 *   await digestOf(new TextEncoder().encode(listing)),
 * );
 * ```
 */
export function digestOfListing(
  files: Iterable<{ readonly digest: string; readonly path: string }>,
): Promise<string> {
  let text = "";
  for (const file of files) text += renderListingLine(file.digest, file.path);
  return digestOf(new TextEncoder().encode(text));
}
