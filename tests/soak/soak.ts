/**
 * `deno task soak [--minutes N | --reloads N --scrapes M] [--seed S]`: a real sidecar, app and volume under random trouble from a seed (swaps,
 * rejections, restarts of the app, scrapes, bad clients, a watcher made deaf), with the invariants of a reloader checked
 * while it runs. Prints the growth of memory, descriptors and threads; exit code 1 if anything broke or grew.
 * It must never forgive: what breaks an invariant is printed with the seed and the moment.
 */

import { readFlags, wholeNumber } from "../../scripts/command_line.ts";
import { readMemory } from "../../bench/lab.ts";
import { createRandom } from "../support/random.ts";
import { createKubeletVolume, type KubeletVolume } from "../support/kubelet.ts";
import { startTargetApp, type TargetApp } from "../support/target_app.ts";
import { WAIT_MS } from "../support/poll.ts";
import { BINARY, freePort, get, ready, sha256, type Sidecar, startSidecar } from "../support/scene.ts";

/** Growth over the second half that is still none: the allocator's own breathing. */
const GROWTH_BYTES_MAX = 2 * 1048576;
/** Growth is judged in a run that is long enough for the heap to have filled once; a shorter one is judged by the bound. */
const GROWTH_MINUTES_MIN = 5;
/**
 * Anonymous memory at any time: what is left of 50 MiB beside the binary's own pages. From source V8 runs without the binary's
 * flags, and Deno holds its compiler besides: 45 MiB were seen.
 */
const ANONYMOUS_BYTES_MAX = (BINARY === null ? 90 : 40) * 1048576;
/** Descriptors and threads may breathe by this much between the halves. */
const GROWTH_COUNT_MAX = 3;
/** Interval, delay, verification and the longest retry pause are 6 s; the rest is for a busy machine. */
const CONVERGE_MS = WAIT_MS;

interface Sample {
  readonly anonymousBytes: number;
  readonly descriptors: number;
  readonly threads: number;
}

/** What the soak drives. */
interface World {
  readonly dir: string;
  readonly volume: KubeletVolume;
  app: TargetApp;
  readonly appPort: number;
  readonly sidecar: Sidecar;
  readonly random: () => number;
  version: number;
  /** Content on disk. */
  text: string;
  readonly broken: string[];
  readonly done: Map<string, number>;
  readonly slowestHealthMs: { value: number };
}

/** One kind of trouble, with how often it comes relative to the others. */
interface Trouble {
  readonly name: string;
  readonly weight: number;
  make(world: World): void | Promise<void>;
}

const TROUBLES: readonly Trouble[] = [
  { name: "swap", weight: 40, make: change },
  { name: "swap of the same", weight: 6, make: (world) => swap(world, world.text) },
  { name: "rejected content", weight: 5, make: (world) => swap(world, `REJECT ${++world.version}\n`) },
  { name: "three swaps at once", weight: 5, make: (world) => [1, 2, 3].forEach(() => change(world)) },
  {
    name: "big content",
    weight: 2,
    make: (world) => change(world, "# filler of a large file\n".repeat(20_000)),
  },
  { name: "app rejects", weight: 3, make: (world) => moody(world, "reject") },
  { name: "app ignores", weight: 1, make: (world) => moody(world, "ignore") },
  { name: "app restarts", weight: 2, make: restartApp },
  { name: "app stops and goes on", weight: 2, make: (world) => stopAndGoOn(world, world.app, 1500) },
  { name: "sidecar stops and goes on", weight: 1, make: (world) => stopAndGoOn(world, world.sidecar, 300) },
  { name: "scrapes", weight: 20, make: scrapes },
  { name: "bad client", weight: 10, make: badClient },
  { name: "volume torn down", weight: 1, make: tearDown },
  { name: "file missing", weight: 2, make: missing },
  { name: "hangup to the sidecar", weight: 5, make: (world) => world.sidecar.kill("SIGHUP") },
];

function swap(world: World, text: string): void {
  world.text = text;
  world.volume.swap({ "config.yaml": text });
}

function change(world: World, rest = ""): void {
  swap(world, `version: ${++world.version}\n${rest}`);
}

