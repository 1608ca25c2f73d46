/**
 * Splits one string into program and arguments as a POSIX shell splits words (Shell Command Language, 2.2 Quoting):
 * quotes and backslashes count, nothing is expanded. Must never run a shell or give a character a further meaning.
 */

import { quote, UsageError } from "./usage_error.ts";

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
  const words: string[] = [];
  let word: string | null = null;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === "'" || character === '"') {
      const end = character === "'" ? text.indexOf("'", at + 1) : endOfDoubleQuotes(text, at + 1);
      if (end < 0) throw new UsageError(`${quote(text)} has an open ${character}, want it closed`);
      const inner = text.slice(at + 1, end);
      word = (word ?? "") + (character === "'" ? inner : inner.replace(/\\([$`"\\]|\n)/g, unescapeQuoted));
      at = end;
    } else if (character === "\\") {
      const next = text[++at];
      if (next === undefined) {
        throw new UsageError(`${quote(text)} ends in a backslash, want a character after it`);
      }
      if (next !== "\n") word = (word ?? "") + next;
    } else if (character === " " || character === "\t" || character === "\n") {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? "") + character;
    }
  }
  if (word !== null) words.push(word);
  if (!words[0]) throw new UsageError(`${quote(text)} names no program, want one and its arguments`);
  return Object.freeze(words);
}

/** Within double quotes a backslash counts only before these; before a line end both vanish (POSIX 2.2.3). */
function unescapeQuoted(_match: string, character: string): string {
  return character === "\n" ? "" : character;
}

function endOfDoubleQuotes(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at;
  }
  return -1;
}
