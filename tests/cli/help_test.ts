import assert from "node:assert/strict";
import { findFlag, FLAG_NAMES, variableOf } from "../../src/cli/flags.ts";
import { renderFlagTable } from "../../scripts/docs.ts";
import { renderHelp, renderVersion } from "../../src/cli/help.ts";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { splitShellWords } from "../../src/cli/values.ts";
import { VERSION } from "../../src/version.ts";
import { CWD } from "./support.ts";
import { test } from "../support/strict.ts";

const COMMANDS = ["run", "check", "healthcheck"];

const GROUPS = [...new Set(FLAG_NAMES.map((name) => findFlag(name)!.group))];

test("help fits 80 columns, has no trailing blanks and ends with a line end", () => {
  for (const command of COMMANDS) {
    const text = renderHelp(command);
    for (const line of text.split("\n")) {
      assert.ok([...line].length <= 80, line);
      assert.equal(line, line.trimEnd());
    }
    assert.ok(text.endsWith("\n") && !text.endsWith("\n\n"));
  }
  assert.equal(renderHelp("nonsense"), renderHelp("run"));
});

test("help of run and check lists every flag in its group, with default and variables", () => {
  for (const command of ["run", "check"]) {
    const text = renderHelp(command);
    const sections = text.split(/\n(?=[A-Z][a-z ]+:\n)/);
    const seen: string[] = [];
    for (const group of GROUPS) {
      const section = sections.find((candidate) => candidate.startsWith(`${group}:\n`));
      assert.ok(section, group);
      for (const entry of section.split(/\n {2}(?=--)/).slice(1)) {
        const name = FLAG_NAMES.find((candidate) => entry.match(/^--([a-z-]+)/)?.[1] === candidate)!;
        const flag = findFlag(name)!;
        seen.push(name);
        assert.equal(flag.group, group);
        const words = entry.replace(/\s+/g, " ");
        assert.ok(words.includes(flag.help), name);
        assert.ok(words.includes(`[${variableOf(name)}]`), name);
        if (flag.default !== undefined) assert.ok(words.includes(`[default: ${flag.default}]`), name);
        if (flag.plainVariable) assert.ok(words.includes(`[${flag.plainVariable}]`), name);
      }
    }
    assert.deepEqual(seen, FLAG_NAMES);
  }
});

test("help of healthcheck names the few flags that count there", () => {
  const flags = [...renderHelp("healthcheck").matchAll(/^ {2}--([a-z-]+) [A-Z]/gm)].map((match) => match[1]);
  assert.deepEqual(flags, ["http-timeout", "metrics-port", "metrics-host", "tls-cert-file"]);
});

test("every example in the help is a command line that is taken", () => {
  let examples = 0;
  for (const command of COMMANDS) {
    const joined = renderHelp(command).replaceAll("\\\n", "");
    for (const [, line] of joined.matchAll(/^ {2}(config-reloader (?!.*(?:\[flags\]|SHELL|bash\|)).*)$/gm)) {
      if (line!.includes("       ")) continue;
      const [, ...args] = splitShellWords(line!.replace(/ [>|] .*$/, ""));
      const parsed = parseCommandLine(args, {}, CWD);
      assert.notEqual(parsed.kind, "usage", `${line}: ${JSON.stringify(parsed)}`);
      examples++;
    }
  }
  assert.ok(examples >= 6, `${examples} examples`);
});

test("the README's table has one row a flag and as many cells in each", () => {
  const lines = renderFlagTable().trimEnd().split("\n");
  const cells = lines.map((line) => line.split(/(?<!\\)\|/).length);
  assert.deepEqual([...new Set(cells)], [6]);
  const flags = lines.flatMap((line) => line.match(/^\| `--([a-z-]+)/)?.[1] ?? []);
  assert.deepEqual(flags, FLAG_NAMES);
  assert.equal(lines.length, 2 + GROUPS.length + FLAG_NAMES.length);
  assert.ok(lines.includes(
    "| `--interval DURATION` | `5s` | `CONFIG_RELOADER_INTERVAL`, `INTERVAL` | full re-check, whatever the watcher says |",
  ));
});

test("version says which build on which runtime, on one line", async () => {
  assert.equal(renderVersion(), `config-reloader ${VERSION} (revision source, deno ${Deno.version.deno})\n`);
  const line = parseCommandLine(["--version"], {}, CWD);
  assert.equal(line.kind === "print" && await line.render(), renderVersion());
  const help = parseCommandLine(["check", "-h"], {}, CWD);
  assert.equal(help.kind === "print" && await help.render(), renderHelp("check"));
});