async function moody(world: World, mode: "reject" | "ignore"): Promise<void> {
  await world.app.control({ mode });
  change(world);
  await pause(300 + world.random() * 500);
  await world.app.control({ mode: "ok" });
}

async function restartApp(world: World): Promise<void> {
  await world.app.stop();
  if (world.random() < 0.5) change(world);
  world.app = await startApp(world.dir, world.volume, world.appPort);
}

async function stopAndGoOn(world: World, process: Pick<Sidecar, "kill">, msMax: number): Promise<void> {
  process.kill("SIGSTOP");
  change(world);
  await pause(world.random() * msMax);
  process.kill("SIGCONT");
}

async function scrapes(world: World): Promise<void> {
  const url = `http://127.0.0.1:${world.sidecar.port}`;
  for (let i = 0; i < 20; i++) await get(`${url}${i % 5 === 0 ? "/status" : "/metrics"}`);
}

const GARBAGE = [
  "GET / HTTP/1.1\r\n",
  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "CONNECT example:443 HTTP/1.1\r\n\r\n",
  "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\nabc",
  `GET /metrics HTTP/1.1\r\nX: ${"y".repeat(100_000)}\r\n\r\n`,
];

async function badClient(world: World): Promise<void> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: world.sidecar.port }).catch(() =>
    null
  );
  if (!connection) return void world.broken.push("the metrics port refused a connection");
  const bytes = new TextEncoder().encode(GARBAGE[Math.floor(world.random() * GARBAGE.length)]!);
  await connection.write(bytes).catch(() => {});
  if (world.random() < 0.3) await pause(100);
  connection.close();
}

/** A directory made anew in its place: the watcher is deaf from then on and must notice. */
function tearDown(world: World): void {
  world.text = `version: ${++world.version}\n`;
  world.volume.replace({ "config.yaml": world.text });
}

async function missing(world: World): Promise<void> {
  world.volume.swap({ "other.yaml": "x: 1\n" });
  await pause(world.random() * 700);
  change(world);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function startApp(dir: string, volume: KubeletVolume, port: number): Promise<TargetApp> {
  const app = await startTargetApp({ config: volume.path("config.yaml"), port, log: `${dir}/app.log` });
  await Deno.writeTextFile(`${dir}/app.pid.new`, String(app.pid));
  await Deno.rename(`${dir}/app.pid.new`, `${dir}/app.pid`);
  return app;
}

/** I1: once all is quiet, the app runs what is on disk and the sidecar says so; or content is bad and it says that. */
async function checkConverged(world: World): Promise<void> {
  if (world.text.startsWith("REJECT")) change(world);
  const hash = await sha256(world.text);
  const end = performance.now() + CONVERGE_MS;
  let last = "";
  while (performance.now() < end) {
    try {
      const counts = await world.app.counts();
      const inSync = await world.sidecar.metric("config_reload_in_sync");
      if (counts.hash === hash && inSync === 1) return await checkQuiet(world, hash);
      last = `the app runs ${counts.hash?.slice(0, 8)} (${counts.status}), in_sync is ${inSync}`;
    } catch (error) {
      last = (error as Error).message;
    }
    await pause(50);
  }
  world.broken.push(`I1: ${hash.slice(0, 8)} is on disk for ${CONVERGE_MS} ms, but ${last}`);
}

/** I2: without a change there is no signal; I4, I8, I9: the counts agree with each other and with the app's. */
async function checkQuiet(world: World, hash: string): Promise<void> {
  const before = await world.app.counts();
  await pause(1200);
  const after = await world.app.counts();
  if (after.signals !== before.signals) {
    world.broken.push(`I2: ${after.signals - before.signals} signals without a change`);
  }
  if (after.hash !== hash) world.broken.push("I1: the app changed its mind");
  if (after.overlaps > 0) world.broken.push(`I9: ${after.overlaps} reloads on top of another`);
  const { metric } = world.sidecar;
  const attempts = await metric("config_reload_attempts_total");
  const ended = await metric("config_reload_successes_total") + await metric("config_reload_failures_total");
  if (attempts !== ended) {
    world.broken.push(`I9: ${attempts} attempts, ${ended} ended, although all is quiet`);
  }
  const outcomes = await Promise.all(
    ["success", "rejected", "failed", "timeout", "invalid"].map((o) =>
      metric(`config_reload_outcomes_total{outcome="${o}"}`)
    ),
  );
  const sum = outcomes.reduce((a, b) => a + b, 0);
  if (sum !== ended) world.broken.push(`I8: outcomes add up to ${sum}, not to ${ended}`);
}

/** I5: `/healthz` within a second, all the time. */
async function watchHealth(world: World, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    try {
      world.slowestHealthMs.value = Math.max(world.slowestHealthMs.value, await world.sidecar.healthz());
    } catch (error) {
      if (!stop.aborted) world.broken.push(`I5: ${(error as Error).message}`);
    }
    await pause(200);
  }
}

