/** An output directory whose reader writes there as well: what it may put in the way, and that nothing comes of it. */

import assert from "node:assert/strict";
import { createClock } from "../../src/clock.ts";
import type { Prepare } from "../../src/ports.ts";
import type { Config } from "../../src/config.ts";
import { createPreparation } from "../../src/prepare/prepare.ts";
import { testInDir } from "../support/in_dir.ts";
import { clearlyLater, until } from "../support/poll.ts";
import { BASE, createLog, snapshotOf } from "./content.ts";

function createRender(dir: string, more: Partial<Config> = {}) {
  const config = { ...BASE, outputDir: dir, ...more };
  const { prepare } = createPreparation(config, createLog(), createClock(), { PATH: "/usr/bin:/bin" });
  return async (files: Record<string, string>, mode = 0o644) =>
    await prepare(await snapshotOf(files, mode), new AbortController().signal);
}

const reasonOf = (result: Awaited<ReturnType<Prepare>>) => result.kind === "ok" ? "" : result.reason;

/** What must not change of a file that is not ours. */
function factsOf(path: string): unknown {
  const { mode, ino, nlink, mtime, size } = Deno.lstatSync(path);
  return { mode, ino, nlink, mtime, size, text: Deno.readTextFileSync(path) };
}

const namesIn = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name);

async function makeFifo(path: string): Promise<void> {
  const { success } = await new Deno.Command("mkfifo", { args: [path] }).output();
  assert.ok(success);
}

testInDir(
  "a file that becomes a directory of the same name, and back: the old output makes way",
  async (dir) => {
    const out = `${dir}/out`;
    for (const checkCommand of [null, ["true"]]) {
      const render = createRender(out, { checkCommand });
      for (
        const files of [
          { "rules": "1", "x/y/z": "2", "stays": "3" },
          { "rules/a": "4", "x": "5", "stays": "3" },
          { "rules": "6", "x/y": "7", "stays": "3" },
          { "rules/a/b/c": "8", "stays": "3" },
        ]
      ) {
        assert.equal(reasonOf(await render(files)), "");
        for (const [name, text] of Object.entries(files)) {
          assert.equal(Deno.readTextFileSync(`${out}/${name}`), text);
        }
        assert.equal(namesIn(out).length, Object.keys(files).length);
      }
      // What somebody else has put there stays, and is told.
      await render({ "stays": "3" });
      Deno.writeTextFileSync(`${out}/foreign`, "app");
      assert.match(reasonOf(await render({ "foreign/a": "9" })), /a file is at .*foreign/);
      assert.equal(Deno.readTextFileSync(`${out}/foreign`), "app");
      Deno.removeSync(out, { recursive: true });
      Deno.mkdirSync(out);
    }
  },
);

testInDir(
  "an output that has become a link, a FIFO or a directory is refused, with the way out",
  async (dir) => {
    const [out, secret] = [`${dir}/out`, `${dir}/secret`];
    Deno.writeTextFileSync(secret, "only for the sidecar", { mode: 0o600 });
    const before = factsOf(secret);
    const kinds: [string, (path: string) => unknown][] = [
      ["a link", (path) => Deno.symlinkSync(secret, path)],
      ["a FIFO", makeFifo],
      ["a directory", (path) => Deno.mkdirSync(path)],
    ];
    for (const checkCommand of [null, ["true"], ["false"]]) {
      const render = createRender(out, { checkCommand });
      for (const [what, make] of kinds) {
        await render({ "app.yaml": "a: 1" });
        await Deno.remove(`${out}/app.yaml`).catch(() => {});
        await make(`${out}/app.yaml`);
        assert.deepEqual(await render({ "app.yaml": "a: 2" }), {
          kind: "failed",
          reason: `Cannot write "${out}/app.yaml": ${what} is there; remove it`,
        });
        assert.deepEqual(namesIn(out), ["app.yaml"], "nothing else is left");
        Deno.removeSync(`${out}/app.yaml`);
      }
    }
    assert.deepEqual(factsOf(secret), before);
  },
);

