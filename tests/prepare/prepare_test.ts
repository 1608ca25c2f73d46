import assert from "node:assert/strict";
import { join } from "node:path";
import { createClock } from "../../src/clock.ts";
import type { Logger, Prepare } from "../../src/ports.ts";
import type { Config } from "../../src/config.ts";
import { createPreparation } from "../../src/prepare/prepare.ts";
import { testInDir } from "../support/in_dir.ts";
import { clearlyLater } from "../support/poll.ts";
import { test } from "../support/strict.ts";
import { BASE, createLog, snapshotOf } from "./content.ts";

const signal = new AbortController().signal;
/** The preparation without the time of its output, which has a test of its own. */
function createTimeless(
  config: Config,
  logger: Logger,
  environment: Record<string, string> = {},
): Prepare {
  const { prepare } = createPreparation(config, logger, createClock(), environment);
  return async (...given) => {
    const { output: _, ...rest } = { output: 0, ...await prepare(...given) };
    return rest;
  };
}

/** All files below `dir` by name, temporary ones too. */
function listing(dir: string, below = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { name, isDirectory } of Deno.readDirSync(join(dir, below))) {
    const path = join(below, name);
    if (isDirectory) Object.assign(found, listing(dir, path));
    else found[path] = Deno.readTextFileSync(join(dir, path));
  }
  return found;
}

test("with nothing asked for everything is ok", async () => {
  const prepare = createTimeless(BASE, createLog());
  assert.deepEqual(await prepare(await snapshotOf({ a: "{" }), signal), { kind: "ok" });
});

test("without an output the content is validated as it is, and no longer once the sidecar stops", async () => {
  const prepare = createTimeless({ ...BASE, validate: "json" }, createLog());
  const snapshot = await snapshotOf({ a: "{" });
  assert.deepEqual(await prepare(snapshot, signal), {
    kind: "invalid",
    reason: `"/in/a" is no valid JSON: line 1, column 2: Expected property name or '}'`,
  });
  assert.deepEqual(await prepare(snapshot, AbortSignal.abort()), { kind: "failed", reason: "stopped" });
});

testInDir("one file is expanded, written with its mode, and not rewritten", async (dir) => {
  const log = createLog();
  const output = join(dir, "sub", "out.yaml");
  const prepare = createTimeless({ ...BASE, configEnvsubstFile: output }, log, { PREPARE_TEST_SET: "value" });
  const first = await snapshotOf({ "in.yaml": "a: $(PREPARE_TEST_SET) $(PREPARE_TEST_UNSET)" }, 0o440);
  assert.deepEqual(await prepare(first, signal), { kind: "ok" });
  assert.equal(Deno.readTextFileSync(output), "a: value $(PREPARE_TEST_UNSET)");
  const info = Deno.statSync(output);
  assert.equal(info.mode! & 0o777, 0o440);
  assert.deepEqual(await prepare(first, signal), { kind: "ok" });
  assert.equal(Deno.statSync(output).ino, info.ino);
  assert.deepEqual(log.lines, [
    'Left as they are in "/in/in.yaml", since no such variable is set: $(PREPARE_TEST_UNSET)',
  ]);
  const second = await snapshotOf({ "in.yaml": "b $(PREPARE_TEST_UNSET)" });
  assert.deepEqual(await prepare(second, signal), { kind: "ok" });
  assert.equal(log.lines.length, 1, "told once");
  assert.deepEqual(listing(dir), { "sub/out.yaml": "b $(PREPARE_TEST_UNSET)" });
});

testInDir("beside a watched directory only the --config-file is written and expanded", async (dir) => {
  const log = createLog();
  const output = join(dir, "out.yaml");
  const config = { ...BASE, configEnvsubstFile: output };
  const files = { "in.yaml": "a: $(PREPARE_TEST_UNSET)", "rules/b.yaml": "b: $(PREPARE_TEST_OTHER)" };
  assert.deepEqual(await createTimeless(config, log)(await snapshotOf(files), signal), {
    kind: "ok",
  });
  assert.deepEqual(listing(dir), { "out.yaml": "a: $(PREPARE_TEST_UNSET)" });
  assert.equal(log.lines.length, 1, `nobody expands the other: ${log.lines}`);
  const checked = createTimeless({ ...config, validate: "yaml" }, log);
  const broken = await checked(await snapshotOf({ ...files, "rules/b.yaml": "b: [" }), signal);
  assert.equal(broken.kind, "invalid", "validated it is, all the same");
});

