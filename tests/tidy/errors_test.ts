/**
 * docs/errors.md against the source: every stable code and every error text of `src` has a row, no row tells of what is
 * gone, and the test that each row names is there. Texts are compared by their fixed parts, between the values.
 */

import assert from "node:assert/strict";
import { test } from "../support/strict.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const read = (path: string) => Deno.readTextFileSync(ROOT + path);

function listSources(dir: string): string[] {
  return [...Deno.readDirSync(ROOT + dir)].flatMap(({ name, isDirectory }) =>
    isDirectory ? listSources(`${dir}/${name}`) : name.endsWith(".ts") ? [`${dir}/${name}`] : []
  ).sort();
}

/** Source without comments, with strings that are put together in one piece, and `…` for each value in them. */
function textOf(path: string): string {
  let text = read(path).replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  for (let before = ""; before !== text;) {
    before = text;
    text = text.replace(/\$\{[^{}]*\}/g, "…");
  }
  return text.replace(/["`]\s*\+\s*["`]/g, "").replace(/\\(["`\\])/g, "$1");
}

const SOURCES = new Map(listSources("src").map((path) => [path, textOf(path)]));
const ALL = [...SOURCES.values()].join("\n");

interface Row {
  readonly codes: readonly string[];
  readonly texts: readonly string[];
  readonly file: string;
  readonly test: string;
}

