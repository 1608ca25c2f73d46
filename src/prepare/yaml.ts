/**
 * The first error of a YAML text. Loads the parser (4 MB), so it is loaded when it is needed. The parser makes a
 * thousand bytes of memory out of each mark, so the number of marks is bounded before the text is parsed as a whole.
 */

import {
  Composer,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  Lexer,
  LineCounter,
  Parser,
  visit,
} from "yaml";

/**
 * So many marks (a key, a value, `-`, `:`, `,`, a bracket) are parsed. Measured on the compiled binary: 20 MiB and
 * 0.5 s at their worst; Prometheus rules of 160 KiB have as many.
 */
export const YAML_TOKENS_MAX = 15_000;
/** Spaces, line breaks and comments take a fifth of that. */
const LEXEMES_MAX = 5 * YAML_TOKENS_MAX;
/** More collections in each other than this are an error; the parser calls itself once for each, and gives up somewhere. */
const DEPTH_MAX = 500;
/** What the lexer puts between marks: spaces, line breaks, comments, and signs of its own before a text. */
// deno-lint-ignore no-control-regex
const NO_MARK = /^(?:[ \t\r\n#]|[\x02\x18\x1f]$)/;

/** What YAML 1.2.2 (5.1, c-printable) allows; the parser lets all else through. */
const NOT_PRINTABLE = /[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u;

/** Same keys are found below: the parser compares each with all before it, 49 s for 60,000. */
const OPTIONS = { prettyErrors: false, uniqueKeys: false } as const;

/** Where it is wrong and why. */
interface Problem {
  readonly offset: number;
  readonly message: string;
}

/** The first error as `line 3, column 5: …`, null where there is none; or that there is too much to look at. */
export function findYamlError(text: string): string | null {
  const lines = new LineCounter();
  const unprintable = NOT_PRINTABLE.exec(text);
  if (unprintable !== null) {
    for (let at = 0; at >= 0; at = text.indexOf("\n", at) + 1 || -1) lines.addNewLine(at);
    return describe({ offset: unprintable.index, message: "A control character is not allowed" }, lines);
  }
  const { stackTraceLimit } = Error;
  try {
    // There may be an error for each mark, each with a stack of a thousand bytes.
    Error.stackTraceLimit = 0;
    const first = findFirst(text, lines);
    return first === null || first === "too large" ? first : describe(first, lines);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function findFirst(text: string, lines: LineCounter): Problem | null | "too large" {
  const parser = new Parser(lines.addNewLine);
  const composer = new Composer(OPTIONS);
  let first: Problem | null = null;
  const judge = (documents: Iterable<Document.Parsed>) => {
    for (const document of documents) {
      for (const problem of problemsOf(document)) {
        if (first === null || problem.offset < first.offset) first = problem;
      }
    }
  };
  lines.addNewLine(0);
  let [lexemes, marks, offset] = [0, 0, 0];
  for (const lexeme of new Lexer().lex(text)) {
    if (!NO_MARK.test(lexeme)) marks++;
    if (++lexemes > LEXEMES_MAX || marks > YAML_TOKENS_MAX) return "too large";
    for (const token of parser.next(lexeme)) judge(composer.next(token));
    if (parser.stack.length > DEPTH_MAX) return first ?? { offset, message: "Nested too deep" };
    offset = parser.offset;
  }
  for (const token of parser.end()) judge(composer.next(token));
  judge(composer.end());
  return first;
}

/** What the parser found, and what it leaves to those who use the values: same keys, and aliases without an anchor. */
function problemsOf(document: Document.Parsed): Problem[] {
  const problems: Problem[] = document.errors.map(({ pos, message }) => ({ offset: pos[0], message }));
  const anchors = new Set<string>();
  const add = (node: { range?: readonly number[] | null }, message: string) =>
    void problems.push({ offset: node.range?.[0] ?? 0, message });
  visit(document, (_, node) => {
    if (isAlias(node)) {
      if (!anchors.has(node.source)) add(node, "Alias without an anchor before it");
      return;
    }
    if ((isScalar(node) || isCollection(node)) && node.anchor) anchors.add(node.anchor);
    if (!isMap(node)) return;
    const keys = new Set<unknown>();
    for (const { key } of node.items) {
      if (!isScalar(key)) continue;
      if (keys.has(key.value)) add(key, "Map keys must be unique");
      keys.add(key.value);
    }
  });
  return problems;
}

function describe({ offset, message }: Problem, lines: LineCounter): string {
  const { line, col } = lines.linePos(offset);
  // Some messages end in the offending text.
  return `line ${line}, column ${col}: ${message.replace(/:? *["'`].*$/s, "")}`;
}
