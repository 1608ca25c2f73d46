/**
 * `deno task bench [--quick] [--only NAME] [--bin PATH]`: builds the peers, runs the cases, prints their tables and
 * writes `bench/results/latest.json` and `docs/benchmarks.md`. Owns the command line and the order of the cases.
 * A run with `--only` or `--quick` prints only, unless `--write` is given; so does one of several builds of this product
 * (`--bin NAME=PATH` for each), which run beside each other without the peers.
 */

import {
  type Context,
  FULL,
  measureChange,
  measureIdle,
  measureLatency,
  measureMemory,
  measureStart,
  QUICK,
  type Row,
} from "./cases.ts";
import { run } from "../tests/support/run.ts";
import { createMonotonicClock, path } from "./lab.ts";
import { measureLimits } from "./limits.ts";
import { renderDocument, renderTable, type Results, type Section } from "./report.ts";
import { readFlags, wholeNumber } from "../scripts/command_line.ts";
import { buildToolbox, createToolbox, productTool, type Toolbox } from "./tools.ts";

interface Case {
  readonly name: string;
  readonly title: string;
  readonly method: string;
  readonly compare: string | null;
  /** Needs a compiled binary. */
  readonly binaryOnly: boolean;
  measure(context: Context): Promise<Row[]>;
}

const CASES: readonly Case[] = [
  {
    name: "latency",
    title: "From the swap to the signal",
    method:
      "Swaps at random moments, at least 1.25 s apart for each tool. The first change after the start is not among " +
      "the percentiles and has its own column. *Missed*: no signal before the next swap; *too many*: more than one.",
    compare: "p50 ms",
    binaryOnly: false,
    measure: measureLatency,
  },
  {
    name: "idle",
    title: "CPU of doing nothing",
    method:
      "A quiet minute, the second after the start: in the first this product still looks for processes that start late. " +
      "A full check every 5 s where the tool has one.",
    compare: null,
    binaryOnly: false,
    measure: measureIdle,
  },
  {
    name: "change",
    title: "CPU of one change",
    method:
      "From the swap until no CPU is used any more, verification included. Swapped: every file is a new one and must be " +
      "read. Plain: one file among them is replaced. Medians.",
    compare: null,
    binaryOnly: false,
    measure: measureChange,
  },
  {
    name: "memory",
    title: "Memory",
    method:
      "Anonymous memory from smaps_rollup; the working set, by which the kubelet evicts, without a limit, so that the binary's " +
      "pages stay. The product runs with `--min-reload-interval 0s --poll-interval 20ms` here, to get through so many reloads.",
    compare: null,
    binaryOnly: false,
    measure: measureMemory,
  },
  {
    name: "start",
    title: "From start to ready",
    method: "Warm page cache. Ready: the port answers (`/readyz` with 200 for this product).",
    compare: "ready, ms (median)",
    binaryOnly: false,
    measure: measureStart,
  },
  {
    name: "limits",
    title: "In a small container",
    method:
      "A fresh copy of the binary on a disk with ordinary read-ahead, cold page cache, limits set by control group. The first " +
      "change comes 4 s after ready, the others 1.3 s apart. Medians of the runs.",
    compare: null,
    binaryOnly: true,
    measure: measureLimits,
  },
];

const HELP =
  `usage: deno task bench [--quick] [--only CASE]… [--bin [NAME=]PATH]… [--tool NAME]… [--swaps N] [--write]

Cases: ${CASES.map((one) => one.name).join(", ")}.
The product is --bin, or $CONFIG_RELOADER_BIN (a path), or main.ts; several builds, each with a name, run without the peers.
Cache of built peers: $BENCH_CACHE, or bench/.cache.`;

function parseOptions() {
  const { bin: given, swaps, ...options } = readFlags(HELP, {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    bin: { type: "string", multiple: true },
    tool: { type: "string", multiple: true, default: [] },
    swaps: { type: "string" },
    write: { type: "boolean", default: false },
  });
  for (const name of options.only) if (!CASES.some((one) => one.name === name)) usage(`unknown case ${name}`);
  const scale = options.quick ? QUICK : FULL;
  const fromEnvironment = Deno.env.get("CONFIG_RELOADER_BIN");
  const builds = (given ?? (fromEnvironment ? [fromEnvironment] : [])).map((text) => {
    const [, name = "", binary = ""] = /^(?:([\w.-]+)=)?(.*)$/.exec(text)!;
    return { name, binary: Deno.realPathSync(binary) };
  });
  return {
    ...options,
    builds,
    scale: swaps === undefined ? scale : { ...scale, swaps: wholeNumber("swaps", swaps) },
    isWhole: !options.quick && options.only.length + options.tool.length === 0 && builds.length <= 1,
  };
}

