import assert from "node:assert/strict";
import { createClock } from "../../src/clock.ts";
import { createGuard } from "../../src/watch/guard.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { STRICT } from "../support/strict.ts";

const CLOCK = createClock();

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

Deno.test({ ...STRICT, name: "an answer passes, and so does an error" }, async () => {
  const guard = createGuard(CLOCK, 1_000);
  assert.equal(await guard.run("a", () => Promise.resolve("x")), "x");
  await assert.rejects(guard.run("a", () => Promise.reject(new Error("no"))), /no/);
  assert.equal(await guard.run("a", () => Promise.resolve("y")), "y");
});

Deno.test(
  { ...STRICT, name: "of what hangs one is in flight, and it is asked again when it has ended" },
  async () => {
    const guard = createGuard(CLOCK, 20);
    const hanging = createHanging();
    assert.equal(await guard.run("a", hanging.run), null);
    assert.equal(await guard.run("a", hanging.run), null);
    assert.equal(hanging.started(), 1);
    assert.equal(await guard.run("b", () => Promise.resolve("other")), "other");
    hanging.end("late");
    await Promise.resolve();
    assert.equal(await guard.run("a", () => Promise.resolve("again")), "again");
  },
);

Deno.test({ ...STRICT, name: "eight that hang are enough" }, async () => {
  const guard = createGuard(CLOCK, 10);
  const all = Array.from({ length: 8 }, createHanging);
  await Promise.all(all.map((hanging, i) => guard.run(`${i}`, hanging.run)));
  let started = false;
  const ninth = () => {
    started = true;
    return Promise.resolve("x");
  };
  assert.equal(await guard.run("ninth", ninth), null);
  assert.equal(started, false);
  all.forEach((hanging) => hanging.end(""));
  await Promise.resolve();
  assert.equal(await guard.run("ninth", ninth), "x");
});

Deno.test({ ...STRICT, name: "each is waited for as long as the others, whenever it began" }, async () => {
  const clock = createFakeClock();
  const guard = createGuard(clock, 1_000);
  const ends: string[] = [];
  const start = (name: string) => {
    const hanging = createHanging();
    guard.run(name, hanging.run).then(() => ends.push(`${name} ${clock.nowMs()}`));
  };
  start("a");
  await clock.advance(300);
  start("b");
  await clock.advance(5_000);
  assert.deepEqual(ends, ["a 1000", "b 1300"]);
});

Deno.test(
  { ...STRICT, name: "what is released may be asked again, and still counts as hanging" },
  async () => {
    const guard = createGuard(CLOCK, 20);
    const first = createHanging();
    const early = guard.run("a", first.run);
    guard.release("a");
    assert.equal(await guard.run("a", first.run), null, "it is still waited for");
    assert.equal(await early, null);
    const all = [first, ...Array.from({ length: 7 }, createHanging)];
    for (const hanging of all.slice(1)) {
      guard.release("a");
      assert.equal(await guard.run("a", hanging.run), null);
      assert.equal(hanging.started(), 1);
    }
    guard.release("a");
    assert.equal(await guard.run("a", () => Promise.resolve("x")), null, "eight are enough");
    all.forEach((hanging) => hanging.end(""));
    await Promise.resolve();
    assert.equal(await guard.run("a", () => Promise.resolve("x")), "x");
  },
);
