import assert from "node:assert/strict";
import fc from "fast-check";
import { findJsonErrorOffset, validateContent } from "../../src/watch/validate.ts";
import type { ValidateMode } from "../../src/config.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("content is judged by its format, with line and column", async () => {
  const cases: [string, string, ValidateMode, string | null][] = [
    ["a.yaml", "a: 1\nb: [1, 2]\n", "yaml", null],
    ["a.yaml", "a: 1\n---\nb: 2\n", "yaml", null],
    ["a.yaml", "", "yaml", null],
    ["a.yaml", "a: !Custom 1\n", "yaml", null],
    [
      "a.yaml",
      "a: 1\nb: [1, 2\nc: 3\n",
      "yaml",
      "no valid YAML: line 3, column 1: Flow sequence in block collection must be sufficiently indented and end with a ]",
    ],
    ["a.yaml", "a: 1\na: 2\n", "yaml", "no valid YAML: line 2, column 1: Map keys must be unique"],
    [
      "a.yaml",
      "x:\n  - {a: 1, b: {c: 1, c: 2}}\n",
      "yaml",
      "no valid YAML: line 2, column 22: Map keys must be unique",
    ],
    [
      "a.yaml",
      "a: {b: 1, b: 2}\na: 1\n",
      "yaml",
      "no valid YAML: line 1, column 11: Map keys must be unique",
    ],
    ["a.yaml", "? {a: 1, a: 2}\n: 1\n", "yaml", "no valid YAML: line 1, column 10: Map keys must be unique"],
    [
      "a.yaml",
      'ok: 1\n---\n"k": 1\nk: 2\n',
      "yaml",
      "no valid YAML: line 4, column 1: Map keys must be unique",
    ],
    ["a.yaml", 'a: 1\nb: {a: 1}\nc: [{a: 1}, {a: 1}, a, a]\n"1": x\n1: y\n', "yaml", null],
    [
      "a.yaml",
      "ok: 1\n---\na: b: c\n",
      "yaml",
      "no valid YAML: line 3, column 4: Nested mappings are not allowed in compact mappings",
    ],
    ["a.json", '{"a": [1, 2]}\n', "json", null],
    [
      "a.json",
      '{\n  "a": 1,\n}\n',
      "json",
      "no valid JSON: line 3, column 1: Expected double-quoted property name",
    ],
    ["a.json", '{\n  "a": secret\n}\n', "json", "no valid JSON: line 2, column 8: unexpected token"],
    ["a.json", "", "json", "no valid JSON: line 1, column 1: unexpected end"],
    ["a.conf", "a: [", "auto", null],
    [
      "a.YML",
      "a: [",
      "auto",
      "no valid YAML: line 1, column 5: Flow sequence in block collection must be sufficiently indented and end with a ]",
    ],
    ["a.json.gz", "{", "auto", "no valid JSON: line 1, column 2: Expected property name or '}'"],
    ["a.yaml", "a: [", "none", null],
  ];
  for (const [name, text, mode, expected] of cases) {
    assert.equal(await validateContent(name, bytes(text), mode), expected, `${name}: ${text}`);
  }
});

Deno.test("YAML of many keys, anchors or levels takes its author's time, not the sidecar's", async () => {
  const lines = (count: number, line: (n: number) => string) =>
    Array.from({ length: count }, (_, n) => line(n)).join("");
  const texts = [
    lines(60_000, (n) => `k${n}: v\n`),
    lines(20_000, (n) => `k${n}: &a${n} v\nl${n}: *a${n}\n`),
    `a: &a [x, x]\n${lines(24, (n) => `${String.fromCharCode(98 + n)}: &b${n} [*a, *a]\n`)}`,
  ];
  for (const text of texts) {
    const startMs = performance.now();
    assert.equal(await validateContent("a.yaml", bytes(text), "yaml"), null);
    // Comparing each key with each other took 49 s for the first and 90 for the second.
    assert.ok(
      performance.now() - startMs < 15_000,
      `${text.length} bytes took ${performance.now() - startMs} ms`,
    );
  }
  for (const depth of [500, 100_000]) {
    for (const text of ["[".repeat(depth), "[".repeat(depth) + "]".repeat(depth), "- ".repeat(depth)]) {
      assert.notEqual(await validateContent("a.yaml", bytes(text), "yaml"), undefined);
    }
  }
});

Deno.test("content that is not UTF-8 is no valid text", async () => {
  assert.equal(
    await validateContent("a.yaml", new Uint8Array([0x61, 0xff]), "yaml"),
    "no valid YAML: not UTF-8",
  );
});

Deno.test("no message repeats content, which may be secret", async () => {
  const texts = [
    "a: *hunter2",
    'a: "x" "hunter2"',
    "a: hunter2: hunter2",
    "- hunter2\nhunter2",
    "%hunter2 x\n---\n@hunter2",
    "a: [hunter2",
    "a: 'hunter2",
    "hunter2: |9x\n hunter2",
    "\thunter2: 1",
  ];
  for (const text of texts) {
    for (const mode of ["yaml", "json"] as const) {
      const problem = await validateContent("a", bytes(text), mode);
      assert.ok(!(problem ?? "").includes("hunter2"), `${text}: ${problem}`);
    }
  }
});

Deno.test("the offset found in broken JSON is where V8 finds it", () => {
  const known = /at position (\d+)/;
  const json = fc.json().chain((text) =>
    fc.tuple(
      fc.constant(text),
      fc.nat(text.length),
      fc.constantFrom("", "}", "]", ",", ":", "x", '"', "1", " "),
    )
  );
  fc.assert(fc.property(json, ([text, at, insert]) => {
    const broken = text.slice(0, at) + insert + text.slice(at + 1);
    try {
      JSON.parse(broken);
    } catch (error) {
      const match = known.exec((error as Error).message);
      const offset = findJsonErrorOffset(broken);
      assert.ok(offset >= 0 && offset <= broken.length);
      // Inside of numbers and strings V8 points at the character, this at the beginning of the token.
      if (
        match !== null &&
        /property name|after array|after property value|non-whitespace/.test((error as Error).message)
      ) {
        assert.equal(offset, Number(match[1]), broken);
      }
    }
  }));
});