function usage(problem: string): never {
  say(`${problem}\n\n${HELP}`);
  Deno.exit(2);
}

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text + "\n"));
}

async function describeMachine(): Promise<Record<string, string>> {
  const line = async (command: string) =>
    (await run("sh", ["-c", command]).catch(() => "unknown")).split("\n")[0]!.trim();
  return {
    "processor": await line("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1"),
    "cores": String(navigator.hardwareConcurrency),
    "memory": await line("awk '/MemTotal/ {printf \"%.0f GiB\", $2/1048576}' /proc/meminfo"),
    "kernel": await line("uname -sr | sed 's/-.*//'"),
    "control groups": await line("test -e /sys/fs/cgroup/cgroup.controllers && echo v2 || echo v1"),
    "Deno": `${Deno.version.deno}, V8 ${Deno.version.v8}`,
    "Go": await line("go version | cut -d' ' -f3"),
  };
}

async function build({ builds, tool: wanted }: ReturnType<typeof parseOptions>): Promise<Toolbox> {
  const root = path(import.meta.dirname!, "..");
  const cache = Deno.env.get("BENCH_CACHE") ?? path(import.meta.dirname!, ".cache");
  const { version } = JSON.parse(Deno.readTextFileSync(path(root, "deno.json"))) as { version: string };
  const source = [Deno.execPath(), "run", "--no-prompt", "-A", path(root, "main.ts")];
  const products = builds.length === 0
    ? [productTool(source, `${version}, from source`, null)]
    : builds.map(({ name, binary }) => {
      const tool = productTool([binary], `${version}, compiled`, binary);
      return name === "" ? tool : { ...tool, name };
    });
  if (products.length > 1) return await createToolbox(path(cache, "bin"), products);
  const toolbox = await buildToolbox(cache, products);
  return {
    ...toolbox,
    tools: toolbox.tools.filter(({ name }) => wanted.length === 0 || wanted.includes(name)),
  };
}

async function main(): Promise<void> {
  const options = parseOptions();
  if (Deno.uid() !== 0) usage("the benchmark makes namespaces and control groups and needs root");
  say("Building the peers (the first time takes some minutes)");
  const toolbox = await build(options);
  for (const text of toolbox.absent) say(`! not in this run: ${text}`);
  const dir = Deno.makeTempDirSync({ prefix: "bench-" });
  const context: Context = { dir, toolbox, clock: createMonotonicClock(), scale: options.scale, say };
  const sections: Section[] = [];
  try {
    for (const { measure, name, binaryOnly, ...rest } of CASES) {
      if (options.only.length > 0 && !options.only.includes(name)) continue;
      if (binaryOnly && options.builds.length === 0) {
        say(`\n${rest.title}: needs a compiled binary (--bin)`);
        continue;
      }
      say(`\n${rest.title}`);
      const section = { ...rest, rows: await measure(context) };
      sections.push(section);
      say(renderTable(section));
    }
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
  if (!options.write && !options.isWhole) return;
  await writeResults({
    date: new Date().toISOString().slice(0, 10),
    quick: options.quick,
    machine: await describeMachine(),
    versions: Object.fromEntries(toolbox.tools.map((tool) => [tool.name, tool.version])),
    lacks: Object.fromEntries(
      toolbox.tools.filter((t) => t.lacks !== "").map((tool) => [tool.name, tool.lacks]),
    ),
    absent: toolbox.absent,
    sections,
  });
}

async function writeResults(results: Results): Promise<void> {
  const here = import.meta.dirname!;
  Deno.mkdirSync(path(here, "results"), { recursive: true });
  Deno.writeTextFileSync(path(here, "results", "latest.json"), JSON.stringify(results, null, 2) + "\n");
  const document = path(here, "..", "docs", "benchmarks.md");
  Deno.writeTextFileSync(document, renderDocument(results));
  await run(Deno.execPath(), ["fmt", "--quiet", document]);
  say(`\nWritten: bench/results/latest.json, docs/benchmarks.md`);
}

await main();