testInDir(
  "the time of the output is when one was last written or removed, also for the next process",
  async (dir) => {
    const config = { ...BASE, outputDir: dir };
    const create = () => createPreparation(config, createLog(), createClock(), {}).prepare;
    const prepare = create();
    const timeOf = async (files: Record<string, string>, by = prepare) => {
      const result = await by(await snapshotOf(files), signal);
      return (result.kind === "ok" ? result.output?.wallMs : undefined) ??
        assert.fail(JSON.stringify(result));
    };
    const before = Date.now();
    const first = await timeOf({ a: "1", b: "1" });
    assert.ok(first >= before && first <= Date.now());
    await clearlyLater();
    assert.equal(await timeOf({ a: "1", b: "1" }), first, "nothing was written");
    const [old, older] = [60_000, 120_000].map((ago) => new Date(before - ago));
    Deno.utimeSync(join(dir, "a"), older!, older!);
    Deno.utimeSync(join(dir, "b"), old!, old!);
    const next = create();
    assert.equal(await timeOf({ a: "1", b: "1" }, next), old!.getTime(), "the newest file's");
    assert.ok(await timeOf({ a: "1", b: "2" }, next) > first, "one is new");
    await clearlyLater();
    const removedFrom = Date.now();
    const removed = await timeOf({ b: "2" }, next);
    assert.ok(removed >= removedFrom, "one is gone");
    assert.equal(await timeOf({ b: "2" }, next), removed, "and stays so");
    const none = await createPreparation(BASE, createLog(), createClock(), {}).prepare(
      await snapshotOf({ a: "1" }),
      signal,
    );
    assert.deepEqual(none, { kind: "ok" }, "there is no output");
  },
);

testInDir("an output's time is converted once: a step of the wall clock does not move it", async (dir) => {
  const real = createClock();
  let stepMs = 0;
  const clock = { ...real, wallMs: () => real.wallMs() + stepMs };
  const { prepare } = createPreparation({ ...BASE, outputDir: dir }, createLog(), clock, {});
  const timeOf = async (text: string) => {
    const result = await prepare(await snapshotOf({ a: text }), signal);
    return result.kind === "ok" && result.output || assert.fail(JSON.stringify(result));
  };
  const first = await timeOf("1");
  stepMs = -3_600_000;
  assert.deepEqual(await timeOf("1"), first, "nothing was written");
  const beforeMs = real.nowMs();
  assert.ok((await timeOf("2")).atMs >= beforeMs, "written now");
});

testInDir("several files go to a directory; what is gone is removed, what is foreign stays", async (dir) => {
  const prepare = createTimeless({ ...BASE, outputDir: dir }, createLog());
  Deno.writeTextFileSync(join(dir, "foreign"), "f");
  await prepare(await snapshotOf({ "a.yaml": "1", "sub/deep/b.yaml": "2" }), signal);
  assert.deepEqual(listing(dir), { foreign: "f", "a.yaml": "1", "sub/deep/b.yaml": "2" });
  assert.deepEqual(await prepare(await snapshotOf({ "a.yaml": "1" }), signal), { kind: "ok" });
  assert.deepEqual(listing(dir), { foreign: "f", "a.yaml": "1" });
  assert.throws(() => Deno.statSync(join(dir, "sub")), Deno.errors.NotFound);
  // A new process takes over what it finds as it would have written it.
  const next = createTimeless({ ...BASE, outputDir: dir }, createLog());
  assert.deepEqual(await next(await snapshotOf({ "a.yaml": "1", b: "2" }), signal), {
    kind: "ok",
  });
  await next(await snapshotOf({ b: "2" }), signal);
  assert.deepEqual(listing(dir), { foreign: "f", b: "2" });
});

