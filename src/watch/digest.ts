/** The digest of one file and of several: the latter is that of the listing which `sha256sum` prints. No disk. */

/**
 * SHA-256 as 64 hex digits.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const digest = await digestOf(new TextEncoder().encode("abc")); // the test vector of FIPS 180-4
 * assert.equal(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
 * ```
 */
export async function digestOf(bytes: Uint8Array): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource)).toHex();
}

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

/** Sorts paths with `comparePaths`; ten thousand of them by plain comparison where that gives the same order. */
export function sortPaths(paths: string[]): string[] {
  const mayDiffer = paths.some((path) => /[\ud800-\uffff]/.test(path));
  return mayDiffer ? paths.sort(comparePaths) : paths.sort();
}

/**
 * One line of `sha256sum`: `<hex>  <path>` and a newline. GNU coreutils escapes backslash, newline and carriage return
 * in a name and marks that with a backslash at the start of the line.
 */
function renderListingLine(digest: string, path: string): string {
  if (!/[\\\n\r]/.test(path)) return `${digest}  ${path}\n`;
  const escaped = path.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
  return `\\${digest}  ${escaped}\n`;
}

/** SHA-256 of the listing of `files`, which must be in the order of `comparePaths`. */
export function digestOfListing(
  files: Iterable<{ readonly digest: string; readonly path: string }>,
): Promise<string> {
  let text = "";
  for (const file of files) text += renderListingLine(file.digest, file.path);
  return digestOf(new TextEncoder().encode(text));
}
