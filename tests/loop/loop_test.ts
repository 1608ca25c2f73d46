/** Cases of the loop where two features meet, each found wrong once. The simulation tries the rest. */

import assert from "node:assert/strict";
import type { Observation, StatusReading } from "../../src/model.ts";
import { ampStatus, contentOf, createLoopBench, targetOf } from "../support/loop_bench.ts";
import { DOWN } from "../support/status.ts";
import { test } from "../support/strict.ts";

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

test("content that was away and is back as it was is not checked again: no change, no attempt", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", checkCommand: ["check"] });
  bench.start();
  await bench.clock.advance(1_000);
  bench.prepare = () => Promise.resolve({ kind: "invalid", reason: "the check says no", retry: true });
  const held = bench.disk;
  bench.disk = { kind: "unreadable", files: [{ path: "/c", digest: null, sizeBytes: 0, error: "busy" }] };
  await bench.clock.advance(6_000);
  assert.equal(bench.inSync, false);
  bench.disk = held;
  await bench.clock.advance(6_000);
  assert.deepEqual([bench.started, bench.inSync], [0, true]);
});

test("--reload-on-start never: what the first look finds is neither checked nor sent, also where the check would fail at first", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", checkCommand: ["check"], retryIntervalMs: 1_000 });
  bench.prepare = () => Promise.resolve({ kind: "invalid", reason: "the check says no", retry: true });
  bench.start();
  await bench.clock.advance(3_000);
  assert.deepEqual([bench.started, bench.inSync], [0, true]);
  bench.prepare = () => Promise.resolve({ kind: "ok" });
  await bench.clock.advance(10_000);
  assert.deepEqual([bench.triggers.length, bench.started], [0, 0]);
  assert.ok(bench.logged("Nothing to reload: what is on disk counts as applied"));
});

test("I6: what wakes the loop before its date takes the timer of that date back", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", retryIntervalMs: 3_600_000 });
  bench.start();
  await bench.clock.advance(1_000);
  bench.onTrigger = () => bench.reading = ampStatus(2, "validation_failed");
  bench.write("b");
  await bench.clock.advance(3_000);
  assert.deepEqual([bench.outcomes, bench.loop.model().phase.is], [["rejected"], "due"]);
  for (let i = 0; i < 100; i++) {
    bench.loop.hint("event");
    await bench.clock.advance(10);
  }
  assert.ok(bench.clock.pending() < 5, `${bench.clock.pending()} timers`);
});

test("the line of a change comes before what rendering it has to say", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", configEnvsubstFile: "/out/c.yaml" });
  bench.start();
  await bench.clock.advance(1_000);
  bench.prepare = async () => {
    await Promise.resolve();
    bench.log.push("WARN Left as they are");
    return { kind: "ok" };
  };
  bench.write("b");
  await bench.clock.advance(2_000);
  const lines = bench.log.filter((line) => /Config change|Left as they are/.test(line));
  assert.match(lines.join(), /^INFO Config change detected.*,WARN Left as they are$/);
});

test("a reload that a shutdown cuts short is no failure", async () => {
  const bench = createLoopBench({ reloadOnStart: "never" });
  bench.start();
  await bench.clock.advance(1_000);
  bench.onTrigger = () => {};
  bench.write("b");
  await bench.clock.advance(1_000);
  bench.stopping.abort();
  await bench.clock.advance(10_000);
  assert.deepEqual([bench.exitCode, bench.started], [null, 1]);
  bench.aborted.abort();
  await bench.clock.advance(1_000);
  assert.deepEqual([bench.exitCode, bench.outcomes, bench.status().reloads], [0, [], []]);
  assert.ok(bench.logged("INFO Stopped before the reload was proved"));
  assert.equal(bench.log.some((line) => line.startsWith("ERROR")), false);
});

test("a SIGHUP during an attempt that fails is answered by another try right after it", async () => {
  const bench = createLoopBench({ reloadOnStart: "never" });
  bench.start();
  await bench.clock.advance(1_000);
  bench.onTrigger = () => {
    const attempts = bench.triggers.length + 1;
    bench.clock.sleep(1_500).then(() => bench.reading = ampStatus(attempts, "validation_failed"));
  };
  bench.write("b");
  await bench.clock.advance(500);
  bench.loop.hint("signal");
  await bench.clock.advance(2_000);
  assert.equal(bench.triggers.length, 2, "not only after the pause of 5 s");
});