/** I6: memory, descriptors and threads of the sidecar. */
function sample(pid: number): Sample {
  const count = (dir: string) => [...Deno.readDirSync(`/proc/${pid}/${dir}`)].length;
  return {
    anonymousBytes: readMemory([pid]).anonymousBytes,
    descriptors: count("fd"),
    threads: count("task"),
  };
}

/** Growth of the second half: median of the last quarter above that of the third. */
function growth(samples: readonly Sample[], figure: (sample: Sample) => number): number {
  const quarter = (i: number) =>
    samples.slice(Math.floor(samples.length * i / 4), Math.floor(samples.length * (i + 1) / 4));
  const median = (part: readonly Sample[]) =>
    part.map(figure).sort((a, b) => a - b)[Math.floor(part.length / 2)] ?? 0;
  return median(quarter(3)) - median(quarter(2));
}

function choose(random: () => number): Trouble {
  let at = random() * TROUBLES.reduce((sum, trouble) => sum + trouble.weight, 0);
  for (const trouble of TROUBLES) if ((at -= trouble.weight) < 0) return trouble;
  return TROUBLES[0]!;
}

async function createWorld(seed: number, pollInterval: string): Promise<World> {
  const dir = await Deno.makeTempDir({ prefix: "soak-" });
  const text = "version: 0\n";
  const volume = createKubeletVolume(`${dir}/volume`, { "config.yaml": text });
  const appPort = freePort();
  const app = await startApp(dir, volume, appPort);
  const sidecar = await startSidecar({
    args: [
      `--config-file=${volume.path("config.yaml")}`,
      `--reload-url=${app.url}`,
      `--pid-file=${dir}/app.pid`,
      "--interval=1s",
      "--retry-interval=200ms",
      "--max-backoff=1s",
      "--min-reload-interval=0s",
      "--reload-timeout=2s",
      "--http-timeout=1s",
      "--shutdown-timeout=1h",
      `--poll-interval=${pollInterval}`,
    ],
  });
  return {
    dir,
    volume,
    app,
    appPort,
    sidecar,
    random: createRandom(seed).next,
    version: 0,
    text,
    broken: [],
    done: new Map(),
    slowestHealthMs: { value: 0 },
  };
}

/** Runs `work` with the health watched beside it, and a last look; returns the samples that it took and the last. */
async function observe(
  world: World,
  work: (take: () => void, stop: AbortSignal) => Promise<void>,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const take = () => void samples.push(sample(world.sidecar.pid));
  const stop = new AbortController();
  const health = watchHealth(world, stop.signal);
  await work(take, stop.signal);
  await checkConverged(world);
  take();
  stop.abort();
  await health;
  return samples;
}

/** Runs trouble until the time is over. */
function soak(world: World, minutes: number): Promise<Sample[]> {
  const { random, done } = world;
  return observe(world, async (take) => {
    const endMs = performance.now() + minutes * 60_000;
    for (let made = 1; performance.now() < endMs && world.broken.length === 0; made++) {
      const trouble = choose(random);
      done.set(trouble.name, (done.get(trouble.name) ?? 0) + 1);
      await trouble.make(world);
      await pause(random() * 120);
      if (made % 60 !== 0) continue;
      await checkConverged(world);
      take();
    }
  });
}

