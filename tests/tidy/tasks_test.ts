/** The repository's own tasks: each has `--help`, and none runs for a flag that it does not know. */

import assert from "node:assert/strict";
import { test } from "../support/strict.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const TASKS: Readonly<Record<string, { command: string }>> =
  JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`)).tasks;

async function run(task: string, flag: string) {
  const script = TASKS[task]!.command.split(" ").at(-1)!;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", script, flag],
    cwd: ROOT,
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), errors: text(stderr) };
}

for (const task of ["demo", "fuzz", "bench", "soak", "docs", "compile", "footprint"]) {
  test(`deno task ${task}: --help, and a flag that is not known`, async () => {
    const help = await run(task, "--help");
    assert.equal(help.code, 0);
    assert.match(help.out, new RegExp(`^usage: deno task ${task}\\b`));
    const wrong = await run(task, "--no-such-flag");
    assert.equal(wrong.code, 2);
    assert.match(wrong.errors, /^Unknown option '--no-such-flag'\n\nusage: /);
  });
}
