/**
 * Tries `--process-cmdline` on command lines, which any process of the pod writes as it likes: on 4 KiB of each at most,
 * and, where the expression can take for ever, with a time limit. Must never stall the loop.
 */

/** The expression, ready to be tried. */
export interface CmdlinePattern {
  /** As the user wrote it, for texts. */
  readonly source: string;
  /** For each command line whether it matches; one that takes too long does not. */
  match(lines: readonly string[]): boolean[];
}

/** Longest text that is tried, in characters: of a longer command line its begin and its end. */
const LENGTH_MAX = 4096;
/** Real expressions take microseconds. The rest is a hostile command line, and no match. */
const ONE_LINE_MS = 20;
/** For all processes together; what is left then is no match. */
const ALL_LINES_MS = 200;

/** Goes on where the last call ended, so that one hostile line costs its own time and no other line. */
const LOOP = "for (let i = results.length; i < lines.length; i++) results.push(pattern.test(lines[i]))";

/**
 * Makes the pattern. V8 alone cannot end an expression that runs; `node:vm` can, and is loaded only for one that may take
 * long (some 60 ms of CPU).
 */
export async function createCmdlinePattern(expression: RegExp): Promise<CmdlinePattern> {
  const source = expression.source.replaceAll("\\/", "/");
  // Flags such as `g` keep a place between two calls.
  const pattern = new RegExp(expression.source, expression.flags.replace(/[gy]/g, ""));
  if (isQuick(expression.source)) {
    return { source, match: (lines) => lines.map((line) => pattern.test(shorten(line))) };
  }
  const { createContext, Script } = await import("node:vm");
  const script = new Script(LOOP);
  return {
    source,
    match: (lines) => {
      const results: boolean[] = [];
      const context = createContext({ pattern, results, lines: lines.map(shorten) });
      for (let leftMs = ALL_LINES_MS; results.length < lines.length; leftMs -= ONE_LINE_MS) {
        if (leftMs <= 0) return [...results, ...lines.slice(results.length).map(() => false)];
        try {
          script.runInContext(context, { timeout: ONE_LINE_MS });
        } catch {
          results.push(false);
        }
      }
      return results;
    },
  };
}

/**
 * True for an expression that takes a few passes over the text at most: it repeats nothing, or one thing from the beginning
 * of the text on, and nothing twice that it has found.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(isQuick("nginx: (master|worker)"), true);
 * assert.equal(isQuick("^java .*[*+]App"), true);
 * assert.equal(isQuick("java .*App"), false); // tried again from each `java`: 0.4 s for 4 KiB of `[^b]*b` (measured)
 * assert.equal(isQuick("(a|a)*b"), false); // doubles its time with each letter
 * assert.equal(isQuick("^(.*)\\1b"), false); // finds `.*` again at each length
 * ```
 */
export function isQuick(source: string): boolean {
  if (/\\[1-9k]/.test(source)) return false;
  // Escapes and classes are one character each; `(?:` and the like open a group.
  const plain = source.replace(/\\./g, "x").replace(/\[[^\]]*\]/g, "x").replace(/\(\?/g, "(");
  const repeats = plain.match(/[*+?{]/g)?.length ?? 0;
  return repeats === 0 || repeats === 1 && /^\^[^|]*$/.test(plain) && !/\)[*+?{]/.test(plain);
}

/** The begin and the end, on a line each, so that `^` and `$` keep their meaning. */
function shorten(line: string): string {
  const half = LENGTH_MAX / 2;
  return line.length <= LENGTH_MAX ? line : `${line.slice(0, half - 1)}\n${line.slice(-half)}`;
}
