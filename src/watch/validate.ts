/**
 * Says whether content parses, with line and column. Never repeats content in a message: those reach logs and the
 * status page, and a configuration may hold secrets.
 */

import type { ValidateMode } from "../config.ts";

/**
 * Null where the content parses or `mode` does not look at such a file; else where and why it does not, as
 * `line 3, column 5: …`. `auto` goes by the extension of `name` and leaves all others alone.
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
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return `no valid ${format.toUpperCase()}: not UTF-8`;
  }
  const problem = format === "json" ? findJsonError(text) : await findYamlError(text);
  return problem === null ? null : `no valid ${format.toUpperCase()}: ${problem}`;
}

function formatOf(name: string): "yaml" | "json" | "none" {
  const plain = name.toLowerCase().replace(/\.gz$/, "");
  if (plain.endsWith(".yaml") || plain.endsWith(".yml")) return "yaml";
  return plain.endsWith(".json") ? "json" : "none";
}

/** The first error of a stream of YAML documents. */
async function findYamlError(text: string): Promise<string | null> {
  // Costs 4 MB and some milliseconds, and only --validate needs it.
  const { isMap, isPair, isScalar, isSeq, LineCounter, parseAllDocuments } = await import("yaml");
  const lines = new LineCounter();
  // The parser compares each key with all before it: 60,000 keys in 1 MiB kept the loop for 49 seconds.
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  if (!Array.isArray(documents)) return null;
  for (const { errors, contents } of documents) {
    const error = errors[0];
    const offset = error?.pos[0] ?? findSameKey(contents, { isMap, isPair, isScalar, isSeq });
    if (offset === null) continue;
    const { line, col } = lines.linePos(offset);
    // Some messages end in the offending text.
    const what = error?.message.replace(/:? *["'`].*$/s, "") ?? "Map keys must be unique";
    return `line ${line}, column ${col}: ${what}`;
  }
  return null;
}

/** Offset of the first key that its map has twice; null where there is none. Without recursion: depth is the author's. */
function findSameKey(
  root: unknown,
  { isMap, isPair, isScalar, isSeq }: Pick<typeof import("yaml"), "isMap" | "isPair" | "isScalar" | "isSeq">,
): number | null {
  const waiting: unknown[] = [root];
  let first: number | null = null;
  while (waiting.length > 0) {
    const node = waiting.pop();
    if (isPair(node)) {
      waiting.push(node.key, node.value);
    } else if (isMap(node) || isSeq(node)) {
      const keys = new Set<unknown>();
      for (const item of node.items as unknown[]) {
        waiting.push(item);
        if (!isPair(item) || !isMap(node) || !isScalar(item.key)) continue;
        const { value, range } = item.key;
        if (keys.has(value) && range && range[0] < (first ?? Infinity)) first = range[0];
        keys.add(value);
      }
    }
  }
  return first;
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
    const what = match?.[1] ?? (offset >= text.length ? "unexpected end" : "unexpected token");
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
