/**
 * Paths as text: absolute, without `.`, `..` and doubled slashes. Own lines because `node:path` would load Node's layer
 * at the start (17 ms of CPU). Must never touch the disk.
 */

import { quote, UsageError } from "./usage_error.ts";

/**
 * Makes `path` absolute against `cwd` and removes `.`, `..`, doubled and trailing slashes, by text alone as `resolve` of
 * Node and the standard library do it: a symbolic link before `..` is not followed.
 * @throws {UsageError} where it holds a NUL, which no path can
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(absolutePath("../b//c/.", "/etc/a"), "/etc/b/c");
 * assert.equal(absolutePath("/../..", "/etc"), "/");
 * ```
 */
export function absolutePath(path: string, cwd: string): string {
  if (path.includes("\0")) throw new UsageError(`${quote(path)} holds a NUL character, want a path`);
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${cwd}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/**
 * The last part of an absolute, normalised path.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(baseName("/etc/app/config.yaml"), "config.yaml");
 * ```
 */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/**
 * The directory of an absolute, normalised path; that of `/` is `/`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parentOf("/etc/app"), "/etc");
 * assert.equal(parentOf("/etc"), "/");
 * ```
 */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

/**
 * Whether `path` is `directory` or lies below it; both absolute and normalised.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(isWithin("/etc/app/a.yaml", "/etc/app"), true);
 * assert.equal(isWithin("/etc/application", "/etc/app"), false);
 * assert.equal(isWithin("/etc", "/"), true);
 * ```
 */
export function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === "/" ? "/" : `${directory}/`);
}
