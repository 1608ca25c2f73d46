/**
 * Makes paths of the command line absolute, without `.`, `..` and doubled slashes, by text alone (`../paths.ts` has the
 * rest). Must never touch the disk.
 */

import { quote, UsageError } from "./usage_error.ts";

/**
 * Makes `path` absolute against `cwd` and removes `.`, `..`, doubled and trailing slashes, by text alone as `resolve` of
 * Node and the standard library do it: a symbolic link before `..` is not followed.
 * @throws {UsageError} where it holds a NUL, which no path can
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
