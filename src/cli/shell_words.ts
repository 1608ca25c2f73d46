/**
 * Splits one string into program and arguments as a POSIX shell splits words (Shell Command Language, 2.2 Quoting):
 * quotes and backslashes count, nothing is expanded. Must never run a shell or give a character a further meaning.
 */

import { quote, UsageError } from "./usage_error.ts";

/** Plain characters, `\x`, `'…'`, `"…"`; at last a quote that is not closed, or a backslash with nothing after it. */
const WORD = /(?:[^ \t\n'"\\]|\\[^]|'[^']*'|"(?:[^"\\]|\\[^])*"|['"\\])+/g;
const QUOTED = /\\([^])|'([^']*)'|"((?:[^"\\]|\\[^])*)"|(['"\\])/g;

/**
 * Splits `text` at unquoted blanks. `$`, `*`, `~`, `|`, `>` and `;` are ordinary characters.
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
