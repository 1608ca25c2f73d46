/** What Prometheus' own tool says of a scrape. Needs promtool (Debian: prometheus). */

import assert from "node:assert/strict";
import { createMetrics } from "../../../src/observe/metrics.ts";
import { createTestConfig } from "../../support/config.ts";
import { attempt } from "../../support/run.ts";
import { test } from "../../support/strict.ts";

test("promtool has nothing to say about a scrape", async () => {
  const watcher = { method: "inotify", reason: "", events: 1, errors: 0 } as const;
  const metrics = createMetrics(createTestConfig(), () => watcher);
  metrics.setContent("aaaaaaaaaaaa", 1);
  const { code, out, err } = await attempt("promtool", ["check", "metrics"], {
    stdin: await metrics.render(),
    from: "the package prometheus",
  });
  const said = out + err;
  const complaints = said.trim().split("\n").filter((line) => line !== "");
  assert.deepEqual(complaints, [], `exit code ${code}`);
});
