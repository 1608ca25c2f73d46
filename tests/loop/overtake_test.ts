/** Newer content overtakes a pending proof (contract: what happens on a change, 5). */

import assert from "node:assert/strict";
import { ampStatus, contentOf, createLoopBench } from "../support/loop_bench.ts";
import { DOWN } from "../support/status.ts";
import { test } from "../support/strict.ts";

/** A loop in sync with `a`; its app says nothing to `b` and loads what comes after it. */
async function silentFor(b: string, settings: Parameters<typeof createLoopBench>[0] = {}) {
  const bench = createLoopBench({ reloadOnStart: "never", ...settings });
  bench.start();
  await bench.clock.advance(1_000);
  const sent: string[] = [];
  const onTrigger = bench.onTrigger;
  bench.onTrigger = () => {
    const now = bench.disk.kind === "content" ? bench.disk.snapshot.digest : "";
    sent.push(now);
    if (now !== b) onTrigger();
  };
  bench.write(b);
  return { bench, sent };
}

test("2 s after the trigger newer content goes on in the same attempt: sent and proved anew, counted once", async () => {
  const { bench, sent } = await silentFor("b");
  await bench.clock.advance(3_000);
  const before = bench.clock.nowMs();
  const [running] = bench.status().reloads;
  assert.deepEqual([running?.newHash, running?.outcome], ["b", "in progress"]);
  assert.equal(running?.startedWallMs, bench.clock.wallMs() - 3_000);
  bench.write("c");
  await bench.clock.advance(1_000);
  assert.deepEqual(sent, ["b", "c"]);
  assert.ok(bench.triggers[1]! - before < 50, "3 s after the trigger there is nothing to wait for");
  assert.deepEqual([bench.started, bench.outcomes], [1, ["success"]]);
  assert.equal(bench.inSync, true);
  assert.ok(bench.logged("Config change detected (hash: a -> c)"), bench.log.join("\n"));
  const [{ newHash, startedWallMs } = assert.fail(), ...others] = bench.status().reloads;
  assert.deepEqual([newHash, startedWallMs, others], ["c", running.startedWallMs, []]);
});

test("a SIGHUP while a proof is pending leads to another try right after the attempt, also where newer content overtakes it", async () => {
  const { bench, sent } = await silentFor("b");
  const { onTrigger } = bench;
  bench.onTrigger = () => {
    onTrigger();
    if (sent.at(-1) === "c") bench.reading = ampStatus(bench.triggers.length + 1, "validation_failed");
  };
  bench.loop.hint("signal");
  await bench.clock.advance(3_000);
  bench.write("c");
  await bench.clock.advance(3_000);
  assert.deepEqual(sent, ["b", "c", "c"], "the pause before a retry is 5 s");
});

test("the applied content comes back while a proof is pending: it is said to be back, and is no change to itself", async () => {
  const { bench, sent } = await silentFor("b");
  await bench.clock.advance(3_000);
  bench.write("a");
  await bench.clock.advance(1_000);
  assert.deepEqual([sent, bench.started, bench.outcomes], [["b", "a"], 1, ["success"]]);
  assert.ok(bench.logged("Config is back to what was applied before (hash: a)"), bench.log.join("\n"));
  assert.ok(!bench.logged("(hash: a -> a)"), bench.log.join("\n"));
});

test("content that settles beside a reload has a cause in its record", async () => {
  const bench = createLoopBench({ reloadOnStart: "never" });
  bench.start();
  await bench.clock.advance(1_000);
  bench.onTrigger = () =>
    bench.clock.sleep(1_000).then(() => bench.reading = ampStatus(bench.triggers.length + 1));
  bench.write("b");
  await bench.clock.advance(300);
  bench.disk = { kind: "settling", againAtMs: bench.clock.nowMs() + 200 };
  bench.loop.hint("event");
  await bench.clock.advance(100);
  bench.disk = contentOf("c", bench.clock.wallMs());
  await bench.clock.advance(5_000);
  const [last] = bench.status().reloads;
  assert.deepEqual([last?.newHash, last?.causes], ["c", ["settle"]]);
});

test("what was overtaken by content that cannot be read any more has failed, and says so", async () => {
  const { bench } = await silentFor("b");
  await bench.clock.advance(500);
  bench.write("c");
  await bench.clock.advance(1_400);
  bench.disk = {
    kind: "unreadable",
    files: [{ path: "/c", digest: null, sizeBytes: 0, error: "no such file" }],
  };
  await bench.clock.advance(1_000);
  assert.deepEqual([bench.triggers.length, bench.outcomes], [1, ["failed"]]);
  const reason = "the content changed before its reload was proved, and cannot be read now";
  assert.ok(bench.logged(`ERROR Reload failed: ${reason}; next try in 5s`), bench.log.join("\n"));
  // What the app has refused meanwhile it has refused for its own reason.
  const refused = (await silentFor("b")).bench;
  await refused.clock.advance(500);
  refused.disk = bench.disk;
  refused.reading = ampStatus(2, "validation_failed");
  await refused.clock.advance(1_000);
  assert.ok(refused.logged("ERROR Reload rejected by the app: validation_failed; next try in 5s"));
});

