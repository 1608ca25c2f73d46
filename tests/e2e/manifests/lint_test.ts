/** What only a registry or GitHub could run is at least read by its linter: the Dockerfile and the workflows; and held to a few rules. */

import assert from "node:assert/strict";
import { parse } from "yaml";
import { ROOT } from "../../support/run.ts";
import { type Manifest, run } from "./support.ts";
import { test } from "../../support/strict.ts";

test("hadolint has nothing to say about the Dockerfile", async () => {
  const { code, out, err } = await run("hadolint", ["--no-color", "Dockerfile"]);
  assert.equal(code, 0, out + err);
});

test("the Dockerfile, deno.json and the workflows name one version of Deno", async () => {
  const read = (path: string) => Deno.readTextFile(`${ROOT}/${path}`);
  assert.match(
    await read("Dockerfile"),
    new RegExp(`^ARG DENO_IMAGE=denoland/deno:debian-${Deno.version.deno}@sha256:[0-9a-f]{64}$`, "m"),
  );
  const { packages } = JSON.parse(await read(".github/deno/package-lock.json"));
  const names = Object.keys(packages).filter((name) => name !== "");
  assert.ok(names.length > 3);
  for (const name of names) {
    assert.equal(packages[name].version, Deno.version.deno, name);
    assert.match(packages[name].integrity, /^sha512-/, name);
  }
  assert.match(await read("Dockerfile"), /deno install --frozen/);
  assert.match(await read(".ci/run"), new RegExp(`^DENO_VERSION=${Deno.version.deno}$`, "m"));
});

test("the build context holds what the Dockerfile copies", async () => {
  const ignore = (await Deno.readTextFile(`${ROOT}/.dockerignore`)).split("\n");
  const copied = [...(await Deno.readTextFile(`${ROOT}/Dockerfile`)).matchAll(/^COPY (?!--from)(.+) \S+$/gm)]
    .flatMap(([, sources]) => sources!.split(" "));
  assert.ok(copied.length >= 4);
  for (const source of copied) assert.ok(ignore.includes(`!${source}`), `.dockerignore keeps ${source} out`);
});

test("actionlint has nothing to say about the workflows", async () => {
  const { code, out, err } = await run("actionlint", ["-no-color", "-shellcheck=", "-pyflakes="]);
  assert.equal(code, 0, out + err);
});

const WORKFLOWS = ["ci.yml", "release.yml"];

async function readWorkflow(name: string): Promise<Manifest> {
  return parse(await Deno.readTextFile(`${ROOT}/.github/workflows/${name}`)) as Manifest;
}

