import assert from "node:assert/strict";
import fc from "fast-check";
import {
  DURATION_MS_MAX,
  parseDurationMs,
  parseSizeBytes,
  SIZE_BYTES_MAX,
  splitShellWords,
} from "../../src/cli/values.ts";
import { UsageError } from "../../src/cli/usage_error.ts";
import { test } from "../support/strict.ts";

test("durations read as Go reads them", () => {
  const table: Record<string, number> = {
    "0": 0,
    "0s": 0,
    "500ms": 500,
    "5s": 5_000,
    "1m30s": 90_000,
    "1.5h": 5_400_000,
    "1h2m3.5s": 3_723_500,
    "100us": 0.1,
    "100µs": 0.1,
    "100μs": 0.1,
    "1ns": 1e-6,
    "1.9ns": 2e-6,
    "1.1s": 1_100,
    "0.3m": 18_000,
    ".5s": 500,
    "1.s": 1_000,
    "1s1s": 2_000,
    "30s1m": 90_000,
    "0.1s": 100,
    "1.0000000001s": 1_000,
    "007s": 7_000,
    "2147483647ms": DURATION_MS_MAX,
  };
  for (const [text, ms] of Object.entries(table)) assert.equal(parseDurationMs(text), ms, text);
});

test("what is no Go duration, or has a sign, is refused by name", () => {
  const junk = [
    ...[
      "",
      "5",
      "00",
      "-1s",
      "+1s",
      "-0",
      "1e3s",
      "5 apples",
      "1h 2m",
      " 5s",
      "5s ",
      "5s\n",
      "s",
      ".s",
      "1..5s",
      "5S",
    ],
    ...[
      "1.5.5s",
      "1d",
      "1w",
      "5sec",
      "1,5s",
      "0x5s",
      "Infinity",
      "NaN",
      "٥s",
      "5s5",
      "1h-2m",
      "5m s",
      "auto",
    ],
  ];
  for (const text of junk) {
    assert.throws(() => parseDurationMs(text), (error: unknown) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, / is no duration, want one such as 500ms, 5s or 1m30s$/);
      return true;
    }, JSON.stringify(text));
  }
  for (const text of ["2147483648ms", "597h", "99999999999999999999h"]) {
    assert.throws(() => parseDurationMs(text), { message: `"${text}" is too long, want at most 596h` });
  }
});

test("no text throws anything but a usage error, and a duration is never negative or not finite", () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9.hmsuµn +-]{0,12}$/));
  fc.assert(
    fc.property(text, (value) => {
      try {
        const ms = parseDurationMs(value);
        assert.ok(ms >= 0 && ms <= DURATION_MS_MAX);
      } catch (error) {
        assert.ok(error instanceof UsageError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

test("sizes are KiB, MiB, GiB or bytes, and nothing else", () => {
  assert.equal(parseSizeBytes("64KiB"), 65_536);
  assert.equal(parseSizeBytes("16MiB"), 16_777_216);
  assert.equal(parseSizeBytes("1GiB"), SIZE_BYTES_MAX);
  assert.equal(parseSizeBytes("1000"), 1_000);
  for (const text of ["", "16MB", "16M", "16Mi", "16mib", "1.5MiB", "-1", "16 MiB", "B", "1e3", "0x10"]) {
    assert.throws(() => parseSizeBytes(text), {
      message: `"${text}" is no size, want one such as 64KiB, 16MiB or 1048576 (bytes)`,
    });
  }
  for (const text of ["0", "0KiB", "2GiB", "99999999999999999999"]) {
    assert.throws(() => parseSizeBytes(text), { message: `"${text}" is out of range, want 1 to 1GiB` });
  }
});

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
