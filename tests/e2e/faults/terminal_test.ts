/** On a terminal: nobody is ever asked whether a permission is granted (failures: Deno prompts where there is one). */

import assert from "node:assert/strict";
import { requireProgram } from "../../support/scene.ts";
import { test } from "../../support/strict.ts";

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;

test("without -A on a terminal the program says what is missing and ends, instead of asking", async () => {
  requireProgram("script", "the package bsdutils");
  for (const permissions of ["", "--allow-read --allow-env"]) {
    const command = `timeout 15 ${Deno.execPath()} run ${permissions} ${MAIN} check`;
    const { code, stdout } = await new Deno.Command("script", {
      args: ["-qec", command, "/dev/null"],
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const text = new TextDecoder().decode(stdout);
    assert.equal(code, 1, text);
    assert.match(text, /Deno's permissions are missing or cut: .*run it with -A/);
    assert.doesNotMatch(text, /Allow\?/);
  }
});
