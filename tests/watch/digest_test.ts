import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { comparePaths, digestOf, digestOfListing, sortPaths } from "../../src/watch/digest.ts";
import { test } from "../support/strict.ts";

test("the digest of several files is what sha256sum and sha256sum again print", async () => {
  const dir = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "listing_" }));
  try {
    const names = [
      "b.yaml",
      "a.yaml",
      "ä.yaml",
      "back\\slash.yaml",
      "new\nline.yaml",
      "Z.yaml",
      "\u{1F600}.yaml",
      "\uFB01.yaml",
    ];
    for (const name of names) Deno.writeTextFileSync(`${dir}/${name}`, `content of ${name}`);
    const files = await Promise.all(names.map(async (name) => ({
      path: `${dir}/${name}`,
      digest: await digestOf(Deno.readFileSync(`${dir}/${name}`)),
    })));
    const { stdout } = new Deno.Command("sh", {
      args: ["-c", `sha256sum "$1"/*.yaml | sha256sum`, "sh", dir],
      env: { LC_ALL: "C" },
    }).outputSync();
    files.sort((a, b) => comparePaths(a.path, b.path));
    assert.equal(await digestOfListing(files), new TextDecoder().decode(stdout).slice(0, 64));
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
});

test("paths are ordered by their bytes", () => {
  const path = fc.string({ unit: "binary", maxLength: 6 }).map((text) => text.toWellFormed());
  fc.assert(fc.property(path, path, (a, b) => {
    assert.equal(Math.sign(comparePaths(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.deepEqual(sortPaths([a, b]), [a, b].sort(comparePaths));
  }));
});

test("no files have the digest of nothing", async () => {
  assert.equal(await digestOfListing([]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
});
