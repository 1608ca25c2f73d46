/** What `--rollout-soak` waits for: the app lives on after its reload, with a good status. */

import assert from "node:assert/strict";
import { createAppCheck } from "../../src/attempt/app_check.ts";
import type { StatusReading } from "../../src/model.ts";
import { targetOf } from "../support/loop_bench.ts";
import { amp, DOWN } from "../support/status.ts";
import { test } from "../support/strict.ts";

const reading = (status: string): StatusReading => ({ kind: "status", status: amp({ status }) });
const GOOD = reading("success");

/** What the check says of these answers, one after the other. */
async function say(answers: readonly StatusReading[], isAlive = true, verify: "auto" | "none" = "auto") {
  const left = [...answers];
  const probe = { read: () => Promise.resolve(left.shift()!) };
  const check = createAppCheck({ config: { verify }, target: { isAlive: () => isAlive }, probe });
  const said = [];
  for (const _ of answers) said.push(await check(targetOf(0), new AbortController().signal));
  return said;
}

test("soak: a good status is in order; one that says no, and an app that is gone, are not", async () => {
  assert.deepEqual(await say([GOOD, reading("rolled_back")]), [
    null,
    "its app says after the reload that it failed",
  ]);
  assert.deepEqual(await say([GOOD], false), ["its app died soon after the reload (app, PID 7)"]);
});

test("soak: an answer that is missing twice may be a bad moment, three times in a row it is not", async () => {
  const trouble = "its app no longer answers after the reload: connection refused";
  assert.deepEqual(await say([DOWN, DOWN, GOOD, DOWN, DOWN, DOWN]), [null, null, null, null, null, trouble]);
  assert.deepEqual(await say([DOWN, DOWN, DOWN], true, "none"), [null, null, null], "nobody asks");
});
