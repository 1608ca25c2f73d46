import assert from "node:assert/strict";
import { createHeartbeat } from "../../src/loop/loop.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { test } from "../support/strict.ts";

test("the loop is dead after three silent intervals, but never before 30 s", async () => {
  const clock = createFakeClock();
  const [often, seldom] = [createHeartbeat(clock, 5_000), createHeartbeat(clock, 60_000)];
  await clock.advance(30_000);
  assert.deepEqual(often.health(), { ok: true });
  await clock.advance(1);
  assert.equal(often.health().ok, false);
  await clock.advance(149_998);
  assert.deepEqual(seldom.health(), { ok: true });
  await clock.advance(1_001);
  const reason = "the loop has not turned for 3m1s, at most 3m is normal";
  assert.deepEqual(seldom.health(), { ok: false, reason });
});

test("what may take its time has a deadline of its own, which is no silence", async () => {
  const clock = createFakeClock();
  const { beat, health } = createHeartbeat(clock, 5_000);
  beat(10_000);
  await clock.advance(40_000);
  assert.deepEqual(health(), { ok: true });
  await clock.advance(1);
  assert.equal(health().ok, false);
});
