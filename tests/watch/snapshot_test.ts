import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { createClock } from "../../src/clock.ts";
import type { Observation } from "../../src/model.ts";
import type { SnapshotReader } from "../../src/ports.ts";
import { createSnapshotReader, type ReaderConfig } from "../../src/watch/reader.ts";
import { createTestConfig } from "../support/config.ts";
import { createKubeletVolume } from "../support/kubelet.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { until } from "../support/poll.ts";
import { testInDir } from "../support/in_dir.ts";
import { test } from "../support/strict.ts";

const clock = createClock();
const signal = new AbortController().signal;
const BASE: ReaderConfig = createTestConfig({ configFiles: [] });
const sha = (text: string | Uint8Array) => createHash("sha256").update(text).digest("hex");

/** Looks until something counts. */
async function settled(reader: SnapshotReader, onLikelyChange = () => {}): Promise<Observation> {
  for (;;) {
    const found = await reader.look({ onLikelyChange, signal });
    if (found.kind !== "settling") return found;
    await clock.sleep(found.againAtMs - clock.nowMs());
  }
}

async function content(reader: SnapshotReader) {
  const found = await settled(reader);
  assert.ok(found.kind === "content", JSON.stringify(found));
  return found.snapshot;
}

/** Makes files old, so that the first look need not let them settle. */
function age(...paths: string[]): void {
  for (const path of paths) Deno.utimeSync(path, new Date(1_000_000), new Date(1_000_000));
}

testInDir("one named file has its own digest, everything else that of the listing", async (dir) => {
  const path = join(dir, "a.yaml");
  Deno.writeTextFileSync(path, "one");
  const listing = sha(`${sha("one")}  ${path}\n`);
  const cases: [Partial<ReaderConfig>, string][] = [
    [{ configFiles: [path] }, sha("one")],
    [{ configFiles: [join(dir, "*.yaml")] }, listing],
    [{ watchedDirs: [dir] }, listing],
    [{ watchedDirs: [`${dir}/`] }, listing],
    [{ configFiles: [path], watchedDirs: [dir] }, listing],
    [{ configFiles: [path, join(dir, "*")] }, listing],
  ];
  for (const [config, digest] of cases) {
    const snapshot = await content(
      createSnapshotReader({ ...BASE, delayIntervalMs: 0, ...config }, clock),
    );
    assert.equal(snapshot.digest, digest, JSON.stringify(config));
    assert.deepEqual(snapshot.files.map((file) => file.path), [path]);
  }
});

testInDir("names for the output: base name, or path relative to the watched directory", async (dir) => {
  Deno.mkdirSync(join(dir, "d/sub"), { recursive: true });
  Deno.writeTextFileSync(join(dir, "d/sub/b"), "2");
  Deno.writeTextFileSync(join(dir, "a"), "1");
  const config = {
    ...BASE,
    delayIntervalMs: 0,
    configFiles: [join(dir, "a")],
    watchedDirs: [join(dir, "d")],
  };
  const snapshot = await content(createSnapshotReader(config, clock));
  assert.deepEqual(snapshot.files.map((file) => [file.name, file.mode]), [["a", 0o644], [
    "sub/b",
    0o644,
  ]]);
});

testInDir("bytes are kept only where something later needs them", async (dir) => {
  const path = join(dir, "a");
  Deno.writeTextFileSync(path, "one");
  const base = { ...BASE, delayIntervalMs: 0, configFiles: [path] };
  assert.equal((await content(createSnapshotReader(base, clock))).files[0]!.bytes, null);
  for (
    const more of [{ validate: "yaml" as const }, { outputDir: "/out" }, { configEnvsubstFile: "/out" }]
  ) {
    const reader = createSnapshotReader({ ...base, ...more }, clock);
    for (let look = 0; look < 2; look++) {
      assert.equal(new TextDecoder().decode((await content(reader)).files[0]!.bytes!), "one");
    }
  }
});

testInDir("own outputs and temporary files are no content", async (dir) => {
  for (const name of ["a", "out", ".config-reloader-1-1.tmp"]) {
    Deno.writeTextFileSync(join(dir, name), name);
  }
  const config = { ...BASE, delayIntervalMs: 0, watchedDirs: [dir], configEnvsubstFile: join(dir, "out") };
  const { files } = await content(createSnapshotReader(config, clock));
  assert.deepEqual(files.map((file) => file.name), ["a"]);
});

