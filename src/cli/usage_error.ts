/**
 * The error of the command line: what the user wrote cannot be used. Parsers throw it with the part of the message
 * after the flag's name; nothing else may throw it, so that a defect never looks like a mistake of the user.
 */

import { closestMatch } from "leven";
import { hideUrlSecrets } from "../http/urls.ts";
import { escapeUnsafe, orList } from "../text.ts";

/** A value, flag or combination of flags that cannot be used; its message is one line for people. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Longest value that a message repeats; the rest is cut. */
const QUOTED_CHARS_MAX = 120;

/**
 * Quotes a value for a message: always one line, control characters escaped, long values cut. A URL comes without its
 * secrets, whichever flag it was given to by mistake.
 */
export function quote(value: string): string {
  const text = value.includes("://") ? hideUrlSecrets(value) : value;
  const cut = text.length > QUOTED_CHARS_MAX ? `${text.slice(0, QUOTED_CHARS_MAX)}…` : text;
  return `"${escapeUnsafe(cut)}"`;
}

/**
 * The text to append to a message: `, did you mean --interval?`, or nothing where no name is near. Near is an edit
 * distance of a third of the word, 2 at least (two letters swapped) and 3 at most; else up to three names that hold the
 * word, as in `--timeout`.
 */
export function suggestion<N extends string>(
  word: string,
  names: readonly N[],
  show: (name: N) => string = (name) => name,
): string {
  const plain = word.toLowerCase().replaceAll("_", "-");
  const maxDistance = plain.length < 4 ? 1 : Math.min(3, Math.max(2, Math.floor(plain.length / 3)));
  const near = closestMatch(plain, names, { maxDistance });
  const found = near !== undefined
    ? names.filter((name) => name === near)
    : names.filter((name) => plain.length > 2 && name.includes(plain));
  if (found.length === 0 || found.length > 3) return "";
  return `, did you mean ${orList(found.map(show))}?`;
}
