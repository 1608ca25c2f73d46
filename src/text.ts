/** Small pure texts, for all rooms: durations, hashes and reasons as people read them in log lines. */

/** The part of a digest that is shown: the first 12 hex digits; `none` where there was no content yet. */
export function shortHash(digest: string | null): string {
  return digest === null ? "none" : digest.slice(0, 12);
}

/**
 * A duration rounded as a person would say it: `8ms`, `1.5s`, `45s`, `4m30s`, `2h5m`, `3d`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(formatMs(8.4), "8ms");
 * assert.equal(formatMs(1_500), "1.5s");
 * assert.equal(formatMs(7_500_000), "2h5m");
 * ```
 */
export function formatMs(ms: number): string {
  if (ms < 995) return `${Math.max(0, Math.round(ms))}ms`;
  if (ms < 10_000) return `${Math.round(ms / 100) / 10}s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes >= 48 * 60) return `${Math.floor(minutes / 60 / 24)}d`;
  return minutes % 60 === 0 ? `${Math.floor(minutes / 60)}h` : `${Math.floor(minutes / 60)}h${minutes % 60}m`;
}

/**
 * The reason of an error for people: without errno and the path that Deno adds, which the message names already.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(plainReason(new Deno.errors.NotFound("No such file (os error 2)")), "no such file");
 * assert.equal(plainReason(new Error("Is a directory (os error 21)")), "Is a directory");
 * ```
 */
export function plainReason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  return messageOf(error).replace(/ \(os error \d+\).*$/s, "");
}

/** `1 file`, `2 files`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Joins words as in a sentence: `a, b or c`. */
export function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** A process as texts name it: `PID 7 (amp, user 65532)`; without its user where that is not known. */
export function processText(pid: number, name: string, uid: number | null | undefined): string {
  return `PID ${pid} (${name}${uid === null || uid === undefined ? "" : `, user ${uid}`})`;
}

/** What was thrown, in its own words. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * At most `lengthMax` characters of a text from elsewhere, in one line, with nothing that could command a terminal.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(printable("bad\x1b[2J\nvalue", 40), "bad [2J value");
 * assert.equal(printable("0123456789", 5), "0123…");
 * ```
 */
export function printable(text: string, lengthMax: number): string {
  const clean = text.slice(0, lengthMax * 4).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufffd]+/gu, " ").trim();
  const characters = [...clean];
  return characters.length > lengthMax ? `${characters.slice(0, lengthMax - 1).join("")}…` : clean;
}

/** C0, DEL, C1, line and paragraph separators, and the marks that turn the direction of text around. */
const UNSAFE =
  // deno-lint-ignore no-control-regex -- these are what must not reach a terminal
  /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
const SHORT_ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * Makes control characters visible: nobody may forge a log line or steer a terminal by a file name or an app's answer.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(escapeUnsafe("\x1b[2Jcleared\n"), "\\u001b[2Jcleared\\n");
 * ```
 */
export function escapeUnsafe(text: string): string {
  return text.replace(
    UNSAFE,
    (char) => SHORT_ESCAPES[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The same for a text of several lines, which stay. In JSON text a parser gives each value back. */
export function escapeUnsafeLines(text: string): string {
  return text.replace(/[^\n]+/g, escapeUnsafe);
}