testInDir("a swap is likely a change before it is hashed, a look without change is not", async (dir) => {
  const volume = createKubeletVolume(join(dir, "vol"), { a: "1" });
  const reader = createSnapshotReader({ ...BASE, configFiles: [volume.path("a")] }, clock);
  let likely = 0;
  const look = () => settled(reader, () => void likely++);
  await look();
  assert.equal(likely, 0, "the first content is no change");
  await look();
  assert.equal(likely, 0);
  volume.swap({ a: "2" });
  await look();
  assert.equal(likely, 1);
  await look();
  assert.equal(likely, 1);
});

testInDir("a plain file is likely changed in the look that decides", async (dir) => {
  const path = join(dir, "a");
  Deno.writeTextFileSync(path, "one");
  const reader = createSnapshotReader({ ...BASE, delayIntervalMs: 30, configFiles: [path] }, clock);
  await settled(reader);
  Deno.writeTextFileSync(path, "two");
  const seen: string[] = [];
  for (;;) {
    const found = await reader.look({ onLikelyChange: () => void seen.push("likely"), signal });
    seen.push(found.kind);
    if (found.kind !== "settling") break;
    await clock.sleep(found.againAtMs - clock.nowMs());
  }
  assert.deepEqual(seen, ["settling", "settling", "likely", "content"]);
});

testInDir("old files count at the first look, fresh ones settle first", async (dir) => {
  const path = join(dir, "a");
  Deno.writeTextFileSync(path, "one");
  const fresh = createSnapshotReader({ ...BASE, delayIntervalMs: 60_000, configFiles: [path] }, clock);
  assert.equal((await fresh.look({ signal })).kind, "settling");
  await clock.sleep(1_100);
  const old = createSnapshotReader({ ...BASE, delayIntervalMs: 50, configFiles: [path] }, clock);
  assert.equal((await old.look({ signal })).kind, "content");
});

testInDir("the first look tells what it has read, although a fresh file settles first", async (dir) => {
  const path = join(dir, "a");
  Deno.writeTextFileSync(path, "one");
  const reader = createSnapshotReader({ ...BASE, delayIntervalMs: 60_000, configFiles: [path] }, clock);
  const first = await reader.look({ signal });
  assert.ok(first.kind === "settling");
  assert.equal(first.digest, sha("one"));
  Deno.symlinkSync("nowhere", join(dir, "b"));
  const incomplete = { ...BASE, delayIntervalMs: 60_000, configFiles: [path, join(dir, "b")] };
  const found = await createSnapshotReader(incomplete, clock).look({ signal });
  assert.ok(found.kind === "settling" && found.digest === undefined, "nothing complete to tell of");
});

testInDir("more than 50,000 files are an error state, and nothing is read of them", async (dir) => {
  const { readDirSync } = Deno;
  // Listed and not there: who looked at them would find that they have gone.
  const entry = (name: string) => ({ name, isFile: true, isDirectory: false, isSymlink: false });
  Deno.readDirSync = () => Array.from({ length: 50_001 }, (_, i) => entry(`f${i}`)).values();
  try {
    const reader = createSnapshotReader({ ...BASE, delayIntervalMs: 0, watchedDirs: [dir] }, clock);
    const found = await settled(reader);
    assert.ok(found.kind === "unreadable");
    assert.deepEqual(found.files.map(({ error }) => error), ["more than 50000 files"]);
  } finally {
    Deno.readDirSync = readDirSync;
  }
});

