/** What a user reads in the log, in `/status` and in metrics, beside the outcome itself. */

import assert from "node:assert/strict";
import type { FileState, Observation, Snapshot } from "../../src/model.ts";
import { changedPaths, changesIn, changeText } from "../../src/record/step_facts.ts";
import { ampStatus, contentOf, createLoopBench, targetOf } from "../support/loop_bench.ts";
import { amp, DOWN } from "../support/status.ts";
import { test } from "../support/strict.ts";

const HTTP = { trigger: "http", triggerUrls: ["http://app/-/reload"] } as const;

/** In sync with `a` for a second. */
async function begun(settings: Parameters<typeof createLoopBench>[0] = {}) {
  const bench = createLoopBench({ reloadOnStart: "never", ...settings });
  bench.start();
  await bench.clock.advance(1_000);
  return bench;
}

const fieldsOf = (bench: Awaited<ReturnType<typeof begun>>, text: string) =>
  bench.fields.findLast((line) => line.text.includes(text))?.fields ?? {};

test("how a success was proved: in its line, its record, the metric; nothing more is said than is known", async () => {
  const cases = [["auto", "counter"], ["none", "delivered"]] as const;
  for (const [verify, proof] of cases) {
    const bench = await begun({ verify });
    assert.deepEqual(bench.proofs, ["assumed-at-start"]);
    bench.write("b");
    await bench.clock.advance(2_000);
    assert.equal(fieldsOf(bench, "✅ Reload successful").proof, proof);
    assert.equal(bench.status().reloads[0]!.proof, proof);
    assert.deepEqual(bench.proofs, ["assumed-at-start", proof]);
  }
});

test("a change before our eyes is told as one, also where the content before it was never applied", async () => {
  const bench = createLoopBench({ reloadOnStart: "always" });
  bench.prepare = () => Promise.resolve({ kind: "invalid", reason: "exit code 1", retry: true });
  bench.start();
  await bench.clock.advance(1_000);
  assert.ok(bench.logged("Config found that the app may not have read yet (hash: a)"));
  bench.write("b");
  await bench.clock.advance(1_000);
  assert.ok(bench.logged("Config change detected (hash: a -> b)"), bench.log.join("\n"));
});

test("an app that started with the content is proved by that", async () => {
  const bench = await begun();
  bench.target = null;
  bench.reading = DOWN;
  bench.write("b");
  await bench.clock.advance(6_000);
  [bench.target, bench.reading] = [targetOf(bench.clock.nowMs()), ampStatus(0, "initial")];
  await bench.clock.advance(2_000);
  assert.equal(fieldsOf(bench, "✅ Reload successful").proof, "restarted");
  assert.equal(bench.triggers.length, 0);
});

test("a 200 that proves little is said once, with the flag to set", async () => {
  const bench = await begun();
  bench.reading = { kind: "status", status: { format: "http", code: 200 } };
  for (const digest of ["b", "c"]) {
    bench.write(digest);
    await bench.clock.advance(2_000);
  }
  assert.deepEqual(bench.outcomes, ["success", "success"]);
  const warnings = bench.log.filter((line) => line.startsWith("WARN"));
  assert.equal(warnings.length, 1, warnings.join("\n"));
  assert.match(warnings[0]!, /answers HTTP 200, which proves little: set --verify/);
});

test("a gauge alone is told as what it is: no time and no count moved with it", async () => {
  const bench = await begun();
  bench.reading = {
    kind: "status",
    status: {
      format: "prometheus",
      successful: true,
      successWallMs: null,
      families: [{
        prefix: "loki_runtime",
        successful: true,
        successWallMs: null,
        reloads: null,
        errors: null,
      }],
    },
  };
  bench.write("b");
  await bench.clock.advance(2_000);
  assert.equal(fieldsOf(bench, "✅ Reload successful").proof, "http-200");
  const [warning, ...others] = bench.log.filter((line) => line.startsWith("WARN"));
  assert.deepEqual(others, []);
  assert.match(
    warning!,
    /says that its last reload was successful, without a time or a count, which proves little: set --verify/,
  );
});

