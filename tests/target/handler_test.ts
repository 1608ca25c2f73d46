import assert from "node:assert/strict";
import { createClock } from "../../src/clock.ts";
import { judgeHandler } from "../../src/target/handler.ts";
import { createTargetPort } from "../../src/target/target.ts";
import { createTestConfig } from "../support/config.ts";
import { test } from "../support/strict.ts";
import { app, CAUGHT, tableOf } from "./fake_table.ts";

const OPTIONS = { signal: "SIGHUP" as const, allowUnhandled: false };

test("a young process without executable: not begun, or about to end since the table was read", () => {
  const young = tableOf([app(7, { ageMs: 100, exe: null })]);
  const stat = young.processes.get(7)!;
  const judged = (now: typeof stat | null) =>
    judgeHandler({ ...young, statNow: () => now }, stat, "named by --pid 7", 0, OPTIONS);
  assert.equal(judged(stat).kind, "starting");
  for (const now of [null, { ...stat, state: "X" }, { ...stat, startTicks: 999 }]) {
    const found = judged(now);
    assert.deepEqual(found.kind === "none" && [found.code, found.again], ["not-there", true]);
  }
});

test("one that has ended since the table was read is not there", () => {
  const table = tableOf([app(7)], { status: () => null });
  const found = judgeHandler(table, table.processes.get(7)!, "named by --pid 7", 0, OPTIONS);
  assert.deepEqual(found.kind === "none" && [found.code, found.again], ["not-there", true]);
});

test("a young process without a command line is just being made, whoever's it is", () => {
  for (const [argv, kind] of [[[], "starting"], [["amp"], "target"]] as const) {
    const table = tableOf([app(7, { ageMs: 100, argv, uid: 1000, exe: null })]);
    assert.equal(judgeHandler(table, table.processes.get(7)!, "", 0, OPTIONS).kind, kind);
  }
});

test("one that ignores the signal is told apart from one that would die of it", () => {
  for (const [ignored, says] of [[CAUGHT, /it ignores SIGHUP/], [0, /would die of it/]] as const) {
    const table = tableOf([app(7, { caught: 0, ignored })]);
    const found = judgeHandler(table, table.processes.get(7)!, "", 0, OPTIONS);
    assert.ok(found.kind === "none" && found.code === "no-handler");
    assert.match(found.message, says);
  }
});

/** Has a handler, and so much memory that it takes the kernel some milliseconds to take that away. */
const LARGE = `
Deno.addSignalListener("SIGHUP", () => {});
globalThis.memory = Array.from({ length: 40 }, () => new Uint8Array(1 << 20).fill(1));
console.log("ready");
setInterval(() => {}, 1000);
`;

test("a young process that ends has ended, at each moment of its end", async () => {
  for (let round = 0; round < 3; round++) {
    const child = new Deno.Command(Deno.execPath(), { args: ["eval", LARGE], stdout: "piped" }).spawn();
    const output = child.stdout.getReader();
    await output.read();
    const port = await createTargetPort(createTestConfig({ pid: child.pid }), { clock: createClock() });
    const first = port.resolve(null);
    const seen = new Set<string>();
    child.kill("SIGKILL");
    // It stays a zombie, since nobody asks for its end while this runs.
    for (const endMs = performance.now() + 20_000; performance.now() < endMs;) {
      const found = port.resolve(null);
      seen.add(found.kind === "none" ? found.code : found.kind);
      if (found.kind === "none" && found.message.includes("is a zombie")) break;
    }
    await output.cancel();
    await child.status;
    assert.equal(first.kind, "target");
    seen.delete("target");
    assert.deepEqual([...seen], ["not-there"]);
  }
});
