/** Without all of Deno's permissions the program ends at once and says which are missing. */

import assert from "node:assert/strict";
import { test } from "../support/strict.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** Runs `check`, so that nothing stays running should the guard fail. */
async function run(permissions: readonly string[]) {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...permissions, MAIN, "check", "--trigger=none", "--verify=http"],
    stdin: "null",
    stdout: "null",
  }).output();
  return { code, text: new TextDecoder().decode(stderr) };
}

test("missing permissions, or some that are cut, are named, with the way out", async () => {
  const cases: [string[], string][] = [
    [[], "read, write, net, env, run, sys, ffi, import"],
    [["--allow-read=/proc", "--allow-env", "--allow-net"], "read, write, run, sys, ffi, import"],
    [["-A", "--deny-ffi=/nonexistent"], "ffi"],
    [["-A", "--deny-net"], "net"],
  ];
  const ends = await Promise.all(cases.map(([permissions]) => run(permissions)));
  for (const [at, [permissions, names]] of cases.entries()) {
    const { code, text } = ends[at]!;
    assert.equal(code, 1, `${permissions}: ${text}`);
    assert.match(text, /^[^\n]+: run it with -A [^\n]+\n$/, "one line");
    assert.ok(text.startsWith(`config-reloader: Deno's permissions are missing or cut: ${names}; `), text);
  }
});

test("with all permissions nothing is said", async () => {
  const { text } = await run(["-A"]);
  assert.equal(text, "");
});