test("a timeout on the default URL says once what to set", async () => {
  const settings = [{ name: "reload-url", value: "http://localhost:8080", source: "default" } as const];
  const bench = await begun({ settings });
  bench.onTrigger = () => {};
  bench.write("b");
  await bench.clock.advance(100_000);
  assert.ok(bench.outcomes.length > 1 && bench.outcomes.every((outcome) => outcome === "timeout"));
  assert.equal(bench.log.filter((line) => line.includes("is --reload-url right?")).length, 1);
});

const file = (path: string, digest: string, sizeBytes = 3): FileState => ({
  path,
  digest,
  sizeBytes,
  error: null,
});

function filesOf(digest: string, files: readonly FileState[], wallMs: number): Observation {
  const all = files.map((one) => ({ ...one, name: one.path, bytes: null, mode: 0o644 })) as Snapshot["files"];
  return { kind: "content", snapshot: { digest, files: all, changedWallMs: wallMs }, skipped: [] };
}

test("which files changed is known also where nobody ran the content before: the app was not there", async () => {
  const bench = createLoopBench({ reloadOnStart: "auto" });
  const app = bench.target!;
  bench.target = null;
  bench.disk = filesOf("a", [file("/c/a", "1")], 0);
  bench.start();
  await bench.clock.advance(1_000);
  bench.disk = filesOf("b", [file("/c/a", "2")], bench.clock.wallMs());
  bench.loop.hint("event");
  await bench.clock.advance(2_000);
  bench.target = app;
  await bench.clock.advance(10_000);
  const [reload] = bench.status().reloads;
  assert.deepEqual([reload?.oldHash, reload?.newHash], ["a", "b"]);
  assert.deepEqual(reload!.changed.map(changeText), ["changed /c/a (3 bytes, 3 before)"]);
});

test("which files changed stands in the record, and in the log at debug", async () => {
  const bench = createLoopBench({ reloadOnStart: "never" });
  bench.disk = filesOf("a", [file("/c/a", "1"), file("/c/b", "1"), file("/c/d", "1")], 0);
  bench.start();
  await bench.clock.advance(1_000);
  const files = [file("/c/a", "1"), file("/c/b", "2", 5), file("/c/e", "1")];
  bench.disk = filesOf("b", files, bench.clock.wallMs());
  bench.loop.hint("event");
  await bench.clock.advance(2_000);
  const changed = bench.status().reloads[0]!.changed;
  assert.deepEqual(changed, [
    { path: "/c/b", change: "changed", sizeBytes: 5, oldSizeBytes: 3 },
    { path: "/c/d", change: "removed", sizeBytes: 3, oldSizeBytes: 3 },
    { path: "/c/e", change: "added", sizeBytes: 3, oldSizeBytes: null },
  ]);
  assert.ok(bench.logged("DEBUG File changed /c/b (5 bytes, 3 before)"));
  assert.deepEqual(changed.map(changeText).slice(1), ["removed /c/d (3 bytes)", "added /c/e (3 bytes)"]);
  const many = Array.from({ length: 50 }, (_, i) => file(`/c/${i}`, "1"));
  const known = { appliedFiles: null, previousFiles: [], files: many };
  assert.equal(changesIn(known).length, 20);
  // What the app can see is asked of each file, and not of the first that are shown.
  const paths = changedPaths(known);
  assert.deepEqual(paths, many.map(({ path }) => path));
  assert.deepEqual(changesIn({ ...known, previousFiles: null }), [], "what was there before is not known");
});

