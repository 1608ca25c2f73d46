/** The completion scripts in the shells that they are for; bash, which every machine has, is tried in tests/cli. */

import assert from "node:assert/strict";
import { renderCompletions } from "../../../src/cli/completions.ts";
import { FLAG_NAMES } from "../../../src/cli/flags.ts";
import { requireProgram } from "../../support/scene.ts";
import { test } from "../../support/strict.ts";

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Runs a shell with a home of its own and returns what it printed; fails the test where it fails or complains. */
async function shell(program: string, args: readonly string[]): Promise<string> {
  requireProgram(program, `the package ${program}`);
  const home = await Deno.makeTempDir({ prefix: "shell-" });
  try {
    const options = { args: [...args], cwd: home, env: { HOME: home, XDG_CONFIG_HOME: home, TERM: "dumb" } };
    const { code, stdout, stderr } = await new Deno.Command(program, options).output();
    assert.deepEqual({ code, stderr: decode(stderr) }, { code: 0, stderr: "" });
    return decode(stdout);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** What fish offers for a command line, the last word being completed; without the descriptions. */
async function fishOffers(line: string): Promise<string[]> {
  const script = `${renderCompletions("fish")}\ncomplete -C '${line}'`;
  const offers = await shell("fish", ["-N", "-c", script]);
  return offers.split("\n").filter(Boolean).map((offer) => offer.split("\t")[0]!);
}

test("zsh takes the script, and has it for this command", async () => {
  const script = renderCompletions("zsh");
  await shell("zsh", ["-f", "-n", "-c", script]);
  const source = `autoload -Uz compinit && compinit -u -D\n${script}\nprint -r -- $_comps[config-reloader]`;
  assert.equal(await shell("zsh", ["-f", "-c", source]), "_config_reloader\n");
});

test("zsh completes commands, flags, choices and shells", async () => {
  const offers = async (line: string) => {
    const text = await shell("zsh", ["-f", "-c", ZSH_DRIVER, "driver", renderCompletions("zsh"), line]);
    const offered = /<BEGIN>([\s\S]*?)<END>/.exec(text)?.[1]?.split(/\s+/).filter(Boolean);
    return offered === undefined ? text : [...new Set(offered)].sort();
  };
  assert.deepEqual(await offers("config-reloader "), ["check", "completions", "healthcheck", "run"]);
  assert.deepEqual(await offers("config-reloader completions "), ["bash", "fish", "zsh"]);
  assert.deepEqual(await offers("config-reloader --log-level "), ["debug", "error", "info", "warn"]);
  assert.deepEqual(await offers("config-reloader --log-"), ["--log-format", "--log-level"]);
});

/**
 * Types a command line ($2) and TAB into a zsh that has the script ($1), on a terminal of its own, and prints what the
 * completion system was offered, between two marks.
 */
const ZSH_DRIVER = String.raw`
zmodload zsh/zpty
zpty -b inner zsh -f -i
zpty -w inner 'PROMPT=; autoload -Uz compinit; compinit -u -D'
print -r -- "$1" > _script
zpty -w inner 'source ./_script'
zpty -w inner 'compadd() {
  local -a given; builtin compadd -O given "$@" 2>/dev/null
  all+=($given)
  builtin compadd "$@"
}'
zpty -w inner 'collect() { typeset -ga all=(); zle expand-or-complete; print -r -- "<BEGIN>" $all "<END>"; exit }'
zpty -w inner 'zle -N collect; bindkey "^I" collect; print READY$((1))'
zpty -r -m inner out '*READY1*'
zpty -n -w inner "$2"$'\t'
zpty -r -m inner out '*<END>*'
print -r -- "$out"
`;

test("fish takes the script, and completes commands, flags, choices and shells", async () => {
  await shell("fish", ["-N", "-n", "-c", renderCompletions("fish")]);
  assert.deepEqual((await fishOffers("config-reloader ")).sort(), [
    "check",
    "completions",
    "healthcheck",
    "run",
  ]);
  assert.deepEqual((await fishOffers("config-reloader completions ")).sort(), ["bash", "fish", "zsh"]);
  assert.deepEqual((await fishOffers("config-reloader --log-level ")).sort(), [
    "debug",
    "error",
    "info",
    "warn",
  ]);
  const flags = await fishOffers("config-reloader --");
  assert.deepEqual(FLAG_NAMES.filter((name) => !flags.some((flag) => flag.startsWith(`--${name}`))), []);
});
