/** docs/migrating.md: what stands in its columns and blocks for this program is taken by its command line. */

import assert from "node:assert/strict";
import { findFlag } from "../../src/cli/flags.ts";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { splitShellWords } from "../../src/cli/shell_words.ts";

const TEXT = Deno.readTextFileSync(new URL("../../docs/migrating.md", import.meta.url));

Deno.test("migrating: each block of flags is a command line that is taken", () => {
  const blocks = [...TEXT.matchAll(/```text\n([^`]+)```/g)].map(([, block]) => block!);
  assert.equal(blocks.length, 3);
  for (const block of blocks) {
    const line = parseCommandLine(splitShellWords(block), {}, "/");
    assert.equal(line.kind, "run", JSON.stringify(line));
  }
});

Deno.test("migrating: each flag of a table's second column takes the value that stands there", () => {
  let values = 0;
  for (const [, here] of TEXT.matchAll(/^\| [^|]+\| ([^|]+)\|/gm)) {
    for (const [, name, value] of here!.matchAll(/--([a-z][a-z-]+)(?:=([^\s`]+))?/g)) {
      const flag = findFlag(name!);
      assert.ok(flag, `--${name}`);
      if (value === undefined) continue;
      flag.parse(value.replace(/^…/, "http://localhost:9090"), "/");
      values++;
    }
  }
  assert.ok(values > 15, `${values} values`);
});
