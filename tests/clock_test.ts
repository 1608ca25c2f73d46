/** The real clock. That a sleep which was cancelled leaves no timer behind is seen by the sanitizers. */

import assert from "node:assert/strict";
import { createClock } from "../src/clock.ts";
import { WAIT_MS } from "./support/poll.ts";
import { test } from "./support/strict.ts";

test("no sleep resolves before its time", async () => {
  const clock = createClock();
  // Which of them comes first is nobody's promise: a busy machine wakes several at once.
  await Promise.all([90, 30, 60, 0].map(async (ms) => {
    const startMs = clock.nowMs();
    await clock.sleep(ms);
    assert.ok(clock.nowMs() - startMs >= ms - 1, `${clock.nowMs() - startMs} ms of ${ms}`);
  }));
});

test("sleeps end at once when their signal aborts", async () => {
  const clock = createClock();
  const stop = new AbortController();
  const startMs = clock.nowMs();
  const long = [clock.sleep(3_600_000, stop.signal), clock.sleep(3_500_000, stop.signal)];
  stop.abort();
  await Promise.all(long);
  await clock.sleep(3_600_000, stop.signal);
  assert.ok(clock.nowMs() - startMs < WAIT_MS);
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
