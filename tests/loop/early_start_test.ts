import assert from "node:assert/strict";
import { FOUND_FRESH_MS } from "../../src/loop/attempt_steps.ts";
import { createEarlyStart } from "../../src/loop/early_start.ts";
import type { StatusReading } from "../../src/model.ts";
import { createTestConfig } from "../support/config.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { test } from "../support/strict.ts";

/** An early start whose requests are answered by hand. */
function createBench() {
  const clock = createFakeClock();
  const requests: { answer(reading: StatusReading): void; signal: AbortSignal }[] = [];
  const early = createEarlyStart({
    clock,
    config: createTestConfig(),
    probe: {
      read: (signal) =>
        new Promise((answer) => {
          requests.push({ answer, signal });
        }),
    },
    target: { resolve: () => ({ kind: "none", code: "not-there", message: "nobody" }) },
  });
  return { clock, early, requests };
}

test("what was foreseen just before serves the change; what was foreseen long ago proves nothing", async () => {
  const { clock, early, requests } = createBench();
  early.foresee();
  const foreseen = early.advance(clock.nowMs());
  assert.equal(foreseen?.sighting?.resolution.kind, "none");
  await clock.advance(FOUND_FRESH_MS - 1);
  early.begin();
  assert.equal(early.advance(clock.nowMs()), foreseen);
  assert.equal(requests.length, 1);
  await clock.advance(1);
  assert.equal(early.advance(clock.nowMs()), null);
  early.begin();
  assert.notEqual(early.advance(clock.nowMs()), foreseen);
  assert.equal(requests.length, 2);
  assert.ok(requests[0]!.signal.aborted);
});

test("what this look has begun counts for as long as the look takes", async () => {
  const { clock, early } = createBench();
  const lookAtMs = clock.nowMs();
  early.begin();
  await clock.advance(5_000);
  assert.notEqual(early.advance(lookAtMs), null);
});

test("a directory that is busy with other things is no reason to ask the app all the time", async () => {
  const { clock, early, requests } = createBench();
  for (let i = 0; i < 100; i++) {
    early.foresee();
    await clock.advance(50);
  }
  assert.equal(requests.length, 5);
});

test("what is dropped is asked for no more, unless the answer is there", async () => {
  const { early, requests, clock } = createBench();
  early.begin();
  early.drop();
  assert.ok(requests[0]!.signal.aborted);
  assert.equal(early.advance(clock.nowMs()), null);
  early.begin();
  requests[1]!.answer({ kind: "error", reason: "connection refused" });
  await null;
  early.drop();
  assert.equal(requests[1]!.signal.aborted, false);
});
