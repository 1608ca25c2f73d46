/** "Did you mean" for mistyped names. Used only on the way to a message. */

import { closestMatch } from "leven";
import { orList } from "./usage_error.ts";

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
