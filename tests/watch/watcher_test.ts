import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClock } from "../../src/clock.ts";
import type { Cause } from "../../src/model.ts";
import type { Logger } from "../../src/ports.ts";
import { createBudget, EVENTS } from "../../src/watch/kernel_watch.ts";
import { createWatcher, type WatcherConfig } from "../../src/watch/watcher.ts";
import { createSnapshotReader } from "../../src/watch/reader.ts";

import { createTestConfig } from "../support/config.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { until } from "../support/poll.ts";
import { test } from "../support/strict.ts";

/** Runs a watcher on a new directory around `body`; each hint is followed by a look. */
async function watching(
  config: Partial<WatcherConfig>,
  body: (
    run: { dir: string; hints: Cause[]; warnings: string[]; watcher: ReturnType<typeof createWatcher> },
  ) => unknown,
): Promise<void> {
  const dir = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "watcher_" }));
  const abort = new AbortController();
  const hints: Cause[] = [];
  const warnings: string[] = [];
  const none = () => {};
  const logger: Logger = { debug: none, info: none, warn: (text) => void warnings.push(text), error: none };
  const all = { intervalMs: 60_000, watchMethod: "auto" as const };
  const clock = createClock();
  const reader = createSnapshotReader(createTestConfig({ configFiles: [join(dir, "a")] }), clock);
  const look = () => reader.look({ signal: abort.signal });
  const watcher = createWatcher({ ...all, ...config }, reader, clock, logger);
  const running = watcher.run((cause) => {
    hints.push(cause);
    looking = looking.then(look);
  }, abort.signal);
  let looking: Promise<unknown> = look();
  try {
    await body({ dir, hints, warnings, watcher });
  } finally {
    abort.abort();
    await running;
    await looking;
    await reader.look({ signal: new AbortController().signal });
    Deno.removeSync(dir, { recursive: true });
  }
}

test("an event is a hint, whatever its kind", () =>
  watching({}, async ({ dir, hints, watcher }) => {
    await until("the watcher", () => watcher.view().method === "inotify");
    for (
      const step of [
        () => Deno.writeTextFileSync(join(dir, "a"), "x"),
        () => Deno.renameSync(join(dir, "a"), join(dir, "..data")),
        () => Deno.removeSync(join(dir, "..data")),
      ]
    ) {
      hints.length = 0;
      step();
      await until("a hint", () => hints.includes("event"));
    }
    assert.equal(watcher.view().reason, "kernel events and interval");
    assert.ok(watcher.view().events >= 3);
  }));

test("a sibling's plain name needs no look", () =>
  watching({}, async ({ dir, hints, watcher }) => {
    await until("the watcher", () => watcher.view().method === "inotify");
    await until("the hint of its start", () => hints.length > 0);
    const before = watcher.view().events;
    hints.length = 0;
    for (const name of ["log", ".a.swp", "..data_tmp"]) Deno.writeTextFileSync(join(dir, name), "x");
    await until("the events", () => watcher.view().events >= before + 9);
    assert.equal(hints.length, 0);
    Deno.mkdirSync(join(dir, "..2026_11_24_08_16_55.1"));
    await until("the beginning of an update", () => hints.length > 0);
    assert.deepEqual(hints, ["update"]);
    Deno.renameSync(join(dir, "log"), join(dir, "a"));
    await until("a hint", () => hints.includes("event"));
  }));

test("the interval hints whatever the watcher says", () =>
  watching({ intervalMs: 20 }, async ({ hints }) => {
    await until("intervals", () => hints.filter((cause) => cause === "interval").length >= 3);
  }));

test("poll needs no kernel events", () =>
  watching({ watchMethod: "poll", intervalMs: 20 }, async ({ dir, hints, watcher, warnings }) => {
    for (let i = 0; i < 10; i++) Deno.writeTextFileSync(join(dir, "a"), `${i}`);
    await until("intervals", () => hints.length >= 5);
    assert.deepEqual(new Set(hints), new Set(["interval"]));
    assert.deepEqual(watcher.view(), { method: "poll", reason: "as configured", events: 0, errors: 0 });
    assert.deepEqual(warnings, []);
  }));

/**
 * Makes `count` kernel events a call: writes to two open files in turn, since the kernel tells of the same event twice in
 * a row only once. To open and truncate a file each time would wait for the disk, 0.3 to 1 ms a time.
 */
function createNoise(dir: string): Disposable & { make(count: number): void } {
  const files = ["log", "other log"].map((name) =>
    Deno.openSync(join(dir, name), { write: true, create: true })
  );
  const byte = new Uint8Array(1);
  return {
    make: (count) => {
      for (let i = 0; i < count; i++) files[i % 2]!.writeSync(byte);
    },
    [Symbol.dispose]: () => files.forEach((file) => file.close()),
  };
}

test("a busy directory is polled for a while, with one warning", () =>
  watching({ intervalMs: 50 }, async ({ dir, watcher, warnings }) => {
    await until("the watcher", () => watcher.view().method === "inotify");
    using noise = createNoise(dir);
    await until("polling", () => {
      noise.make(200);
      return watcher.view().method === "poll";
    }, { everyMs: 1 });
    assert.equal(watcher.view().reason, "a watched directory is too busy");
    assert.equal(warnings.length, 1);
  }));