test("--verify-token that is a value of the content: going back to what was proved is proved by its token", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", verify: "json", verifyToken: "/hash" });
  const tells = (token: string): StatusReading => ({
    kind: "status",
    status: { format: "json", ok: null, token },
  });
  bench.reading = tells("a");
  bench.start();
  await bench.clock.advance(1_000);
  bench.onTrigger = () => bench.reading = tells("b");
  bench.write("b");
  await bench.clock.advance(2_000);
  bench.onTrigger = () => {}; // it refuses c, and says nothing
  bench.write("c");
  await bench.clock.advance(31_000);
  bench.write("b");
  await bench.clock.advance(2_000);
  assert.deepEqual([bench.outcomes, bench.inSync], [["success", "timeout", "success"], true]);
});

test("the same for content that was taken for applied at the start: its token is that of before the first change", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", verify: "json", verifyToken: "/hash" });
  bench.reading = jsonStatus("a");
  bench.onTrigger = () => {}; // it refuses b, and says nothing
  bench.start();
  await bench.clock.advance(1_000);
  bench.write("b");
  await bench.clock.advance(31_000);
  bench.write("a");
  await bench.clock.advance(2_000);
  assert.deepEqual([bench.outcomes, bench.inSync], [["timeout", "success"], true]);
  // In doubt what the token is of: c may have been loaded.
  bench.write("c");
  await bench.clock.advance(31_000);
  bench.reading = jsonStatus("c");
  bench.write("d");
  await bench.clock.advance(31_000);
  bench.write("c");
  await bench.clock.advance(31_000);
  assert.deepEqual(bench.outcomes.slice(2), ["timeout", "timeout", "timeout"]);
});

test("--trigger none: what the app loaded while the content before it was being proved counts", async () => {
  for (const format of ["amp", "json"] as const) {
    const tells = (n: number) => format === "amp" ? ampStatus(n) : jsonStatus(`${n}`);
    const verify = format === "amp"
      ? { verify: "amp" } as const
      : { verify: "json", verifyToken: "/n" } as const;
    const bench = createLoopBench({ trigger: "none", ...verify });
    bench.reading = tells(5);
    bench.start();
    await bench.clock.advance(7_000);
    bench.write("b");
    await bench.clock.advance(1_000);
    // It has loaded c at once, and b never; nothing happens after that.
    bench.disk = contentOf("c", bench.clock.wallMs());
    bench.reading = tells(6);
    await bench.clock.advance(60_000);
    assert.equal(bench.inSync, true, bench.log.join("\n"));
  }
});

test("--trigger none: content that is back before the app has looked was never left", async () => {
  for (const awayMs of [1_000, 40_000]) {
    const bench = createLoopBench({ trigger: "none" });
    bench.reading = ampStatus(5);
    bench.start();
    await bench.clock.advance(7_000);
    bench.write("b");
    await bench.clock.advance(awayMs);
    bench.write("a");
    await bench.clock.advance(60_000);
    assert.equal(bench.inSync, true, bench.log.join("\n"));
  }
});

test("--trigger none: content that is written again while it is proved needs no second proof", async () => {
  const bench = createLoopBench({ trigger: "none" });
  bench.reading = ampStatus(5);
  bench.start();
  await bench.clock.advance(7_000);
  bench.write("b");
  await bench.clock.advance(500);
  bench.write("b");
  await bench.clock.advance(500);
  bench.reading = ampStatus(6);
  await bench.clock.advance(60_000);
  assert.deepEqual([bench.inSync, bench.outcomes], [true, ["success"]], bench.log.join("\n"));
});

