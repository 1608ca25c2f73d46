/** The real clock. That a sleep which was cancelled leaves no timer behind is seen by the sanitizers. */

import assert from "node:assert/strict";
import { createClock } from "../src/clock.ts";
import { test } from "./support/strict.ts";

test("sleep resolves after its time, in order of the deadlines", async () => {
  const clock = createClock();
  const woken: number[] = [];
  // So far apart that a busy machine does not wake two of them at once, which has no order.
  const startMs = clock.nowMs();
  const sleep = (ms: number) => clock.sleep(ms).then(() => woken.push(ms));
  await Promise.all([sleep(180), sleep(60), sleep(120), sleep(0)]);
  assert.deepEqual(woken, [0, 60, 120, 180]);
  assert.ok(clock.nowMs() - startMs >= 179, "not before its time");
});

test("sleeps end at once when their signal aborts", async () => {
  const clock = createClock();
  const stop = new AbortController();
  const startMs = clock.nowMs();
  const long = [clock.sleep(60_000, stop.signal), clock.sleep(50_000, stop.signal)];
  stop.abort();
  await Promise.all(long);
  await clock.sleep(10_000, stop.signal);
  assert.ok(clock.nowMs() - startMs < 5_000);
});

test("a sleep longer than a timer can count does not end at once", async () => {
  const clock = createClock();
  const stop = new AbortController();
  let woken = false;
  // 30 days; setTimeout takes it for no time at all.
  const sleeping = clock.sleep(30 * 86_400_000, stop.signal).then(() => woken = true);
  await clock.sleep(20);
  assert.equal(woken, false);
  stop.abort();
  await sleeping;
});