test("newer content that comes sooner waits for the 2 s, and no longer", async () => {
  const { bench } = await silentFor("b");
  await bench.clock.advance(500);
  bench.write("c");
  await bench.clock.advance(1_400);
  assert.equal(bench.triggers.length, 1);
  await bench.clock.advance(200);
  assert.equal(bench.triggers[1]! - bench.triggers[0]!, 2_000);
});

test("at SIGTERM the reload in progress is finished: newer content, which is not sent any more, does not end it", async () => {
  const { bench, sent } = await silentFor("b");
  await bench.clock.advance(1_000);
  bench.write("c");
  await bench.clock.advance(100);
  bench.stopping.abort();
  await bench.clock.advance(2_000);
  assert.deepEqual([bench.exitCode, bench.outcomes], [null, []]);
  bench.reading = ampStatus(2);
  await bench.clock.advance(1_000);
  assert.deepEqual([bench.exitCode, bench.outcomes, sent], [0, ["success"], ["b"]]);
});

test("SIGTERM while newer content takes over: neither is a failure", async () => {
  const { bench, sent } = await silentFor("b");
  await bench.clock.advance(1_500);
  bench.write("c");
  await bench.clock.advance(100);
  // The attempt ends for newer content, which is just being written anew.
  bench.disk = { kind: "settling", againAtMs: bench.clock.nowMs() + 5_000 };
  await bench.clock.advance(1_000);
  bench.stopping.abort();
  await bench.clock.advance(100);
  assert.deepEqual([bench.exitCode, bench.outcomes, sent], [0, [], ["b"]]);
  assert.ok(bench.logged("Stopped before the reload was proved"), bench.log.join("\n"));
});

test("a status URL that hangs does not hold it up", async () => {
  const { bench, sent } = await silentFor("b");
  await bench.clock.advance(100);
  bench.hangs = true;
  await bench.clock.advance(2_900);
  bench.write("c");
  await bench.clock.advance(1_500);
  assert.deepEqual(sent, ["b", "c"], "a baseline that hangs costs its second");
});

test("--min-reload-interval and --jitter hold for it, too", async () => {
  const gap = await silentFor("b", { minReloadIntervalMs: 10_000 });
  await gap.bench.clock.advance(3_000);
  gap.bench.write("c");
  await gap.bench.clock.advance(20_000);
  assert.equal(gap.bench.triggers[1]! - gap.bench.triggers[0]!, 10_000);

  const spread = await silentFor("b", { jitterMs: 8_000 });
  await spread.bench.clock.advance(3_000);
  spread.bench.random = 0.5;
  spread.bench.write("c");
  const seenAtMs = spread.bench.clock.nowMs();
  await spread.bench.clock.advance(10_000);
  assert.equal(spread.bench.triggers[1]! - seenAtMs, 4_000);
});

test("as soon as the app says no, newer content goes on; that no is logged and not counted", async () => {
  const bench = createLoopBench({ reloadOnStart: "never" });
  bench.start();
  await bench.clock.advance(1_000);
  bench.onTrigger = () => {
    if (bench.triggers.length > 1) bench.reading = ampStatus(3);
    else bench.clock.sleep(1_500).then(() => bench.reading = ampStatus(2, "validation_failed"));
  };
  bench.write("b");
  await bench.clock.advance(300);
  bench.write("c");
  await bench.clock.advance(3_000);
  const gapMs = bench.triggers[1]! - bench.triggers[0]!;
  assert.ok(gapMs >= 1_500 && gapMs < 2_000, `${gapMs}`);
  assert.deepEqual([bench.started, bench.outcomes], [1, ["success"]]);
  assert.ok(bench.logged("WARN Reload rejected by the app: validation_failed; going on with newer content"));
});

test("a no that comes within --min-reload-interval waits for it in the same attempt; if the content goes back, it counts", async () => {
  for (const [last, outcomes, triggers] of [["c", ["success"], 2], ["b", ["rejected"], 1]] as const) {
    const bench = createLoopBench({ reloadOnStart: "never" });
    bench.start();
    await bench.clock.advance(1_000);
    bench.onTrigger = () => {
      bench.reading = bench.triggers.length === 1 ? ampStatus(2, "validation_failed") : ampStatus(3);
      if (bench.triggers.length === 1) bench.write("c");
    };
    bench.write("b");
    await bench.clock.advance(500);
    assert.deepEqual([bench.started, bench.outcomes], [1, []]);
    bench.write(last);
    await bench.clock.advance(1_500);
    assert.deepEqual([bench.outcomes, bench.triggers.length], [outcomes, triggers]);
  }
});

