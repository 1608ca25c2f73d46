/** The loop in a rollout: what waits for its turn and what is held, by the real loop and a group that a test sets by hand. */

import assert from "node:assert/strict";
import type { Result, RolloutView, Turn } from "../../src/model.ts";
import type { RolloutPort } from "../../src/ports.ts";
import { createLoopBench } from "../support/loop_bench.ts";
import { amp } from "../support/status.ts";
import { test } from "../support/strict.ts";

const HELD: Turn = { is: "held", pod: "web-7f9c", outcome: "rejected", reason: "validation_failed" };
const HELD_TEXT = "Held: web-7f9c tried this content first and its app rejected it: validation_failed";
const FIRST: Turn = { is: "go", isFirst: true };
const FOLLOW: Turn = { is: "go", isFirst: false };

/** A loop in sync with `a`, in a group whose answers a test gives. */
async function inGroup(settings: Parameters<typeof createLoopBench>[0] = {}) {
  let view: RolloutView = {
    wanted: null,
    turn: { is: "asking" },
    isSoaking: false,
    soakEnd: null,
    problem: null,
  };
  const ends: { readonly digest: string; readonly result: Result; readonly isProof: boolean }[] = [];
  const rollout: RolloutPort = {
    want: (wanted) => {
      if (wanted !== view.wanted) view = { ...view, wanted, turn: { is: "asking" } };
    },
    view: () => view,
    ended: (digest, result, isProof) => {
      ends.push({ digest, result, isProof });
      if (view.wanted === digest) view = { ...view, wanted: null };
    },
  };
  const notes: string[] = [];
  const events = { add: (reason: string, note: string) => void notes.push(`${reason}: ${note}`) };
  const bench = createLoopBench(
    { reloadOnStart: "never", rollout: "canary", rolloutGroup: "web", readyWhen: "in-sync", ...settings },
    { rollout, events },
  );
  bench.start();
  await bench.clock.advance(1_000);
  const answer = async (turn: Turn, more: Partial<RolloutView> = {}) => {
    view = { ...view, turn, ...more };
    bench.loop.hint("turn");
    await bench.clock.advance(200);
  };
  const change = async (digest: string) => {
    bench.write(digest);
    await bench.clock.advance(200);
  };
  return { bench, ends, notes, answer, change, wanted: () => view.wanted };
}

test("a reload that is due asks its group first, and goes when that says so", async () => {
  const { bench, answer, change, wanted, ends } = await inGroup();
  assert.equal(wanted(), null, "nothing is asked while nothing is due");
  await change("b");
  assert.equal(wanted(), "b");
  assert.deepEqual([bench.triggers.length, bench.started], [0, 0]);
  await answer(FIRST);
  assert.equal(bench.triggers.length, 1);
  assert.deepEqual(ends.map(({ digest, result }) => [digest, result.outcome]), [["b", "success"]]);
  assert.equal(wanted(), null);
  assert.equal(bench.log.filter((line) => line.includes("Config change detected (hash: a -> b)")).length, 1);
  assert.equal(bench.inSync, true);
});

test("held: no attempt, no counter, out of sync, ready all the same, said once with the words of the contract", async () => {
  const { bench, answer, change, notes } = await inGroup();
  await change("b");
  await answer(HELD);
  await bench.clock.advance(600_000);
  assert.deepEqual([bench.triggers.length, bench.started, bench.outcomes], [0, 0, []]);
  assert.deepEqual([bench.inSync, bench.held], [false, true]);
  assert.deepEqual(bench.loop.ready(), { ok: true });
  assert.deepEqual(bench.log.filter((line) => line.includes("Held")), [`WARN ${HELD_TEXT}`]);
  assert.equal(bench.status().outOfSyncReason, HELD_TEXT);
  assert.deepEqual(bench.status().rollout, {
    mode: "canary",
    group: "web",
    state: "held",
    message: HELD_TEXT,
  });
  assert.deepEqual(notes, [`ConfigHeld: ${HELD_TEXT}`]);
});