testInDir("with an output a link may lead only to what lies below a watched directory", async (dir) => {
  for (const name of ["conf", "other", "far/sub"]) Deno.mkdirSync(join(dir, name), { recursive: true });
  for (const name of ["conf/a", "other/b", "far/c", "far/sub/d"]) {
    Deno.writeTextFileSync(join(dir, name), name);
  }
  const config = { ...BASE, delayIntervalMs: 0, watchedDirs: [join(dir, "conf"), join(dir, "other")] };
  const plain = createSnapshotReader(config, clock);
  const rendering = createSnapshotReader({ ...config, outputDir: join(dir, "out") }, clock);
  const errors = async () => {
    const found = await settled(rendering);
    return found.kind === "unreadable" ? found.files.filter(({ error }) => error !== null) : [];
  };
  Deno.symlinkSync("../other/b", join(dir, "conf/inside"));
  assert.deepEqual(await errors(), [], "below another watched directory");
  for (const [target, link] of [["../far/c", "conf/file"], ["../far/sub", "conf/dir"]] as const) {
    Deno.symlinkSync(target, join(dir, link));
    const [first, ...more] = await errors();
    assert.equal(more.length, 0);
    assert.ok(first!.path.startsWith(join(dir, link)), first!.path);
    assert.match(
      first!.error!,
      /leads out of the watched directories, to ".*", is not rendered: name that file/,
    );
    assert.equal((await settled(plain)).kind, "content", "nothing is written elsewhere");
    Deno.removeSync(join(dir, link));
  }
  Deno.symlinkSync("/proc/self/environ", join(dir, "conf/environ"));
  assert.equal((await settled(plain)).kind, "content");
  Deno.removeSync(join(dir, "conf/environ"));
  assert.deepEqual(await errors(), []);
});

testInDir("a watched directory that is a file is told apart from a missing one", async (dir) => {
  Deno.writeTextFileSync(join(dir, "a.yaml"), "a");
  for (
    const [path, text] of [
      ["a.yaml", "a file, not a directory; use --config-file"],
      ["a.yaml/below", "no such file: a parent is no directory"],
      ["none", "no such file"],
    ] as const
  ) {
    const reader = createSnapshotReader({ ...BASE, watchedDirs: [join(dir, path)] }, clock);
    const found = await settled(reader);
    assert.ok(found.kind === "unreadable");
    assert.deepEqual(found.files.map(({ error }) => error), [text]);
  }
});

testInDir(
  "inputs that lie below the output directory are watched, what is written there is not",
  async (dir) => {
    Deno.mkdirSync(join(dir, "in/sub"), { recursive: true });
    for (const name of ["in/a.yaml", "in/sub/b.yaml", "a.yaml"]) {
      Deno.writeTextFileSync(join(dir, name), name);
    }
    const watched: [Partial<typeof BASE>, string[]][] = [
      [{ watchedDirs: [join(dir, "in")] }, ["in/a.yaml", "in/sub/b.yaml"]],
      [{ configFiles: [join(dir, "in/a.yaml")] }, ["in/a.yaml"]],
      [{ configFiles: [join(dir, "in/*.yaml")] }, ["in/a.yaml"]],
      [{ configFiles: [join(dir, "*/a.yaml")] }, ["in/a.yaml"]],
    ];
    for (const [sources, want] of watched) {
      const reader = createSnapshotReader({ ...BASE, delayIntervalMs: 0, ...sources, outputDir: dir }, clock);
      assert.deepEqual(
        (await content(reader)).files.map(({ path }) => path),
        want.map((name) => join(dir, name)),
      );
    }
  },
);

testInDir(
  "with an output a config file stays in its directory, through links of directories and of volumes",
  async (dir) => {
    Deno.mkdirSync(join(dir, "tree/v1"), { recursive: true });
    Deno.mkdirSync(join(dir, "tree/v2"));
    Deno.writeTextFileSync(join(dir, "tree/v1/a"), "one");
    Deno.writeTextFileSync(join(dir, "secret"), "token");
    Deno.symlinkSync("tree/v1", join(dir, "current"));
    const volume = createKubeletVolume(join(dir, "vol"), { k: "key" });
    for (const path of [join(dir, "current/a"), volume.path("k")]) {
      const config = { ...BASE, delayIntervalMs: 0, configFiles: [path], configEnvsubstFile: "/out/a" };
      assert.equal((await settled(createSnapshotReader(config, clock))).kind, "content", path);
    }
    const path = join(dir, "current/a");
    const config = { ...BASE, delayIntervalMs: 0, configFiles: [path], configEnvsubstFile: "/out/a" };
    const reader = createSnapshotReader(config, clock);
    await settled(reader);
    Deno.symlinkSync("../../secret", join(dir, "tree/v2/a"));
    Deno.removeSync(join(dir, "current"));
    Deno.symlinkSync("tree/v2", join(dir, "current"));
    const found = await settled(reader);
    assert.ok(found.kind === "unreadable", JSON.stringify(found));
    assert.match(found.files[0]!.error!, /leads out of the watched directories/);
  },
);

