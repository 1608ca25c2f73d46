/** docs/migrating.md: what it says for this program is taken by its command line, and a peer's flag is answered with ours. */

import assert from "node:assert/strict";
import { findFlag, PEER_FLAGS } from "../../src/cli/flags.ts";
import { parseCommandLine } from "../../src/cli/parse.ts";
import { splitShellWords } from "../../src/cli/values.ts";
import { test } from "../support/strict.ts";

const TEXT = Deno.readTextFileSync(new URL("../../docs/migrating.md", import.meta.url));

test("migrating: each block of flags is a command line that is taken", () => {
  const blocks = [...TEXT.matchAll(/```text\n([^`]+)```/g)].map(([, block]) => block!);
  assert.equal(blocks.length, 4);
  for (const block of blocks) {
    const line = parseCommandLine(splitShellWords(block), {}, "/");
    assert.equal(line.kind, "run", JSON.stringify(line));
  }
});

test("migrating: each flag of a table's second column takes the value that stands there", () => {
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

test("migrating: a peer's flag is answered with ours", () => {
  let flags = 0;
  for (const [, there] of TEXT.matchAll(/^\| ([^|]+)\|/gm)) {
    for (const [, arg, name] of there!.matchAll(/`(--?([a-zA-Z][a-zA-Z.-]*))/g)) {
      if (findFlag(name!)) continue;
      const line = parseCommandLine([arg!, "x"], {}, "/");
      assert.ok(line.kind === "usage", arg);
      assert.match(
        line.message,
        new RegExp(`^unknown flag "${arg}": (--[a-z-]+ .*|.* )here.* \\(docs/migrating\\.md\\)$`),
      );
      flags++;
    }
  }
  assert.ok(flags > 15, `${flags} flags`);
  for (const [name, answer] of Object.entries(PEER_FLAGS)) {
    assert.equal(findFlag(name), undefined, `--${name} is a flag of ours`);
    for (const [, ours] of answer.matchAll(/--([a-z-]+)/g)) assert.ok(findFlag(ours!), `--${ours}`);
  }
});
