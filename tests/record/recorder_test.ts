/** What the recorder keeps for `/status` beside the model: how the last hour was, and what is shown of the target. */

import assert from "node:assert/strict";
import { createLoopBench } from "../support/loop_bench.ts";
import { DOWN } from "../support/status.ts";
import { test } from "../support/strict.ts";

test("/status: how it was proved, and each change of being in sync in the last hour with its time", async () => {
  const bench = createLoopBench({ retryIntervalMs: 1_000, maxBackoffMs: 1_000 });
  bench.start();
  await bench.clock.advance(1_000);
  bench.write("b");
  await bench.clock.advance(1_000);
  assert.equal(bench.status().proof, "counter");
  const good = bench.reading;
  bench.reading = DOWN;
  bench.write("c");
  await bench.clock.advance(60_000);
  bench.reading = good;
  await bench.clock.advance(60_000);
  const changes = bench.status().syncChanges;
  assert.deepEqual(changes.map((change) => change.inSync).slice(-3), [true, false, true]);
  assert.ok(changes.every(({ wallMs }, at) => at === 0 || wallMs >= changes[at - 1]!.wallMs));
  assert.equal(changes.at(-1)!.wallMs, bench.status().inSyncSinceWallMs);
  // Two hours later only the last one before the hour is left, which says how the hour began.
  await bench.clock.advance(7_200_000);
  bench.write("d");
  await bench.clock.advance(10);
  assert.deepEqual(bench.status().syncChanges.map((change) => change.inSync).slice(0, 2), [true, false]);
  assert.ok(bench.status().syncChanges.length <= 3);
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

test("Events: each state that begins is one; a stale mount is told once, and never what the content is", async () => {
  const notes: string[] = [];
  const bench = createLoopBench({ reloadOnStart: "never", validate: "yaml" }, {
    events: { add: (reason, note) => void notes.push(`${reason}: ${note}`) },
  });
  bench.ownStaleMounts = [{
    container: "sidecar",
    reason: "replaced",
    mountPoint: "/c",
    message: "/c is stale",
  }];
  bench.start();
  await bench.clock.advance(20_000);
  bench.write("good");
  await bench.clock.advance(1_000);
  bench.prepare = () => Promise.resolve({ kind: "invalid", reason: "line 1: password" });
  bench.write("bad");
  await bench.clock.advance(1_000);
  assert.deepEqual(notes, [
    "ConfigMountStale: /c is stale",
    "ConfigReloaded: Reload successful (hash: good, proof: counter)",
    "ConfigReloadFailed: Config is invalid (hash: bad); the sidecar's log says why",
  ]);
});