test("it counts by how the newest content ends, and retries that", async () => {
  const { bench, sent } = await silentFor("b");
  await bench.clock.advance(3_000);
  bench.onTrigger = () => bench.reading = ampStatus(2, "validation_failed");
  bench.write("c");
  await bench.clock.advance(4_000);
  assert.deepEqual([bench.started, bench.outcomes, sent.length], [1, ["rejected"], 1]);
  await bench.clock.advance(3_000);
  assert.ok(bench.logged("Trying the reload again (hash: c, attempt 2)"), bench.log.join("\n"));
});

test("content that goes back to what was sent is sent again: what the app read in between is not known", async () => {
  const { bench, sent } = await silentFor("b");
  await bench.clock.advance(3_000);
  bench.onTrigger = () => {};
  bench.write("c");
  await bench.clock.advance(100);
  bench.onTrigger = () => bench.reading = ampStatus(2);
  bench.write("b");
  await bench.clock.advance(5_000);
  assert.deepEqual([sent.length, bench.triggers.length], [1, 3]);
  assert.deepEqual([bench.started, bench.outcomes], [1, ["success"]]);
});

test("an app that dies of the first content while the proof is pending: that content is never sent again", async () => {
  const bench = createLoopBench({ reloadOnStart: "never" });
  bench.start();
  await bench.clock.advance(1_000);
  bench.onTrigger = () => {
    bench.reading = ampStatus(2, "validation_failed");
    bench.write("c");
  };
  bench.write("b");
  await bench.clock.advance(400);
  [bench.target, bench.reading] = [null, DOWN];
  await bench.clock.advance(400);
  assert.ok(bench.logged("the signal killed it"), bench.log.join("\n"));
  assert.deepEqual(bench.loop.model().killed, ["b"]);
});

test("the time out of sync counts from when the content differed", async () => {
  const { bench } = await silentFor("b", { reloadTimeoutMs: 10_000 });
  await bench.clock.advance(12_000);
  assert.deepEqual(bench.outcomes, ["timeout"]);
  bench.write("c");
  await bench.clock.advance(500);
  assert.ok(bench.logged("In sync again after 12s"), bench.log.join("\n"));
  bench.write("d");
  await bench.clock.advance(2_000);
  assert.equal(bench.outcomes.at(-1), "success");
  assert.equal(bench.log.filter((line) => line.includes("In sync again")).length, 1, "nothing has failed");
});

test("content that comes while a retry asks about the trigger before it is not signalled under the old one's name", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", reloadTimeoutMs: 1_000, retryIntervalMs: 1_000 });
  bench.start();
  await bench.clock.advance(1_000);
  const good = bench.onTrigger;
  bench.onTrigger = () => {}; // it hangs
  bench.write("b");
  await bench.clock.advance(2_100);
  assert.deepEqual(
    [bench.outcomes, bench.started, bench.triggers.length],
    [["timeout"], 2, 1],
    "the retry asks first",
  );
  bench.write("c");
  bench.onTrigger = good;
  await bench.clock.advance(5_000);
  assert.deepEqual([bench.triggers.length, bench.inSync, bench.loop.model().applied], [2, true, "c"]);
});

test("what a slow check has passed is not sent where the disk holds other content by then", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", checkCommand: ["check"] });
  bench.start();
  await bench.clock.advance(1_000);
  const checked: string[] = [];
  bench.prepare = async () => {
    checked.push(bench.loop.model().disk!);
    await bench.clock.sleep(2_000);
    return { kind: "ok" };
  };
  bench.write("b");
  await bench.clock.advance(1_000);
  bench.write("c");
  await bench.clock.advance(10_000);
  assert.deepEqual([checked, bench.triggers.length, bench.outcomes], [["b", "c"], 1, ["success"]]);
});

test("content that changes faster than a slow check is sent all the same, sooner or later", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", checkCommand: ["check"] });
  bench.start();
  await bench.clock.advance(1_000);
  bench.prepare = async () => {
    await bench.clock.sleep(1_000);
    return { kind: "ok" };
  };
  for (let i = 0; i < 40; i++) {
    bench.write(`busy ${i}`);
    await bench.clock.advance(300);
  }
  assert.ok(bench.triggers.length >= 2, `${bench.triggers.length} triggers in 12 s`);
});