test("--trigger http, no answer: waits at the start and says so once; a change is tried all the same", async () => {
  const bench = createLoopBench({ trigger: "http", triggerUrls: ["http://app/-/reload"] });
  bench.reading = DOWN;
  bench.start();
  await bench.clock.advance(60_000);
  assert.equal(bench.triggers.length, 0, "the app reads it when it starts");
  const said = bench.log.filter((line) => line.includes("Waiting for the app to answer"));
  assert.deepEqual(said, [
    "INFO Waiting for the app to answer: GET http://localhost:8080/health/reload: connection refused",
  ]);
  assert.equal(bench.status().outOfSyncReason, "the app gives no status yet: connection refused");
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

const MISSING: Observation = {
  kind: "unreadable",
  files: [{ path: "/c", digest: null, sizeBytes: 0, error: "no such file" }],
};

test("--once: what never comes ends it after --reload-timeout, however long the interval is", async () => {
  const bench = createLoopBench({ once: true, intervalMs: 3_600_000, reloadTimeoutMs: 10_000 });
  bench.disk = MISSING;
  bench.start();
  await bench.clock.advance(9_000);
  assert.equal(bench.exitCode, null);
  await bench.clock.advance(1_100);
  assert.equal(bench.exitCode, 1);
});

test("--once with an output that waits for its input looks for no process: the app's container may not be there yet", async () => {
  for (const outputDir of ["/out", null]) {
    const bench = createLoopBench({ once: true, outputDir });
    bench.disk = {
      kind: "unreadable",
      files: [{ path: "/c", digest: null, sizeBytes: 0, error: "no such file" }],
    };
    bench.resolution = { kind: "none", code: "no-shared-process-namespace", message: "nobody is visible" };
    bench.start();
    await bench.clock.advance(6_000);
    assert.equal(bench.logged("Target: nobody is visible"), outputDir === null, bench.log.join("\n"));
  }
});

test("--once that is told to stop before it has reached anything: 1, waiting or in an attempt", async () => {
  const waiting = createLoopBench({ once: true });
  waiting.disk = MISSING;
  const trying = createLoopBench({ once: true, reloadOnStart: "always" });
  trying.onTrigger = () => {};
  for (const bench of [waiting, trying]) {
    bench.start();
    await bench.clock.advance(1_000);
    bench.stopping.abort();
    bench.aborted.abort();
    await bench.clock.advance(1_000);
    assert.equal(bench.exitCode, 1);
  }
});

test("--once: content that changes while it is reloaded is reloaded, too", async () => {
  const bench = createLoopBench({ once: true, reloadOnStart: "always" });
  const reload = bench.onTrigger;
  bench.onTrigger = () => {
    reload();
    if (bench.triggers.length === 1) bench.write("b");
  };
  bench.start();
  await bench.clock.advance(5_000);
  assert.equal(bench.triggers.length, 2);
  assert.equal(bench.exitCode, 0);
});

test("--once: an app that is not there reads the content when it starts, 0; one that may not be signalled is 1", async () => {
  const alone = createLoopBench({ once: true });
  alone.target = null;
  alone.start();
  await alone.clock.advance(100);
  assert.equal(alone.exitCode, 0);
  const twins = createLoopBench({ once: true });
  twins.resolution = { kind: "none", code: "ambiguous", message: "2 processes match" };
  twins.start();
  await twins.clock.advance(100);
  assert.equal(twins.exitCode, 1);
  assert.ok(twins.logged("2 processes match; no further try, because of --once"));
});

test("an app that is back while a file is being written is sent what has settled at once: the retry's date is void", async () => {
  const bench = createLoopBench({ reloadOnStart: "never" });
  bench.start();
  await bench.clock.advance(1_000);
  bench.target = null;
  bench.resolution = { kind: "none", code: "not-there", message: "no application process" };
  bench.write("b");
  // Tries after 0 and 5 s; the next one is due 10 s later.
  await bench.clock.advance(6_000);
  assert.deepEqual(bench.outcomes, ["failed", "failed"]);
  const content = bench.disk;
  const settledAtMs = bench.clock.nowMs() + 500;
  [bench.resolution, bench.target] = [null, targetOf(-120_000)];
  bench.disk = { kind: "settling", againAtMs: settledAtMs };
  bench.loop.hint("event");
  await bench.clock.advance(100);
  bench.disk = content;
  await bench.clock.advance(1_000);
  assert.deepEqual([bench.outcomes, bench.triggers], [["failed", "failed", "success"], [settledAtMs]]);
});

test("a SIGHUP that comes while a file is being written is answered when it has settled", async () => {
  const bench = createLoopBench({
    reloadOnStart: "never",
    retryIntervalMs: 3_600_000,
    maxBackoffMs: 3_600_000,
  });
  bench.start();
  bench.onTrigger = () => bench.reading = ampStatus(bench.triggers.length + 1, "validation_failed");
  await bench.clock.advance(2_000);
  bench.write("b");
  await bench.clock.advance(2_000);
  assert.deepEqual(bench.outcomes, ["rejected"]);
  const written = bench.disk;
  bench.disk = { kind: "settling", againAtMs: bench.clock.nowMs() + 400 };
  bench.loop.hint("signal");
  await bench.clock.advance(100);
  bench.disk = written;
  await bench.clock.advance(2_000);
  assert.deepEqual(bench.outcomes, ["rejected", "rejected"]);
});

test("a change during a reload counts from when it was seen, not from the reload's end", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", minReloadIntervalMs: 0 });
  bench.start();
  await bench.clock.advance(1_000);
  bench.onTrigger = () => {
    if (bench.triggers.length === 1) bench.clock.sleep(900).then(() => bench.reading = ampStatus(2));
    else bench.reading = ampStatus(3);
  };
  bench.write("b");
  await bench.clock.advance(500);
  bench.write("c");
  await bench.clock.advance(20_000);
  assert.deepEqual(bench.outcomes, ["success", "success"]);
  const [first, second] = bench.triggerDelays as [number, number];
  assert.equal(first, 0);
  assert.ok(second > 500 && second < 1_500, `${second}`);
});

test("--min-reload-interval counts from the last trigger: one that the app refused, and one that went out twice", async () => {
  const http = { trigger: "http", triggerUrls: ["http://app/-/reload"] } as const;
  const refused = createLoopBench({ ...http, reloadOnStart: "never", minReloadIntervalMs: 10_000 });
  refused.start();
  await refused.clock.advance(1_000);
  refused.refused = { kind: "not-sent", code: "trigger-refused", message: "500", atMs: 1_000 };
  refused.write("b");
  await refused.clock.advance(1_000);
  refused.write("c");
  await refused.clock.advance(20_000);
  assert.deepEqual(refused.triggers.slice(0, 2), [1_000, 11_000]);

  const twice = createLoopBench({ reloadOnStart: "never", minReloadIntervalMs: 10_000 });
  twice.start();
  twice.reading = DOWN;
  await twice.clock.advance(1_000);
  twice.write("b");
  await twice.clock.advance(5_000);
  twice.reading = ampStatus(1);
  await twice.clock.advance(5_000);
  twice.write("c");
  await twice.clock.advance(20_000);
  const [first, second, third] = twice.triggers as [number, number, number];
  assert.ok(first === 1_000 && second > 6_000 && second < 7_000, `${twice.triggers}`);
  assert.ok(third >= second + 10_000, `${twice.triggers}`);
});

test("an app that dies within 2 s of the second trigger was killed by it", async () => {
  const bench = createLoopBench({ reloadOnStart: "never" });
  bench.start();
  bench.reading = DOWN;
  await bench.clock.advance(1_000);
  bench.write("b");
  await bench.clock.advance(9_000);
  bench.reading = ampStatus(1);
  await bench.clock.advance(1_500);
  assert.deepEqual([bench.outcomes, bench.triggers.length], [["success"], 2]);
  bench.target = null;
  await bench.clock.advance(1_000);
  assert.ok(bench.logged("the signal killed it"), bench.log.join("\n"));
});

test("a check command at the start may take its own time: /healthz stays 200", async () => {
  const bench = createLoopBench({ checkCommand: ["check"], httpTimeoutMs: 60_000 });
  bench.prepare = async () => {
    await bench.clock.sleep(50_000);
    return { kind: "ok" };
  };
  bench.start();
  await bench.clock.advance(45_000);
  assert.deepEqual(bench.loop.health(), { ok: true });
  await bench.clock.advance(100_000);
});

test("--reload-on-start always: an app that has read the content at its start is told, too; one that starts later is not", async () => {
  const bench = createLoopBench({ reloadOnStart: "always" });
  bench.target = targetOf(bench.clock.nowMs() - 1_000);
  bench.start();
  await bench.clock.advance(2_000);
  assert.deepEqual([bench.triggers.length, bench.outcomes], [1, ["success"]]);
  const late = createLoopBench({ reloadOnStart: "always" });
  late.target = null;
  late.start();
  await late.clock.advance(5_000);
  late.target = targetOf(late.clock.nowMs());
  await late.clock.advance(5_000);
  assert.deepEqual([late.triggers.length, late.outcomes], [0, ["success"]]);
});

test("an app that rejects content and dies of it: that content is never sent again, the one before it may be", async () => {
  const bench = createLoopBench({ reloadOnStart: "never" });
  bench.start();
  await bench.clock.advance(1_000);
  bench.onTrigger = () => bench.reading = ampStatus(2, "validation_failed");
  bench.write("b");
  await bench.clock.advance(300);
  const heir = targetOf(bench.clock.nowMs() - 60_000);
  [bench.target, bench.reading] = [null, DOWN];
  await bench.clock.advance(1_000);
  // Started before the change, as a process that took its place may be.
  [bench.target, bench.reading] = [heir, ampStatus(2)];
  await bench.clock.advance(60_000);
  assert.equal(bench.triggers.length, 1, bench.log.join("\n"));
  bench.onTrigger = () => bench.reading = ampStatus(3);
  bench.write("a");
  await bench.clock.advance(2_000);
  assert.equal(bench.triggers.length, 2, bench.log.join("\n"));
  assert.equal(bench.inSync, true);
});

test("an app that restarts long after the signal, while it is being verified, did not die of the signal", async () => {
  const bench = createLoopBench({ reloadOnStart: "never" });
  bench.start();
  await bench.clock.advance(1_000);
  bench.onTrigger = () => {};
  bench.write("b");
  await bench.clock.advance(5_000);
  [bench.target, bench.reading] = [null, DOWN];
  await bench.clock.advance(1_000);
  [bench.target, bench.reading] = [targetOf(bench.clock.nowMs()), ampStatus(0, "initial")];
  await bench.clock.advance(20_000);
  assert.deepEqual(bench.outcomes, ["success"], bench.log.join("\n"));
  assert.ok(!bench.logged("the signal killed it"));
});

test("/status tells a next try only where there will be one: not while the content is away or is waiting itself", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", jitterMs: 60_000 });
  bench.start();
  await bench.clock.advance(1_000);
  bench.onTrigger = () => bench.reading = ampStatus(2, "validation_failed");
  bench.write("b");
  await bench.clock.advance(1_000);
  assert.deepEqual(bench.outcomes, ["rejected"]);
  assert.notEqual(bench.status().nextRetryWallMs, null);
  bench.disk = MISSING;
  bench.loop.hint("event");
  await bench.clock.advance(100);
  assert.equal(bench.status().nextRetryWallMs, null);
  bench.random = 0.9;
  bench.write("c");
  await bench.clock.advance(100);
  assert.deepEqual([bench.outcomes.length, bench.status().nextRetryWallMs], [1, null]);
  assert.equal(
    bench.status().outOfSyncReason,
    "the content on disk has changed; its reload waits for --jitter or --min-reload-interval",
    "neither that it is being reloaded, nor the reason of the content before it",
  );
});

