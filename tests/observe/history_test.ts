import assert from "node:assert/strict";
import type { ReloadRecord } from "../../src/model.ts";
import { createHistory } from "../../src/observe/history.ts";
import { test } from "../support/strict.ts";

function record(attempt: number, more: Partial<ReloadRecord> = {}): ReloadRecord {
  return {
    startedWallMs: attempt,
    oldHash: "a",
    newHash: "b",
    causes: ["event"],
    attempt,
    outcome: "in progress",
    reason: "",
    pid: null,
    durationMs: null,
    triggerDelayMs: null,
    ...more,
  };
}

test("the newest comes first, and the end of a reload replaces its beginning", () => {
  const history = createHistory();
  assert.deepEqual(history.list(), []);
  const endFirst = history.begin(record(1));
  const endSecond = history.begin(record(2));
  endFirst(record(1, { outcome: "rejected" }));
  assert.deepEqual(history.list().map((r) => [r.attempt, r.outcome]), [[2, "in progress"], [1, "rejected"]]);
  endSecond(record(2, { outcome: "success" }));
  assert.equal(history.list()[0]!.outcome, "success");
});

test("twenty are kept, also when an old one ends late", () => {
  const history = createHistory();
  const endOld = history.begin(record(0));
  for (let i = 1; i <= 30; i++) history.begin(record(i))(record(i, { outcome: "success" }));
  endOld(record(0, { outcome: "timeout" }));
  assert.deepEqual(history.list().map((r) => r.attempt), Array.from({ length: 20 }, (_, i) => 30 - i));
});