/** The rows of all tables of five cells: code, text, meaning, what to do, test. */
function readRows(): Row[] {
  return read("docs/errors.md").split("\n").filter((line) => /^\| *(`|–)/.test(line)).map((line) => {
    const cells = line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim().replaceAll("\\|", "|"));
    assert.equal(cells.length, 5, `five cells in: ${line}`);
    const [codes, text, , , where] = cells as [string, string, string, string, string];
    const found = /^`(tests\/[\w/]+\.ts)`: (.+)$/.exec(where);
    assert.ok(found || where === "–", `a file and the name of a test in: ${line}`);
    return {
      codes: [...codes.matchAll(/`([a-z-]+)`/g)].map(([, code]) => code!),
      texts: text.split(" · "),
      file: found?.[1] ?? "",
      test: found?.[2] ?? "",
    };
  });
}

const ROWS = readRows();

/** What stands between the values of a text. */
const partsOf = (text: string) =>
  text.split("…").map((part) => part.trim()).filter((part) => part.length > 3);

/** Texts without a test that provokes them, each with the reason. */
const UNPROVOKED: Readonly<Record<string, string>> = {
  "the volume has no ..data: it is being replaced": "two steps of kubelet, microseconds apart",
  "more than … files": "needs 50,000 files",
  "the disk does not answer": "needs a network file system that hangs",
  "internal error: …": "a fault nobody knows of yet",
  "It has no handler for … and may die of it (--allow-unhandled-signal)":
    "check only; the rule is in tests/target",
  "The kernel gives no events (…); … finds changes":
    "check only; the watcher's scripts l01 to l03 use up the limits",
};

test("each row names a test that is there, but for a few with a reason", () => {
  const without = ROWS.filter(({ file }) => file === "").map(({ texts }) => texts[0]!);
  assert.deepEqual(without, Object.keys(UNPROVOKED));
  const missing = ROWS.filter(({ file }) => file !== "").filter(({ file, test }) => {
    try {
      return !read(file).replace(/\\"/g, '"').includes(test);
    } catch {
      return true;
    }
  });
  assert.deepEqual(missing.map(({ file, test }) => `${file}: ${test}`), []);
});

test("each row tells of codes and texts that the source has", () => {
  const gone = ROWS.flatMap(({ codes, texts }) => [
    ...codes.filter((code) => !ALL.includes(`"${code}"`)).map((code) => `code ${code}`),
    ...texts.flatMap(partsOf).filter((part) => !ALL.includes(part)),
  ]);
  assert.deepEqual(gone, []);
});

/** What `check` says where all is well. */
const FINE =
  "permitted ready content settling setting target status handled app-mount port poll inotify swapped plain no-trigger trigger-url";

test("each code that a log, the status or check can tell has a row", () => {
  const codes = new Set<string>();
  for (const [path, text] of SOURCES) {
    // The kinds of failed requests are for the program itself.
    if (path.startsWith("src/http/")) continue;
    for (
      const pattern of [
        /\bcode: "([a-z]+(?:-[a-z]+)*)"/g,
        /\b(?:none|notSent)\(\s*"([a-z-]+)"/g,
        /\b(?:say|found)\(\s*"(?:ok|warn|fault)",\s*"([a-z-]+)"/g,
        /\bfail\([^;]*?"([a-z-]+)",?\s*\)/g,
        /\bend\(\s*"(?:failed|timeout|rejected)"[^;]*?"([a-z-]+)",?\s*status/g,
        /\bcode = [^;]*?"([a-z-]+)"\s*:\s*"([a-z-]+)"/g,
        /\bcode: [^\n]*?\? "([a-z-]+)" : [^\n]*"([a-z-]+)"/g,
        /\btype ForbidCode = ([^;]+);/g,
      ]
    ) {
      for (const [, ...found] of text.matchAll(pattern)) {
        for (const code of found) {
          for (const [, word] of `"${code}"`.replaceAll('""', '"').matchAll(/"([a-z-]+)"/g)) {
            codes.add(word!);
          }
        }
      }
    }
  }
  assert.ok(codes.size > 40, `only ${codes.size} codes were found in the source`);
  const told = new Set(ROWS.flatMap(({ codes }) => codes));
  assert.deepEqual(
    [...codes].filter((code) => !told.has(code) && !FINE.split(" ").includes(code)).sort(),
    [],
  );
});

/** Not met by a user: caught and turned into another text, or a fault of the program itself. */
const INTERNAL = [
  /^stopped$/,
  /^internal error: /,
  /^Cannot parse (process|a process)/,
  /^Cannot assign requested address/,
  // What the command line has refused before.
  /is no URL; wanted|must start with http|must name a socket|is no HTTP method|Linux has no such signal/,
  /^neither --verify-ok nor/,
];

test("each error text of the source has a row", () => {
  const doc = ROWS.flatMap(({ texts }) => texts).join("\n");
  const untold: string[] = [];
  for (const [path, text] of SOURCES) {
    for (
      const pattern of [
        /new (?:Usage)?Error\(\s*(["`])((?:(?!\1)[^\n])+)\1/g,
        /new HttpError\(\s*"[a-z]+",\s*(["`])((?:(?!\1)[^\n])+)\1/g,
        /logger\.(?:warn|error)\(\s*(["`])((?:(?!\1)[^\n])+)\1/g,
        /\b(?:pending|rejected|problem|none|notSent|unusable|rest)\((?:\s*"[a-z-]+",|answer,)?\s*(["`])((?:(?!\1)[^\n]){12,})\1/g,
        /(["`])((?:(?!\1)[^\n])*, want (?:(?!\1)[^\n])*)\1/g,
        /(["`])(Cannot (?:(?!\1)[^\n])+)\1/g,
      ]
    ) {
      for (const [, , message] of text.matchAll(pattern)) {
        const longest = partsOf(message!).sort((a, b) => b.length - a.length)[0];
        if (longest === undefined || INTERNAL.some((internal) => internal.test(message!))) continue;
        // A row may leave out the end of a long text: the way out, which has a column of its own.
        const said = longest.replace(/^[^\w/-]+|[^\w)-]+$/g, "").slice(0, 45).trim();
        if (said.length > 6 && message!.includes(" ") && !doc.includes(said)) {
          untold.push(`${path}: ${message}`);
        }
      }
    }
  }
  assert.deepEqual([...new Set(untold)], []);
});