testInDir("an output that somebody removes is written again, and said", async (dir) => {
  const log = createLog();
  const out = join(dir, "out");
  const { prepare, restore } = createPreparation({ ...BASE, outputDir: out }, log, createClock(), {});
  await restore();
  await prepare(await snapshotOf({ "a.yaml": "1", "sub/b.yaml": "2" }), signal);
  const { ino } = Deno.statSync(join(out, "a.yaml"));
  Deno.removeSync(join(out, "sub"), { recursive: true });
  await restore();
  assert.deepEqual(listing(out), { "a.yaml": "1", "sub/b.yaml": "2" });
  assert.equal(Deno.statSync(join(out, "a.yaml")).ino, ino, "what is there stays");
  assert.deepEqual(log.lines, [`Written again, since it was removed: "${out}/sub/b.yaml"`]);
  Deno.removeSync(out, { recursive: true });
  for (let i = 0; i < 2; i++) await restore();
  assert.equal(log.lines.length, 2, "told once");
  assert.match(log.lines[1]!, /^An output is gone: Cannot write to ".*": it is gone since the start/);
});

testInDir("a name or a link that leaves the output directory is refused", async (dir) => {
  const out = join(dir, "out");
  Deno.mkdirSync(out);
  Deno.mkdirSync(join(dir, "elsewhere"));
  Deno.symlinkSync("../elsewhere", join(out, "link"));
  const prepare = createTimeless({ ...BASE, outputDir: out }, createLog());
  for (const name of ["../x", "a/../../x", "link/x", "/x", "."]) {
    const result = await prepare(await snapshotOf({ [name]: "1" }), signal);
    assert.equal(result.kind, "failed", name);
  }
  assert.deepEqual(listing(join(dir, "elsewhere")), {});
});

testInDir("two inputs with one name are an error, and nothing is written", async (dir) => {
  const one = await snapshotOf({ same: "1" }, 0o644, "/one");
  const two = await snapshotOf({ same: "2" }, 0o644, "/two");
  const prepare = createTimeless({ ...BASE, outputDir: dir }, createLog());
  const result = await prepare({ ...one, files: [...one.files, ...two.files] }, signal);
  assert.deepEqual(result, {
    kind: "failed",
    reason: `Cannot write "same" to "${dir}": both "/one/same" and "/two/same" have that name`,
  });
  assert.deepEqual(listing(dir), {});
});

testInDir("an error in the last file leaves all old outputs and no temporary files", async (dir) => {
  const prepare = createTimeless({ ...BASE, outputDir: dir, validate: "auto" }, createLog());
  await prepare(await snapshotOf({ "a.yaml": "v: 1", "b.yaml": "v: 1" }), signal);
  const bad = await prepare(await snapshotOf({ "a.yaml": "v: 2", "b.yaml": "v: [" }), signal);
  assert.equal(bad.kind, "invalid");
  assert.match(
    bad.kind === "invalid" ? bad.reason : "",
    /^"\/in\/b.yaml" is no valid YAML: line 1, column 5: /,
  );
  assert.deepEqual(listing(dir), { "a.yaml": "v: 1", "b.yaml": "v: 1" });
  Deno.removeSync(join(dir, "b.yaml"));
  Deno.mkdirSync(join(dir, "b.yaml"));
  const blocked = await prepare(await snapshotOf({ "a.yaml": "v: 3", "b.yaml": "v: 3" }), signal);
  assert.deepEqual(blocked, {
    kind: "failed",
    reason: `Cannot write "${dir}/b.yaml": a directory is there; remove it`,
  });
  assert.deepEqual(listing(dir), { "a.yaml": "v: 1" });
});

testInDir("validation looks at what would be written", async (dir) => {
  const config = { ...BASE, configEnvsubstFile: join(dir, "out"), validate: "yaml" as const };
  const good = await createTimeless(config, createLog(), { PREPARE_TEST_LIST: "]" })(
    await snapshotOf({ "in.yaml": "a: [1$(PREPARE_TEST_LIST)" }),
    signal,
  );
  assert.deepEqual(good, { kind: "ok" });
});

