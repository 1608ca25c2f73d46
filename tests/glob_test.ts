import assert from "node:assert/strict";
import fc from "fast-check";
import { isGlob, parseGlob } from "../src/glob.ts";
import { test } from "./support/strict.ts";

test("a path is a pattern where a shell would take it for one", () => {
  const cases: [string, boolean][] = [
    ["/etc/app/config.yaml", false],
    ["/etc/app/*.yaml", true],
    ["/etc/app/a?c", true],
    ["/etc/app/[ab]", true],
    ["/etc/app/[ab", false],
    ["/etc/app/a]b", false],
    ["/etc/app/\\*.yaml", false],
    ["/etc/app/\\[ab]", false],
    ["/etc/[a/b]", false],
    ["/etc/**/x", true],
    ["/etc/[]", false],
    ["/etc/[]]", true],
    ["/etc/[!]", false],
    ["/etc/[!]]", true],
    ["/etc/[[:alpha:]", true],
    ["/etc/[a\\]", false],
    ["/etc/[a\\/b]", false],
    ["/etc/a\\", false],
  ];
  for (const [path, expected] of cases) assert.equal(isGlob(path), expected, path);
});

test("a pattern is cut at its first wildcard", () => {
  assert.equal(parseGlob("/etc/app/*.yaml").base, "/etc/app");
  assert.equal(parseGlob("/*").base, "/");
  assert.equal(parseGlob("/etc/*/x/*.yaml").base, "/etc");
  assert.equal(parseGlob("/etc/a\\*b/*.yaml").base, "/etc/a*b");
  assert.equal(parseGlob("/etc/*/x/*.yaml").parts.length, 3);
  assert.equal(parseGlob("/etc/**/x").parts[0], "**");
});

/** Names for the comparison with a real shell; no slash, no newline. */
const NAMES = [
  "a",
  "b",
  "ab",
  "abc",
  "a.yaml",
  ".hidden",
  ".a.yaml",
  "A",
  "a b",
  "a*b",
  "[a]",
  "a]",
  "-",
  "a-c",
  "5",
  "x5",
  "a\\b",
  "]",
  "!",
  "^",
  "_",
  "~",
];

test("patterns match what a shell matches", () => {
  const dir = Deno.makeTempDirSync({ prefix: "glob_" });
  try {
    for (const name of NAMES) Deno.writeTextFileSync(`${dir}/${name}`, "");
    const part = fc.array(
      fc.constantFrom(
        "*",
        "?",
        "[a-c]",
        "[!a]",
        "[^a]",
        "[]a]",
        "[[:digit:]]",
        "[[:alpha:]]",
        "a",
        "b",
        ".",
        "\\*",
        "-",
        "[a-]",
        "x",
        "[.]",
        "[!]a]",
        "[c-a]",
        "[!c-a]",
        "[c-ab]",
        "[[:digit:]-a]",
        "[a-c-]",
        "[\\]a]",
      ),
      { minLength: 1, maxLength: 4 },
    ).map((parts) => parts.join("")).filter((text) => isGlob(text) && text !== "**");
    fc.assert(
      fc.property(fc.array(part, { minLength: 40, maxLength: 40 }), (patterns) => {
        const script = patterns.map((pattern, i) =>
          `for f in ${pattern}; do printf '%s\\t%s\\n' ${i} "$f"; done`
        ).join("\n");
        const { stdout } = new Deno.Command("bash", {
          args: ["-c", `shopt -s nullglob; ${script}`],
          cwd: dir,
          env: { LC_ALL: "C.UTF-8" },
        }).outputSync();
        const found = patterns.map(() => [] as string[]);
        for (const line of new TextDecoder().decode(stdout).split("\n").filter((text) => text !== "")) {
          const [index, name] = line.split("\t");
          found[Number(index)]!.push(name!);
        }
        patterns.forEach((pattern, i) => {
          const match = parseGlob(`/d/${pattern}`).parts[0]!;
          assert.ok(typeof match === "function");
          assert.deepEqual(NAMES.filter(match).sort(), found[i]!.sort(), pattern);
        });
      }),
      { numRuns: 20 },
    );
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});

test("no pattern is too odd to be parsed", () => {
  const piece = fc.constantFrom(..."[]!^-\\:*?/az.", "[:alpha:]", "[:", ":]", "é", "\u{1F600}");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const path = `/d/${pieces.join("")}`;
      if (!isGlob(path)) return;
      const { parts } = parseGlob(path);
      assert.ok(parts.length > 0);
      for (const part of parts) assert.ok(part === "**" || typeof part("a") === "boolean");
    }),
    { numRuns: 5_000 },
  );
});

test("the volume's internals are never matched", () => {
  for (const pattern of ["*", ".*", "..*", "..data", "?.data", "[.].data"]) {
    const match = isGlob(`/d/${pattern}`) ? parseGlob(`/d/${pattern}`).parts[0]! : null;
    if (match === null) continue;
    assert.ok(typeof match === "function");
    assert.equal(match("..data"), false, pattern);
    assert.equal(match("..2026_11_24_08_16_55.1"), false, pattern);
  }
});

test("a question mark is one character, not one byte; classes are those of the C locale", () => {
  const match = parseGlob("/d/?").parts[0]!;
  const alpha = parseGlob("/d/[[:alpha:]]").parts[0]!;
  assert.ok(typeof match === "function" && typeof alpha === "function");
  assert.ok(match("é") && match("\u{1F600}") && !alpha("é"));
});