function jsonStatus(token: string): StatusReading {
  return { kind: "status", status: { format: "json", ok: true, token } };
}

test("--verify-token: a token that moved while other content was on disk, too, does not prove that content later", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", verify: "json", verifyToken: "/n" });
  bench.reading = jsonStatus("1");
  bench.start();
  bench.onTrigger = () => {
    if (bench.triggers.length > 1) return;
    bench.disk = contentOf("c", bench.clock.wallMs());
    bench.reading = jsonStatus("2");
  };
  await bench.clock.advance(1_000);
  bench.write("b");
  await bench.clock.advance(40_000);
  assert.deepEqual(
    bench.outcomes,
    ["success", "timeout"],
    "that of c: the app has not loaded anything since",
  );
  bench.write("b");
  await bench.clock.advance(40_000);
  assert.deepEqual(bench.outcomes.slice(2), ["timeout"], "the token may be that of c");
});

test("--verify-token: a move since the first trigger counts no more where the content was away meanwhile", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", verify: "json", verifyToken: "/n" });
  bench.reading = jsonStatus("1");
  bench.start();
  bench.onTrigger = () => {};
  await bench.clock.advance(1_000);
  bench.write("b");
  await bench.clock.advance(31_500);
  assert.deepEqual(bench.outcomes, ["timeout"]);
  bench.disk = MISSING;
  bench.loop.hint("event");
  await bench.clock.advance(500);
  bench.reading = jsonStatus("2");
  bench.write("b");
  await bench.clock.advance(40_000);
  assert.deepEqual(bench.outcomes, ["timeout", "timeout"]);
});