testInDir(
  "links at each name that a file of this process could have change nothing behind them",
  async (dir) => {
    const [out, secret] = [`${dir}/out`, `${dir}/secret`];
    Deno.mkdirSync(out);
    Deno.writeTextFileSync(secret, "only for the sidecar", { mode: 0o600 });
    const before = factsOf(secret);
    for (let n = 1; n <= 200; n++) Deno.symlinkSync(secret, `${out}/.config-reloader-${Deno.pid}-${n}.tmp`);
    await makeFifo(`${out}/.config-reloader-${Deno.pid}-201.tmp`);
    const render = createRender(out, { checkCommand: ["false"] });
    for (const text of ["1", "2"]) assert.equal((await render({ "app.yaml": text })).kind, "invalid");
    const good = createRender(out, { checkCommand: ["true"] });
    for (const text of ["3", "4", "5"]) assert.equal((await good({ "app.yaml": text })).kind, "ok");
    assert.equal(Deno.readTextFileSync(`${out}/app.yaml`), "5");
    assert.deepEqual(factsOf(secret), before);
  },
);

testInDir(
  "another mode is a new file: the old one, which may have other names, stays as it is",
  async (dir) => {
    const [out, other] = [`${dir}/out`, `${dir}/other`];
    await createRender(out)({ "app.yaml": "a: 1" }, 0o600);
    Deno.linkSync(`${out}/app.yaml`, other);
    const before = factsOf(other) as { mode: number };
    assert.deepEqual((await createRender(out)({ "app.yaml": "a: 1" }, 0o644)).kind, "ok");
    assert.equal(Deno.statSync(`${out}/app.yaml`).mode! & 0o777, 0o644);
    assert.deepEqual({ ...factsOf(other) as object, nlink: 2 }, before);
  },
);

testInDir(
  "the output directory is the one of the start: replaced by a link or another, nothing is written",
  async (dir) => {
    const [out, first, elsewhere] = [`${dir}/out`, `${dir}/first`, `${dir}/elsewhere`];
    for (const path of [out, elsewhere]) Deno.mkdirSync(path);
    Deno.writeTextFileSync(`${elsewhere}/app.yaml`, "not ours");
    Deno.writeTextFileSync(`${elsewhere}/gone.yaml`, "not ours");
    const render = createRender(out);
    assert.equal((await render({ "app.yaml": "1", "gone.yaml": "1" })).kind, "ok");
    const wayOut =
      "since the start, and nothing is written there; put the first one back, or restart this container";
    const cases: [string, () => void][] = [
      ["a link is in its place", () => Deno.symlinkSync(elsewhere, out)],
      ["a link is in its place", () => Deno.symlinkSync(first, out)],
      ["another directory is in its place", () => Deno.mkdirSync(out)],
      ["it is gone", () => {}],
    ];
    for (const [what, replace] of cases) {
      Deno.renameSync(out, first);
      replace();
      const result = await render({ "app.yaml": "2" });
      assert.deepEqual(result, { kind: "failed", reason: `Cannot write to "${out}": ${what} ${wayOut}` });
      await Deno.remove(out).catch(() => {});
      Deno.renameSync(first, out);
    }
    assert.deepEqual([...Deno.readDirSync(elsewhere)].length, 2);
    for (const name of ["app.yaml", "gone.yaml"]) {
      assert.equal(Deno.readTextFileSync(`${elsewhere}/${name}`), "not ours");
      assert.equal(
        Deno.readTextFileSync(`${out}/${name}`),
        "1",
        "nor was anything written or removed behind it",
      );
    }
    assert.equal((await render({ "app.yaml": "2" })).kind, "ok", "put back it goes on");
    assert.deepEqual(namesIn(out), ["app.yaml"]);
  },
);

