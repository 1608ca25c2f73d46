import assert from "node:assert/strict";
import { test } from "../support/strict.ts";

/** Prints how many bytes of the heap 20,000 looks leave behind, each with an observation of its own. */
const LOOKS = `
  const { createClock } = await import("${import.meta.resolve("../../src/clock.ts")}");
  const { createMailbox } = await import("${import.meta.resolve("../../src/loop/mailbox.ts")}");
  const mailbox = createMailbox(createClock());
  const look = (i) => mailbox.unlessStopped(Promise.resolve({ kind: "looked", hash: [i] }));
  for (let i = 0; i < 100; i++) await look(i);
  globalThis.gc();
  const before = Deno.memoryUsage().heapUsed;
  for (let i = 0; i < 20_000; i++) await look(i);
  globalThis.gc();
  console.log(Deno.memoryUsage().heapUsed - before);
`;

test("nothing is kept of a look that is over, however long the process lives", async () => {
  const args = ["eval", "--v8-flags=--expose-gc", LOOKS];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const keptBytes = Number(new TextDecoder().decode(stdout) || NaN);
  // A race with the promise of the stop kept 7 MB.
  assert.ok(keptBytes < 500_000, `${keptBytes} bytes are kept\n${new TextDecoder().decode(stderr)}`);
});