test("--trigger none: a counter that had begun anew before the change is no proof; one that does so after it is", async () => {
  const early = createLoopBench({ trigger: "none", reloadOnStart: "never" });
  early.reading = ampStatus(5);
  early.start();
  await early.clock.advance(7_000);
  early.reading = ampStatus(0, "initial");
  early.write("b");
  await early.clock.advance(10_000);
  assert.deepEqual(early.outcomes, []);
  early.reading = ampStatus(1, "validation_failed");
  await early.clock.advance(1_000);
  assert.deepEqual(early.outcomes, ["rejected"]);
  for (const between of [ampStatus(5), DOWN]) {
    const late = createLoopBench({ trigger: "none", reloadOnStart: "never" });
    late.reading = ampStatus(5);
    late.start();
    await late.clock.advance(7_000);
    late.reading = between;
    late.write("b");
    await late.clock.advance(1_000);
    late.reading = ampStatus(0, "initial");
    await late.clock.advance(2_000);
    assert.deepEqual(late.outcomes, ["success"]);
  }
});

test("a death within 2 s of a signal is seen also where other content has failed since without a signal", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", minReloadIntervalMs: 0, validate: "auto" });
  bench.start();
  await bench.clock.advance(1_000);
  bench.write("b");
  await bench.clock.advance(600);
  bench.prepare = () => Promise.resolve({ kind: "invalid", reason: "no" });
  bench.write("c");
  await bench.clock.advance(100);
  [bench.target, bench.reading] = [null, DOWN];
  await bench.clock.advance(1_000);
  assert.deepEqual(bench.outcomes, ["success", "invalid"]);
  assert.ok(bench.logged("the signal killed it"));
  [bench.target, bench.reading] = [targetOf(bench.clock.nowMs()), ampStatus(0, "initial")];
  await bench.clock.advance(5_000);
  bench.prepare = () => Promise.resolve({ kind: "ok" });
  bench.write("b");
  await bench.clock.advance(5_000);
  assert.equal(bench.triggers.length, 1, bench.log.join("\n"));
});

