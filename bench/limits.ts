/**
 * The case of the small container: limits of memory and CPU, a fresh copy of the binary, a cold page cache. The binary
 * lies on a file system of its own with Linux's ordinary read-ahead (128 KiB): where a disk reads megabytes ahead,
 * each page fault under a limit reads, and throws out, thousands of pages, and the figures show the disk only.
 */

import { run } from "../tests/support/run.ts";
import { type BayOptions, createBay } from "./bay.ts";
import { type Context, percentile, type Row } from "./cases.ts";
import { type Limits, path, sleep } from "./lab.ts";
import type { Tool } from "./tools.ts";

const MIB = 1048576;

/** The limits tried. The first are those of the project's first specification. */
const LIMITS: readonly (Limits & { name: string; products: boolean })[] = [
  { name: "50 MiB, 50 m of CPU", memoryBytes: 50 * MIB, cpuMillis: 50, products: false },
  { name: "32 MiB", memoryBytes: 32 * MIB, products: false },
  { name: "28 MiB", memoryBytes: 28 * MIB, products: true },
  { name: "none, cold", products: false },
];

/** Ready, first change and the changes after it under each limit; binaries only. */
export async function measureLimits(context: Context): Promise<Row[]> {
  const tools = context.toolbox.tools.filter((tool) =>
    tool.hasMetrics && tool.sizeBytes !== null && !tool.slow
  );
  return await withDisk(context.dir, async (disk) => {
    const rows: Row[] = [];
    for (const limits of LIMITS.slice(0, context.scale.limits)) {
      for (const tool of tools.filter((tool) => tool.kind === "product" || !limits.products)) {
        const runs: ColdRun[] = [];
        for (let i = 0; i < context.scale.limitedRuns; i++) {
          runs.push(await measureCold({ ...context, limits }, tool, disk, context.scale.limitedChanges));
        }
        context.say(`  ${limits.name}: ${tool.name} done`);
        rows.push({ tool: tool.name, setting: limits.name, kind: tool.kind, figures: summarise(runs) });
      }
    }
    return rows;
  });
}

/** One cold run. */
export interface ColdRun {
  /** Null where it did not get that far. */
  readonly ready: { readonly ms: number; readonly cpuMs: number } | null;
  /** From each swap to its signal in milliseconds, the first change first; null where none came. */
  readonly delays: readonly (number | null)[];
  readonly workingSetBytes: number;
  readonly kills: number;
}

/** Starts a fresh copy of the tool's program with a cold page cache, and changes the content so often. */
export async function measureCold(
  options: BayOptions & { readonly say: (text: string) => void },
  tool: Tool,
  disk: Disk,
  changes: number,
): Promise<ColdRun> {
  const copied = await disk.coldCopy(tool.command(NOWHERE)[0]!);
  const moved: Tool = { ...tool, command: (place) => [copied, ...tool.command(place).slice(1)] };
  const bay = await createBay(moved, options).catch((error) => {
    options.say(`  ${(error as Error).message}`);
    return null;
  });
  if (bay === null) {
    return { ready: null, delays: [null], workingSetBytes: options.limits?.memoryBytes ?? 0, kills: 0 };
  }
  try {
    await sleep(4000);
    for (let i = 0; i < changes; i++) {
      bay.swap();
      await bay.triggered(3000);
      await sleep(1300);
    }
    return {
      ready: bay.ready,
      delays: bay.delays().map((delay) => delay.ms),
      workingSetBytes: bay.memory().workingSetBytes,
      kills: bay.group.kills(),
    };
  } finally {
    await bay.remove();
  }
}

/** A place that no tool looks at: only the program's path is wanted. */
const NOWHERE = {
  volume: "",
  file: "",
  appPid: 0,
  appName: "",
  appPort: 0,
  metricsPort: 0,
  wholeDirectory: false,
};

/** The medians of several cold runs. */
export function summarise(runs: readonly ColdRun[]) {
  const median = (values: readonly (number | null | undefined)[]) =>
    percentile(values.filter((value) => typeof value === "number"), 0.5);
  const later = runs.flatMap((run) => run.delays.slice(1)).filter((delay) => delay !== null);
  return {
    "ready, ms": median(runs.map(({ ready }) => ready?.ms)),
    "CPU to ready, ms": median(runs.map(({ ready }) => ready?.cpuMs)),
    "first change, ms": median(runs.map((run) => run.delays[0])),
    "p50 ms": percentile(later, 0.5),
    "p99 ms": percentile(later, 0.99),
    "missed": runs.flatMap((run) => run.delays).filter((delay) => delay === null).length,
    "working set, MiB": Math.max(...runs.map((run) => run.workingSetBytes)) / MIB,
  };
}

/** A file system of its own. */
export interface Disk {
  /** Copies a program to the disk and drops every cached page of it; returns the new path. */
  coldCopy(program: string): Promise<string>;
}

/** Makes the disk below `dir`, gives it to `work`, removes it. */
export async function withDisk<T>(dir: string, work: (disk: Disk) => Promise<T>): Promise<T> {
  const [image, mountPoint] = [path(dir, "disk.img"), path(dir, "disk")];
  await run("truncate", ["-s", "700M", image]);
  await run("mkfs.ext4", ["-q", "-F", image]);
  const device = (await run("losetup", ["-f", "--show", "--direct-io=on", image])).trim();
  Deno.writeTextFileSync(`/sys/block/${device.slice("/dev/".length)}/queue/read_ahead_kb`, "128");
  Deno.mkdirSync(mountPoint);
  const mount = () => run("mount", [device, mountPoint]);
  await mount();
  let copies = 0;
  const disk: Disk = {
    async coldCopy(program) {
      for (const entry of Deno.readDirSync(mountPoint)) {
        if (entry.isFile) Deno.removeSync(path(mountPoint, entry.name));
      }
      const copy = path(mountPoint, `${++copies}-${program.split("/").at(-1)}`);
      Deno.copyFileSync(program, copy);
      Deno.chmodSync(copy, 0o755);
      await run("umount", [mountPoint]);
      await mount();
      return copy;
    },
  };
  try {
    return await work(disk);
  } finally {
    await run("umount", [mountPoint]);
    await run("losetup", ["-d", device]);
    Deno.removeSync(image);
    Deno.removeSync(mountPoint);
  }
}
