/** On a terminal: nobody is ever asked whether a permission is granted (Deno prompts where there is one), and `check` has colours. */

import assert from "node:assert/strict";
import { attempt, ROOT } from "../../support/run.ts";
import { test } from "../../support/strict.ts";

/** Runs the program from source on a terminal that script(1) gives it. */
function onTerminal(permissions: string, args: string, env: Record<string, string>) {
  const command = `timeout 60 ${Deno.execPath()} run ${permissions} --no-check ${ROOT}/main.ts ${args}`;
  return attempt("script", ["-qec", command, "/dev/null"], { env, from: "the package bsdutils" });
}

test("without -A on a terminal the program says what is missing and ends, instead of asking", async () => {
  for (const permissions of ["", "--allow-read --allow-env"]) {
    const { code, out } = await onTerminal(permissions, "check", { NO_COLOR: "1" });
    assert.equal(code, 1, out);
    assert.match(out, /Deno's permissions are missing or cut: .*run it with -A/);
    assert.doesNotMatch(out, /Allow\?/);
  }
});

test("check: coloured on a terminal only, and not with NO_COLOR", async () => {
  const args = [
    "--config-file",
    `${ROOT}/deno.json`,
    "--trigger=http",
    "--trigger-url=http://localhost:8080/",
  ];
  const check = ["check", ...args, "--verify=none", "--metrics-port=0"];
  const isColoured = ({ code, out }: { code: number; out: string }) => {
    assert.ok(code === 0 && out.includes("Watched paths"), out);
    return out.includes("\u001b");
  };
  assert.equal(isColoured(await onTerminal("-A", check.join(" "), { NO_COLOR: "" })), true);
  assert.equal(isColoured(await onTerminal("-A", check.join(" "), { NO_COLOR: "1" })), false);
  const plain = ["run", "-A", "--no-check", `${ROOT}/main.ts`, ...check];
  assert.equal(isColoured(await attempt(Deno.execPath(), plain, { env: { NO_COLOR: "" } })), false);
});
