import assert from "node:assert/strict";
import { renderCompletions } from "../../src/cli/completions.ts";
import { findFlag, FLAG_NAMES } from "../../src/cli/flags.ts";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { SHELLS } from "../../src/cli/shells.ts";
import { CWD } from "./support.ts";
import { STRICT } from "../support/strict.ts";

/** Runs a shell on a script and returns what it printed; fails the test where it fails. */
async function shell(program: string, args: string[], cwd?: string): Promise<string> {
  const options = { args, stdout: "piped", stderr: "piped", ...(cwd ? { cwd } : {}) } as const;
  const { stdout, stderr, code } = await new Deno.Command(program, options).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.equal(new TextDecoder().decode(stderr), "");
  return new TextDecoder().decode(stdout);
}

/** What bash offers for the words typed, the last one being completed; words as bash cuts them, so `=` is one. */
async function complete(words: string[], cwd?: string): Promise<string[]> {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const script = `${renderCompletions("bash")}
COMP_WORDS=(config-reloader ${quoted}); COMP_CWORD=${words.length}
_config_reloader config-reloader
printf '%s\\n' "\${COMPREPLY[@]}"`;
  return (await shell("bash", ["--norc", "-c", script], cwd)).split("\n").filter(Boolean);
}

Deno.test({
  name: "bash takes the script, and completes commands, flags, choices and files",
  ...STRICT,
  fn: async () => {
    await shell("bash", ["-n", "-c", renderCompletions("bash")]);
    assert.deepEqual(await complete([""]), ["run", "check", "healthcheck", "completions"]);
    assert.deepEqual(await complete(["ch"]), ["check"]);
    assert.deepEqual(await complete(["completions", ""]), ["bash", "zsh", "fish"]);
    const flags = await complete(["check", "--"]);
    assert.deepEqual(flags, [...FLAG_NAMES.map((name) => `--${name}`), "--help", "--version"]);
    assert.deepEqual(await complete(["--log-f"]), ["--log-format"]);
    assert.deepEqual(await complete(["--once", "--log-f"]), ["--log-format"]);
    assert.deepEqual(await complete(["--log-level", "w"]), ["warn"]);
    assert.deepEqual(await complete(["--log-level", "=", "w"]), ["warn"]);
    assert.deepEqual(await complete(["--log-level", "="]), ["debug", "info", "warn", "error"]);
    assert.deepEqual(await complete(["--once", "=", ""]), ["true", "false"]);
    assert.deepEqual(await complete(["--interval", ""]), []);
  },
});

Deno.test({
  name: "bash completes files, also with blanks in their names, and directories",
  ...STRICT,
  fn: async () => {
    const dir = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${dir}/a.yaml`, "");
      await Deno.writeTextFile(`${dir}/a b.yaml`, "");
      await Deno.mkdir(`${dir}/app`);
      assert.deepEqual((await complete(["--config-file", "a"], dir)).sort(), ["a b.yaml", "a.yaml", "app"]);
      assert.deepEqual((await complete(["--config-file", "=", "a."], dir)).sort(), ["a.yaml"]);
      assert.deepEqual(await complete(["--watched-dir", "a"], dir), ["app"]);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

Deno.test({
  // That zsh and fish take them stands in tests/e2e/shells: not every machine has these.
  name: "zsh and fish scripts name every flag with its help",
  ...STRICT,
  fn: () => {
    const zsh = renderCompletions("zsh");
    const fish = renderCompletions("fish");
    for (const name of FLAG_NAMES) {
      const { choices, placeholder } = findFlag(name)!;
      assert.equal(
        zsh.split("\n").filter((line) => new RegExp(`^ *'\\*?--${name}[=[]`).test(line)).length,
        1,
        name,
      );
      const row = fish.split("\n").find((line) => line.startsWith(`complete -c config-reloader -l ${name} `));
      assert.ok(row, name);
      if (choices && placeholder !== "") assert.ok(row.includes(`'${choices.join(" ")}'`), name);
    }
  },
});

Deno.test("the command prints the script of each shell", async () => {
  for (const name of SHELLS) {
    const line = parseCommandLine(["completions", name], {}, CWD);
    assert.equal(line.kind === "print" && await line.render(), renderCompletions(name));
  }
});
