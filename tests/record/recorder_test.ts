/** What the recorder keeps for `/status` beside the model: how the app is believed to be, and what is shown of the target. */

import assert from "node:assert/strict";
import { createLoopBench } from "../support/loop_bench.ts";
import { DOWN } from "../support/status.ts";
import { test } from "../support/strict.ts";

test("/status: how it was proved, and since when the app is in sync or not", async () => {
  const bench = createLoopBench({ retryIntervalMs: 1_000, maxBackoffMs: 1_000 });
  bench.start();
  await bench.clock.advance(1_000);
  bench.write("b");
  await bench.clock.advance(1_000);
  assert.equal(bench.status().proof, "counter");
  const good = bench.status().inSyncSinceWallMs;
  bench.reading = DOWN;
  bench.write("c");
  await bench.clock.advance(60_000);
  const { inSync, inSyncSinceWallMs } = bench.status();
  assert.deepEqual([inSync, inSyncSinceWallMs > good], [false, true]);
});

test("/status: an app that sees the content through stale mounts only is not in order, whatever a signal would do", async () => {
  const bench = createLoopBench();
  const message = "the app mounts /c by subPath";
  bench.staleMounts = {
    stale: [{ container: "app", reason: "subpath", mountPoint: "/c", message }],
    blind: true,
  };
  bench.start();
  await bench.clock.advance(1_000);
  const { target } = bench.status();
  assert.deepEqual([target?.ok, target?.code, target?.message], [false, "stale-mount", message]);
});
