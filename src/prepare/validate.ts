/**
 * Says whether content parses, with line and column. Never repeats content in a message: those reach logs and the
 * status page, and a configuration may hold secrets.
 */

import type { ValidateMode } from "../config.ts";
import { messageOf } from "../text.ts";

/**
 * As much as the largest ConfigMap. JSON of this size takes 20 MiB at its worst (measured: empty arrays), YAML has a
 * bound of its own besides.
 */
const VALIDATED_BYTES_MAX = 1024 * 1024;

/**
 * Null where the content parses or `mode` does not look at such a file; else where and why it does not, as
 * `line 3, column 5: …`. `auto` goes by the extension of `name` and leaves all others alone. Content that is too large
 * to be looked at in the memory of a sidecar is a problem, too.
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
    const match = /^(.*) in JSON at position (\d+)/s.exec(messageOf(error));
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

/** Blanks and one token; lax about control characters in strings: for those V8 tells the position. */
const TOKEN =
  /[ \t\n\r]*("(?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:])?/y;

/** Offset of the first character that no JSON text (RFC 8259) has there. */
export function findJsonErrorOffset(text: string): number {
  const closers: string[] = [];
  let wants: "value" | "key" | "colon" | "end" = "value";
  // Just after an opener its closer may come.
  let isFirst = false;
  for (TOKEN.lastIndex = 0;;) {
    const [, token = ""] = TOKEN.exec(text)!;
    const at = TOKEN.lastIndex - token.length;
    const closer = closers.at(-1);
    if (token === "") return at;
    if (token === closer && (isFirst || wants === "end")) {
      closers.pop();
      wants = "end";
    } else if (wants === "end") {
      if (token !== "," || closer === undefined) return at;
      wants = closer === "}" ? "key" : "value";
    } else if (
      wants === "colon" ? token !== ":" : wants === "key" ? token[0] !== '"' : /^[\]},:]/.test(token)
    ) {
      return at;
    } else if (wants === "value" && (token === "{" || token === "[")) {
      closers.push(token === "{" ? "}" : "]");
      wants = token === "{" ? "key" : "value";
      isFirst = true;
      continue;
    } else wants = wants === "key" ? "colon" : wants === "colon" ? "value" : "end";
    isFirst = false;
  }
}