testInDir("the check command sees the new output; after a no the old one is back", async (dir) => {
  const output = join(dir, "out.conf");
  const checkCommand = ["sh", "-c", `grep -q good ${output} || { cat ${output} >&2; exit 7; }`];
  const prepare = createTimeless(
    { ...BASE, configEnvsubstFile: output, checkCommand },
    createLog(),
    { PATH: "/usr/bin:/bin" },
  );
  const reason = 'check command "sh": exit code 7: bad 1';
  const failing = { kind: "invalid", reason, retry: true };
  assert.deepEqual(await prepare(await snapshotOf({ "in.yaml": "bad 1" }), signal), failing);
  assert.deepEqual(listing(dir), {}, "there was no old one");
  assert.deepEqual(await prepare(await snapshotOf({ "in.yaml": "good" }), signal), {
    kind: "ok",
  });
  const { ino } = Deno.statSync(output);
  assert.deepEqual(await prepare(await snapshotOf({ "in.yaml": "bad 1" }), signal), failing);
  assert.deepEqual(listing(dir), { "out.conf": "good" });
  assert.equal(Deno.statSync(output).ino, ino, "the very file");
  assert.deepEqual(await prepare(await snapshotOf({ "in.yaml": "good 2" }), signal), {
    kind: "ok",
  });
  assert.deepEqual(listing(dir), { "out.conf": "good 2" });
});

testInDir("what is rendered is what was hashed, whatever the file has become since", async (dir) => {
  const input = join(dir, "in");
  const snapshot = await snapshotOf({ in: "content" }, 0o644, dir);
  // A read of it would never end.
  Deno.symlinkSync("/dev/zero", input);
  const prepare = createTimeless({ ...BASE, outputDir: join(dir, "out") }, createLog());
  assert.deepEqual(await prepare(snapshot, signal), { kind: "ok" });
  assert.equal(Deno.readTextFileSync(join(dir, "out", "in")), "content");
  const lean = { ...snapshot, files: snapshot.files.map((file) => ({ ...file, bytes: null })) };
  assert.deepEqual(await prepare(lean, signal), {
    kind: "failed",
    reason: `Cannot use config file "${input}": its bytes were not kept`,
  });
});

testInDir(
  "a file or a broken link where an output directory is to be made is named, with the way out",
  async (dir) => {
    Deno.writeTextFileSync(join(dir, "file"), "");
    Deno.symlinkSync("nowhere", join(dir, "link"));
    Deno.mkdirSync(join(dir, "out"));
    Deno.writeTextFileSync(join(dir, "out", "conf.d"), "");
    const wayOut = "where a directory is to be made; remove it, or name another place for the output";
    for (
      const [out, name, parent, what] of [
        ["file", "a", "file", `a file is at "${dir}/file"`],
        ["file/below", "a", "file/below", `a file is at "${dir}/file"`],
        ["link", "a", "link", `a link that leads to no directory is at "${dir}/link"`],
        ["out", "conf.d/a", "out/conf.d", `a file is at "${dir}/out/conf.d"`],
      ] as const
    ) {
      const prepare = createTimeless({ ...BASE, outputDir: join(dir, out) }, createLog());
      assert.deepEqual(await prepare(await snapshotOf({ [name]: "1" }), signal), {
        kind: "failed",
        reason: `Cannot write to "${dir}/${parent}": ${what}, ${wayOut}`,
      });
    }
  },
);