testInDir("the directory of the start counts, also where nothing was written to it yet", async (dir) => {
  const out = `${dir}/out`;
  Deno.mkdirSync(out);
  const render = createRender(out);
  // As a sidecar whose content is not there yet.
  await clearlyLater();
  Deno.renameSync(out, `${dir}/first`);
  Deno.mkdirSync(out);
  assert.match(
    reasonOf(await render({ "app.yaml": "1" })),
    /another directory is in its place since the start/,
  );
  assert.deepEqual([...Deno.readDirSync(out)], []);
});

testInDir(
  "a directory that is not there at the start is made then, so that nobody puts a link there",
  async (dir) => {
    const [out, elsewhere] = [`${dir}/new/out`, `${dir}/elsewhere`];
    Deno.mkdirSync(elsewhere);
    const render = createRender(out);
    await until("the directory", () => Deno.lstatSync(out).isDirectory);
    Deno.writeTextFileSync(`${dir}/file`, "");
    const later = createRender(`${dir}/file`);
    assert.match(
      reasonOf(await later({ "app.yaml": "1" })),
      /a file is at .*, where a directory is to be made/,
    );
    for (const [path, given] of [[out, render], [`${dir}/file`, later]] as const) {
      Deno.removeSync(path);
      Deno.symlinkSync(elsewhere, path);
      assert.match(reasonOf(await given({ "app.yaml": "1" })), /a link is in its place since the start/);
    }
    assert.deepEqual([...Deno.readDirSync(elsewhere)], []);
  },
);

testInDir("a link to a directory is all right from the start, as long as it leads there", async (dir) => {
  const [real, link] = [`${dir}/real`, `${dir}/link`];
  Deno.mkdirSync(real);
  Deno.mkdirSync(`${dir}/elsewhere`);
  Deno.symlinkSync(real, link);
  const render = createRender(link);
  assert.equal((await render({ "app.yaml": "1" })).kind, "ok");
  Deno.removeSync(link);
  Deno.symlinkSync(`${dir}/elsewhere`, link);
  assert.equal((await render({ "app.yaml": "2" })).kind, "failed");
  assert.deepEqual([...Deno.readDirSync(`${dir}/elsewhere`)], []);
  assert.equal(Deno.readTextFileSync(`${real}/app.yaml`), "1");
});

testInDir(
  "a directory below that has become a link, also to a sibling, is refused with its path",
  async (dir) => {
    const out = `${dir}/out`;
    const render = createRender(out);
    await render({ "conf.d/a.yaml": "1", "other/b.yaml": "1" });
    Deno.removeSync(`${out}/conf.d`, { recursive: true });
    Deno.symlinkSync("other", `${out}/conf.d`);
    assert.equal(
      reasonOf(await render({ "conf.d/b.yaml": "2", "other/b.yaml": "1" })),
      `Cannot write to "${out}/conf.d": a link is at "${out}/conf.d", where a directory is to be made; ` +
        "remove it, or name another place for the output",
    );
    assert.equal(Deno.readTextFileSync(`${out}/other/b.yaml`), "1");
  },
);

testInDir(
  "what is in an output's place is removed with its input, and nothing behind a link",
  async (dir) => {
    const [out, elsewhere] = [`${dir}/out`, `${dir}/elsewhere`];
    const render = createRender(out);
    await render({ "conf.d/a.yaml": "1", "b.yaml": "1" });
    Deno.mkdirSync(elsewhere);
    Deno.writeTextFileSync(`${elsewhere}/a.yaml`, "not ours");
    Deno.removeSync(`${out}/conf.d`, { recursive: true });
    Deno.symlinkSync(elsewhere, `${out}/conf.d`);
    assert.equal((await render({ "b.yaml": "1" })).kind, "ok");
    assert.equal(Deno.readTextFileSync(`${elsewhere}/a.yaml`), "not ours");
  },
);
