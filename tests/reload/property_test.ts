/** The invariants of `step` alone, over random worlds: whatever an effect may bring, and events that nobody asked for. */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Event } from "../../src/reload/model.ts";
import { step } from "../../src/reload/step.ts";
import { createTestConfig } from "../support/config.ts";
import { test } from "../support/strict.ts";
import { content, MISSING, result } from "./support.ts";
import { createChoices, hint, isAtRest, perform, READING, report, World } from "./world.ts";

const RUNS = Number(Deno.env.get("PROPERTY_RUNS") ?? 400);
const POLICIES = fc.record({
  trigger: fc.constantFrom("signal" as const, "http" as const, "none" as const),
  reloadOnStart: fc.constantFrom("auto" as const, "always" as const, "never" as const),
  jitterMs: fc.constantFrom(0, 0, 3_000),
  minReloadIntervalMs: fc.constantFrom(0, 1_000, 10_000),
  maxBackoffMs: fc.constant(60_000),
}).map((more) => createTestConfig(more));
const NUMBERS = fc.array(fc.nat(9_999), { maxLength: 400, size: "max" });

test("I1, I2, I4, I6, I8, I9, I10: over any history, and then good content and a willing app lead to in sync", () => {
  fc.assert(
    fc.property(POLICIES, NUMBERS, (policy, numbers) => {
      const world = new World(policy, createChoices(numbers));
      while (!world.choices.isOver()) perform(world, false);
      world.write("last");
      hint(world, "event");
      for (let i = 0; i < 400 && !isAtRest(world); i++) perform(world, true);
      assert.ok(isAtRest(world), `I1: not in sync at rest: ${JSON.stringify(world.model.phase)}`);
    }),
    { numRuns: RUNS },
  );
});

test("I7: a stop in any phase ends the loop: at once, or with the end of the reload in progress", () => {
  fc.assert(
    fc.property(POLICIES, NUMBERS, (policy, numbers) => {
      const world = new World(policy, createChoices(numbers));
      while (!world.choices.isOver()) perform(world, false);
      const isReloading = world.running !== null;
      world.take({ kind: "stop" });
      assert.ok(isReloading || world.effect.do === "end", `${world.model.phase.is} goes on`);
      for (let i = 0; i < 20 && world.effect.do !== "end"; i++) {
        if (world.running === null) perform(world, true);
        else report(world, true);
      }
      assert.equal(world.effect.do, "end");
    }),
    { numRuns: RUNS },
  );
});

/** Events that no effect may have asked for. */
function strayEvents(now: number): readonly Event[] {
  const alive = { known: false, signalled: false };
  const hinted = { causes: ["event"], firstAtMs: now } as const;
  const common = { hint: hinted, alive, staleMounts: [] } as const;
  return [
    { kind: "hinted", hint: hinted },
    { kind: "woke" },
    { kind: "looked", ...common, observation: content("a") },
    { kind: "looked", ...common, observation: MISSING },
    { kind: "looked", ...common, observation: { kind: "settling", againAtMs: now + 100 } },
    { kind: "looked", ...common, observation: { kind: "replaced", path: "/x", message: "gone" } },
    { kind: "answered", prepared: { kind: "ok" }, resolution: null, reading: null },
    { kind: "checked", alive, found: null },
    { kind: "sent", how: "first", target: null, atMs: now },
    { kind: "ended", result: result("timeout") },
    { kind: "told", reading: READING },
    { kind: "rendered", prepared: { kind: "invalid", reason: "no" } },
    { kind: "stop" },
  ];
}

test("no event in any phase throws, and each leads to something to do", () => {
  fc.assert(
    fc.property(POLICIES, NUMBERS, (policy, numbers) => {
      const world = new World(policy, createChoices(numbers));
      while (!world.choices.isOver()) perform(world, false);
      for (const event of strayEvents(world.nowMs)) {
        const [after, effect] = step(world.model, event, world.now(), policy);
        assert.ok(after.phase.is.length > 0 && effect.do.length > 0);
        if (effect.do === "wait") assert.ok(!Number.isNaN(effect.untilMs));
      }
    }),
    { numRuns: RUNS },
  );
});