testInDir(
  "what is validated or rendered is kept for each file, within --max-file-size together",
  async (dir) => {
    for (let i = 0; i < 120; i++) Deno.writeTextFileSync(join(dir, `f${100 + i}`), "x".repeat(10));
    const config = { ...BASE, delayIntervalMs: 0, watchedDirs: [dir], validate: "auto" as const };
    const reader = createSnapshotReader({ ...config, maxFileSizeBytes: 1_200 }, clock);
    for (let look = 0; look < 3; look++) {
      const { files } = await content(reader);
      assert.ok(files.every(({ bytes }) => bytes?.length === 10));
    }
    Deno.writeTextFileSync(join(dir, "g"), "y");
    const found = await settled(reader);
    assert.ok(found.kind === "unreadable");
    const errors = found.files.filter(({ error }) => error !== null);
    assert.deepEqual(errors.map(({ path }) => path), [join(dir, "g")]);
    assert.match(
      errors[0]!.error!,
      /with the files before it larger than --max-file-size \(1201 of 1200 bytes\)/,
    );
  },
);

testInDir("while it settles, a look before its time does not touch the disk", async (dir) => {
  const path = join(dir, "a");
  Deno.writeTextFileSync(path, "one");
  const reader = createSnapshotReader({ ...BASE, delayIntervalMs: 60_000, configFiles: [path] }, clock);
  const first = await reader.look({ signal });
  Deno.removeSync(path);
  const second = await reader.look({ signal });
  assert.deepEqual(second, first);
});

testInDir("the time of a change is that of the swap, not of a later touch", async (dir) => {
  const volume = createKubeletVolume(join(dir, "vol"), { a: "1" });
  const reader = createSnapshotReader({ ...BASE, configFiles: [volume.path("a")] }, clock);
  const swappedAt = Deno.lstatSync(join(volume.dir, "..data")).mtime!.getTime();
  assert.equal((await content(reader)).changedWallMs, swappedAt);
  await clock.sleep(20);
  volume.swap({ a: "1" });
  // An app that started between the two may have read something else that nobody looked at.
  assert.ok((await content(reader)).changedWallMs > swappedAt, "the same content, swapped in anew");
  Deno.utimeSync(Deno.realPathSync(volume.path("a")), new Date(), new Date());
  const swappedAgainAt = Deno.lstatSync(join(volume.dir, "..data")).mtime!.getTime();
  assert.equal((await content(reader)).changedWallMs, swappedAgainAt, "a later touch");
  volume.swap({ a: "2" });
  const next = Deno.lstatSync(join(volume.dir, "..data")).mtime!.getTime();
  assert.equal((await content(reader)).changedWallMs, next);
  assert.ok(Math.abs(Date.now() - next) < 2_000);
});

testInDir("a plain file's change is never dated before it happened", async (dir) => {
  const path = join(dir, "a");
  Deno.writeTextFileSync(path, "one");
  const reader = createSnapshotReader({ ...BASE, delayIntervalMs: 0, configFiles: [path] }, clock);
  await settled(reader);
  const before = Date.now();
  // A file made long ago and moved into place now: its time of writing is old, that of its change is not.
  Deno.writeTextFileSync(join(dir, "b"), "two");
  age(join(dir, "b"));
  Deno.renameSync(join(dir, "b"), path);
  const { changedWallMs } = await content(reader);
  assert.ok(
    changedWallMs >= before - 10 && changedWallMs <= Date.now() + 1_000,
    `${changedWallMs - before}`,
  );
});

testInDir("a removed file is dated by its directory", async (dir) => {
  for (const name of ["a", "b"]) Deno.writeTextFileSync(join(dir, name), name);
  const reader = createSnapshotReader({ ...BASE, delayIntervalMs: 0, watchedDirs: [dir] }, clock);
  await settled(reader);
  await clock.sleep(1_100);
  const before = Date.now();
  Deno.removeSync(join(dir, "b"));
  const { changedWallMs, files } = await content(reader);
  assert.equal(files.length, 1);
  assert.ok(changedWallMs >= before - 10, `${changedWallMs - before}`);
});

