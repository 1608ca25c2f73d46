/** The rollout under a bad network and dying pods, seeded; and that each mechanism is needed: without it a promise breaks. */

import assert from "node:assert/strict";
import { simulateFleet, type Without } from "../support/fleet_simulation.ts";
import { test } from "../support/strict.ts";

/** Seeds that found a fault, with a word on what it was. */
const KEPT: readonly (readonly [number, string])[] = [
  [20, "a retry went by a rejection that was not written yet, while the turn ran out"],
  [2162, "a process that was stopped retried what another pod had rejected meanwhile"],
  [5353, "a turn of before a restart, in which content had been sent, was given back"],
  [6917, "a turn for content that was sent earlier and abandoned was given back"],
  [8700, "giving back was written over the turn that was taken again"],
  [23292, "two abandoned turns for one content were taken for one that had run out"],
];

test("400 seeds keep the three promises", () => {
  for (let seed = 1; seed <= 400; seed++) simulateFleet(seed);
});

for (const [seed, found] of KEPT) {
  test(`fleet seed ${seed} (${found})`, () => void simulateFleet(seed));
}

const MUTANTS: readonly (readonly [keyof Without, RegExp, string])[] = [
  ["versions", /P1: /, "writes are taken whatever was written in between"],
  ["memory", /P[12]: /, "content before the current one is forgotten"],
  ["rejections", /P[12]: /, "a rejection is not believed"],
  ["lastLook", /P[12]: /, "nobody looks at the turn once more right before the trigger"],
  ["expiry", /out of sync/, "a holder that is gone is never replaced"],
];

for (const [name, promise, what] of MUTANTS) {
  test(`a promise breaks where ${what}`, () => {
    for (let seed = 1; seed <= 300; seed++) {
      try {
        simulateFleet(seed, { [name]: true });
      } catch (error) {
        assert.match(error instanceof Error ? error.message : "", promise);
        return;
      }
    }
    assert.fail("no seed has shown it");
  });
}