testInDir("gzip is unpacked, a damaged one is invalid content", async (dir) => {
  const stream = new Blob(["hello $(HOME"]).stream().pipeThrough(new CompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const snapshot = await snapshotOf({ "a.gz": "" });
  const of = (data: Uint8Array) => ({
    ...snapshot,
    files: snapshot.files.map((file) => ({ ...file, bytes: data })),
  });
  const prepare = createTimeless({ ...BASE, outputDir: dir }, createLog());
  assert.deepEqual(await prepare(of(bytes), signal), { kind: "ok" });
  assert.deepEqual(listing(dir), { "a.gz": "hello $(HOME" });
  const bad = await prepare(of(bytes.slice(0, 20)), signal);
  assert.equal(bad.kind, "invalid");
  assert.match(bad.kind === "invalid" ? bad.reason : "", /^"\/in\/a.gz" is .*damaged/);
});

testInDir("old temporary files of a killed predecessor are removed, young ones are not", async (dir) => {
  Deno.mkdirSync(join(dir, "sub"));
  for (const old of [".config-reloader-1-1.tmp", "sub/.config-reloader-3-1.tmp"]) {
    Deno.writeTextFileSync(join(dir, old), "old");
    Deno.utimeSync(join(dir, old), new Date(), new Date(Date.now() - 3_600_000));
  }
  Deno.writeTextFileSync(join(dir, ".config-reloader-2-1.tmp"), "young");
  const prepare = createTimeless({ ...BASE, outputDir: dir }, createLog());
  await prepare(await snapshotOf({ a: "1", "sub/b": "2" }), signal);
  assert.deepEqual(listing(dir), { a: "1", ".config-reloader-2-1.tmp": "young", "sub/b": "2" });
});

testInDir("a reader never sees half an output", async (dir) => {
  const output = join(dir, "out");
  const prepare = createTimeless({ ...BASE, configEnvsubstFile: output }, createLog());
  const contents = ["a", "b"].map((letter) => letter.repeat(300_000));
  await prepare(await snapshotOf({ "in.yaml": contents[0]! }), signal);
  let done = false;
  const reader = (async () => {
    while (!done) {
      const text = await Deno.readTextFile(output);
      assert.ok(contents.includes(text), `${text.length} characters`);
    }
  })();
  for (let i = 1; i <= 20; i++) await prepare(await snapshotOf({ "in.yaml": contents[i % 2]! }), signal);
  done = true;
  await reader;
});

testInDir(
  "content that expands without bounds is invalid, and a flood of unset names is told in part",
  async (dir) => {
    const log = createLog();
    const output = join(dir, "out.yaml");
    const prepare = createTimeless({ ...BASE, configEnvsubstFile: output, maxFileSizeBytes: 50_000 }, log, {
      PREPARE_TEST_LONG: "x".repeat(1000),
    });
    assert.deepEqual(
      await prepare(await snapshotOf({ "in.yaml": "$(PREPARE_TEST_LONG)".repeat(51) }), signal),
      { kind: "invalid", reason: '"/in/in.yaml" is expanded larger than --max-file-size (50000 bytes)' },
    );
    assert.deepEqual(listing(dir), {});
    for (let round = 0; round < 50; round++) {
      const names = Array.from({ length: 30 }, (_, n) => `$(PREPARE_TEST_U${round}_${n})`).join("");
      assert.equal((await prepare(await snapshotOf({ "in.yaml": names }), signal)).kind, "ok");
    }
    assert.equal(log.lines.length, 10, "200 names are told and remembered, 20 in a line");
    assert.equal(log.lines[0]!.split("$(").length - 1, 20);
  },
);

testInDir(
  "an output directory that has become a link elsewhere: nothing behind it is removed or written",
  async (dir) => {
    const [out, elsewhere] = [join(dir, "out"), join(dir, "elsewhere")];
    Deno.mkdirSync(elsewhere);
    Deno.writeTextFileSync(join(elsewhere, "gone"), "not ours");
    Deno.writeTextFileSync(join(elsewhere, "kept"), "not ours");
    const prepare = createTimeless({ ...BASE, outputDir: out }, createLog());
    await prepare(await snapshotOf({ "sub/gone": "1", top: "1" }), signal);
    Deno.removeSync(join(out, "sub"), { recursive: true });
    Deno.symlinkSync(elsewhere, join(out, "sub"));
    assert.equal((await prepare(await snapshotOf({ "sub/kept": "2", top: "2" }), signal)).kind, "failed");
    assert.equal((await prepare(await snapshotOf({ top: "2" }), signal)).kind, "ok");
    assert.deepEqual(listing(elsewhere), { gone: "not ours", kept: "not ours" });
    assert.equal(Deno.readTextFileSync(join(out, "top")), "2");
  },
);

testInDir("an output is no program with special rights, whatever the input's mode", async (dir) => {
  const prepare = createTimeless({ ...BASE, outputDir: dir }, createLog());
  await prepare(await snapshotOf({ a: "1" }, 0o6755), signal);
  assert.equal(Deno.statSync(join(dir, "a")).mode! & 0o7777, 0o755);
  await prepare(await snapshotOf({ a: "1" }, 0o6644), signal);
  assert.equal(Deno.statSync(join(dir, "a")).mode! & 0o7777, 0o644);
});