test("actions are pinned by commit, images by digest, and Deno by its lock file", async () => {
  for (const name of WORKFLOWS) {
    const text = await Deno.readTextFile(`${ROOT}/.github/workflows/${name}`);
    for (const [, uses, comment] of text.matchAll(/uses: (\S+)(.*)/g)) {
      if (uses!.startsWith("./")) continue;
      assert.match(uses!, /^[\w.-]+\/[\w.-]+@[0-9a-f]{40}$/, `${name}: ${uses}`);
      assert.match(comment!, /^ # v\d+\.\d+\.\d+$/, `${name}: ${uses} says which version it is`);
    }
    assert.doesNotMatch(
      text,
      /npx|deno\.land\/install|denoland\/setup-deno/,
      `${name} fetches no other Deno`,
    );
    for (const [, image] of text.matchAll(/\b(kindest\/node:\S+)/g)) {
      assert.match(image!, /@sha256:[0-9a-f]{64}$/);
    }
  }
  const dockerfile = await Deno.readTextFile(`${ROOT}/Dockerfile`);
  for (const [, image] of dockerfile.matchAll(/^(?:ARG \w+=|FROM )(\S+\/\S+:\S+)/gm)) {
    assert.match(image!, /@sha256:[0-9a-f]{64}$/);
  }
});

test("a job may write only what it needs to, and what gets a name or a signature was approved", async () => {
  const ci = await readWorkflow("ci.yml");
  const release = await readWorkflow("release.yml");
  for (const workflow of [ci, release]) assert.deepEqual(workflow.permissions, { contents: "read" });
  const jobs = { ...ci.jobs, ...release.jobs } as Manifest;
  const writes = Object.fromEntries(
    Object.entries(jobs).map(([name, job]) => [
      name,
      Object.keys((job as Manifest).permissions ?? {}).filter((one) =>
        (job as Manifest).permissions[one] === "write"
      ).sort(),
    ]),
  );
  assert.deepEqual(writes, {
    gate: [],
    test: [],
    compile: [],
    image: ["packages"],
    publish: ["attestations", "contents", "id-token", "packages"],
  });
  assert.equal(jobs.publish.environment, "release");
  assert.equal(jobs.publish.steps.some(({ uses }: Manifest) => uses?.startsWith("actions/checkout@")), false);
  for (const job of Object.values(jobs) as Manifest[]) {
    for (const { uses, with: given } of job.steps ?? []) {
      if (uses?.startsWith("actions/checkout@")) assert.equal(given["persist-credentials"], false);
    }
  }
});

test("the image is compared before it has a name; checksums, provenance and a signature are published", async () => {
  const { jobs } = await readWorkflow("release.yml");
  const { image, publish } = jobs;
  assert.equal(publish.needs, "image");
  const build = image.steps.findIndex(({ id }: Manifest) => id === "build");
  const compare = image.steps.findIndex(({ run }: Manifest) => run?.includes("dist/from-image-$arch"));
  assert.ok(build >= 0 && compare > build);
  assert.match(image.steps[build].with.outputs, /push-by-digest=true/);
  assert.equal(image.steps[build].with.tags, undefined, "no tag before it was compared");
  const at = (text: string) =>
    publish.steps.findIndex(({ run, uses }: Manifest) => `${run} ${uses}`.includes(text));
  const order = [
    "SHA256SUMS",
    "cosign sign",
    "attest-build-provenance",
    "imagetools create",
    "gh release create",
  ].map(at);
  assert.deepEqual(order, [...order].sort((a, b) => a - b));
  assert.ok(order.every((index) => index >= 0), `${order}`);
  assert.match(publish.steps[at("gh release create")].run, /dist\/SHA256SUMS/);
});

test("the signature check of the docs names the repository, from the beginning", async () => {
  for (const file of ["docs/release.md", ".github/workflows/release.yml"]) {
    const text = await Deno.readTextFile(`${ROOT}/${file}`);
    const identities = [...text.matchAll(/--certificate-identity(?:-regexp)? (['"])(.*?)\1/g)];
    assert.ok(identities.length > 0, file);
    for (const [, , identity] of identities) {
      assert.match(
        identity!,
        /^(\^https:\/\/github\\\.com\/OWNER\/|https:\/\/github\.com\/\$GITHUB_REPOSITORY\/)/,
        file,
      );
      assert.match(identity!, /(\$|\$GITHUB_REF_NAME)$/, file);
    }
  }
});

test("the release tests, compiles both machines, measures in 32 MiB, builds for both", async () => {
  const { jobs } = await readWorkflow("release.yml");
  assert.equal(jobs.test.uses, "./.github/workflows/ci.yml");
  assert.equal(jobs.compile.needs, "test");
  assert.equal(jobs.image.needs, "compile");
  const targets = jobs.compile.strategy.matrix.include.map(({ target }: Manifest) => target);
  assert.deepEqual(targets, ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]);
  assert.ok(jobs.compile.steps.some(({ run }: Manifest) => run?.includes("footprint --check 32MiB")));
  const build = jobs.image.steps.find(({ id }: Manifest) => id === "build").with;
  assert.equal(build.sbom, true);
  assert.equal(build.platforms, "linux/amd64,linux/arm64");
});