test("--trigger http: a request without an answer is sent once, and the status proves it", async () => {
  const bench = await begun(HTTP);
  bench.unanswered = "Cannot POST http://app/-/reload: timed out after 5s";
  bench.write("b");
  await bench.clock.advance(10_000);
  assert.deepEqual([bench.triggers.length, bench.outcomes], [1, ["success"]]);
  assert.ok(
    bench.logged("WARN Cannot POST http://app/-/reload: timed out after 5s; the app may have got it"),
  );
});

test("before a second trigger the status says what has become of the first one", async () => {
  const unanswered = "Cannot POST http://app/-/reload: timed out after 5s";
  for (const [trigger, how] of [[{}, null], [HTTP, null], [HTTP, unanswered]] as const) {
    const bench = await begun({ ...trigger, reloadTimeoutMs: 5_000 });
    bench.unanswered = how;
    // It is done later than anybody waits for.
    bench.onTrigger = () => void bench.clock.sleep(8_000).then(() => bench.reading = ampStatus(2));
    bench.write("b");
    await bench.clock.advance(20_000);
    assert.deepEqual(bench.outcomes, ["timeout", "success"]);
    assert.equal(bench.triggers.length, 1, "a good reload is not made once more");
    const lost = await begun({ ...trigger, reloadTimeoutMs: 5_000 });
    lost.unanswered = how;
    lost.onTrigger = () => {
      if (lost.triggers.length > 1) lost.reading = ampStatus(2);
    };
    lost.write("b");
    await lost.clock.advance(20_000);
    const ends = [lost.outcomes, lost.triggers.length];
    assert.deepEqual(ends, [["timeout", "success"], 2], "one that got lost is");
    const refused = await begun({ ...trigger, reloadTimeoutMs: 5_000 });
    refused.unanswered = how;
    refused.onTrigger = () => {
      const count = refused.triggers.length;
      const status = ampStatus(count + 1, count === 1 ? "apply_failed" : "success");
      void refused.clock.sleep(8_000).then(() => refused.reading = status);
    };
    refused.write("b");
    await refused.clock.advance(60_000);
    assert.deepEqual(refused.outcomes, ["timeout", "rejected", "timeout", "success"]);
    assert.equal(refused.triggers.length, 2, "a no is an answer: the next try is triggered");
  }
});

test("--verify none: a request without an answer is a failure, since nothing would ever say more", async () => {
  const bench = await begun({ ...HTTP, verify: "none" });
  bench.unanswered = "Cannot POST http://app/-/reload: timed out after 5s";
  bench.write("b");
  await bench.clock.advance(1_000);
  assert.deepEqual(bench.outcomes, ["failed"]);
});

test("a change while no app runs is logged as what it is, also where the app then starts with it", async () => {
  const bench = createLoopBench();
  bench.target = null;
  bench.start();
  await bench.clock.advance(1_000);
  bench.write("b");
  await bench.clock.advance(1_000);
  assert.ok(bench.logged("INFO Config change detected (hash: a -> b)"), bench.log.join("\n"));
  bench.target = targetOf(bench.clock.nowMs());
  await bench.clock.advance(10_000);
  assert.ok(bench.logged("INFO Nothing to reload: what is on disk counts as applied (hash: b)"));
  assert.equal(bench.log.filter((line) => line.includes("Config change detected")).length, 1);
});

test("a change that the app was asked about, and that then waits for its time, is logged once", async () => {
  const bench = createLoopBench({ ...HTTP, jitterMs: 2_000 });
  [bench.random, bench.hangs] = [0.5, true];
  bench.start();
  await bench.clock.advance(2_000);
  bench.write("b");
  await bench.clock.advance(1_500);
  bench.hangs = false;
  await bench.clock.advance(10_000);
  assert.deepEqual(bench.outcomes, ["success"]);
  const lines = bench.log.filter((line) => line.includes("Config change detected (hash: a -> b)"));
  assert.equal(lines.length, 1, bench.log.join("\n"));
});

