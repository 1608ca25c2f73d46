/** Between the steps of a run the app may have put something else at any name. */

import assert from "node:assert/strict";
import { makeOutputDirectory, openOutputDirectory } from "../../src/prepare/output_dir.ts";
import { place, settle, stage, type Staged } from "../../src/prepare/outputs.ts";
import { testInDir } from "../support/in_dir.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

interface Case {
  readonly name: string;
  readonly old: boolean;
  /** What the app does before the new output is placed, and after it. */
  readonly before?: (dir: string, staged: Staged) => void;
  readonly after?: (dir: string, staged: Staged) => void;
  readonly good: boolean;
  /** What is at the name at the end, and nothing else is left; null for nothing. */
  readonly want: string | null;
}

const putAppsFile = (path: string) => {
  Deno.writeTextFileSync(`${path}.app`, "the app's");
  Deno.renameSync(`${path}.app`, path);
};

const CASES: readonly Case[] = [
  { name: "good: the new one stays", old: true, good: true, want: "new" },
  { name: "refused: the old one is back", old: true, good: false, want: "old" },
  { name: "refused, and there was no old one: nothing", old: false, good: false, want: null },
  {
    name: "refused, and the app has put its own file there, where none was: it stays",
    old: false,
    after: (dir) => putAppsFile(`${dir}/a`),
    good: false,
    want: "the app's",
  },
  {
    name: "refused, and another file has the old one's second name: it is not put into place",
    old: true,
    after: (dir, { backup }) => putAppsFile(`${dir}/${backup}`),
    good: false,
    want: "new",
  },
  {
    name: "refused, and another file had the name before the new one: it does not come back",
    old: true,
    before: (dir) => putAppsFile(`${dir}/a`),
    good: false,
    want: "new",
  },
];

for (const { name, old, before, after, good, want } of CASES) {
  testInDir(`an output, ${name}`, async (dir) => {
    if (old) Deno.writeTextFileSync(`${dir}/a`, "old");
    const { ino } = old ? Deno.statSync(`${dir}/a`) : { ino: null };
    await using root = await openOutputDirectory(dir, await makeOutputDirectory(dir));
    const staged = await stage(root, "a", bytes("new"), 0o644);
    before?.(dir, staged);
    await place(root, [staged]);
    assert.equal(Deno.readTextFileSync(`${dir}/a`), "new");
    after?.(dir, staged);
    await settle(root, [staged], good);
    const left = [...Deno.readDirSync(dir)].map((
      { name },
    ) => [name, Deno.readTextFileSync(`${dir}/${name}`)]);
    assert.deepEqual(left, want === null ? [] : [["a", want]]);
    if (want === "old") assert.equal(Deno.statSync(`${dir}/a`).ino, ino, "the very file");
  });
}

testInDir(
  "an output that cannot be replaced is named with the reason, and nothing of it is left",
  async (dir) => {
    await using root = await openOutputDirectory(dir, await makeOutputDirectory(dir));
    Deno.writeTextFileSync(`${dir}/first`, "old");
    const staged = [
      await stage(root, "first", bytes("new"), 0o644),
      await stage(root, "sub/a", bytes("new"), 0o644),
    ];
    Deno.mkdirSync(`${dir}/sub/a`);
    await assert.rejects(
      place(root, staged),
      new Error(`Cannot replace "${dir}/sub/a": a directory is there`),
    );
    await settle(root, staged, false);
    assert.equal(Deno.readTextFileSync(`${dir}/first`), "old", "what was replaced before is back");
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name).sort(), ["first", "sub"]);
    assert.deepEqual([...Deno.readDirSync(`${dir}/sub`)].map(({ name }) => name), ["a"]);
  },
);
