/**
 * Values that have a grammar of their own: durations as Go writes them (`500ms`, `1m30s`, `1.5h`), the form every tool of the
 * field uses, sizes (`64KiB`), paths, and the words of a command. Strict on purpose: a bare number could mean anything, and
 * the letters of decimal sizes mislead. Must never guess a unit, touch the disk or run a shell.
 */

import { quote, UsageError } from "./usage_error.ts";

/** Longest duration: what a timer can wait, 2^31−1 ms. A longer one would fire at once and turn a pause into a busy loop. */
export const DURATION_MS_MAX = 2 ** 31 - 1;
/** Largest size: files are read whole. A ConfigMap holds 1 MiB at most (kubernetes.io/docs/concepts/configuration/configmap). */
export const SIZE_BYTES_MAX = 2 ** 30;

/** Milliseconds of each unit, as in Go's `time.ParseDuration`; both signs for micro (U+00B5 and U+03BC) count. */
const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "\u00b5s": 1e-3,
  "\u03bcs": 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/**
 * Reads a Go duration without sign, as milliseconds, to the nanosecond.
 * @param or begins the list of what is wanted where a word is allowed, too: `auto or `
 * @throws {UsageError} where it is none, or longer than {@linkcode DURATION_MS_MAX}
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parseDurationMs("1m30s"), 90_000);
 * assert.equal(parseDurationMs("250us"), 0.25);
 * assert.throws(() => parseDurationMs("5"), /"5" is no duration, want one such as 500ms, 5s or 1m30s/);
 * ```
 */
export function parseDurationMs(text: string, or = ""): number {
  if (text === "0") return 0;
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$/.test(text)) {
    throw new UsageError(`${quote(text)} is no duration, want ${or}one such as 500ms, 5s or 1m30s`);
  }
  let ms = 0;
  for (const [, count, unit] of text.matchAll(/([\d.]+)([^\d.]+)/g)) ms += Number(count) * UNIT_MS[unit!]!;
  if (ms > DURATION_MS_MAX) throw new UsageError(`${quote(text)} is too long, want at most 596h`);
  return Math.round(ms * 1e6) / 1e6;
}

/**
 * Reads a size in bytes.
 * @throws {UsageError} where it is none, is zero, or above {@linkcode SIZE_BYTES_MAX}
 */
export function parseSizeBytes(text: string): number {
  const [, count, unit = ""] = /^(\d+)(KiB|MiB|GiB|)$/.exec(text) ?? [];
  if (count === undefined) {
    throw new UsageError(`${quote(text)} is no size, want one such as 64KiB, 16MiB or 1048576 (bytes)`);
  }
  const bytes = Number(count) * 2 ** (10 * ["", "KiB", "MiB", "GiB"].indexOf(unit));
  if (bytes >= 1 && bytes <= SIZE_BYTES_MAX) return bytes;
  throw new UsageError(`${quote(text)} is out of range, want 1 to 1GiB`);
}

/**
 * Makes `path` absolute against `cwd` and removes `.`, `..`, doubled and trailing slashes, by text alone: a symbolic link
 * before `..` is not followed.
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

/** Plain characters, `\x`, `'…'`, `"…"`; at last a quote that is not closed, or a backslash with nothing after it. */
const WORD = /(?:[^ \t\n'"\\]|\\[^]|'[^']*'|"(?:[^"\\]|\\[^])*"|['"\\])+/g;
const QUOTED = /\\([^])|'([^']*)'|"((?:[^"\\]|\\[^])*)"|(['"\\])/g;

/**
 * Splits a text into program and arguments as a POSIX shell splits words (Shell Command Language, 2.2 Quoting): quotes and
 * backslashes count, nothing is expanded. `$`, `*`, `~`, `|`, `>` and `;` are ordinary characters.
 * @throws {UsageError} where a quote is not closed, a backslash ends the text, or there is no word
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(splitShellWords(`nginx -c '/etc/my app.conf'`), ["nginx", "-c", "/etc/my app.conf"]);
 * assert.deepEqual(splitShellWords(`echo $HOME ""`), ["echo", "$HOME", ""]);
 * assert.throws(() => splitShellWords(`nginx -c "/etc/app`), /has an open ", want it closed/);
 * ```
 */
export function splitShellWords(text: string): readonly string[] {
  const unquote = (_: string, escaped?: string, single?: string, double?: string, open?: string) => {
    if (open === "\\") throw new UsageError(`${quote(text)} ends in a backslash, want a character after it`);
    if (open) throw new UsageError(`${quote(text)} has an open ${open}, want it closed`);
    if (escaped !== undefined) return escaped === "\n" ? "" : escaped;
    // Within double quotes a backslash counts only before these; before a line end both vanish (POSIX 2.2.3).
    return single ?? double!.replace(/\\([$`"\\])|\\\n/g, "$1");
  };
  const words = [...text.matchAll(WORD)].map(([word]) => word)
    // A line that goes on is no word.
    .filter((word) => word.replaceAll("\\\n", "") !== "")
    .map((word) => word.replace(QUOTED, unquote));
  if (!words[0]) throw new UsageError(`${quote(text)} names no program, want one and its arguments`);
  return words;
}