testInDir("a file beyond one mebibyte has the same digest, streamed or whole", async (dir) => {
  const path = join(dir, "large");
  const bytes = new Uint8Array(3_000_000).map((_, i) => i % 251);
  Deno.writeFileSync(path, bytes);
  for (const validate of ["none", "json"] as const) {
    const reader = createSnapshotReader(
      { ...BASE, delayIntervalMs: 0, configFiles: [path], validate },
      clock,
    );
    const { digest } = await content(reader);
    assert.equal(digest, sha(bytes));
  }
});

testInDir("much content: a change with old times is found at the twelfth look at the latest", async (dir) => {
  for (let i = 0; i < 120; i++) Deno.writeTextFileSync(join(dir, `f${i}`), `${i}`);
  const reader = createSnapshotReader({ ...BASE, delayIntervalMs: 0, watchedDirs: [dir] }, clock);
  const first = await content(reader);
  assert.equal((await content(reader)).digest, first.digest);
  Deno.writeTextFileSync(join(dir, "f7"), "x");
  const second = await content(reader);
  assert.notEqual(second.digest, first.digest);
  assert.equal(await content(reader), second, "the very same object: nothing was built anew");
});

test("the end of the sidecar ends a look at once", async () => {
  const abort = new AbortController();
  const reader = createSnapshotReader({ ...BASE, configFiles: ["/etc/hostname"] }, clock);
  const looking = reader.look({ signal: abort.signal });
  abort.abort();
  // With a date the loop would look again and again while an attempt ends.
  const ended = { kind: "settling", againAtMs: Infinity };
  assert.deepEqual([await looking, await reader.look({ signal: abort.signal })], [ended, ended]);
  // The look itself goes on until the disk answers; the next one waits for it.
  await settled(reader);
});

testInDir("a volume that is being torn down is no empty content, also without a delay", async (dir) => {
  const volume = createKubeletVolume(join(dir, "vol"), { a: "1" });
  const reader = createSnapshotReader({ ...BASE, watchedDirs: [volume.dir], delayIntervalMs: 0 }, clock);
  const whole = await content(reader);
  for (const { name } of [...Deno.readDirSync(volume.dir)]) {
    Deno.removeSync(join(volume.dir, name), { recursive: true });
    const found = await reader.look({ signal });
    assert.ok(found.kind !== "content" || found.snapshot === whole, name);
  }
  assert.equal((await settled(reader)).kind, "unreadable");
  Deno.removeSync(volume.dir);
  assert.equal((await settled(reader)).kind, "unreadable");
});

testInDir(
  "a directory that was a volume is an error for 10 s, however busy it is, and then a plain one",
  async (dir) => {
    const volume = createKubeletVolume(join(dir, "vol"), { a: "1" });
    let wallMs = Date.now();
    const later = { ...clock, wallMs: () => wallMs };
    const options = { ...BASE, delayIntervalMs: 0 };
    const listed = createSnapshotReader({ ...options, watchedDirs: [volume.dir] }, later);
    const named = createSnapshotReader({ ...options, configFiles: [volume.path("a")] }, later);
    await content(listed);
    await content(named);
    for (const { name } of [...Deno.readDirSync(volume.dir)]) {
      Deno.removeSync(join(volume.dir, name), { recursive: true });
    }
    const start = wallMs;
    for (const ms of [0, 800, 1_600, 4_000, 9_000]) {
      wallMs = start + ms;
      Deno.writeTextFileSync(join(volume.dir, `log.${ms}`), "");
      Deno.utimeSync(volume.dir, new Date(wallMs), new Date(wallMs));
      for (const reader of [listed, named]) assert.equal((await reader.look({ signal })).kind, "unreadable");
    }
    wallMs = start + 11_000;
    Deno.utimeSync(volume.dir, new Date(wallMs), new Date(wallMs));
    assert.equal((await content(listed)).files.length, 5);
    assert.equal((await named.look({ signal })).kind, "unreadable");
  },
);

