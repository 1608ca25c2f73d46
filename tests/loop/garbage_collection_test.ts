import assert from "node:assert/strict";
import { createCollector, RELOAD_WORK } from "../../src/loop/garbage_collection.ts";
import { test } from "../support/strict.ts";

test("memory is given back after 100 requests, or 10 reloads, and not before", () => {
  let collections = 0;
  const collect = createCollector(() => collections++);
  for (let i = 0; i < 99; i++) collect(1);
  assert.equal(collections, 0);
  collect(1);
  assert.equal(collections, 1);
  for (let i = 0; i < 100 / RELOAD_WORK; i++) collect(RELOAD_WORK);
  assert.equal(collections, 2);
});

test("an engine without the call is left alone", () => {
  const collect = createCollector(undefined);
  for (let i = 0; i < 2_000; i++) collect(1);
});