test("a check command that fails is retried; content that does not parse waits for a change", async () => {
  for (const [retry, outcomes] of [[true, ["invalid", "success"]], [undefined, ["invalid"]]] as const) {
    const bench = await begun({ checkCommand: ["check"] });
    let tries = 0;
    bench.prepare = () =>
      Promise.resolve(
        tries++ === 0
          ? { kind: "invalid", reason: "a server was away", ...(retry && { retry }) }
          : { kind: "ok" },
      );
    bench.write("b");
    await bench.clock.advance(10_000);
    assert.deepEqual(bench.outcomes, outcomes);
  }
});

test("which of several is the app somebody has to say, also while none of them has opened its port", async () => {
  const bench = createLoopBench();
  bench.target = null;
  bench.resolution = { kind: "none", code: "ambiguous", message: "2 processes may be it", again: true };
  bench.start();
  await bench.clock.advance(1_000);
  assert.ok(bench.logged("WARN Target: 2 processes may be it"), bench.log.join("\n"));
});

test("processes that come and go among several of one name are one line, another name is a new one", async () => {
  const bench = createLoopBench();
  bench.target = null;
  const find = (pids: string, ...names: string[]) =>
    bench.resolution = { kind: "none", code: "ambiguous", message: `which of ${pids}?`, names };
  find("7, 8", "worker");
  bench.start();
  for (const pids of ["7, 9", "7, 10", "11, 12"]) {
    await bench.clock.advance(6_000);
    find(pids, "worker");
  }
  await bench.clock.advance(6_000);
  find("11, 13", "worker", "helper");
  await bench.clock.advance(6_000);
  const lines = bench.log.filter((line) => line.startsWith("WARN Target:"));
  assert.deepEqual(lines, ["WARN Target: which of 7, 8?", "WARN Target: which of 11, 13?"]);
});

test("an app that has not started yet is nothing to worry about; one that is gone is, once", async () => {
  const bench = createLoopBench();
  bench.target = null;
  bench.start();
  await bench.clock.advance(1_000);
  assert.ok(bench.logged("INFO Target: no application"), bench.log.join("\n"));
  bench.target = targetOf(bench.clock.nowMs());
  await bench.clock.advance(10_000);
  assert.ok(bench.logged("INFO Target: PID 7; in order after"));
  for (const message of ["it is a zombie", "there is no such process", "nobody is left"]) {
    bench.resolution = { kind: "none", code: "not-there", message, again: true };
    bench.target = null;
    await bench.clock.advance(10_000);
  }
  const deaths = bench.log.filter((line) => line.startsWith("WARN Target:"));
  assert.deepEqual(deaths, ["WARN Target: it is a zombie"]);
  bench.resolution = { kind: "none", code: "ambiguous", message: "2 processes match" };
  await bench.clock.advance(10_000);
  assert.ok(bench.logged("WARN Target: 2 processes match"), "another problem is another line");
  assert.deepEqual(bench.targetReady.at(-1), "ambiguous");
});

test("a target that an attempt could not signal is looked at afresh, also when nobody looks at each interval any more", async () => {
  const bench = await begun();
  await bench.clock.advance(70_000);
  assert.equal(bench.targetReady.at(-1), "ready");
  const message = "no permission";
  bench.refused = { kind: "not-sent", code: "permission", message };
  const process = { pid: 7, name: "app", uid: 0, handled: true, permitted: false };
  bench.view = { ok: false, code: "permission", message, ...process };
  bench.write("b");
  await bench.clock.advance(100);
  assert.deepEqual([bench.outcomes, bench.targetReady.at(-1)], [["failed"], "permission"]);
});

test("a part that needs a restart is told, and no more once the app has restarted", async () => {
  const bench = await begun();
  bench.onTrigger = () =>
    bench.reading = { kind: "status", status: amp({ attempts: 2, restartRequired: ["W600"] }) };
  bench.write("b");
  await bench.clock.advance(5_000);
  assert.ok(bench.logged("WARN The app applied the change, but says that part of it needs a restart: W600"));
  assert.deepEqual(bench.status().restartRequired, ["W600"]);
  bench.target = targetOf(bench.clock.nowMs());
  await bench.clock.advance(10_000);
  assert.ok(bench.logged("INFO The app has restarted: no part of the configuration needs that any more"));
  assert.deepEqual([bench.status().restartRequired, bench.outcomes], [[], ["success"]]);
});

