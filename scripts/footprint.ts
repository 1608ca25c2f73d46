// deno-lint-ignore-file no-console -- a command's output
/**
 * `deno task footprint`: measures the compiled binary (size, start, memory, small containers) and writes the figures of
 * `docs/footprint.md`. `--check 32MiB --binary FILE` measures one binary cold in that much memory and ends with 1 where it is not
 * clean: the release's last hurdle. Needs root (control groups, a file system of its own). Must never round in favour.
 */

import {
  createGroup,
  freePort,
  type Group,
  isListening,
  type Limits,
  poll,
  readMemory,
  run,
} from "../bench/lab.ts";
import { createDisk, type Disk } from "../bench/limits.ts";
import { createKubeletVolume } from "../tests/support/kubelet.ts";
import { startTargetApp } from "../tests/support/target_app.ts";
import { sharedLibraries } from "../tests/e2e/cluster/images.ts";
import { parseSizeBytes } from "../src/cli/values.ts";
import { ROOT } from "./bundle.ts";
import { readFlags } from "./command_line.ts";
import { replacePart } from "./docs.ts";

const USAGE = `usage: deno task footprint [--check SIZE] [--binary FILE]
  --check 32MiB   only measure cold starts in that much memory; ends with 1 where they are not clean
  --binary FILE   what is measured; dist/config-reloader, from deno task compile, without it
It needs root.`;
const PAGE = `${ROOT}/docs/footprint.md`;

const MIB = 2 ** 20;
/** Warm starts and cold starts whose median is reported. */
const WARM_RUNS = 15;
const COLD_RUNS = 3;
/** Changes in one cold run, the first apart; and changes before memory is read. */
const COLD_CHANGES = 5;
const WARM_CHANGES = 100;

/** One run of the sidecar beside a test app. */
interface Figures {
  readonly readyMs: number;
  readonly readyCpuMs: number;
  /** Milliseconds from each swap to the signal; null where none came within 5 s. */
  readonly delays: readonly (number | null)[];
  readonly anonymousAtStart: number;
  readonly anonymousAtEnd: number;
  readonly filePages: number;
  readonly killed: boolean;
}