testInDir(
  "a payload that is gone while ..data still leads there is an error, not a swap without end",
  async (dir) => {
    const volume = createKubeletVolume(join(dir, "vol"), { a: "1", "sub/b": "2" });
    const payload = volume.payload();
    let wallMs = Date.now();
    const options = { ...BASE, watchedDirs: [volume.dir], delayIntervalMs: 0 };
    const reader = createSnapshotReader(options, { ...clock, wallMs: () => wallMs });
    const whole = await content(reader);
    Deno.renameSync(payload, join(dir, "away"));
    assert.equal((await reader.look({ signal })).kind, "settling", "kubelet may be at work");
    wallMs += 1_500;
    assert.equal((await reader.look({ signal })).kind, "unreadable");
    Deno.renameSync(join(dir, "away"), payload);
    assert.equal(await content(reader), whole);
  },
);

testInDir("a directory that has long ceased to be a volume settles as a plain one", async (dir) => {
  const volume = createKubeletVolume(join(dir, "vol"), { a: "1" });
  const reader = createSnapshotReader({ ...BASE, watchedDirs: [volume.dir] }, clock);
  await content(reader);
  for (const { name } of [...Deno.readDirSync(volume.dir)]) {
    Deno.removeSync(join(volume.dir, name), { recursive: true });
  }
  age(volume.dir);
  const found = await reader.look({ signal });
  assert.ok(
    found.kind === "settling" && found.againAtMs - clock.nowMs() > 100,
    "quiet time, not another try",
  );
  assert.equal((await content(reader)).files.length, 0);
});

testInDir("the payload says which keys there are, and a swap that brings one counts at once", async (dir) => {
  const volume = createKubeletVolume(join(dir, "vol"), { a: "1" });
  const named = createSnapshotReader({ ...BASE, configFiles: [volume.path("a")] }, clock);
  const listed = createSnapshotReader({ ...BASE, watchedDirs: [volume.path("sub")] }, clock);
  const first = await content(named);
  assert.equal((await listed.look({ signal })).kind, "unreadable");
  // Kubelet makes the link to a key after the swap.
  Deno.removeSync(volume.path("a"));
  const again = await named.look({ signal });
  assert.ok(again.kind === "content" && again.snapshot === first);
  volume.swap({ "sub/k": "2" });
  for (const [reader, kind] of [[named, "unreadable"], [listed, "content"]] as const) {
    assert.equal((await reader.look({ signal })).kind, kind);
  }
});

testInDir("looks at once wait for each other", async (dir) => {
  const volume = createKubeletVolume(join(dir, "vol"), { a: "1", b: "1" });
  const reader = createSnapshotReader({ ...BASE, watchedDirs: [volume.dir] }, clock);
  const all = await Promise.all(Array.from({ length: 10 }, () => reader.look({ signal })));
  assert.deepEqual(new Set(all.map((found) => found.kind)), new Set(["content"]));
});

testInDir(
  "200 swaps of 8 files at random gaps: no torn snapshot, and the last one is reached",
  async (dir) => {
    const payload = (version: number) =>
      Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`f${i}.yaml`, `version ${version}`]));
    const volume = createKubeletVolume(join(dir, "vol"), payload(0));
    const allowed = new Set<string>();
    const digestOf = (version: number) =>
      sha(
        Object.entries(payload(version)).map(([name, text]) => `${sha(text)}  ${volume.path(name)}\n`).join(
          "",
        ),
      );
    for (let version = 0; version <= 200; version++) allowed.add(digestOf(version));
    const readers = [
      createSnapshotReader({ ...BASE, configFiles: [join(volume.dir, "*.yaml")] }, clock),
      createSnapshotReader({ ...BASE, watchedDirs: [volume.dir] }, clock),
    ];
    let swapping = true;
    let looks = 0;
    const watching = readers.map(async (reader) => {
      while (swapping) {
        const found = await reader.look({ signal });
        looks++;
        if (found.kind === "content") assert.ok(allowed.has(found.snapshot.digest), "a mixture");
        else assert.equal(found.kind, "settling");
      }
    });
    let seed = 42;
    for (let version = 1; version <= 200; version++) {
      volume.swap(payload(version));
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      // A machine that is busy looks more slowly: two looks a swap are awaited, whatever they take.
      do await clock.sleep(1 + seed % 40); while (looks < 2 * version);
    }
    swapping = false;
    await Promise.all(watching);
    for (const reader of readers) assert.equal((await content(reader)).digest, digestOf(200));
  },
);