test("--trigger none: an app that was down since the change, and counts from 0 when it is up, has read it at its start", async () => {
  for (const downMs of [500, 3_000]) {
    const bench = createLoopBench({ trigger: "none", reloadOnStart: "never", reloadTimeoutMs: 1_000 });
    bench.reading = ampStatus(0, "initial");
    bench.start();
    await bench.clock.advance(1_000);
    bench.reading = DOWN;
    bench.write("b");
    await bench.clock.advance(downMs);
    bench.reading = ampStatus(0, "initial");
    await bench.clock.advance(20_000);
    assert.deepEqual([bench.inSync, bench.status().proof], [true, "restarted"], `down for ${downMs} ms`);
  }
  // It was up all the time, and has loaded nothing.
  const idle = createLoopBench({ trigger: "none", reloadOnStart: "never", reloadTimeoutMs: 1_000 });
  idle.reading = ampStatus(0, "initial");
  idle.start();
  await idle.clock.advance(1_000);
  idle.write("b");
  await idle.clock.advance(20_000);
  assert.equal(idle.inSync, false);
});

test("--trigger none with --verify json: an app that was down since the change has started with it, whatever its token", async () => {
  for (const between of [DOWN, jsonStatus("1")]) {
    const bench = createLoopBench({
      trigger: "none",
      reloadOnStart: "never",
      reloadTimeoutMs: 1_000,
      verify: "json",
      verifyToken: "/n",
    });
    bench.reading = DOWN;
    bench.start();
    await bench.clock.advance(1_000);
    bench.reading = between;
    bench.write("b");
    await bench.clock.advance(3_000);
    bench.reading = jsonStatus("1");
    await bench.clock.advance(20_000);
    assert.deepEqual(
      [bench.inSync, bench.status().proof],
      between === DOWN ? [true, "restarted"] : [false, "assumed-at-start"],
    );
  }
});

