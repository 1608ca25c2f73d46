/** What only a registry or GitHub could run is at least read by its linter: the Dockerfile and the workflows; and held to a few rules. */

import assert from "node:assert/strict";
import { parse } from "yaml";
import { type Manifest, ROOT, run } from "./support.ts";
import { test } from "../../support/strict.ts";

test("hadolint has nothing to say about the Dockerfile", async () => {
  const { code, out, err } = await run("hadolint", ["--no-color", "Dockerfile"]);
  assert.equal(code, 0, out + err);
});

test("the Dockerfile's final stages: user, entry point in exec form, port, pinned base, read-only root", async () => {
  const text = await Deno.readTextFile(`${ROOT}/Dockerfile`);
  const stages = text.split(/^FROM /m).slice(1);
  const final = stages.filter((stage) => /^(scratch|\$\{BASE\})/.test(stage));
  assert.equal(final.length, 2);
  for (const stage of final) {
    assert.match(stage, /^USER 65532:65532$/m);
    assert.match(stage, /^ENTRYPOINT \["\/config-reloader"\]$/m);
    assert.match(stage, /^EXPOSE 9091$/m);
    assert.match(stage, /DENO_DIR=\/nonexistent HOME=\/nonexistent/);
    assert.match(stage, /org\.opencontainers\.image\.licenses="Apache-2\.0"/);
    assert.doesNotMatch(stage, /^RUN /m, "there is no shell to run anything with");
  }
  assert.match(text, /^ARG BASE=gcr\.io\/distroless\/cc-debian12:nonroot$/m);
  assert.match(text, /^FROM \$\{BASE\}\$\{BASE_DIGEST\} AS distroless$/m);
  assert.match(text, /^ARG ENGINE=v8$/m);
  assert.match(text, /deno install --frozen/);
});

test("the Dockerfile, deno.json and the workflows name one version of Deno", async () => {
  const read = (path: string) => Deno.readTextFile(`${ROOT}/${path}`);
  assert.match(
    await read("Dockerfile"),
    new RegExp(`^ARG DENO_IMAGE=denoland/deno:debian-${Deno.version.deno}$`, "m"),
  );
  assert.match(
    await read(".github/workflows/release.yml"),
    new RegExp(`DENO: deno@${Deno.version.deno}$`, "m"),
  );
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

test("the release tests, compiles both machines, measures in 32 MiB, signs what it pushed", async () => {
  const { jobs } = parse(await Deno.readTextFile(`${ROOT}/.github/workflows/release.yml`)) as Manifest;
  assert.equal(jobs.test.uses, "./.github/workflows/ci.yml");
  assert.equal(jobs.compile.needs, "test");
  assert.equal(jobs.image.needs, "compile");
  const targets = jobs.compile.strategy.matrix.include.map(({ target }: Manifest) => target);
  assert.deepEqual(targets, ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]);
  assert.ok(jobs.compile.steps.some(({ run }: Manifest) => run?.includes("footprint --check 32MiB")));
  const build = jobs.image.steps.find(({ id }: Manifest) => id === "build").with;
  assert.equal(build.sbom, true);
  assert.equal(build.platforms, "linux/amd64,linux/arm64");
  assert.ok(jobs.image.steps.some(({ run }: Manifest) => run?.includes("cosign sign")));
});