testInDir(
  "many files: what changes between two looks is found, also where no directory is listed again",
  async (dir) => {
    Deno.mkdirSync(join(dir, "sub"));
    for (let i = 0; i < 120; i++) Deno.writeTextFileSync(join(dir, `f${i}`), "x".repeat(i));
    Deno.writeTextFileSync(join(dir, "sub/a"), "1");
    const reader = createSnapshotReader({ ...BASE, watchedDirs: [dir], delayIntervalMs: 0 }, clock);
    const { readDir, readDirSync } = Deno;
    let listed = 0;
    Deno.readDir = (path) => (listed++, readDir(path));
    Deno.readDirSync = (path) => (listed++, readDirSync(path));
    const names = async () =>
      (await content(reader)).files.map(({ path }) => path.slice(dir.length + 1)).sort();
    try {
      // Directories that have just changed are listed each time.
      await until("nothing to be listed", async () => {
        const before = listed;
        await content(reader);
        return listed === before;
      }, { timeoutMs: 10_000, everyMs: 200 });
      Deno.writeTextFileSync(join(dir, "f7"), "y".repeat(9));
      const { files } = await content(reader);
      assert.equal(files.find(({ path }) => path.endsWith("/f7"))!.digest, sha("y".repeat(9)));
      Deno.renameSync(join(dir, "sub/a"), join(dir, "sub/b"));
      assert.ok((await names()).includes("sub/b"));
      Deno.removeSync(join(dir, "sub"), { recursive: true });
      assert.equal((await names()).length, 120);
      Deno.mkdirSync(join(dir, "new"));
      Deno.writeTextFileSync(join(dir, "new/c"), "");
      assert.deepEqual((await names()).slice(-1), ["new/c"]);
    } finally {
      [Deno.readDir, Deno.readDirSync] = [readDir, readDirSync];
    }
  },
);

testInDir(
  "where links lead is found as well while no directory is listed again",
  async (dir) => {
    const [conf, far] = [join(dir, "conf"), join(dir, "far")];
    for (const path of [conf, `${far}/one`, `${far}/two`]) Deno.mkdirSync(path, { recursive: true });
    for (const path of ["one/a", "two/b", "file"]) Deno.writeTextFileSync(join(far, path), path);
    Deno.symlinkSync("one", join(far, "current"));
    Deno.symlinkSync("../far/current", join(conf, "dir"));
    Deno.symlinkSync("../far/file", join(conf, "file"));
    Deno.symlinkSync("../far/late", join(conf, "late"));
    const reader = createSnapshotReader({ ...BASE, watchedDirs: [conf], delayIntervalMs: 0 }, clock);
    const { readDirSync } = Deno;
    let listed = 0;
    Deno.readDirSync = (path) => (listed++, readDirSync(path));
    const names = async () =>
      (await content(reader)).files.map(({ path }) => path.slice(conf.length + 1)).sort();
    try {
      const calm = () =>
        until("nothing to be listed", async () => {
          const before = listed;
          await content(reader);
          return listed === before;
        }, { timeoutMs: 10_000, everyMs: 200 });
      await calm();
      Deno.removeSync(join(far, "file"));
      Deno.mkdirSync(join(far, "file"));
      Deno.writeTextFileSync(join(far, "file/d"), "");
      assert.deepEqual(await names(), ["dir/a", "file/d"]);
      await calm();
      Deno.writeTextFileSync(join(far, "one/c"), "");
      assert.deepEqual(await names(), ["dir/a", "dir/c", "file/d"]);
      await calm();
      Deno.removeSync(join(far, "current"));
      Deno.symlinkSync("two", join(far, "current"));
      assert.deepEqual(await names(), ["dir/b", "file/d"]);
      await calm();
      Deno.mkdirSync(join(far, "late"));
      Deno.writeTextFileSync(join(far, "late/e"), "");
      assert.deepEqual(await names(), ["dir/b", "file/d", "late/e"]);
    } finally {
      Deno.readDirSync = readDirSync;
    }
  },
);

