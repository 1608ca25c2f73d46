import assert from "node:assert/strict";
import { createOutputTimes } from "../../src/loop/output_times.ts";
import type { PrepareResult } from "../../src/ports.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { test } from "../support/strict.ts";

const output = (outputWallMs: number, written = false): PrepareResult => ({
  kind: "ok",
  written,
  outputWallMs,
});

for (const stepMs of [-3_600_000, -1_500, 1_500, 3_600_000]) {
  test(`a step of the wall clock by ${stepMs} ms moves no output`, async () => {
    const clock = createFakeClock();
    const outputAtMs = createOutputTimes(clock);
    const prepared = output(clock.wallMs() - 500);
    assert.equal(outputAtMs(prepared), -500);
    clock.stepWall(stepMs);
    await clock.advance(9_000);
    assert.equal(outputAtMs(prepared), -500);
  });
}

test("an output from before the clock was set back came at the first look at the latest, and stays there", async () => {
  const clock = createFakeClock();
  const outputAtMs = createOutputTimes(clock);
  const prepared = output(clock.wallMs() + 3_600_000);
  assert.equal(outputAtMs(prepared), 0);
  await clock.advance(9_000);
  assert.equal(outputAtMs(prepared), 0);
});

test("what is written later comes later, also where an older output has a newer time", async () => {
  const clock = createFakeClock();
  const outputAtMs = createOutputTimes(clock);
  const beforeMs = clock.wallMs();
  assert.equal(outputAtMs(output(beforeMs)), 0);
  clock.stepWall(-3_600_000);
  await clock.advance(9_000);
  assert.equal(outputAtMs(output(beforeMs, true)), 9_000); // another file of the same output
  await clock.advance(1_000);
  assert.equal(outputAtMs(output(beforeMs)), 9_000);
  assert.equal(outputAtMs(output(clock.wallMs() - 200)), 9_800); // that one is gone
});

test("without an output there is no time", () => {
  const outputAtMs = createOutputTimes(createFakeClock());
  assert.equal(outputAtMs({ kind: "ok", written: false }), null);
  assert.equal(outputAtMs({ kind: "invalid", reason: "no" }), null);
});
