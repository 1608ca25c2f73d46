// deno-lint-ignore-file no-console -- a command's output
/**
 * `deno task footprint`: measures the compiled binary (size, start, memory, small containers) by the means of the benchmark and
 * writes the figures of `docs/footprint.md`. `--check 32MiB --binary FILE` measures one binary cold in that much memory and ends
 * with 1 where it is not clean: the release's last hurdle. Needs root and a C compiler. Must never round in favour.
 */

import { createBay } from "../bench/bay.ts";
import { percentile } from "../bench/cases.ts";
import { createMonotonicClock, type Group, sleep } from "../bench/lab.ts";
import { type ColdRun, measureCold, summarise, withDisk } from "../bench/limits.ts";
import { createToolbox, productTool } from "../bench/tools.ts";
import { parseSizeBytes } from "../src/cli/values.ts";
import { sharedLibraries } from "../tests/e2e/cluster/images.ts";
import { run } from "../tests/support/run.ts";
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
/** Changes in one cold run, the first included; and changes before memory is read. */
const COLD_CHANGES = 6;
const WARM_CHANGES = 100;

type Lab = Awaited<ReturnType<typeof createLab>>;

/** What a run needs; in a directory of its own. */
async function createLab(binary: string) {
  const dir = await Deno.makeTempDir({ prefix: "footprint-" });
  const tool = productTool([binary], "", binary);
  return {
    tool,
    options: {
      dir,
      toolbox: await createToolbox(dir, [tool]),
      clock: createMonotonicClock(),
      say: console.error,
    },
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

/** Cold runs under limits. */
async function measureColds({ tool, options }: Lab, limits: { memoryBytes: number; cpuMillis?: number }) {
  return await withDisk(options.dir, async (disk) => {
    const runs: ColdRun[] = [];
    for (let i = 0; i < COLD_RUNS; i++) {
      runs.push(await measureCold({ ...options, limits }, tool, disk, COLD_CHANGES));
    }
    return runs;
  });
}

/** One warm start, and what it is after so many changes. */
async function measureWarm({ tool, options }: Lab, changes: number) {
  const bay = await createBay(tool, { ...options, extra: ["--min-reload-interval=0s"] });
  try {
    await settle(bay.group);
    const { anonymousBytes: atStart } = bay.memory();
    for (let i = 0; i < changes; i++) {
      bay.swap();
      await bay.triggered(5_000);
      await sleep(20);
    }
    const { anonymousBytes, rssBytes } = bay.memory();
    return { ...bay.ready!, atStart, atEnd: anonymousBytes, filePages: rssBytes - anonymousBytes };
  } finally {
    await bay.remove();
  }
}

/** Waits until the group has used no CPU for half a second, a minute at most: what a start leaves to do is done. */
async function settle(group: Group): Promise<void> {
  for (let last = -1, i = 0; group.cpuMs() - last >= 2 && i < 120; i++) {
    last = group.cpuMs();
    await sleep(500);
  }
}

const median = (values: readonly number[]) => percentile(values, 0.5) ?? NaN;

/** Why these runs are not clean; empty where they are. The bounds are the contract's promises for 32 MiB. */
function faultsOf(runs: readonly ColdRun[]): string[] {
  const { "ready, ms": readyMs, "p50 ms": laterMs, missed } = summarise(runs);
  return [
    ...(runs.some(({ kills }) => kills > 0) ? ["the kernel killed it for memory"] : []),
    ...(runs.some(({ ready }) => ready === null) ? ["it was not ready"] : []),
    ...(missed > 0 ? [`${missed} changes missed`] : []),
    ...((readyMs ?? Infinity) > 1000 ? [`ready after ${readyMs?.toFixed(0)} ms, want 1000 at most`] : []),
    ...((laterMs ?? Infinity) > 10
      ? [`half of the changes took more than ${laterMs?.toFixed(1)} ms, want 10 at most`]
      : []),
  ];
}

/** The rows of the table. */
async function describe(binary: string): Promise<Record<string, string>> {
  await using lab = await createLab(binary);
  const mib = (bytes: number) => (bytes / MIB).toFixed(1);
  const ms = (value: number | null) =>
    value === null ? "none" : value < 10 ? value.toFixed(1) : value.toFixed(0);
  const packed = Number(await run("sh", ["-c", 'gzip -9 < "$1" | wc -c', "sh", binary]));
  // the target `scratch` of the Dockerfile is these files; a registry keeps and sends them compressed
  const image = [binary, ...(await sharedLibraries(binary))];
  const imageSize = image.reduce((sum, file) => sum + Deno.statSync(file).size, 0);
  const imagePacked = Number(await run("sh", ["-c", 'tar -chP "$@" | gzip -9 | wc -c', "sh", ...image]));
  const starts = [];
  for (let i = 0; i < WARM_RUNS; i++) starts.push(await measureWarm(lab, 0));
  const warm = await measureWarm(lab, WARM_CHANGES);
  const under = async (limits: { memoryBytes: number; cpuMillis?: number }) => {
    const figures = summarise(await measureColds(lab, limits));
    return `ready ${ms(figures["ready, ms"])} ms, first change ${ms(figures["first change, ms"])} ms, ` +
      `then ${ms(figures["p50 ms"])} ms, ${figures.missed} of ${COLD_RUNS * COLD_CHANGES} missed`;
  };
  return {
    "binary, MiB": mib(Deno.statSync(binary).size),
    "binary, compressed (gzip -9), MiB": mib(packed),
    "image, target `scratch`, MiB": mib(imageSize),
    "image, target `scratch`, compressed, MiB": mib(imagePacked),
    "start → ready, warm, ms": ms(median(starts.map((one) => one.ms))),
    "start → ready, ms of CPU": ms(median(starts.map((one) => one.cpuMs))),
    "anonymous memory when ready, MiB": mib(median(starts.map((one) => one.atStart))),
    [`anonymous memory after ${WARM_CHANGES} changes, MiB`]: mib(warm.atEnd),
    "file pages mapped without a limit, MiB (shared by pods of one image)": mib(warm.filePages),
    "cold, 50 MiB and 50m of CPU": await under({ memoryBytes: 50 * MIB, cpuMillis: 50 }),
    "cold, 32 MiB": await under({ memoryBytes: 32 * MIB }),
  };
}

/** What stands between the markers of the page. */
function render(rows: Readonly<Record<string, string>>): string {
  const cores = navigator.hardwareConcurrency;
  const table = [["What", "Now"], ["---", "---"], ...Object.entries(rows)]
    .map((cells) => `| ${cells.join(" | ")} |\n`);
  return `Measured on ${cores} cores, Linux ${Deno.osRelease()}, Deno ${Deno.version.deno}; medians of ${WARM_RUNS} warm and ${COLD_RUNS} cold starts;
verification on; changes by swap of \`..data\`, from the swap to the app's signal handler. The first change of a cold start comes
4 s after it was ready.

${table.join("")}`;
}

if (import.meta.main) {
  const values = readFlags(USAGE, {
    check: { type: "string" },
    binary: { type: "string", default: `${ROOT}/dist/config-reloader` },
  });
  const binary = Deno.realPathSync(values.binary);
  if (values.check !== undefined) {
    await using lab = await createLab(binary);
    const runs = await measureColds(lab, { memoryBytes: parseSizeBytes(values.check) });
    for (const { ready, delays } of runs) {
      console.log(
        `ready ${ready?.ms.toFixed(0)} ms, changes ${delays.map((ms) => ms?.toFixed(1)).join(" ")} ms`,
      );
    }
    const faults = faultsOf(runs);
    for (const fault of faults) console.error(`Not clean in ${values.check}: ${fault}`);
    Deno.exitCode = faults.length === 0 ? 0 : 1;
  } else {
    const figures = render(await describe(binary));
    await Deno.writeTextFile(PAGE, replacePart(await Deno.readTextFile(PAGE), "figures", figures));
    console.log(`${PAGE} written`);
  }
}