test("a hold ends with a go, and with other content", async () => {
  const { bench, answer, change, wanted } = await inGroup();
  await change("b");
  await answer(HELD);
  await answer(FOLLOW);
  assert.deepEqual([bench.triggers.length, bench.held, bench.inSync], [1, false, true]);
  await bench.clock.advance(2_000);
  await change("c");
  await answer(HELD);
  await change("d");
  assert.equal(wanted(), "d");
  assert.equal(bench.held, false);
  await answer(FIRST);
  assert.equal(bench.triggers.length, 2);
});

test("the content goes back to what is applied while it is held: in sync, and nothing is wanted", async () => {
  const { bench, answer, change, wanted } = await inGroup();
  await change("b");
  await answer(HELD);
  await change("a");
  await bench.clock.advance(5_000);
  assert.deepEqual([wanted(), bench.held, bench.inSync, bench.triggers.length], [null, false, true, 0]);
});

test("waiting for another pod is ready, and logged once", async () => {
  const { bench, answer, change } = await inGroup();
  await change("b");
  await answer({ is: "waiting", pod: "web-1" });
  await answer({ is: "waiting", pod: "web-2" });
  await answer({ is: "waiting", pod: "web-1" });
  assert.deepEqual(bench.loop.ready(), { ok: true });
  const lines = bench.log.filter((line) => line.includes("Waiting for its turn"));
  assert.deepEqual(lines, ["INFO Waiting for its turn in the rollout: web-1 tries new content first"]);
  assert.equal(bench.status().rollout?.state, "waiting");
});

test("an API that cannot be asked: nothing is triggered, and the way out is logged once", async () => {
  const { bench, answer, change } = await inGroup();
  await change("b");
  const message = 'its Role lacks the verb "update"';
  for (let i = 0; i < 3; i++) await answer({ is: "unreachable", message });
  await bench.clock.advance(60_000);
  assert.equal(bench.triggers.length, 0);
  assert.equal(bench.log.filter((line) => line.startsWith("ERROR") && line.includes(message)).length, 1);
  await answer(FIRST);
  assert.equal(bench.triggers.length, 1);
});

test("who follows waits for its jitter after the group has said go; who goes first does not", async () => {
  const { bench, answer, change } = await inGroup({ jitterMs: 60_000 });
  bench.random = 0.5;
  await change("b");
  await answer(FOLLOW);
  await bench.clock.advance(29_000);
  assert.equal(bench.triggers.length, 0);
  assert.deepEqual(bench.loop.ready(), { ok: true });
  await bench.clock.advance(2_000);
  assert.equal(bench.triggers.length, 1);
  await change("c");
  await answer(FIRST);
  assert.equal(bench.triggers.length, 2);
});

test("a rejection is reported, and each retry asks again", async () => {
  const { bench, answer, change, ends, wanted } = await inGroup();
  const good = bench.onTrigger;
  bench.onTrigger = () => {
    bench.reading = { kind: "status", status: amp({ attempts: 2, status: "validation_failed" }) };
  };
  await change("b");
  await answer(FIRST);
  await bench.clock.advance(500);
  assert.deepEqual(ends.map(({ result }) => result.outcome), ["rejected"]);
  assert.equal(bench.loop.ready().ok, false, "this pod itself runs nothing that is known");
  assert.equal(wanted(), null);
  await bench.clock.advance(5_000);
  assert.equal(wanted(), "b");
  bench.onTrigger = good;
  await answer(FIRST);
  await bench.clock.advance(2_000);
  assert.equal(ends.at(-1)?.result.outcome, "success");
});

test("newer content does not ride on the turn of the content before it: each has an end of its own", async () => {
  const { bench, answer, change, ends, wanted } = await inGroup();
  bench.onTrigger = () => {}; // the app says nothing to it
  await change("b");
  await answer(FIRST);
  await bench.clock.advance(1_000);
  await change("c");
  await bench.clock.advance(3_000);
  assert.deepEqual(ends.map(({ digest, result }) => [digest, result.code]), [["b", "overtaken"]]);
  assert.deepEqual([wanted(), bench.triggers.length], ["c", 1]);
  await answer(FIRST);
  assert.equal(bench.triggers.length, 2);
});

