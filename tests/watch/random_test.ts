/** Random sequences of steps on a real directory: afterwards the reader knows what a fresh look knows. */

import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { createClock } from "../../src/clock.ts";
import { createSnapshotReader, type ReaderConfig } from "../../src/watch/reader.ts";
import { createKubeletVolume } from "../support/kubelet.ts";
import { until } from "../support/poll.ts";
import { createDriver, type Method } from "../support/watch_script.ts";
import { createTestConfig } from "../support/config.ts";
import { test } from "../support/strict.ts";

const NAMES = ["a.yaml", "b.yaml", "c.txt", "sub/d.yaml"];
const DELAY_MS = 15;

/** One step: what is done, to which name, with which of a few contents, and how long nothing follows. */
interface Step {
  readonly kind:
    | "write"
    | "replace"
    | "remove"
    | "truncate"
    | "touch"
    | "rename"
    | "swap"
    | "same"
    | "directory";
  readonly name: string;
  readonly text: string;
  readonly pauseMs: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    "write",
    "replace",
    "remove",
    "truncate",
    "touch",
    "rename",
    "swap",
    "same",
    "directory",
  ),
  name: fc.constantFrom(...NAMES),
  text: fc.constantFrom("one", "two", "three"),
  pauseMs: fc.constantFrom(0, 0, 1, 5, 20, 60),
});

function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // A step that is not possible now is none.
  }
}

async function play(steps: readonly Step[], method: Method): Promise<void> {
  const root = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "random_" }));
  const plain = join(root, "plain");
  Deno.mkdirSync(join(plain, "sub"), { recursive: true });
  Deno.writeTextFileSync(join(plain, "a.yaml"), "one");
  const volume = createKubeletVolume(join(root, "vol"), { k: "one" });
  const config: ReaderConfig = {
    configFiles: [join(root, "vol/*")],
    watchedDirs: [plain],
    delayIntervalMs: DELAY_MS,
    maxFileSizeBytes: 1_000,
    validate: "none",
    configEnvsubstFile: null,
    outputDir: null,
  };
  const driver = createDriver({
    ...config,
    intervalMs: 40,
    watchMethod: method === "poll" ? "poll" : "auto",
  });
  try {
    await until("the first content", () => driver.states.length > 0);
    for (const { kind, name, text, pauseMs } of steps) {
      const path = join(plain, name);
      const actions: Record<Step["kind"], () => void> = {
        write: () => Deno.writeTextFileSync(path, text),
        replace: () => {
          Deno.writeTextFileSync(join(root, "new"), text);
          Deno.renameSync(join(root, "new"), path);
        },
        remove: () => Deno.removeSync(path),
        truncate: () => Deno.truncateSync(path),
        touch: () => Deno.utimeSync(path, new Date(), new Date()),
        rename: () => Deno.renameSync(path, join(plain, text)),
        swap: () => volume.swap({ k: text, [name.replace("/", "-")]: text }),
        same: () => Deno.writeTextFileSync(path, Deno.readTextFileSync(path)),
        directory: () => {
          Deno.removeSync(plain, { recursive: true });
          Deno.mkdirSync(join(plain, "sub"), { recursive: true });
        },
      };
      attempt(actions[kind]);
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    const fresh = createSnapshotReader({ ...config, delayIntervalMs: 0 }, createClock());
    const truth = await fresh.look({ signal: new AbortController().signal });
    assert.ok(truth.kind === "content", truth.kind);
    await until("the same as a fresh look", () => driver.states.at(-1) === truth.snapshot.digest);
    const { looks } = driver;
    await until("two more looks", () => driver.looks > looks + 2);
    assert.equal(driver.states.at(-1), truth.snapshot.digest);
    // Each step makes one content at most that could be seen (a removal and a write are two).
    assert.ok(driver.states.length <= 2 * steps.length + 1, `${driver.states.length} states`);
  } finally {
    await driver.stop();
    await driver.drain();
    Deno.removeSync(root, { recursive: true });
  }
}

for (const method of ["inotify", "poll"] as const) {
  test(`after random steps the content is that of a fresh look (${method})`, async () => {
    const sequences = fc.array(fc.array(step, { minLength: 1, maxLength: 12 }), {
      minLength: 6,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(
        sequences,
        async (all) => void await Promise.all(all.map((steps) => play(steps, method))),
      ),
      { numRuns: 8, endOnFailure: true },
    );
  });
}

/** One write: after how long a pause, and to which file. */
const write = fc.record({ pauseMs: fc.constantFrom(0, 10, 40, 110, 230), file: fc.nat(1_000) });

test("one quiet time after the last of any writes to any number of files the digest is the disk's, by events alone", async () => {
  const runs = fc.array(
    fc.record({
      files: fc.integer({ min: 1, max: 300 }),
      writes: fc.array(write, { minLength: 1, maxLength: 6 }),
    }),
    { minLength: 6, maxLength: 6 },
  );
  const play = async ({ files, writes }: { files: number; writes: { pauseMs: number; file: number }[] }) => {
    const dir = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "random_" }));
    for (let i = 0; i < files; i++) Deno.writeTextFileSync(join(dir, `f${i}`), "old");
    const config = createTestConfig({ configFiles: [], watchedDirs: [dir], intervalMs: 600_000 });
    const driver = createDriver(config);
    try {
      await until(
        "the watcher",
        () => driver.watcher.view().method === "inotify" && driver.states.length > 0,
      );
      // Times older than two seconds stand for the content: only then is not everything read again.
      await new Promise((resolve) => setTimeout(resolve, 2_100));
      for (const [i, { pauseMs, file }] of writes.entries()) {
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        Deno.writeTextFileSync(join(dir, `f${file % files}`), `new ${i}`);
      }
      const fresh = createSnapshotReader({ ...config, delayIntervalMs: 0 }, createClock());
      const truth = await fresh.look({ signal: new AbortController().signal });
      assert.ok(truth.kind === "content");
      await until("what is on disk", () => driver.states.at(-1) === truth.snapshot.digest);
    } finally {
      await driver.stop();
      await driver.drain();
      Deno.removeSync(dir, { recursive: true });
    }
  };
  await fc.assert(
    fc.asyncProperty(runs, async (all) => void await Promise.all(all.map(play))),
    { numRuns: 2, endOnFailure: true },
  );
});
