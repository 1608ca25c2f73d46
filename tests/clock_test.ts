import assert from "node:assert/strict";
import { createClock } from "../src/clock.ts";
import { until } from "./support/poll.ts";

Deno.test("sleep resolves after its time, in order of the deadlines", async () => {
  const clock = createClock();
  const woken: number[] = [];
  // So far apart that a busy machine does not wake two of them at once, which has no order.
  const startMs = clock.nowMs();
  const sleep = (ms: number) => clock.sleep(ms).then(() => woken.push(ms));
  const all = Promise.all([sleep(180), sleep(60), sleep(120), sleep(0)]);
  // These timers do not keep a process alive, so the test has something that does.
  await until("all sleepers", () => woken.length === 4, { everyMs: 1 });
  await all;
  assert.deepEqual(woken, [0, 60, 120, 180]);
  assert.ok(clock.nowMs() - startMs >= 179, "not before its time");
});

Deno.test("sleeps end at once when their signal aborts, and share one listener of it", async () => {
  const clock = createClock();
  const stop = new AbortController();
  let added = 0;
  const signal = stop.signal;
  const add = signal.addEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (added++, add(...args));
  const long = [clock.sleep(60_000, signal), clock.sleep(50_000, signal)];
  stop.abort();
  await Promise.all(long);
  await clock.sleep(10_000, signal);
  assert.equal(added, 1, "to add and remove one takes longer than the rest of a sleep");
});

Deno.test("sleeps that are cancelled again and again share one timer, and later sleeps still work", async () => {
  const clock = createClock();
  const original = AbortSignal.timeout;
  let timers = 0;
  AbortSignal.timeout = (ms) => (timers++, original.call(AbortSignal, ms));
  try {
    for (let i = 0; i < 10_000; i++) {
      const stop = new AbortController();
      const slept = clock.sleep(5_000, stop.signal);
      stop.abort();
      await slept;
    }
    let woke = false;
    clock.sleep(5).then(() => woke = true);
    await until("a short sleep after many long ones", () => woke);
    assert.ok(timers <= 4, `${timers} timers were armed`);
  } finally {
    AbortSignal.timeout = original;
  }
});
