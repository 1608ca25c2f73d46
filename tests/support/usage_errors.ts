/**
 * The bad command lines of `tests/testdata/golden/usage_errors.txt`, each with the one line that it gets: as a shell shows
 * them, words with blanks or control characters as JSON. A line with `#` begins a section.
 */

/** One of them. */
export interface UsageError {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Without the program's name. */
  readonly message: string;
}

const WORD = /(?:([A-Z_]+)=)?("(?:[^"\\]|\\.)*"|[^\s"]+)/g;

const textOf = (word: string): string => word.startsWith('"') ? JSON.parse(word) : word;

function parseCase(text: string): UsageError {
  const [command = "", answer = ""] = text.split("\nconfig-reloader: ");
  const [variables = "", words = ""] = command.slice(2).split(/(?:^| )config-reloader(?: |$)/);
  return {
    args: [...words.matchAll(WORD)].map(([word]) => textOf(word)),
    environment: Object.fromEntries(
      [...variables.matchAll(WORD)].map(([, name, word]) => [name!, textOf(word!)]),
    ),
    message: answer.trimEnd(),
  };
}

/** All of them. */
export const USAGE_ERRORS: readonly UsageError[] = Deno.readTextFileSync(
  new URL("../testdata/golden/usage_errors.txt", import.meta.url),
).replace(/^#.*\n/gm, "").split(/^(?=\$ )/m).map(parseCase);
