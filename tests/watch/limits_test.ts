/** What whoever may make files in a watched directory can make of it. */

import assert from "node:assert/strict";
import { createClock } from "../../src/clock.ts";
import { createSnapshotReader } from "../../src/watch/reader.ts";
import { createTestConfig } from "../support/config.ts";
import { testInDir } from "../support/in_dir.ts";

testInDir("files whose paths take megabytes are an error state, as too many are", async (dir) => {
  const deep = `${dir}/${Array(15).fill("d".repeat(240)).join("/")}`;
  Deno.mkdirSync(deep, { recursive: true });
  for (let i = 0; i < 2400; i++) Deno.writeTextFileSync(`${deep}/${"x".repeat(200)}${i}`, "");
  const config = createTestConfig({ configFiles: [], watchedDirs: [dir] });
  const found = await createSnapshotReader(config, createClock())
    .look({ signal: new AbortController().signal });
  assert.ok(found.kind === "unreadable", found.kind);
  assert.match(found.files[0]!.error!, /^2\d+ files, and more than 8388608 characters in their paths$/);
});
