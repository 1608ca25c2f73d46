/**
 * Each exported function and class of `src` has an example in its doc comment, which `deno task ok` runs, or stands here
 * with the reason why it has none.
 */

import assert from "node:assert/strict";
import { test } from "../support/strict.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** No small example can show what these do; the tests that do are named where it is not the file of the same name. */
const WITHOUT: Readonly<Record<string, readonly string[]>> = {};

/** Rooms whose examples are being written. */
const UNDER_WAY: readonly string[] = [
  "src/",
  "src/commands/",
  "src/commands/check/",
  "src/http/",
  "src/observe/",
  "src/server/",
  "src/trigger/",
  "src/verify/",
  "src/watch/",
];

interface Export {
  /** `path: name`, as in `WITHOUT`. */
  readonly id: string;
  /** The doc comment before it. */
  readonly doc: string;
}

function listExports(dir: string): Export[] {
  return [...Deno.readDirSync(ROOT + dir)].flatMap((entry) => {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory) return listExports(path);
    const found = Deno.readTextFileSync(ROOT + path).matchAll(
      /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?^export (?:async )?(?:function\*?|(?:abstract )?class) (\w+)/gm,
    );
    return [...found].map(([, doc = "", name]) => ({ id: `${path}: ${name}`, doc }));
  });
}

const EXPORTS = listExports("src");
const EXCUSED = Object.values(WITHOUT).flat();
const isUnderWay = (id: string) => UNDER_WAY.includes(id.replace(/[^/]*$/, ""));

/** An example without an assertion would pass whatever the code does. */
const hasExample = ({ doc }: Export) => /\n \* ```ts\n(?:(?!```)[\s\S])*assert/.test(doc);

test("each exported function and class has an example that asserts something, or a reason", () => {
  assert.ok(EXPORTS.length > 150);
  const missing = EXPORTS.filter((one) => !hasExample(one)).map(({ id }) => id);
  assert.deepEqual(missing.filter((id) => !EXCUSED.includes(id) && !isUnderWay(id)), []);
});

test("no reason is given for what has an example or is gone", () => {
  const wanting = EXPORTS.filter((one) => !hasExample(one)).map(({ id }) => id);
  assert.deepEqual(EXCUSED.filter((id) => !wanting.includes(id)), []);
  assert.deepEqual(UNDER_WAY.filter((room) => !wanting.some((id) => id.replace(/[^/]*$/, "") === room)), []);
});