testInDir(
  "a FIFO that takes a file's place between stat and open: told as one after 5 s, and what follows it is read",
  async (dir) => {
    const [path, kept] = [join(dir, "app.yaml"), join(dir, "kept")];
    const still = createFakeClock();
    const reader = createSnapshotReader({ ...BASE, configFiles: [path], delayIntervalMs: 0 }, still);
    const look = () => reader.look({ signal });
    const open = Deno.open;
    Deno.writeTextFileSync(path, "one");
    await look();
    const opening = Promise.withResolvers<void>();
    let hung: Promise<unknown> = Promise.resolve();
    Deno.open = (...args) => {
      Deno.open = open;
      Deno.removeSync(path);
      new Deno.Command("mkfifo", { args: [path] }).outputSync();
      Deno.linkSync(path, kept);
      opening.resolve();
      return hung = open(...args);
    };
    try {
      const looking = look();
      await opening.promise;
      await still.advance(5_000);
      const found = await looking;
      assert.ok(found.kind === "unreadable", JSON.stringify(found));
      assert.equal(found.files[0]!.error, "a FIFO, not a regular file");
      assert.equal((await look()).kind, "unreadable");
      Deno.removeSync(path);
      Deno.writeTextFileSync(path, "two");
      const last = await look();
      assert.equal(last.kind === "content" && last.snapshot.digest, sha("two"));
    } finally {
      Deno.open = open;
      // Lets go of the thread that waits.
      (await Deno.open(kept, { read: true, write: true })).close();
      await hung;
      // What reads on now is at its end at once.
      await until("the end of that read", async () => (await look()).kind === "content");
    }
  },
);

testInDir(
  "what lies deeper than 32 directories is an error state, and never left out in silence",
  async (dir) => {
    const parts = Array.from({ length: 33 }, (_, i) => `d${i}`);
    const deepest = join(dir, ...parts);
    Deno.mkdirSync(join(dir, ...parts.slice(0, 32)), { recursive: true });
    Deno.writeTextFileSync(join(dir, ...parts.slice(0, 32), "x"), "1");
    const reader = createSnapshotReader({ ...BASE, watchedDirs: [dir], delayIntervalMs: 0 }, clock);
    assert.equal((await content(reader)).files.length, 1);
    Deno.mkdirSync(deepest);
    Deno.writeTextFileSync(join(deepest, "y"), "1");
    const found = await settled(reader);
    assert.ok(found.kind === "unreadable");
    const bad = found.files.filter(({ error }) => error !== null);
    assert.deepEqual(bad.map(({ path, error }) => [path, error]), [
      [deepest, "more than 32 directories deep"],
    ]);
  },
);

testInDir(
  "what settles is asked for alone, but nothing counts before everything was looked at",
  async (dir) => {
    const paths = [0, 1, 2, 3].map((i) => join(dir, `f${i}`));
    const [a, b, c, unchanged] = paths as [string, string, string, string];
    const write = (path: string, text: string) => Deno.writeTextFileSync(path, text);
    for (const path of paths) write(path, "old");
    age(...paths);
    const reader = createSnapshotReader({ ...BASE, watchedDirs: [dir], delayIntervalMs: 30 }, clock);
    const first = await content(reader);
    const listing = (...texts: string[]) =>
      sha([...texts, "old"].map((text, i) => `${sha(text)}  ${paths[i]}\n`).join(""));
    assert.equal(first.digest, listing("old", "old", "old"));
    // The others change while one settles, which no event tells: one change, never half of it.
    write(a, "new");
    reader.noteEvent([a]);
    assert.equal((await reader.look({ signal })).kind, "settling");
    write(b, "new");
    await clock.sleep(30);
    assert.equal((await reader.look({ signal })).kind, "settling");
    write(c, "new");
    assert.equal((await content(reader)).digest, listing("new", "new", "new"));
    // What an event names is as it was: something else changed.
    write(b, "newer");
    reader.noteEvent([unchanged]);
    assert.equal((await content(reader)).digest, listing("new", "newer", "new"));
    // And back again while it settles, when another has changed.
    write(a, "x");
    reader.noteEvent([a]);
    assert.equal((await reader.look({ signal })).kind, "settling");
    write(a, "new");
    write(c, "newest");
    assert.equal((await content(reader)).digest, listing("new", "newer", "newest"));
  },
);
