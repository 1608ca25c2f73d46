import assert from "node:assert/strict";
import fc from "fast-check";
import { LineCounter, parseAllDocuments } from "yaml";
import { findJsonErrorOffset, validateContent } from "../../src/prepare/validate.ts";
import { createRandom, type SeededRandom } from "../support/random.ts";
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

/** A YAML text of some KiB with collections in collections; no key is there twice. */
function randomYaml(random: SeededRandom): string {
  let count = 0;
  const flow = (depth: number): string => {
    const items = Array.from({ length: random.int(0, depth > 1 ? 3 : 30) }, () => {
      const key = `g${count++}`;
      return { key, value: depth < 5 && random.chance(0.25) ? flow(depth + 1) : `f${count}` };
    });
    if (random.chance(0.5)) return `[${items.map(({ value }) => value).join(", ")}]`;
    return `{${items.map(({ key, value }) => `${key}: ${value}`).join(", ")}}`;
  };
  const block = (depth: number): string => {
    const [kind, pad] = [random.int(0, 2), " ".repeat(2 * depth)];
    return Array.from({ length: random.int(1, [40, 12, 6, 3][depth] ?? 2) }, () => {
      const head = kind === 1 ? `${pad}-` : `${pad}k${count++}:`;
      if (kind === 2) return `${head} ${flow(depth)}\n`;
      return head + (depth < 4 && random.chance(0.3) ? `\n${block(depth + 1)}` : " value\n");
    }).join("");
  };
  const sections = Array.from({ length: random.int(1, 9) }, () => `s${count++}:\n${block(1)}`).join("");
  return random.chance(0.3) ? `---\n${block(0)}---\n${sections}` : sections;
}

Deno.test("YAML composed in pieces has the error that it has as a whole", async () => {
  const random = createRandom(7);
  const words = [
    "a",
    '"q u"',
    "~",
    "x: y",
    "- z",
    "&a v",
    "*a",
    "!t v",
    "# c",
    "[1, 2]",
    "{a: 1}",
    "|",
    "\n",
    "",
  ];
  let [valid, invalid] = [0, 0];
  for (let i = 0; i < 80; i++) {
    let text = randomYaml(random);
    for (let cuts = Math.max(0, random.int(-2, 2)); cuts > 0; cuts--) {
      const at = random.int(0, text.length - 1);
      text = text.slice(0, at) + random.pick(words) + text.slice(at + random.int(0, 4));
    }
    const lines = new LineCounter();
    const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
    const offsets = [...documents].flatMap(({ errors }) => errors).map(({ pos }) => pos[0]);
    const { line, col } = lines.linePos(Math.min(...offsets, text.length));
    const expected = offsets.length === 0 ? null : `line ${line}, column ${col}`;
    const found = await validateContent("a.yaml", bytes(text), "yaml");
    assert.equal(found?.split(": ")[1] ?? null, expected, `text ${i}`);
    if (found === null) valid++;
    else invalid++;
  }
  assert.ok(valid > 15 && invalid > 15, `${valid} valid, ${invalid} invalid`);
});
