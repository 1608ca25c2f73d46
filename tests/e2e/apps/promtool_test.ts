/** What Prometheus' own tool says of a scrape. Needs promtool (Debian: prometheus). */

import assert from "node:assert/strict";
import { createMetrics } from "../../../src/observe/metrics.ts";
import { createTestConfig } from "../../support/config.ts";
import { test } from "../../support/strict.ts";

test("promtool has nothing to say about a scrape", async () => {
  const watcher = { method: "inotify", reason: "", events: 1, errors: 0 } as const;
  const metrics = createMetrics(createTestConfig(), () => watcher);
  metrics.setContent("aaaaaaaaaaaa", 1);
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("promtool", {
      args: ["check", "metrics"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    throw new Error("This test needs promtool: apt-get install prometheus", { cause: error });
  }
  const stdin = child.stdin.getWriter();
  await stdin.write(new TextEncoder().encode(await metrics.render()));
  await stdin.close();
  const { code, stdout, stderr } = await child.output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  const complaints = said.trim().split("\n").filter((line) => line !== "");
  assert.deepEqual(complaints, [], `exit code ${code}`);
});
