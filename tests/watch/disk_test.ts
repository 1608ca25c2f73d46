import assert from "node:assert/strict";
import { createClock } from "../../src/clock.ts";
import type { Clock } from "../../src/ports.ts";
import { createDisk, NoAnswer } from "../../src/watch/disk.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { test } from "../support/strict.ts";

const CLOCK = createClock();

/** Asks on one disk; null for no answer. */
function createAsk(clock: Clock, answerMsMax: number) {
  const disk = createDisk(clock, answerMsMax);
  return async <T>(name: string, question: () => Promise<T>): Promise<T | null> => {
    try {
      return await disk.ask(name, question);
    } catch (error) {
      if (error instanceof NoAnswer) return null;
      throw error;
    }
  };
}

/** An operation that ends when it is told to. */
function createHanging() {
  const pending = Promise.withResolvers<string>();
  let started = 0;
  return {
    run: () => {
      started++;
      return pending.promise;
    },
    end: pending.resolve,
    started: () => started,
  };
}

test("an answer passes, and so does an error", async () => {
  const ask = createAsk(CLOCK, 1_000);
  assert.equal(await ask("a", () => Promise.resolve("x")), "x");
  await assert.rejects(ask("a", () => Promise.reject(new Error("no"))), /no/);
  assert.equal(await ask("a", () => Promise.resolve("y")), "y");
});

test("of what hangs one is in flight, and it is asked again when it has ended", async () => {
  const ask = createAsk(CLOCK, 20);
  const hanging = createHanging();
  assert.equal(await ask("a", hanging.run), null);
  assert.equal(await ask("a", hanging.run), null);
  assert.equal(hanging.started(), 1);
  assert.equal(await ask("b", () => Promise.resolve("other")), "other");
  hanging.end("late");
  await Promise.resolve();
  assert.equal(await ask("a", () => Promise.resolve("again")), "again");
});

test("a process that was stopped for longer than the timeout finds the answer", async () => {
  const dir = Deno.makeTempDirSync();
  const list = async () => {
    const names = await Array.fromAsync(Deno.readDir(dir));
    await Deno.lstat(dir);
    return names.length;
  };
  const answer = createAsk(CLOCK, 200)("list", list);
  // As under a CPU limit: for 300 ms nothing of this program runs.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  assert.equal(await answer, 0);
  Deno.removeSync(dir);
});

test("eight that hang are enough", async () => {
  const ask = createAsk(CLOCK, 10);
  const all = Array.from({ length: 8 }, createHanging);
  for (const [i, hanging] of all.entries()) await ask(`${i}`, hanging.run);
  let started = false;
  const ninth = () => {
    started = true;
    return Promise.resolve("x");
  };
  assert.equal(await ask("ninth", ninth), null);
  assert.equal(started, false);
  all.forEach((hanging) => hanging.end(""));
  await Promise.resolve();
  assert.equal(await ask("ninth", ninth), "x");
});

test("each is waited for nearly as long as the others, whenever it began", async () => {
  const clock = createFakeClock();
  const disk = createDisk(clock, 1_000);
  const ends: string[] = [];
  const start = (name: string) => {
    const hanging = createHanging();
    disk.ask(name, hanging.run).catch(() => ends.push(`${name} ${clock.nowMs()}`));
  };
  start("a");
  await clock.advance(300);
  start("b");
  await clock.advance(5_000);
  assert.deepEqual(ends, ["a 1000", "b 1250"], "time is counted in quarters");
  assert.equal(clock.pending(), 0, "an idle process is not woken for it");
});
