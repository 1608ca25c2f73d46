/**
 * The rules of the house as tests: what must be absent where, who may import whom, how long a file may be, and that
 * tables and code say the same. docs/ARCHITECTURE.md gives the reasons.
 */

import assert from "node:assert/strict";
import { findStale } from "../../scripts/docs.ts";
import { VERSION } from "../../src/version.ts";
import { test } from "../support/strict.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const read = (path: string) => Deno.readTextFileSync(ROOT + path);
const SOURCES = listFiles("src").filter((path) => path.endsWith(".ts"));
const TESTS = listFiles("tests").filter((path) => path.endsWith(".ts"));

function listFiles(dir: string): string[] {
  return [...Deno.readDirSync(ROOT + dir)].flatMap((entry) => {
    const path = `${dir}/${entry.name}`;
    return entry.isDirectory ? listFiles(path) : [path];
  }).sort();
}

/** Source without comments and string contents, so that only code counts. */
function codeOf(path: string): string {
  return read(path)
    .replace(/\/\*[\s\S]*?\*\//g, (text) => text.replace(/[^\n]/g, ""))
    .replace(/(^|[^:"'`\\])\/\/[^\n]*/g, "$1");
}

/** Lines of `paths` whose code matches, as `path:line: text`. */
function find(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    codeOf(path).split("\n").flatMap((line, index) =>
      pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []
    )
  );
}

test("src/reload is pure: no effects, no time, no chance", () => {
  const reload = SOURCES.filter((path) => path.startsWith("src/reload/"));
  assert.ok(reload.length > 4);
  assert.deepEqual(
    find(
      reload,
      /\b(Deno|fetch|setTimeout|setInterval|AbortSignal|Date|performance|console|crypto)\b|Math\.random/,
    ),
    [],
  );
});

test("judges, formats and the selection are pure, too", () => {
  const pure = SOURCES.filter((path) =>
    /src\/verify\/(amp|prometheus|json|http|judge)\.ts|src\/target\/(select|auto|choice|tree|matching|handler|firsts|rules)\.ts/
      .test(path)
  );
  assert.ok(pure.length >= 8, `${pure}`);
  assert.deepEqual(
    find(
      pure,
      /\bDeno\.(?!Signal\b)|\b(fetch|setTimeout|performance|console)\b|Math\.random|Date\.now|new Date\(\)/,
    ),
    [],
  );
});

test("only the clock reads the time for the loop", () => {
  const loop = SOURCES.filter((path) => /^src\/(loop|attempt|record)\//.test(path));
  assert.deepEqual(find(loop, /performance\.now|Date\.now/), []);
});

test("only the target's send.ts can signal a process", () => {
  const others = SOURCES.filter((path) =>
    path !== "src/target/send.ts" && path !== "src/prepare/check_command.ts"
  );
  assert.deepEqual(find(others, /Deno\.kill\(|\.kill\(/), []);
});

test("only main.ts exits", () => {
  assert.deepEqual(find(SOURCES, /Deno\.exit\(/), []);
});

/** Which room uses which; the shared ground (types, texts, paths, time) all may. From the outside in. */
const MAY_USE: Readonly<Record<string, readonly string[]>> = {
  "commands": [
    "fleet",
    "loop",
    "record",
    "attempt",
    "watch",
    "target",
    "trigger",
    "verify",
    "prepare",
    "http",
    "serve",
    "observe",
    "proc",
    "reload",
  ],
  "fleet": ["observe", "http"],
  "loop": ["record", "attempt", "reload"],
  "record": ["http", "observe", "reload"],
  "attempt": ["verify", "http", "reload"],
  "cli": ["http"],
  "serve": ["observe"],
  "trigger": ["http"],
  "verify": ["http"],
  "prepare": [],
  "target": ["proc"],
  "watch": ["proc"],
  "http": [],
  "observe": ["proc"],
  "reload": [],
  "proc": [],
};
/** Types, texts, paths and time, beside the rooms. */
const isGround = (path: string) => /^src\/[^/]+$/.test(path);

const roomOf = (path: string) => path.split("/")[1]!;

test("what `deno task test` runs needs neither root nor a package", () => {
  const anywhere = TESTS.filter((path) =>
    !/^tests\/(support|tidy)\/|^tests\/e2e\/[^/]+\//.test(path) && path.endsWith("_test.ts")
  );
  assert.ok(anywhere.length > 40);
  assert.deepEqual(
    find(
      anywhere,
      /pod_namespace|support\/apps\.ts|require(Root|Program)\(|apt-get|chromium|registerScripts\(\[.*"(user|mounts|limits)"/,
    ),
    [],
  );
});

test("arrows between rooms run only along the flow, and the ground uses no room", () => {
  const wrong: string[] = [];
  for (const path of SOURCES) {
    for (const [, target] of codeOf(path).matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)) {
      const to = new URL(target!, `file:///${path}`).pathname.slice(1);
      if (isGround(to)) continue;
      if (isGround(path)) wrong.push(`${path} -> ${to}: the ground uses no room`);
      else if (roomOf(path) !== roomOf(to) && !MAY_USE[roomOf(path)]?.includes(roomOf(to))) {
        wrong.push(`${path} -> ${to}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

test("the rooms stand in an order: each uses only rooms after it, and no arrow is allowed for nothing", () => {
  const order = Object.keys(MAY_USE);
  const rooms = new Set(SOURCES.filter((path) => !isGround(path)).map(roomOf));
  assert.deepEqual([...rooms].sort(), [...order].sort());
  for (const [room, others] of Object.entries(MAY_USE)) {
    const text = SOURCES.filter((path) => roomOf(path) === room).map(codeOf).join("\n");
    for (const other of others) {
      assert.ok(order.indexOf(other) > order.indexOf(room), `${room} -> ${other} runs against the flow`);
      assert.ok(text.includes(`../${other}/`), `${room} -> ${other} is not in use`);
    }
  }
});

test("ARCHITECTURE.md draws these arrows and no others", () => {
  const drawn = read("docs/ARCHITECTURE.md").split("\n").filter((line) => /^[a-z]+ → [a-z]/.test(line));
  const rooms = Object.entries(MAY_USE).filter(([, others]) => others.length > 0);
  assert.deepEqual(
    drawn.sort(),
    rooms.map(([room, others]) => `${room} → ${others.join(", ")}`).sort(),
  );
});

test("no circle of files: each can be read after those it uses, type imports included", () => {
  const uses = new Map(SOURCES.map((path) => [
    path,
    [...codeOf(path).matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map(([, target]) =>
      new URL(target!, `file:///${path}`).pathname.slice(1)
    ),
  ]));
  // Takes away what uses nothing more, again and again: what is left uses itself by some way.
  for (let size = NaN; uses.size !== size;) {
    size = uses.size;
    for (const [path, targets] of uses) if (!targets.some((target) => uses.has(target))) uses.delete(path);
  }
  assert.deepEqual([...uses.keys()], []);
});

test("nothing is exported that no other file uses, and nothing lives on in tests alone", () => {
  const product = ["main.ts", ...SOURCES, ...listFiles("scripts"), ...listFiles("bench")]
    .filter((path) => path.endsWith(".ts"));
  const code = new Map([...product, ...TESTS].map((path) => [path, codeOf(path)]));
  const idle: string[] = [];
  for (const path of SOURCES) {
    for (
      const [, name] of code.get(path)!.matchAll(/^export (?:async )?(?:function\*?|class|const) (\w+)/gm)
    ) {
      const uses = (paths: readonly string[]) =>
        paths.some((other) => other !== path && new RegExp(`\\b${name}\\b`).test(code.get(other)!));
      const usesItself = code.get(path)!.match(new RegExp(`\\b${name}\\b`, "g"))!.length > 1;
      if (!uses(product) && !(usesItself && uses(TESTS))) idle.push(`${path}: ${name}`);
    }
  }
  assert.deepEqual(idle, []);
});

/** Files past 250 lines, each with its reason. */
const LONG: Readonly<Record<string, string>> = {
  "src/cli/flags.ts": "one table, of data",
  "src/prepare/outputs.ts": "one run, and each of its steps",
  "src/model.ts": "types only, and the closed sets of words that are labels of metrics",
  "src/reload/model.ts": "types only: everything that is remembered, with every event and effect",
  "src/reload/look.ts": "one look, from what was read to what follows",
  "src/reload/step.ts": "the one step: each event with what it means in each phase",
  "src/attempt/verification.ts": "one verification, from the first pause to its result",
};

test("files stay short: 250 lines without the examples in doc comments, or a reason", () => {
  const isLong = (path: string) =>
    read(path).replace(/^ *\* @example\n *\* ```ts\n[\s\S]*?```\n/gm, "").split("\n").length > 251;
  assert.deepEqual(SOURCES.filter((path) => isLong(path) && LONG[path] === undefined), []);
  const gone = Object.keys(LONG).filter((path) => !SOURCES.includes(path) || !isLong(path));
  assert.deepEqual(gone, [], "needs no reason any more");
});

test("functions fit a screen: 80 lines, factories with what they hold", () => {
  const long: string[] = [];
  for (const path of SOURCES) {
    const begun: { line: number; indent: string; name: string }[] = [];
    read(path).split("\n").forEach((line, index) => {
      const head = /^( *)(?:export )?(?:async )?function\*? (\w+)/.exec(line);
      if (head) begun.push({ line: index, indent: head[1]!, name: head[2]! });
      const begin = begun.at(-1);
      if (begin && line === `${begin.indent}}`) {
        begun.pop();
        if (index - begin.line + 1 > 80) long.push(`${path}: ${begin.name}`);
      }
    });
  }
  assert.deepEqual(long, []);
});

test("each source file says what it is, each export what it does", () => {
  const silent: string[] = [];
  for (const path of SOURCES) {
    const lines = read(path).split("\n");
    if (!lines[0]!.startsWith("/**")) silent.push(`${path}: no opening comment`);
    lines.forEach((line, index) => {
      const isExport = /^export (async )?(function|const|interface|type|class)/.test(line);
      // A run of one-line types may share the comment of the first.
      const before = lines[index - 1] ?? "";
      if (
        isExport && !/\*\/$/.test(before) && !/^export type .*;$/.test(before) &&
        !/^\/\/ deno-lint/.test(before)
      ) {
        silent.push(`${path}:${index + 1}: ${line}`);
      }
    });
  }
  assert.deepEqual(silent, []);
});

test("no test is skipped, narrowed or asleep", () => {
  const others = TESTS.filter((path) => path !== "tests/tidy/tidy_test.ts");
  assert.deepEqual(find(others, /\.only\(|only: true|ignore: true|\.ignore\(|\.skip\(/), []);
});

test("documents, version, changelog and code say the same", () => {
  assert.deepEqual(findStale(), [], "run `deno task docs`");
  assert.equal(JSON.parse(read("deno.json")).version, VERSION);
  assert.match(read("CHANGELOG.md"), new RegExp(`^## ${VERSION.replaceAll(".", "\\.")}`, "m"));
});

test("every dependency is pinned exactly, and ARCHITECTURE.md has a line on it", () => {
  const { imports } = JSON.parse(read("deno.json")) as { imports: Record<string, string> };
  const architecture = read("docs/ARCHITECTURE.md");
  for (const [name, target] of Object.entries(imports)) {
    assert.match(target, /^npm:(@[\w-]+\/)?[\w-]+@\d+\.\d+\.\d+$/, name);
    assert.ok(architecture.includes(`\`${name}\``), `ARCHITECTURE.md says nothing about ${name}`);
  }
});
