/**
 * The first error of a YAML text, found a few milliseconds at a time: a megabyte costs seconds of CPU, and whoever asks
 * for the health meanwhile must not wait for them. Loads the parser (4 MB), so it is loaded when it is needed.
 *
 * The parser's tokens come one by one. What it makes of a document's tokens comes at once, so a large collection is cut
 * into pieces that are composed by themselves, a large one inside of another standing there by its last item alone.
 */

import {
  Composer,
  type CST,
  type Document,
  isMap,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  Parser,
} from "yaml";

/** So many characters of a collection are composed in one piece: about a millisecond. */
const PIECE_CHARS = 4096;
/** More collections within each other than this are an error; the parser gives up somewhere there, too. */
const DEPTH_MAX = 2000;
/** So many tokens are taken before the caller is asked whether to pause: some 0.1 ms. */
const TOKENS_A_STEP = 64;

/** Same keys are found below: the parser compares each with all before it, 49 s for 60,000 in 1 MiB. */
const OPTIONS = { prettyErrors: false, uniqueKeys: false } as const;

type Collection = CST.BlockMap | CST.BlockSequence | CST.FlowCollection;
type Item = Collection["items"][number];

/** Where it is wrong and why; the earliest place counts. */
interface Problem {
  readonly offset: number;
  readonly message: string;
}
type Found = (offset: number, message: string) => void;

/**
 * The first error as `line 3, column 5: …`, null where there is none. `step` is called every 0.1 to some milliseconds
 * and may wait, or throw to end it.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(await findYamlError("a: 1\n", async () => {}), null);
 * assert.match(await findYamlError("a: 1\na: 2\n", async () => {}) ?? "", /^line 2, column 1: Map keys must/);
 * ```
 */
export async function findYamlError(text: string, step: () => Promise<void>): Promise<string | null> {
  const lines = new LineCounter();
  const parser = new Parser(lines.addNewLine);
  const whole = new Composer(OPTIONS);
  let first: Problem | null = null;
  const found: Found = (offset, message) => {
    if (first === null || offset < first.offset) first = { offset, message };
  };
  let hasDirectives = false;

  async function take(tokens: Iterable<CST.Token>): Promise<void> {
    for (const token of tokens) {
      if (token.type === "directive") hasDirectives = true;
      const isLarge = token.type === "document" && !hasDirectives && isCollection(token.value) &&
        parser.offset - token.offset > PIECE_CHARS;
      if (isLarge) await composePieces(token.value as Collection, parser.offset, found, step);
      const skeleton = isLarge ? { ...token, value: lastOf(token.value as Collection, 1) } : token;
      for (const document of whole.next(skeleton)) judge(document, found);
    }
  }

  lines.addNewLine(0);
  let count = 0;
  for (const lexeme of new Lexer().lex(text)) {
    if (++count % TOKENS_A_STEP === 0) await step();
    await take(parser.next(lexeme));
  }
  await take(parser.end());
  for (const document of whole.end()) judge(document, found);
  return first === null ? null : describe(first, lines);
}

function describe({ offset, message }: Problem, lines: LineCounter): string {
  const { line, col } = lines.linePos(offset);
  // Some messages end in the offending text.
  return `line ${line}, column ${col}: ${message.replace(/:? *["'`].*$/s, "")}`;
}

const isCollection = (token: CST.Token | null | undefined): token is Collection =>
  token?.type === "block-map" || token?.type === "block-seq" || token?.type === "flow-collection";

/** Composes a large collection and all large ones in it. Without recursion: depth is the author's. */
async function composePieces(
  root: Collection,
  rootEnd: number,
  found: Found,
  step: () => Promise<void>,
): Promise<void> {
  const waiting = [{ node: root, end: rootEnd, depth: 1 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { node, end, depth } = next;
    if (depth > DEPTH_MAX) return found(node.offset, "Nested too deep");
    const keys = new Set<unknown>();
    const items = node.items as Item[];
    let piece: Item[] = [];
    let chars = 0;
    let isFirst = true;
    for (const [at, item] of items.entries()) {
      const following = items[at + 1];
      const itemEnd = (following && offsetOf(following)) ?? end;
      const size = itemEnd - (offsetOf(item) ?? itemEnd);
      const { value } = item;
      const isLarge = size > PIECE_CHARS && isCollection(value) && isWhole(value);
      if (isLarge) waiting.push({ node: value, end: itemEnd, depth: depth + 1 });
      piece.push(isLarge ? { ...item, value: lastOf(value, 1) } as Item : item);
      chars += isLarge ? PIECE_CHARS / 8 : size + 1;
      // An item of a comma alone is right at the end only.
      if (following !== undefined && (chars < PIECE_CHARS || isEmpty(item))) continue;
      const offset = isFirst ? node.offset : offsetOf(piece[0]!) ?? node.offset;
      const token = {
        type: "document",
        offset,
        start: [],
        value: { ...node, offset, items: piece },
      } as CST.Document;
      const composer = new Composer(OPTIONS);
      for (const document of [...composer.next(token), ...composer.end()]) {
        judge(document, found, keys, isFirst ? 0 : 1);
      }
      await step();
      // The next piece begins with the last item of this one: what follows is judged by what is before it.
      piece = [withoutComma(piece.at(-1)!)];
      chars = 0;
      isFirst = false;
    }
  }
}

const isEmpty = ({ key, sep, value }: Item) => !key && !sep && !value;

/** Where an item begins. */
const offsetOf = ({ start, key, sep, value }: Item) => (start[0] ?? key ?? sep?.[0] ?? value)?.offset;

const withoutComma = (item: Item) =>
  ({ ...item, start: item.start.filter(({ type }) => type !== "comma") }) as Item;

/** False for a flow collection that does not end as it should: only as a whole it is told where that is. */
const isWhole = (node: Collection) =>
  node.type !== "flow-collection" || node.end[0]?.source === (node.start.source === "{" ? "}" : "]");

/** The collection with its last item alone, and that of the last one in it: so it ends where it ends. */
function lastOf(node: Collection, levels: number): Collection {
  const items = (node.items as Item[]).slice(levels === 0 ? node.items.length : -1).map((item) =>
    withoutComma(
      isCollection(item.value) && isWhole(item.value)
        ? { ...item, value: lastOf(item.value, levels - 1) } as Item
        : item,
    )
  );
  return { ...node, offset: (items[0] && offsetOf(items[0])) ?? node.offset, items } as Collection;
}

/** Finds what is wrong with a composed document; `keys` are those of its root that are known, from item `from` on. */
function judge(
  { errors, contents }: Document.Parsed,
  found: Found,
  keys = new Set<unknown>(),
  from = 0,
): void {
  for (const { pos, message } of errors) found(pos[0], message);
  const waiting: unknown[] = [];
  const look = (node: unknown, keys: Set<unknown>, from: number) => {
    if (isPair(node)) waiting.push(node.key, node.value);
    if (!isMap(node) && !isSeq(node)) return;
    for (const item of (node.items as unknown[]).slice(from)) {
      waiting.push(item);
      if (!isPair(item) || !isMap(node) || !isScalar(item.key)) continue;
      const { value, range } = item.key;
      if (keys.has(value) && range) found(range[0], "Map keys must be unique");
      keys.add(value);
    }
  };
  look(contents, keys, from);
  while (waiting.length > 0) look(waiting.pop(), new Set(), 0);
}
