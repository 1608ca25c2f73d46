/**
 * Shell patterns for `--config-file`: parses them and matches single path parts. Walking the disk is `watch/walk.ts`.
 * As in a shell, `*` and `?` match no slash and no leading dot, and a leading `..` is never matched by anything.
 */

/** A pattern cut at its slashes. */
export interface Glob {
  readonly pattern: string;
  /** The directory above the first part with a wildcard. */
  readonly base: string;
  /** Parts below `base`: `**` (any number of directories) or a matcher for one name. */
  readonly parts: readonly GlobPart[];
}
/** One part of a pattern between slashes. */
export type GlobPart = "**" | ((name: string) => boolean);

/** POSIX classes inside brackets, in the C locale as `LC_ALL=C bash` reads them. */
const CLASSES: Readonly<Record<string, string>> = {
  alpha: "A-Za-z",
  digit: "0-9",
  alnum: "A-Za-z0-9",
  upper: "A-Z",
  lower: "a-z",
  space: "\\s",
  punct: "!-\\/:-@\\[-`{-~",
  xdigit: "0-9A-Fa-f",
};

/** What stands inside a bracket: a class, an escaped character, or any other. */
const MEMBER = String.raw`(?:\[:\w+:\]|\\[^/]|(?!\[:\w+:\])[^\]/\\])`;
/** What a part is made of: an escaped character, a bracket (a first `]` is a member), `*` or `?`, or any other character. */
const TOKENS = new RegExp(
  String.raw`\\([^/])|\[([!^]|(?![!^]))((?:\]|${MEMBER})${MEMBER}*)\]|([*?])|[^]`,
  "gu",
);

/**
 * True where the path is a pattern: an unescaped `*`, `?` or a closed bracket.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(isGlob("/etc/app/*.yaml"), true);
 * assert.equal(isGlob("/etc/app/\\*.yaml"), false); // a file of that very name
 * assert.equal(isGlob("/etc/app/a[b.yaml"), false);
 * ```
 */
export function isGlob(path: string): boolean {
  return path.matchAll(TOKENS).some(([, , , inside, wildcard]) => Boolean(inside ?? wildcard));
}

/**
 * Whether a path means the files that match it: a file that exists by exactly that name is that file. Asks the disk, and
 * only where the path looks like a pattern.
 */
export function isPattern(path: string): boolean {
  if (!isGlob(path)) return false;
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return true;
  }
}

/**
 * Parses an absolute pattern; `path` must satisfy `isGlob`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { base, parts } = parseGlob("/etc/app/*.d/[!x]?.yaml");
 * assert.equal(base, "/etc/app");
 * const last = parts[1] as (name: string) => boolean;
 * assert.deepEqual(["ab.yaml", "xb.yaml", ".b.yaml"].map(last), [true, false, false]); // no leading dot
 * ```
 */
export function parseGlob(path: string): Glob {
  const parts = path.split("/");
  const first = parts.findIndex(isGlob);
  return {
    pattern: path,
    base: parts.slice(0, first).map(unescape).join("/") || "/",
    parts: parts.slice(first).filter((part) => part !== "").map((part) =>
      part === "**" ? part : createMatcher(part)
    ),
  };
}

/**
 * Whether the names of a path below a glob's base, one a directory level, match all its parts.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { parts } = parseGlob("/etc/app/*.d/**");
 * assert.equal(matchesParts(parts, ["conf.d", "deep", "x.yaml"]), true);
 * assert.equal(matchesParts(parts, ["conf", "x.yaml"]), false);
 * ```
 */
export function matchesParts(parts: readonly GlobPart[], names: readonly string[]): boolean {
  const [part, ...rest] = parts;
  const [name, ...below] = names;
  if (part === undefined) return name === undefined;
  if (part === "**") return matchesParts(rest, names) || (name !== undefined && matchesParts(parts, below));
  return name !== undefined && part(name) && matchesParts(rest, below);
}

function unescape(part: string): string {
  return part.replace(/\\(.)/gs, "$1");
}

/** Makes the matcher of one part. */
function createMatcher(part: string): (name: string) => boolean {
  if (!isGlob(part)) {
    const literal = unescape(part);
    return (name) => name === literal;
  }
  const source = part.replace(TOKENS, (token, escaped, negation, inside, wildcard) => {
    if (inside !== undefined) return `[${negation && "^/"}${members(inside)}]`;
    return wildcard === "*" ? "[^/]*" : wildcard === "?" ? "[^/]" : RegExp.escape(escaped ?? token);
  });
  const expression = new RegExp(`^${source}$`, "su");
  const dotAllowed = part.startsWith(".") || part.startsWith("\\.");
  // A directory that is called `app[prod]` is that directory.
  return (name) =>
    name === part || !name.startsWith("..") && (dotAllowed || !name.startsWith(".")) && expression.test(name);
}

/** The inside of a bracket as a regular expression has it. A range whose end comes before its beginning matches nothing. */
function members(inside: string): string {
  return inside.replace(
    /\[:(\w+):\]|\\?([^])(?:-(?!\[:\w+:\])\\?([^]))?/gu,
    (text, name, from, to = from) => {
      if (name !== undefined) return CLASSES[name] ?? RegExp.escape(text);
      return from.codePointAt(0)! <= to.codePointAt(0)! ? `${RegExp.escape(from)}-${RegExp.escape(to)}` : "";
    },
  );
}