test("--trigger none: an app that says later that it could not load what counts as applied is asked until it has", async () => {
  const bench = createLoopBench({ trigger: "none" });
  bench.start();
  await bench.clock.advance(7_000);
  assert.equal(bench.inSync, true);
  bench.reading = ampStatus(2, "validation_failed");
  await bench.clock.advance(5_000);
  assert.equal(bench.inSync, false);
  assert.deepEqual(bench.outcomes, ["rejected"]);
  assert.ok(
    bench.logged("The app says that its last reload failed: asking it about the content on disk (hash: a)"),
  );
  assert.ok(
    bench.logged("Reload rejected by the app: validation_failed; next try in 5s"),
    bench.log.join("\n"),
  );
  bench.reading = ampStatus(3);
  await bench.clock.advance(10_000);
  assert.equal(bench.inSync, true);
  assert.deepEqual(bench.outcomes, ["rejected", "success"]);
});

test("--trigger none with --verify json: --verify-ok that does not hold is a failed reload where the token has moved", async () => {
  const bench = createLoopBench({
    trigger: "none",
    verify: "json",
    verifyToken: "/n",
    verifyOk: { pointer: "/ok", value: "true" },
  });
  bench.reading = jsonStatus("1");
  bench.start();
  await bench.clock.advance(7_000);
  bench.reading = { kind: "status", status: { format: "json", ok: false, token: "1" } };
  await bench.clock.advance(60_000);
  assert.equal(bench.inSync, true, "it may be about something else, and the token would not come back");
  bench.reading = { kind: "status", status: { format: "json", ok: false, token: "2" } };
  await bench.clock.advance(60_000);
  assert.equal(bench.inSync, false);
  bench.reading = jsonStatus("2");
  await bench.clock.advance(30_000);
  assert.equal(bench.inSync, true, "the token has moved since it was last good");
});

test("the first step of an update asks the app ahead: the swap then needs no answer, unless it is an old one", async () => {
  for (const [beforeMs, reads] of [[2, 1], [1_500, 2]] as const) {
    const bench = createLoopBench({ reloadOnStart: "never" });
    bench.start();
    await bench.clock.advance(5_500);
    const before = bench.reads;
    bench.loop.hint("event");
    await bench.clock.advance(beforeMs);
    assert.deepEqual([bench.reads - before, bench.triggers.length], [1, 0]);
    let atSignal = 0;
    bench.onTrigger = () => {
      atSignal = bench.reads - before;
      bench.reading = ampStatus(2);
    };
    bench.write("b");
    await bench.clock.advance(2_000);
    assert.deepEqual([bench.outcomes, atSignal], [["success"], reads]);
  }
});

test("--trigger none: what the app said at the end of a reload is what the next one has to differ from", async () => {
  const bench = createLoopBench({ trigger: "none", verify: "json" });
  bench.reading = jsonStatus("1");
  bench.start();
  await bench.clock.advance(1_000);
  bench.write("b");
  await bench.clock.advance(100);
  bench.reading = jsonStatus("2");
  await bench.clock.advance(1_000);
  assert.deepEqual(bench.outcomes, ["success"]);
  bench.write("c");
  await bench.clock.advance(1_000);
  assert.deepEqual([bench.outcomes, bench.inSync], [["success"], false]);
  bench.reading = jsonStatus("3");
  await bench.clock.advance(1_000);
  assert.deepEqual([bench.outcomes, bench.inSync], [["success", "success"], true]);
});

test("an app that has read the content at its start and says no is signalled by the retry", async () => {
  const bench = createLoopBench({ reloadOnStart: "never", reloadTimeoutMs: 2_000, retryIntervalMs: 1_000 });
  bench.start();
  await bench.clock.advance(1_000);
  const good = bench.onTrigger;
  const old = bench.target!;
  bench.target = null;
  bench.write("b");
  await bench.clock.advance(1_000);
  bench.target = { ...old, pid: 8, startTicks: 2, startedAtMs: bench.clock.nowMs() };
  bench.reading = ampStatus(0, "load_failed");
  bench.onTrigger = () => bench.reading = ampStatus(1);
  await bench.clock.advance(2_500);
  assert.deepEqual([bench.triggers.length, bench.inSync], [0, false], "it has read it, and is only asked");
  await bench.clock.advance(5_000);
  assert.deepEqual([bench.triggers.length, bench.inSync], [1, true]);
  bench.onTrigger = good;
});
