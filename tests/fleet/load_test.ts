/** What 1,000 pods ask of the API server: the figures of docs/fleet.md. */

import assert from "node:assert/strict";
import { measureLoad } from "../support/fleet_load.ts";
import { test } from "../support/strict.ts";

const most = (bySecond: readonly number[]) => Math.max(...bySecond);
const mean = (bySecond: readonly number[]) => bySecond.reduce((sum, n) => sum + n, 0) / bySecond.length;

test("1,000 pods that see good content within 90 s ask little more than once each", () => {
  const { bySecond, gone } = measureLoad(1_000, "proved", 90_000, 180_000);
  assert.equal(gone, 999, "all but the one that went first, and is through");
  assert.ok(most(bySecond) <= 70, `${most(bySecond)} a second at most`);
  assert.ok(mean(bySecond) * bySecond.length <= 1_600, "requests in all");
  assert.equal(bySecond.slice(120).some((n) => n > 0), false, "and nothing afterwards");
});

test("1,000 pods that see it in the same second: the worst second", () => {
  const { bySecond, gone } = measureLoad(1_000, "proved", 1_000, 60_000);
  assert.equal(gone, 999);
  assert.ok(most(bySecond) <= 1_200, `${most(bySecond)} a second at most`);
});

test("1,000 pods that hold ask 100 times a second", () => {
  const { bySecond } = measureLoad(1_000, "rejected", 90_000, 600_000);
  const settled = mean(bySecond.slice(200));
  assert.ok(settled >= 90 && settled <= 110, `${settled} a second`);
  assert.ok(most(bySecond) <= 200, `${most(bySecond)} a second at most`);
});
