/** What `check` says of the sidecar that runs, by its `/status`. */

import assert from "node:assert/strict";
import { checkRunning } from "../../src/commands/check/server.ts";
import { goodView } from "../support/status_view.ts";
import { test } from "../support/strict.ts";

test("in sync: with the hash that the app runs", () => {
  const { level, code, message } = checkRunning({
    ...goodView(),
    inSync: true,
    appliedDigest: "ab".repeat(32),
  });
  assert.deepEqual([level, code, message], [
    "ok",
    "in-sync",
    "It is in sync: the app runs hash abababababab",
  ]);
});

test("not in sync: what its last reload came to, and the fix that its status gives", () => {
  const view = goodView();
  const [reload] = view.reloads;
  const failed = { ...reload!, outcome: "timeout", reason: "reload verification timeout after 30s" } as const;
  const fix = { say: "look there" };
  const found = checkRunning({ ...view, inSync: false, reloads: [failed], fix });
  assert.deepEqual([found.level, found.code, found.fix], ["warn", "not-in-sync", fix]);
  assert.equal(
    found.message,
    "It is not in sync: its last reload ended with timeout: reload verification timeout after 30s",
  );
  assert.match(checkRunning({ ...view, inSync: false, reloads: [] }).message, /no reload was tried yet$/);
  const running = { ...reload!, outcome: "in progress" } as const;
  assert.match(
    checkRunning({ ...view, inSync: false, reloads: [running] }).message,
    /a reload is in progress$/,
  );
});
