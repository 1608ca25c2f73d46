import assert from "node:assert/strict";
import fc from "fast-check";
import { decideSettling, type SettleInput, type Settling } from "../../src/watch/settle.ts";
import { test } from "../support/strict.ts";

const INPUT: SettleInput = {
  nowMs: 0,
  delayMs: 200,
  differs: true,
  sameAsBefore: true,
  stable: true,
  atomic: false,
};

/** Plays looks one after the other; gives the time of the one that counts, or null. */
function play(looks: Partial<SettleInput>[]): number | null {
  let state: Settling | null = null;
  for (const look of looks) {
    state = decideSettling(state, { ...INPUT, ...look });
    if (state === null) return look.nowMs ?? 0;
  }
  return null;
}

test("what is as it was, or without delay, counts at once", () => {
  assert.equal(decideSettling(null, { ...INPUT, differs: false }), null);
  assert.equal(decideSettling(null, { ...INPUT, delayMs: 0 }), null);
});

test("a change waits for quiet and then for two equal reads", () => {
  const first = decideSettling(null, INPUT);
  assert.equal(first?.againAtMs, 200);
  const second = decideSettling(first, { ...INPUT, nowMs: 200 });
  assert.equal(second?.againAtMs, 400);
  assert.equal(
    decideSettling(second, { ...INPUT, nowMs: 399.5 }),
    null,
    "a timer may be early by a fraction",
  );
  assert.equal(decideSettling(second, { ...INPUT, nowMs: 300 })?.againAtMs, 400);
});

test("a look in between that finds another state begins anew", () => {
  assert.equal(
    play([{ nowMs: 0 }, { nowMs: 200, sameAsBefore: false }, { nowMs: 400 }, { nowMs: 600 }]),
    600,
  );
  assert.equal(
    play([{ nowMs: 0 }, { nowMs: 200 }, { nowMs: 400, sameAsBefore: false }, { nowMs: 600 }]),
    null,
  );
});

test("what went back to the old state is forgotten", () => {
  assert.equal(play([{ nowMs: 0 }, { nowMs: 200, differs: false }]), 200);
});

test("a swapped volume needs quiet only", () => {
  assert.equal(play([{ nowMs: 0, atomic: true }, { nowMs: 200, atomic: true }]), 200);
});

test("a busy writer is waited for 2 s, and as long again while each read is torn", () => {
  const busy = (everyMs: number, untilMs: number, stable: boolean) => {
    const looks = [];
    for (let nowMs = 0; nowMs <= untilMs; nowMs += everyMs) {
      looks.push({ nowMs, sameAsBefore: false, stable });
    }
    return play(looks);
  };
  assert.equal(busy(100, 10_000, true), 2_000);
  assert.equal(busy(100, 10_000, false), 4_000);
});

test("whatever the looks find, waiting has an end, and the next look is never in the past", () => {
  const look = fc.record({
    stepMs: fc.nat(300),
    sameAsBefore: fc.boolean(),
    stable: fc.boolean(),
    atomic: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(look, { maxLength: 300 }), fc.integer({ min: 1, max: 500 }), (looks, delayMs) => {
      let state: Settling | null = null;
      let nowMs = 0;
      let sinceMs = 0;
      for (const { stepMs, ...rest } of looks) {
        nowMs = state === null ? nowMs + stepMs : Math.max(nowMs, state.againAtMs) + stepMs / 100;
        if (state === null) sinceMs = nowMs;
        state = decideSettling(state, { ...INPUT, ...rest, delayMs, nowMs });
        if (state === null) continue;
        assert.ok(state.againAtMs > nowMs - 1);
        assert.ok(state.againAtMs <= nowMs + delayMs);
        assert.ok(nowMs - sinceMs <= delayMs * 20 + 5, "twice the longest wait");
      }
    }),
  );
});
