import assert from "node:assert/strict";
import fc from "fast-check";
import { splitShellWords } from "../../src/cli/shell_words.ts";
import { UsageError } from "../../src/cli/usage_error.ts";
import { test } from "../support/strict.ts";

test("words split at blanks; quotes and backslashes hold together; nothing is expanded", () => {
  const table: Record<string, string[]> = {
    "nginx -t": ["nginx", "-t"],
    "  nginx \t -t\n": ["nginx", "-t"],
    "a 'b c' \"d e\"": ["a", "b c", "d e"],
    "a'b'\"c\"d": ["abcd"],
    "a '' \"\"": ["a", "", ""],
    "a\\ b c": ["a b", "c"],
    'a "b\\"c" \'d"e\'': ["a", 'b"c', 'd"e'],
    'a "\\$b \\x \\\\"': ["a", "$b \\x \\"],
    "a '\\'": ["a", "\\"],
    "a \\\nb": ["a", "b"],
    'a "b\\\nc"': ["a", "bc"],
    "$HOME ~ *.yaml `id` $(id) ${x}": ["$HOME", "~", "*.yaml", "`id`", "$(id)", "${x}"],
    "a | b > c; d && e #f": ["a", "|", "b", ">", "c;", "d", "&&", "e", "#f"],
  };
  for (const [text, words] of Object.entries(table)) assert.deepEqual(splitShellWords(text), words, text);
});

test("what a shell would wait for, and what names no program, is refused", () => {
  const table: Record<string, string> = {
    "": `"" names no program, want one and its arguments`,
    "  ": `"  " names no program, want one and its arguments`,
    "'' x": `"'' x" names no program, want one and its arguments`,
    "a 'b": `"a 'b" has an open ', want it closed`,
    'a "b': `"a "b" has an open ", want it closed`,
    'a "b\\"': `"a "b\\"" has an open ", want it closed`,
    "a \\": `"a \\" ends in a backslash, want a character after it`,
  };
  for (const [text, message] of Object.entries(table)) {
    assert.throws(
      () => splitShellWords(text),
      (error: unknown) => error instanceof UsageError && error.message === message,
    );
  }
});

test("any words quoted for a shell come back as they were", () => {
  const word = fc.string({ minLength: 1, unit: "binary-ascii" });
  fc.assert(fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), fc.boolean(), (words, single) => {
    const quoted = words.map((text) =>
      single ? `'${text.replaceAll("'", "'\\''")}'` : `"${text.replace(/[\\"$`]/g, "\\$&")}"`
    );
    assert.deepEqual(splitShellWords(quoted.join(" ")), words);
  }));
});

test("splits exactly as /bin/sh where there is nothing to expand", async () => {
  const piece = fc.constantFrom("a", "b", " ", "\t", "'", '"', "\\", "\n", "é", "-", "=", "x y", "''", '""');
  const texts = fc.sample(fc.array(piece, { maxLength: 14 }).map((parts) => parts.join("")), { numRuns: 400 })
    .flatMap((text) => {
      try {
        return [{ text, words: splitShellWords(text) }];
      } catch (error) {
        assert.ok(error instanceof UsageError);
        return [];
      }
    })
    // An unquoted line end would end the command of a shell, where it is a blank for us.
    .filter(({ text }) => !text.includes("\n"));
  assert.ok(texts.length > 50, "enough texts are valid");
  const script = texts.map(({ text }) => `set -- ${text}\nprintf '%s\\0' "$@"; printf '\\1\\0'`).join("\n");
  const { stdout, success } = await new Deno.Command("/bin/sh", { args: ["-c", script], stdout: "piped" })
    .output();
  assert.ok(success);
  const told = new TextDecoder().decode(stdout).split("\x01\0").slice(0, -1).map((part) =>
    part.split("\0").slice(0, -1)
  );
  assert.deepEqual(
    told.map((words, at) => [texts[at]!.text, words]),
    texts.map(({ text, words }) => [text, words]),
  );
});