test("the first minute looks who is the target at each look: other containers may still come", async () => {
  const bench = createLoopBench();
  bench.start();
  await bench.clock.advance(10_000);
  bench.resolution = { kind: "none", code: "ambiguous", message: "2 processes match" };
  await bench.clock.advance(10_000);
  assert.ok(bench.logged("WARN Target: 2 processes match"));
  const late = createLoopBench();
  late.start();
  await late.clock.advance(70_000);
  late.resolution = { kind: "none", code: "ambiguous", message: "2 processes match" };
  await late.clock.advance(20_000);
  assert.ok(!late.logged("2 processes match"), "later it is the attempt that looks afresh");
});

test("--once ends with one line that says what was reached", async () => {
  const render = createLoopBench({ once: true, configEnvsubstFile: "/out/c.yaml" });
  render.prepare = () => Promise.resolve({ kind: "ok" });
  render.start();
  await render.clock.advance(100);
  assert.deepEqual([render.exitCode, render.log.at(-1)], [0, "INFO Wrote /out/c.yaml"]);
  const alone = createLoopBench({ once: true });
  alone.target = null;
  alone.start();
  await alone.clock.advance(100);
  assert.deepEqual(
    [alone.exitCode, alone.log.at(-1)],
    [0, "INFO The app is not there; it reads the content when it starts"],
  );
  const missing = createLoopBench({ once: true, reloadTimeoutMs: 3_000 });
  missing.disk = {
    kind: "unreadable",
    files: [{ path: "/c", digest: null, sizeBytes: 0, error: "no such file" }],
  };
  missing.start();
  await missing.clock.advance(3_100);
  assert.deepEqual(
    [missing.exitCode, missing.log.at(-1)],
    [1, 'ERROR Gave up after 3s, because of --once: Cannot read "/c": no such file'],
  );
  // Content that came in time is no reason to give up.
  const late = createLoopBench({ once: true, configEnvsubstFile: "/out/c.yaml" });
  late.prepare = () => Promise.resolve({ kind: "ok" });
  late.disk = missing.disk;
  late.start();
  await late.clock.advance(500);
  late.disk = contentOf("a", 0);
  late.loop.hint("event");
  await late.clock.advance(100);
  assert.deepEqual([late.exitCode, late.log.at(-1)], [0, "INFO Wrote /out/c.yaml"]);
});

test("a volume that was replaced is told once, though it is a stale mount and what is wrong with the content", async () => {
  const bench = await begun();
  const message = "the volume was replaced";
  bench.ownStaleMounts = [{ container: "sidecar", reason: "replaced", mountPoint: "/etc", message }];
  bench.disk = { kind: "replaced", path: "/etc", message };
  bench.loop.hint("event");
  await bench.clock.advance(100);
  assert.deepEqual(bench.log.filter((line) => line.includes(message)), [`WARN ${message}`]);
});

test("no 'in order again' beside a new problem", async () => {
  const bench = await begun();
  bench.disk = {
    kind: "unreadable",
    files: [{ path: "/c", digest: null, sizeBytes: 0, error: "no such file" }],
  };
  bench.loop.hint("event");
  await bench.clock.advance(100);
  bench.disk = { kind: "replaced", path: "/etc", message: "torn down: restart the pod's containers" };
  bench.loop.hint("event");
  await bench.clock.advance(100);
  assert.ok(!bench.logged("In order again"), bench.log.join("\n"));
  bench.disk = contentOf("a", 0);
  bench.loop.hint("event");
  await bench.clock.advance(100);
  assert.ok(bench.logged("In order again after 100ms: /etc"));
});
