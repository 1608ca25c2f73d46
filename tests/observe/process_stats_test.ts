import assert from "node:assert/strict";
import { parseStat, readMaxFds } from "../../src/observe/process_stats.ts";
import { test } from "../support/strict.ts";

test("/proc/PID/stat is parsed after the last parenthesis, whatever the name holds", () => {
  const after = "S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 9 0 12345 1 2";
  for (const name of ["deno", "a) R 1 (b", "x y", ")"]) {
    assert.deepEqual(parseStat(`42 (${name}) ${after}\n`), { cpuTicks: 300, startTicks: 12345 });
  }
});

test("the descriptor limit is the soft one", async () => {
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", `ulimit -n 77; exec cat /proc/self/limits`],
  }).output();
  assert.match(new TextDecoder().decode(stdout), /^Max open files\s+77 /m);
  const shell = await new Deno.Command("sh", { args: ["-c", "ulimit -Sn"] }).output();
  assert.equal(readMaxFds(), Number(new TextDecoder().decode(shell.stdout)));
});
