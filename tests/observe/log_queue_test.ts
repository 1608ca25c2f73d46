import assert from "node:assert/strict";
import { type ByteSink, createLogQueue } from "../../src/observe/log_queue.ts";
import { test } from "../support/strict.ts";

/** A sink that takes bytes only while it is open, and at most `chunk` at a time. */
function createValve(chunk = Infinity) {
  const decoder = new TextDecoder();
  let waiting: (() => void)[] = [];
  const valve = {
    text: "",
    writes: 0,
    shut: false,
    broken: false,
    release() {
      valve.shut = false;
      for (const resume of waiting) resume();
      waiting = [];
    },
  };
  const sink: ByteSink = {
    write: async (bytes) => {
      valve.writes++;
      if (valve.shut) await new Promise<void>((resolve) => waiting.push(resolve));
      if (valve.broken) throw new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
      const count = Math.min(chunk, bytes.length);
      valve.text += decoder.decode(bytes.subarray(0, count), { stream: true });
      return count;
    },
  };
  return { valve, sink };
}

const renderDrops = (count: number) => `dropped ${count}\n`;

test("lines come out in order, many in one write", async () => {
  const { valve, sink } = createValve();
  const queue = createLogQueue(sink, renderDrops);
  for (let i = 0; i < 100; i++) queue.push(`line ${i}\n`);
  await queue.flush(1_000);
  assert.equal(valve.text, Array.from({ length: 100 }, (_, i) => `line ${i}\n`).join(""));
  assert.equal(valve.writes, 2);
  assert.equal(queue.dropped(), 0);
});

test("a sink that takes a few bytes at a time gets every byte", async () => {
  const { valve, sink } = createValve(3);
  const queue = createLogQueue(sink, renderDrops);
  queue.push("✅ Reload successful\n");
  await queue.flush(1_000);
  assert.equal(valve.text, "✅ Reload successful\n");
});

test("a stalled sink bounds the queue; the drops are counted and told when it goes on", async () => {
  const { valve, sink } = createValve();
  valve.shut = true;
  const queue = createLogQueue(sink, renderDrops);
  const line = "x".repeat(1023) + "\n";
  for (let i = 0; i < 1_000; i++) queue.push(line);
  // One is being written, 256 wait.
  assert.equal(queue.dropped(), 1_000 - 1 - 256);
  valve.release();
  await queue.flush(1_000);
  queue.push("after\n");
  await queue.flush(1_000);
  assert.ok(valve.text.endsWith(`${line}dropped 743\nafter\n`), valve.text.slice(-60));
  assert.equal(valve.text.match(/dropped/g)?.length, 1);
});

test("flush gives up on a stalled sink", async () => {
  const { valve, sink } = createValve();
  valve.shut = true;
  const queue = createLogQueue(sink, renderDrops);
  queue.push("never\n");
  const start = performance.now();
  await queue.flush(30);
  assert.ok(performance.now() - start < 1_000);
  valve.release();
  await queue.flush(1_000);
});

test("a closed pipe costs the lines and nothing else; they are counted", async () => {
  const { valve, sink } = createValve();
  valve.broken = true;
  const queue = createLogQueue(sink, renderDrops);
  queue.push("a\n");
  queue.push("b\n");
  await queue.flush(1_000);
  queue.push("c\n");
  await queue.flush(1_000);
  assert.equal(queue.dropped(), 3);
  valve.broken = false;
  queue.push("d\n");
  await queue.flush(1_000);
  assert.equal(valve.text, "d\ndropped 3\n");
  assert.equal(queue.dropped(), 3);
});