test("a success after the disk has changed is no proof of what was sent: the app may have read the newer content", async () => {
  const { bench, answer, change, ends } = await inGroup({ minReloadIntervalMs: 60_000 });
  const good = bench.onTrigger;
  bench.onTrigger = () => {
    bench.write("c");
    good();
  };
  await change("b");
  await answer(FIRST);
  await bench.clock.advance(1_000);
  assert.deepEqual(ends.map(({ digest, result, isProof }) => [digest, result.outcome, isProof]), [
    ["b", "success", false],
  ]);
});

test("a soak is a phase that ends by itself, and says what came of it", async () => {
  const { bench, answer, change } = await inGroup();
  await change("b");
  await answer(FIRST);
  await answer(FIRST, { isSoaking: true });
  assert.equal(bench.status().rollout?.state, "soaking");
  assert.equal(bench.inSync, true);
  assert.ok(bench.logged("The other pods of web follow if the app lives on for 10s"));
  await answer(FIRST, { isSoaking: false, soakEnd: { is: "proved" } });
  assert.equal(bench.status().rollout?.state, "steady");
  assert.ok(bench.logged("INFO The other pods of web may follow"));
});

test("a soak that newer content or another pod's turn has ended lets nobody follow", async () => {
  const { bench, answer, change } = await inGroup();
  await change("b");
  await answer(FIRST);
  await answer(FIRST, { isSoaking: true });
  await answer(FIRST, { isSoaking: false });
  assert.ok(bench.logged("INFO The other pods of web do not follow yet: newer content has come"));
  assert.equal(bench.logged("may follow"), false);
});

test("what cannot be written for the others is told once, and in /status", async () => {
  const { bench, answer, change } = await inGroup();
  await change("b");
  await answer(FIRST);
  await answer(FIRST, { isSoaking: true });
  await answer(FIRST, { isSoaking: true, problem: "the Kubernetes API answers 500" });
  await answer(FIRST, { isSoaking: true, problem: "the Kubernetes API answers 500" });
  const text =
    "The other pods cannot be told of this pod's turn: the Kubernetes API answers 500; trying again";
  assert.equal(bench.log.filter((line) => line.includes(text)).length, 1);
  assert.equal(bench.status().rollout?.message, text);
  await answer(FIRST, { isSoaking: false, soakEnd: { is: "proved" }, problem: null });
  assert.equal(bench.status().rollout?.message, "");
});

test("trouble in the soak is told", async () => {
  const { bench, answer, change } = await inGroup();
  await change("b");
  await answer(FIRST);
  await answer(FIRST, { isSoaking: true });
  await answer(FIRST, {
    isSoaking: false,
    soakEnd: { is: "trouble", reason: "its app died soon after the reload (app, PID 7)" },
  });
  assert.ok(
    bench.logged("ERROR The other pods of web hold: its app died soon after the reload (app, PID 7)"),
  );
});

test("a pod that starts with content that its app has read asks nobody", async () => {
  const { wanted, bench } = await inGroup({ reloadOnStart: "auto" });
  await bench.clock.advance(60_000);
  assert.equal(wanted(), bench.inSync ? null : "a");
});

test("Events: one for each outcome, and no content", async () => {
  const { bench, answer, change, notes } = await inGroup({ validate: "yaml" });
  await change("b");
  await answer(FIRST);
  bench.prepare = () => Promise.resolve({ kind: "invalid", reason: "password: hunter2" });
  await change("c");
  await bench.clock.advance(2_000);
  await answer(FIRST);
  await bench.clock.advance(500);
  assert.deepEqual(notes, [
    "ConfigReloaded: Reload successful (hash: b, proof: counter)",
    "ConfigReloadFailed: Config is invalid (hash: c); the sidecar's log says why",
  ]);
});
