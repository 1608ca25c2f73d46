/**
 * Holds what a start costs: nothing that the bundle loads at every start may touch Node's layer. Each `node:` module, and the
 * first touch of `process`, costs 17 to 62 ms of CPU at every start, 20 times that in a container with the usual small limit.
 */

import assert from "node:assert/strict";
import { bundle, ROOT, staticFiles } from "../../scripts/bundle.ts";
import { test } from "../support/strict.ts";

const outDir = await Deno.makeTempDir({ prefix: "bundle-" });
const { metafile } = await bundle({ outDir, revision: "0123456789ab" });
const files = staticFiles(metafile);
const texts = new Map(files.map((file) => [file, Deno.readTextFileSync(`${ROOT}/${file}`)]));
await Deno.remove(outDir, { recursive: true });

test("the bundle starts with main.ts and has the revision", () => {
  assert.ok(files.length > 0, "esbuild names no output for main.ts");
  assert.ok(
    [...texts.values()].some((text) => text.includes("0123456789ab")),
    "BUILD_REVISION was not replaced",
  );
});

test("nothing loaded at the start imports or requires a node: module", () => {
  for (const file of files) {
    const bad = metafile.outputs[file]?.imports.filter(({ kind, path }) =>
      kind !== "dynamic-import" && (path.startsWith("node:") || !files.includes(path))
    );
    assert.deepEqual(
      bad,
      [],
      `${file} imports what it must not; make the import dynamic where only some flags need it`,
    );
  }
});

test("nothing loaded at the start mentions process, Buffer or require", () => {
  const allowed = [
    // prom-client's startTimer; the product measures durations itself and never calls it
    /process\.hrtime\((start)?\)/g,
    // logtape's exit hook, behind a check that this is not Deno
    /\bproc=globalThis\.process\b/g,
    // esbuild's wrapper of a CommonJS module inside the bundle: a name only
    /function __require\(\)/g,
  ];
  const forbidden =
    /.{0,60}(?:(?<![.\w])process[.?[]|\bglobalThis\.process\b|\bBuffer\b|__require\b|\brequire\().{0,40}/g;
  for (const [file, text] of texts) {
    const rest = allowed.reduce((rest, part) => rest.replaceAll(part, ""), text);
    assert.deepEqual(rest.match(forbidden), null, `${file} touches Node's layer`);
  }
});

test("nothing of a fleet is loaded without its flags", () => {
  const inputs = files.flatMap((file) => Object.keys(metafile.outputs[file]?.inputs ?? {}));
  assert.deepEqual(inputs.filter((input) => input.startsWith("src/fleet/")), []);
});

test("packages that only some flags need are not loaded at the start", () => {
  const inputs = files.flatMap((file) => Object.keys(metafile.outputs[file]?.inputs ?? {}));
  const lazy = [
    "/yaml/",
    "/prom-client/lib/summary",
    "/prom-client/lib/cluster",
    "/prom-client/lib/pushgateway",
    "/tdigest/",
  ];
  assert.deepEqual(inputs.filter((input) => lazy.some((part) => input.includes(`node_modules${part}`))), []);
});
