import assert from "node:assert/strict";
import { readMaxFds } from "../../src/observe/process_stats.ts";
import { test } from "../support/strict.ts";

test("the descriptor limit is the soft one", async () => {
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", `ulimit -n 77; exec cat /proc/self/limits`],
  }).output();
  assert.match(new TextDecoder().decode(stdout), /^Max open files\s+77 /m);
  const shell = await new Deno.Command("sh", { args: ["-c", "ulimit -Sn"] }).output();
  assert.equal(readMaxFds(), Number(new TextDecoder().decode(shell.stdout)));
});
