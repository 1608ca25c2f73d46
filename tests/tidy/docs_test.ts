/** The how-to pages name only flags that exist, and link to headings that are there. */

import assert from "node:assert/strict";
import { FLAGS } from "../../src/cli/flags.ts";
import { CHECK_CODES, RELOAD_CODES, TARGET_CODES } from "../../src/codes.ts";
import { VERSION } from "../../src/version.ts";
import { test } from "../support/strict.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

const PAGES = [
  "tutorial",
  "fleet",
  "kubernetes",
  "migrating",
  "helm",
  "reference",
  "troubleshooting",
  "security",
  "release",
  "footprint",
];
/** Flags of other programs that the pages show, and the switch of `check`. */
const OTHERS =
  /^--(web|volume-dir|webhook-url|help|version|short|overwrite|pid|network|current|fleet|grace-period|namespace|retry|retry-connrefused|retry-delay|tail|timeout|type|wait|read-only|name|target|build-arg|check|run-checks|ignore-missing|repo|output|certificate-[a-z-]+)$/;

const read = (page: string) => Deno.readTextFile(`${ROOT}/docs/${page}.md`);

const exists = (path: string) => Deno.stat(`${ROOT}/${path}`).then(() => true, () => false);

/** GitHub's anchor of a heading. */
const anchorOf = (title: string) =>
  title.trim().toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");

const anchorsOf = (text: string) => [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) => anchorOf(title!));

test("the pages name only flags that exist", async () => {
  const known = new Set(Object.keys(FLAGS).map((name) => `--${name}`));
  for (const page of PAGES) {
    // in the tables of migrating.md the first column holds the other tool's flags
    const text = (await read(page)).replace(page === "migrating" ? /^\| [^|]*\|/gm : /$^/g, "");
    const named = new Set(text.match(/(?<![\w-])--[a-z][a-z-]+/g) ?? []);
    assert.deepEqual(
      [...named].filter((flag) => !known.has(flag) && !OTHERS.test(flag)),
      [],
      `docs/${page}.md`,
    );
  }
});

test("every link between the documents leads to a file, and to a heading of it", async () => {
  const documents = ["README.md", "CONTRIBUTING.md", "SECURITY.md"];
  for await (const { name } of Deno.readDir(`${ROOT}/docs`)) {
    if (name.endsWith(".md")) documents.push(`docs/${name}`);
  }
  for (const path of documents) {
    const here = new URL(path, `file://${ROOT}`);
    for (const [, target] of (await Deno.readTextFile(here)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) continue;
      const { pathname, hash } = new URL(target!, here);
      const text = await Deno.readTextFile(pathname);
      if (hash) assert.ok(anchorsOf(text).includes(hash.slice(1)), `${path} links to ${target}`);
    }
  }
});

test("every path of this repository that a page names is there", async () => {
  for await (const { name } of Deno.readDir(`${ROOT}/docs`)) {
    if (!name.endsWith(".md")) continue;
    const text = await Deno.readTextFile(`${ROOT}/docs/${name}`);
    for (
      const [, path] of text.matchAll(/`((?:tests|src|k8s|scripts|bench|examples)\/[\w./-]+|\w+\/\w+\.ts)`/g)
    ) {
      assert.ok(await exists(path!) || await exists(`src/${path}`), `docs/${name} names ${path}`);
    }
  }
});

test("troubleshooting has a heading, and so an anchor, for every code, and for none that is gone", async () => {
  const { ready: _, ...targets } = TARGET_CODES;
  const codes = Object.keys({ ...targets, ...RELOAD_CODES, ...CHECK_CODES }).sort();
  const headings = [...(await read("troubleshooting")).matchAll(/^#### `([a-z-]+)`$/gm)].map(([, code]) =>
    code!
  );
  assert.deepEqual(headings.sort(), codes);
});

test("the manifests name the image of this version", async () => {
  for (const part of ["base", "components/config-reloader", "components/native-sidecar"]) {
    const text = await Deno.readTextFile(`${ROOT}/k8s/${part}/kustomization.yaml`);
    assert.match(text, new RegExp(`name: config-reloader, newTag: ${VERSION.replaceAll(".", "\\.")} }`));
  }
});