test("with inotify asked for a busy directory is borne", () =>
  watching({ intervalMs: 50, watchMethod: "inotify" }, async ({ dir, watcher }) => {
    await until("the watcher", () => watcher.view().method === "inotify");
    using noise = createNoise(dir);
    await until("many events", () => {
      noise.make(200);
      return watcher.view().events > 6_000;
    }, { everyMs: 1 });
    assert.equal(watcher.view().method, "inotify");
  }));

test("a budget bears a burst and a steady trickle, not a steady stream", () => {
  let nowMs = 0;
  const burst = createBudget(EVENTS, { nowMs: () => 0 });
  for (let i = 0; i < 4_000; i++) assert.ok(burst(), "a checkout");
  const bears = (eventsPerSecond: number) => {
    const take = createBudget(EVENTS, { nowMs: () => nowMs });
    for (let i = 0; i < eventsPerSecond * 600; i++) {
      nowMs += 1000 / eventsPerSecond;
      if (!take()) return false;
    }
    return true;
  };
  assert.ok(bears(100));
  assert.ok(!bears(1_000));
});

test("events given up for a limit are tried again after a minute", async () => {
  // The clock is fake, so that the minute passes at once; the directory is real.
  const clock = createFakeClock();
  const dir = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "watcher_" }));
  const abort = new AbortController();
  const none = () => {};
  const logger: Logger = { debug: none, info: none, warn: none, error: none };
  const config = { intervalMs: 30_000, watchMethod: "auto" as const };
  const reader = createSnapshotReader(
    createTestConfig({ configFiles: [join(dir, "a")], delayIntervalMs: 0 }),
    clock,
  );
  const look = () => reader.look({ signal: abort.signal });
  const original = Deno.watchFs;
  let refuse = true;
  Deno.watchFs = (...args) => {
    if (refuse) throw new Error("Too many open files (os error 24)");
    return original(...args);
  };
  try {
    const watcher = createWatcher(config, reader, clock, logger);
    const running = watcher.run(() => void look(), abort.signal);
    await look();
    await until("polling", () => watcher.view().reason.includes("max_user_instances"));
    refuse = false;
    await clock.advance(30_000);
    await until("the tick", () => clock.pending() > 0);
    assert.equal(watcher.view().method, "poll", "not yet");
    await clock.advance(31_000);
    await until("events again", () => watcher.view().method === "inotify");
    abort.abort();
    let ended = false;
    running.then(() => ended = true);
    await until("the end", async () => {
      await clock.advance(1);
      return ended;
    });
  } finally {
    Deno.watchFs = original;
    Deno.removeSync(dir, { recursive: true });
  }
});

/** Reader and watcher as in the sidecar, ending on SIGTERM; after the first look it prints how it watches, each time anew. */
const CHILD = `
import { createDriver } from ${JSON.stringify(new URL("../support/watch_script.ts", import.meta.url).href)};
const driver = createDriver({
  configFiles: [Deno.args[0] + "/a"], watchedDirs: [Deno.args[0]], intervalMs: 50, watchMethod: "auto",
  delayIntervalMs: "auto", maxFileSizeBytes: 1e6, validate: "none", configEnvsubstFile: null, outputDir: null,
});
Deno.addSignalListener("SIGTERM", async () => { await driver.stop(); Deno.exit(0); });
let said;
setInterval(() => {
  const { method } = driver.watcher.view();
  if (driver.last && method !== said) console.log(said = method);
}, 10);
`;

test("SIGTERM ends it at once: a FIFO, a hung reader and a full queue", async () => {
  const dir = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "watcher_" }));
  const watched = join(dir, "watched");
  Deno.mkdirSync(watched);
  Deno.writeTextFileSync(join(watched, "a"), "1");
  Deno.writeTextFileSync(join(dir, "child.ts"), CHILD);
  const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", config, join(dir, "child.ts"), watched],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  try {
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const watchesBy = (method: string) =>
      until(method, async () => (await reader.read()).value === `${method}\n`);
    await watchesBy("inotify");
    const sh = (script: string) =>
      new Deno.Command("sh", { args: ["-c", script], cwd: watched }).outputSync();
    sh("mkfifo pipe");
    await watchesBy("poll");
    // The thread behind the events hangs; a file turns into a FIFO under the reader, and events pile up.
    sh("for i in $(seq 2000); do echo $i > noise; done; rm a; mkfifo a");
    const started = performance.now();
    child.kill("SIGTERM");
    const status = await child.status;
    const tookMs = performance.now() - started;
    assert.equal(status.code, 0);
    assert.ok(tookMs < 4_000, `${tookMs} ms; a disk that does not answer is given 5 s`);
    await reader.cancel();
  } finally {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended, as it should.
    }
    await child.status;
    Deno.removeSync(dir, { recursive: true });
  }
});