/** Starts the binary in a control group beside an app, changes the content `changes` times, and reports how that went. */
async function measure(binary: string, limits: Limits, changes: number, gapMs: number): Promise<Figures> {
  const dir = await Deno.makeTempDir({ prefix: "footprint-" });
  const group = createGroup(`footprint-${Math.floor(performance.now())}`, limits);
  const volume = createKubeletVolume(`${dir}/config`, { "config.yaml": "n: 0\n" });
  await using app = await startTargetApp({ config: volume.path("config.yaml"), log: `${dir}/app.log` });
  const port = freePort();
  const joins = group.joins.map((file) => `echo 0 > ${file}`).join("; ");
  const args = [
    `--config-file=${volume.path("config.yaml")}`,
    `--pid=${app.pid}`,
    `--reload-url=${app.url}`,
    `--metrics-port=${port}`,
    "--min-reload-interval=0s",
    "--reload-on-start=never",
  ];
  const begun = performance.now();
  const child = new Deno.Command("sh", {
    args: ["-c", `${joins}; exec "$@"`, "sh", binary, ...args],
    clearEnv: true,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let ended = false;
  child.status.then(() => ended = true);
  try {
    await poll("the sidecar to be ready", async () => await isListening(port) || null, { timeoutMs: 60_000 });
    const readyMs = performance.now() - begun;
    const readyCpuMs = group.cpuMs();
    await settle(group);
    const atStart = readMemory([child.pid]);
    const delays: (number | null)[] = [];
    for (let i = 1; i <= changes; i++) {
      const swappedMs = Date.now();
      volume.swap({ "config.yaml": `n: ${i}\n` });
      const signal = await poll("a signal", () => signalOf(`${dir}/app.log`, i), {
        timeoutMs: 5000,
        everyMs: 1,
      }).catch(() => null);
      if (ended && !group.pressure().kills) throw new Error(`${binary} ended by itself at change ${i}`);
      delays.push(signal === null ? null : signal - swappedMs);
      await new Promise((resolve) => setTimeout(resolve, gapMs));
    }
    const atEnd = readMemory([child.pid]);
    return {
      readyMs,
      readyCpuMs,
      delays,
      anonymousAtStart: atStart.anonymousBytes,
      anonymousAtEnd: atEnd.anonymousBytes,
      filePages: atEnd.rssBytes - atEnd.anonymousBytes,
      killed: group.pressure().kills > 0,
    };
  } finally {
    try {
      child.kill("SIGKILL");
    } catch { /* already gone */ }
    await child.status;
    group.remove();
    await Deno.remove(dir, { recursive: true });
  }
}

/** Waits until the group has used no CPU for half a second, a minute at most: what a start leaves to do is done. */
async function settle(group: Group): Promise<void> {
  const end = performance.now() + 60_000;
  let last = -1;
  while (performance.now() < end) {
    const now = group.cpuMs();
    if (now - last < 2) return;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Wall time at which the app noted its `n`th signal. */
function signalOf(log: string, n: number): number | null {
  for (const line of Deno.readTextFileSync(log).trim().split("\n")) {
    const event = JSON.parse(line);
    if (event.event === "signal" && event.n >= n) return event.ms;
  }
  return null;
}

/** The middle one of several. */
function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

/** Cold runs under limits, each with a fresh copy of the binary on a disk with ordinary read-ahead. */
async function measureCold(disk: Disk, binary: string, limits: Limits): Promise<Figures[]> {
  const runs: Figures[] = [];
  for (let i = 0; i < COLD_RUNS; i++) {
    runs.push(await measure(await disk.coldCopy(binary), limits, 1 + COLD_CHANGES, 1300));
  }
  return runs;
}

/** Makes the disk, gives it to `work`, removes it. */
async function withDisk<T>(work: (disk: Disk) => Promise<T>): Promise<T> {
  const dir = await Deno.makeTempDir({ prefix: "footprint-disk-" });
  const disk = await createDisk(`${dir}/image`, `${dir}/mount`);
  try {
    return await work(disk);
  } finally {
    await disk.remove();
    await Deno.remove(dir, { recursive: true });
  }
}

/** Why these runs are not clean; empty where they are. The bounds are the contract's promises for 32 MiB. */
function faultsOf(runs: readonly Figures[]): string[] {
  const delays = runs.flatMap((run) => run.delays);
  const later = runs.flatMap((run) => run.delays.slice(1)).map((delay) => delay ?? Infinity);
  const ready = median(runs.map((run) => run.readyMs));
  return [
    ...(runs.some((run) => run.killed) ? ["the kernel killed it for memory"] : []),
    ...(delays.includes(null) ? [`${delays.filter((delay) => delay === null).length} changes missed`] : []),
    ...(ready > 1000 ? [`ready after ${ready.toFixed(0)} ms, want 1000 at most`] : []),
    ...(median(later) > 10
      ? [`half of the changes took more than ${median(later)} ms, want 10 at most`]
      : []),
  ];
}

/** The rows of the table. */
async function describe(binary: string): Promise<Record<string, string>> {
  const mib = (bytes: number) => (bytes / MIB).toFixed(1);
  const ms = (value: number) => value < 10 ? value.toFixed(1) : value.toFixed(0);
  const size = Deno.statSync(binary).size;
  const packed = Number(await run("sh", ["-c", 'gzip -9 < "$1" | wc -c', "sh", binary]));
  // the target `scratch` of the Dockerfile is these files; a registry keeps and sends them compressed
  const image = [binary, ...(await sharedLibraries(binary))];
  const imageSize = image.reduce((sum, file) => sum + Deno.statSync(file).size, 0);
  const imagePacked = Number(await run("sh", ["-c", 'tar -chP "$@" | gzip -9 | wc -c', "sh", ...image]));
  const starts: Figures[] = [];
  for (let i = 0; i < WARM_RUNS; i++) starts.push(await measure(binary, {}, 0, 0));
  const warm = await measure(binary, {}, WARM_CHANGES, 20);
  const cold = await withDisk(async (disk) => ({
    original: await measureCold(disk, binary, { memoryBytes: 50 * MIB, cpuMillis: 50 }),
    small: await measureCold(disk, binary, { memoryBytes: 32 * MIB }),
  }));
  const under = (runs: readonly Figures[]) => {
    const later = runs.flatMap((one) => one.delays.slice(1)).filter((delay) => delay !== null);
    const missed = runs.flatMap((one) => one.delays).filter((delay) => delay === null).length;
    return [
      `ready ${ms(median(runs.map((one) => one.readyMs)))} ms`,
      `first change ${ms(median(runs.map((one) => one.delays[0] ?? Infinity)))} ms`,
      `then ${ms(median(later))} ms`,
      `${missed} of ${runs.length * (1 + COLD_CHANGES)} missed`,
    ].join(", ");
  };
  return {
    "binary, MiB": mib(size),
    "binary, compressed (gzip -9), MiB": mib(packed),
    "image, target `scratch`, MiB": mib(imageSize),
    "image, target `scratch`, compressed, MiB": mib(imagePacked),
    "start → ready, warm, ms": ms(median(starts.map((one) => one.readyMs))),
    "start → ready, ms of CPU": ms(median(starts.map((one) => one.readyCpuMs))),
    "anonymous memory when ready, MiB": mib(median(starts.map((one) => one.anonymousAtStart))),
    [`anonymous memory after ${WARM_CHANGES} changes, MiB`]: mib(warm.anonymousAtEnd),
    "file pages mapped without a limit, MiB (shared by pods of one image)": mib(warm.filePages),
    "cold, 50 MiB and 50m of CPU": under(cold.original),
    "cold, 32 MiB": under(cold.small),
  };
}

/** What stands between the markers of the page. */
function render(rows: Readonly<Record<string, string>>): string {
  const cores = navigator.hardwareConcurrency;
  const table = [["What", "Now"], ["---", "---"], ...Object.entries(rows)]
    .map((cells) => `| ${cells.join(" | ")} |\n`);
  return `Measured on ${cores} cores, Linux ${Deno.osRelease()}, Deno ${Deno.version.deno}; medians of ${WARM_RUNS} warm and ${COLD_RUNS} cold starts;
verification on; changes by swap of \`..data\`, from the swap to the app's signal handler, in whole milliseconds.

${table.join("")}`;
}

if (import.meta.main) {
  const values = readFlags(USAGE, {
    check: { type: "string" },
    binary: { type: "string", default: `${ROOT}/dist/config-reloader` },
  });
  const binary = Deno.realPathSync(values.binary);
  if (values.check !== undefined) {
    const memoryBytes = parseSizeBytes(values.check);
    const runs = await withDisk((disk) => measureCold(disk, binary, { memoryBytes }));
    for (const { readyMs, delays } of runs) {
      console.log(`ready ${readyMs.toFixed(0)} ms, changes ${delays.join(" ")} ms`);
    }
    const faults = faultsOf(runs);
    for (const fault of faults) console.error(`Not clean in ${values.check}: ${fault}`);
    Deno.exit(faults.length === 0 ? 0 : 1);
  }
  const figures = render(await describe(binary));
  await Deno.writeTextFile(PAGE, replacePart(await Deno.readTextFile(PAGE), "figures", figures));
  console.log(`${PAGE} written`);
}
