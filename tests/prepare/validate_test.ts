import assert from "node:assert/strict";
import fc from "fast-check";
import { findJsonErrorOffset, validateContent } from "../../src/prepare/validate.ts";
import type { ValidateMode } from "../../src/config.ts";
import { test } from "../support/strict.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

test("content is judged by its format, with line and column", async () => {
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

test("what no YAML or JSON may hold is invalid, with line and column", async () => {
  const printable = "A control character is not allowed";
  const alias = "Alias without an anchor before it";
  const cases: [string, string][] = [
    ["a: *nope\n", `line 1, column 4: ${alias}`],
    ["ok: 1\nb: *x\na: &x 1\n", `line 2, column 4: ${alias}`],
    ["a: &x 1\n---\nb: *x\n", `line 3, column 4: ${alias}`],
    ["a:\n  - <<: *base\n", `line 2, column 9: ${alias}`],
    ["? *k\n: 1\n", `line 1, column 3: ${alias}`],
    ["a: 1\nb: x\x00y\n", `line 2, column 5: ${printable}`],
    ["a: 'bell \x07'\n", `line 1, column 10: ${printable}`],
    ["# only a comment \x1b[2J\na: 1\n", `line 1, column 18: ${printable}`],
    ["a: 1\nb: |\n  x\n  \x7f\n", `line 4, column 3: ${printable}`],
    ["a: \ufffe\n", `line 1, column 4: ${printable}`],
  ];
  for (const [text, where] of cases) {
    assert.equal(await validateContent("a.yaml", bytes(text), "yaml"), `no valid YAML: ${where}`, text);
  }
  const good = [
    "\ufeffa: 1\n",
    "a: &x 1\nb: *x\n",
    "a: &x {b: 1}\nc: {<<: *x}\n",
    "a: &x 1\nb: &x 2\nc: *x\n",
    "a: tab\tand next line\x85 and \u{1f600}\r\n",
    'a: "\\0 \\a"\n',
  ];
  for (const text of good) assert.equal(await validateContent("a.yaml", bytes(text), "yaml"), null, text);
  assert.equal(
    await validateContent("a.json", bytes('\ufeff{"a": 1}'), "json"),
    "no valid JSON: line 1, column 1: a byte order mark, which JSON has none of",
  );
});

test("content that is too large to be looked at is refused, with the way out", async () => {
  const wayOut = "; set --validate none";
  const yaml = `too large to be validated as YAML: more than 15000 keys, values and marks${wayOut}`;
  const hostile = [
    "-\n".repeat(400_000),
    `[${",".repeat(800_000)}]`,
    `[${"[],".repeat(250_000)}]`,
    "---\n".repeat(200_000),
    "a:\n".repeat(250_000),
    "\n".repeat(1_000_000),
    "#\n".repeat(500_000),
  ];
  for (const text of hostile) {
    const startMs = performance.now();
    assert.equal(await validateContent("a.yaml", bytes(text), "yaml"), yaml, text.slice(0, 6));
    const ms = performance.now() - startMs;
    assert.ok(ms < 60_000, `${text.slice(0, 6)} took ${ms} ms`);
  }
  for (const [name, format] of [["a.yaml", "YAML"], ["a.json", "JSON"]] as const) {
    assert.equal(
      await validateContent(name, bytes(`"${"x".repeat(1024 * 1024)}"`), "auto"),
      `too large to be validated as ${format}: 1048578 bytes, at most 1048576 are${wayOut}`,
    );
    assert.equal(await validateContent(name, bytes(`"${"x".repeat(1024 * 1024 - 2)}"`), "auto"), null);
  }
  const rule = (n: number) =>
    `      - alert: HighErrorRate${n}\n        expr: sum(rate(http_requests_total{job="app"}[5m])) by (pod) > 0.${n}\n` +
    `        for: 10m\n        labels:\n          severity: page\n`;
  const rules = `groups:\n  - name: a\n    rules:\n${
    Array.from({ length: 850 }, (_, n) => rule(n)).join("")
  }`;
  assert.equal(await validateContent("a.yaml", bytes(rules), "yaml"), null, `${rules.length} bytes of rules`);
});

test("YAML of many keys, anchors or levels within the limit takes bounded time", async () => {
  const lines = (count: number, line: (n: number) => string) =>
    Array.from({ length: count }, (_, n) => line(n)).join("");
  const texts = [
    lines(4_500, (n) => `k${n}: v\n`),
    lines(1_900, (n) => `k${n}: &a${n} v\nl${n}: *a${n}\n`),
    `a: &a [x, x]\n${lines(24, (n) => `${String.fromCharCode(98 + n)}: &b${n} [*a, *a]\n`)}`,
  ];
  for (const text of texts) {
    const startMs = performance.now();
    assert.equal(await validateContent("a.yaml", bytes(text), "yaml"), null);
    const ms = performance.now() - startMs;
    assert.ok(ms < 60_000, `${text.length} bytes took ${ms} ms`);
  }
  for (const depth of [100, 400]) {
    const nested = "[".repeat(depth) + "]".repeat(depth);
    assert.equal(await validateContent("a.yaml", bytes(nested), "yaml"), null);
    assert.equal(await validateContent("a.yaml", bytes("- ".repeat(depth)), "yaml"), null);
  }
  for (const mark of ["[", "- ", "? ", "{a: "]) {
    const problem = await validateContent("a.yaml", bytes(mark.repeat(4_000)), "yaml");
    assert.match(problem ?? "", /^no valid YAML: line 1, column \d+: Nested too deep$/, mark);
  }
});

test("content that is not UTF-8 is no valid text", async () => {
  assert.equal(
    await validateContent("a.yaml", new Uint8Array([0x61, 0xff]), "yaml"),
    "no valid YAML: not UTF-8",
  );
});

test("no message repeats content, which may be secret", async () => {
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

test("the offset found in broken JSON is where V8 finds it", () => {
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
