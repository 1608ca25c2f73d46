/** docs/security.md against the tests: each threat names a test that is there. */

import assert from "node:assert/strict";
import { test } from "../support/strict.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

test("each threat of docs/security.md names a test that is there", () => {
  const threats = Deno.readTextFileSync(`${ROOT}docs/security.md`).split("## Threats")[1]!
    .split("## What it does not")[0]!.split("\n").filter((line) => /^\|(?! *(-|Threat))/.test(line));
  assert.ok(threats.length > 40);
  for (const line of threats) {
    const where = line.split(/(?<!\\)\|/)[3]!.trim();
    const [, file, name] = /^`(tests\/[\w/]+\.ts)`: (.+)$/.exec(where) ?? [];
    assert.ok(file && name, `a file and the name of a test in: ${line}`);
    assert.ok(Deno.readTextFileSync(ROOT + file).includes(`"${name}"`), `${file} has no test "${name}"`);
  }
});