/** Nothing but reloads, each proved before the next, and scrapes beside them; a hundred samples. */
function steady(world: World, reloads: number, scrapes: number): Promise<Sample[]> {
  const { sidecar } = world;
  return observe(world, async (take, stop) => {
    let scraped = 0;
    const scraping = (async () => {
      for (; scraped < scrapes && !stop.aborted; scraped++) {
        await get(`http://127.0.0.1:${sidecar.port}/metrics`);
        // Spread over the whole run.
        while (scraped / scrapes > world.version / reloads && !stop.aborted) await pause(2);
      }
    })();
    while (world.version < reloads && world.broken.length === 0) {
      change(world);
      await sidecar.metricIs("config_reload_successes_total", (value) => value >= world.version);
      if (world.version % Math.ceil(reloads / 100) === 0) take();
    }
    await scraping;
    world.done.set("swap", world.version).set("scrape", scraped);
  });
}

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text + "\n"));
}

function judge(world: World, samples: readonly Sample[], minutes: number): void {
  const figures: [string, (s: Sample) => number, number, number][] = [
    ["anonymous memory, KiB", (s) => s.anonymousBytes, GROWTH_BYTES_MAX, 1024],
    ["descriptors", (s) => s.descriptors, GROWTH_COUNT_MAX, 1],
    ["threads", (s) => s.threads, GROWTH_COUNT_MAX, 1],
  ];
  for (const [name, figure, max, unit] of figures) {
    const grown = growth(samples, figure);
    const last = figure(samples.at(-1)!);
    const [shown, more] = [last, grown].map((value) => (value / unit).toFixed(1));
    say(`${name}: ${shown} at the end, ${more} grown over the second half`);
    if (minutes >= GROWTH_MINUTES_MIN && grown > max) {
      world.broken.push(`I6: ${name} grew by ${(grown / unit).toFixed(1)}`);
    }
  }
  const most = Math.max(...samples.map((s) => s.anonymousBytes));
  if (most > ANONYMOUS_BYTES_MAX) {
    world.broken.push(`I6: ${(most / 1048576).toFixed(1)} MiB of anonymous memory`);
  }
}

const USAGE = `usage: deno task soak [--minutes N | --reloads N --scrapes M] [--seed S]
  --minutes N   random trouble for so long; 1 without it
  --reloads N   nothing but reloads instead, with --scrapes M beside them
  --seed S      the seed of the trouble; random without it
The sidecar is main.ts, or the binary in CONFIG_RELOADER_BIN.`;

async function main(): Promise<number> {
  const given = readFlags(USAGE, {
    minutes: { type: "string", default: "1" },
    reloads: { type: "string" },
    scrapes: { type: "string", default: "0" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
  });
  const reloads = given.reloads === undefined ? null : wholeNumber("reloads", given.reloads);
  const scrapes = wholeNumber("scrapes", given.scrapes);
  const minutes = reloads === null ? wholeNumber("minutes", given.minutes) : Infinity;
  const seed = wholeNumber("seed", given.seed);
  say(
    reloads === null
      ? `soak: ${minutes} minutes, seed ${seed}`
      : `soak: ${reloads} reloads, ${scrapes} scrapes`,
  );
  // Short, since an app of AMP's kind is asked once more after each success.
  const world = await createWorld(seed, reloads === null ? "100ms" : "10ms");
  try {
    await ready(world.sidecar);
    const samples = reloads === null ? await soak(world, minutes) : await steady(world, reloads, scrapes);
    judge(world, samples, minutes);
    const attempts = await world.sidecar.metric("config_reload_attempts_total").catch(() => NaN);
    const successes = await world.sidecar.metric("config_reload_successes_total").catch(() => NaN);
    say(
      `${attempts} reloads, ${successes} of them proved; slowest /healthz ${
        world.slowestHealthMs.value.toFixed(0)
      } ms`,
    );
    say([...world.done].map(([name, n]) => `${n} × ${name}`).join(", "));
  } finally {
    await world.app.stop();
    const { code } = await world.sidecar.stop();
    if (code !== 0) world.broken.push(`I7: exit code ${code} after SIGTERM`);
    if (world.broken.length > 0) {
      say(`--- the end of the sidecar's log:\n${world.sidecar.log().slice(-6000)}`);
    }
    await Deno.remove(world.dir, { recursive: true });
  }
  for (const text of world.broken) say(`✗ ${text}`);
  say(world.broken.length === 0 ? "1 passed, 0 failed" : `0 passed, 1 failed (seed ${seed})`);
  return world.broken.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
