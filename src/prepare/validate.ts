/**
 * Says whether content parses, with line and column. Never repeats content in a message: those reach logs and the
 * status page, and a configuration may hold secrets.
 */

import type { ValidateMode } from "../config.ts";

/**
 * As much as the largest ConfigMap. JSON of this size takes 20 MiB at its worst (measured: empty arrays), YAML has a
 * bound of its own besides.
 */
const VALIDATED_BYTES_MAX = 1024 * 1024;

/**
 * Null where the content parses or `mode` does not look at such a file; else where and why it does not, as
 * `line 3, column 5: …`. `auto` goes by the extension of `name` and leaves all others alone. Content that is too large
 * to be looked at in the memory of a sidecar is a problem, too.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const bytes = new TextEncoder().encode("password: hunter2\npassword: hunter2\n");
 * const problem = await validateContent("app.yaml", bytes, "auto");
 * assert.equal(problem, "no valid YAML: line 2, column 1: Map keys must be unique"); // and no secret in it
 * assert.equal(await validateContent("app.conf", bytes, "auto"), null);
 * ```
 */
export async function validateContent(
  name: string,
  bytes: Uint8Array,
  mode: ValidateMode,
): Promise<string | null> {
  const format = mode === "auto" ? formatOf(name) : mode;
  if (format === "none") return null;
  const shown = format.toUpperCase();
  const tooLarge = (what: string) => `too large to be validated as ${shown}: ${what}; set --validate none`;
  if (bytes.length > VALIDATED_BYTES_MAX) {
    return tooLarge(`${bytes.length} bytes, at most ${VALIDATED_BYTES_MAX} are`);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return `no valid ${shown}: not UTF-8`;
  }
  if (format === "json") return describe("JSON", findJsonError(text));
  const { findYamlError, YAML_TOKENS_MAX } = await import("./yaml.ts");
  const problem = findYamlError(text);
  return problem === "too large"
    ? tooLarge(`more than ${YAML_TOKENS_MAX} keys, values and marks`)
    : describe("YAML", problem);
}

const describe = (format: string, problem: string | null) =>
  problem === null ? null : `no valid ${format}: ${problem}`;

function formatOf(name: string): "yaml" | "json" | "none" {
  const plain = name.toLowerCase().replace(/\.gz$/, "");
  if (plain.endsWith(".yaml") || plain.endsWith(".yml")) return "yaml";
  return plain.endsWith(".json") ? "json" : "none";
}

function findJsonError(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    // V8 tells the position in some messages only; the others quote the text instead.
    const match = /^(.*) in JSON at position (\d+)/s.exec(error instanceof Error ? error.message : "");
    const offset = match ? Number(match[2]) : findJsonErrorOffset(text);
    const before = text.slice(0, offset);
    const line = before.split("\n").length;
    const column = offset - before.lastIndexOf("\n");
    const what = offset === 0 && text.startsWith("\uFEFF")
      ? "a byte order mark, which JSON has none of"
      : match?.[1] ?? (offset >= text.length ? "unexpected end" : "unexpected token");
    return `line ${line}, column ${column}: ${what}`;
  }
}

const SPACE = /[ \t\n\r]*/y;
/** Lax about control characters in strings: for those V8 tells the position. */
const SCALAR =
  /"(?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/**
 * Offset of the first character that no JSON text (RFC 8259) has there.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(findJsonErrorOffset('{"a": 1,}'), 8);
 * assert.equal(findJsonErrorOffset("[1 2]"), 3);
 * ```
 */
export function findJsonErrorOffset(text: string): number {
  const closers: string[] = [];
  let at = 0;
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found !== null) at += found[0].length;
    return found !== null && found[0] !== "";
  };
  // What may come: a value (or, just after an opener, its closer), or what follows a value.
  for (let expects: "value" | "first" | "after" = "value";;) {
    take(SPACE);
    const char = text[at];
    if (expects !== "after") {
      if (expects === "first" && char === closers.at(-1)) {
        at++;
        closers.pop();
        expects = "after";
        continue;
      }
      if (closers.at(-1) === "}") {
        if (char !== '"' || !take(SCALAR)) return at;
        take(SPACE);
        if (text[at] !== ":") return at;
        at++;
        take(SPACE);
      }
      const opener = text[at];
      if (opener === "{" || opener === "[") {
        closers.push(opener === "{" ? "}" : "]");
        at++;
        expects = "first";
      } else if (take(SCALAR)) expects = "after";
      else return at;
    } else if (closers.length === 0 || (char !== "," && char !== closers.at(-1))) return at;
    else {
      at++;
      if (char === ",") expects = "value";
      else closers.pop();
    }
  }
}
