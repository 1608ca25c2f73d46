/** Cases of the loop where two features meet, each found wrong once. The simulation tries the rest. */

import assert from "node:assert/strict";
import { createLoopBench, DOWN } from "./support/loop_bench.ts";
import { test } from "./support/strict.ts";

test("--trigger http with --verify none: content found at the start is sent, and so is each change", async () => {
  const bench = createLoopBench({ trigger: "http", triggerUrls: ["http://app/-/reload"], verify: "none" });
  bench.start();
  await bench.clock.advance(100);
  assert.equal(bench.triggers.length, 1, "whether the app has read it cannot be known");
  bench.write("b");
  await bench.clock.advance(2_000);
  assert.equal(bench.triggers.length, 2);
  assert.deepEqual(bench.outcomes, ["success", "success"]);
});

test("--trigger http, no answer: waits at the start and says so once; a change is tried all the same", async () => {
  const bench = createLoopBench({ trigger: "http", triggerUrls: ["http://app/-/reload"] });
  bench.reading = DOWN;
  bench.start();
  await bench.clock.advance(60_000);
  assert.equal(bench.triggers.length, 0, "the app reads it when it starts");
  const said = bench.log.filter((line) => line.includes("Waiting for the app to answer"));
  assert.deepEqual(said, [
    "WARN Waiting for the app to answer: GET http://localhost:8080/health/reload: connection refused",
  ]);
  bench.write("b");
  await bench.clock.advance(31_000);
  assert.equal(bench.triggers.length, 1);
  assert.deepEqual(bench.outcomes, ["timeout"]);
});

test("--jitter after waiting for the app: drawn once, so that the reload comes", async () => {
  const bench = createLoopBench({ trigger: "http", triggerUrls: ["http://app/-/reload"], jitterMs: 10_000 });
  bench.reading = DOWN;
  bench.random = 0.5;
  bench.start();
  await bench.clock.advance(20_000);
  bench.reading = { kind: "status", status: { format: "http", code: 200 } };
  await bench.clock.advance(15_000);
  assert.deepEqual(bench.outcomes, ["success"]);
});
