/**
 * The cases of the benchmark: what is done to the tools and which figures come of it. All tools of a case run at the
 * same time and take turns, so that a slow minute of the machine falls on all of them.
 */

import { type Bay, type BayOptions, createBay } from "./bay.ts";
import { sleep } from "./lab.ts";
import type { Tool } from "./tools.ts";

/** Rounds and seconds of a full run. */
export const FULL = {
  swaps: 200,
  /** Pause between the start and the idle minute. */
  settleSeconds: 65,
  idleSeconds: 60,
  changes: 15,
  reloads: 1000,
  scrapes: 10_000,
  starts: 15,
  manyFiles: 10_000,
  /** How many of the limits are tried. */
  limits: Infinity,
  limitedChanges: 15,
  limitedRuns: 2,
};
export type Scale = typeof FULL;
export const QUICK: Scale = {
  swaps: 4,
  settleSeconds: 5,
  idleSeconds: 5,
  changes: 1,
  reloads: 20,
  scrapes: 200,
  starts: 3,
  manyFiles: 300,
  limits: 1,
  limitedChanges: 1,
  limitedRuns: 1,
};

/** One row: who, and figures by name (null: not measured, with no meaning for this tool). */
export interface Row {
  readonly tool: string;
  readonly setting: string;
  readonly kind: Tool["kind"];
  readonly figures: Readonly<Record<string, number | null>>;
}

/** What every case is given. */
export interface Context extends Omit<BayOptions, "limits" | "files" | "extra" | "plain"> {
  readonly scale: Scale;
  readonly say: (text: string) => void;
}

/** The value below which `share` of the sorted values lie. */
export function percentile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}

function row(tool: Tool, figures: Row["figures"]): Row {
  return { tool: tool.name, setting: tool.setting, kind: tool.kind, figures };
}

async function withBays<T>(
  tools: readonly Tool[],
  options: (tool: Tool) => BayOptions,
  body: (bays: Bay[]) => Promise<T>,
): Promise<T> {
  const bays: Bay[] = [];
  try {
    for (const tool of tools) bays.push(await createBay(tool, options(tool)));
    return await body(bays);
  } finally {
    for (const bay of bays) await bay.remove();
  }
}

/** Swap → trigger, over many swaps, in turns. */
export async function measureLatency(context: Context): Promise<Row[]> {
  const { scale, say, toolbox } = context;
  return await withBays(toolbox.tools, () => context, async (bays) => {
    await sleep(2000);
    // Uncounted: the first change of a fresh process has a figure of its own, the others start warm.
    const first = new Map<Bay, number | null>();
    for (const bay of bays) {
      bay.swap();
      first.set(bay, await bay.triggered(bay.tool.slow ? 5000 : 2000));
      await sleep(100);
    }
    await sleep(1500);
    for (let round = 0; round < scale.swaps; round++) {
      const began = performance.now();
      // Always in the same order: in another one a tool's swaps could come closer than a round is long.
      for (const bay of bays) {
        if (bay.tool.slow) {
          if (round % 4 === 0) bay.swap();
          continue;
        }
        bay.swap();
        await bay.triggered(300);
        await sleep(10 + Math.random() * 40);
      }
      // A round is never shorter than the product's --min-reload-interval, so that each swap is a first change.
      await sleep(Math.max(0, 1250 - (performance.now() - began)));
      if (round % 50 === 49) say(`  ${round + 1} swaps`);
    }
    await sleep(3500);
    return bays.map((bay) => {
      const delays = bay.delays().slice(1);
      const times = delays.flatMap((delay) => delay.ms ?? []);
      return row(bay.tool, {
        "swaps": delays.length,
        "missed": delays.filter((delay) => delay.ms === null).length,
        "too many": delays.reduce((sum, delay) => sum + Math.max(0, delay.triggers - 1), 0),
        "p50 ms": percentile(times, 0.5),
        "p95 ms": percentile(times, 0.95),
        "p99 ms": percentile(times, 0.99),
        "max ms": percentile(times, 1),
        "first ms": first.get(bay) ?? null,
      });
    });
  });
}

/** CPU of doing nothing, with one file and with many. */
export async function measureIdle(context: Context): Promise<Row[]> {
  const { scale, toolbox, say } = context;
  const minutes = scale.idleSeconds / 60;
  const measure = async (tools: readonly Tool[], files: number) =>
    await withBays(tools, () => ({ ...context, files }), async (bays) => {
      await sleep(Math.max(scale.settleSeconds * 1000, files));
      const before = bays.map((bay) => bay.group.cpuMs());
      await sleep(scale.idleSeconds * 1000);
      return bays.map((bay, i) => (bay.group.cpuMs() - before[i]!) / minutes);
    });
  const one = await measure(toolbox.tools, 1);
  say("  one file done");
  const patient = toolbox.tools.filter((tool) => tool.watchesMany);
  const many = await measure(patient, scale.manyFiles);
  return toolbox.tools.map((tool, i) =>
    row(tool, {
      "1 file, ms a minute": one[i]!,
      [`${scale.manyFiles} files, ms a minute`]: patient.includes(tool) ? many[patient.indexOf(tool)]! : null,
    })
  );
}

/** CPU of one change among 1, 100 and many files; of the last also where just one plain file is replaced. */
export async function measureChange(context: Context): Promise<Row[]> {
  const { scale, toolbox, say } = context;
  const measure = async (tools: readonly Tool[], files: number, plain: boolean) =>
    await withBays(tools, () => ({ ...context, files, plain }), async (bays) => {
      const costs: number[][] = bays.map(() => []);
      await sleep(3000);
      for (let i = 0; i < (files > 1000 ? scale.changes / 3 : scale.changes); i++) {
        for (const [at, bay] of bays.entries()) {
          const before = bay.group.cpuMs();
          bay.swap();
          await bay.triggered(bay.tool.slow || files > 100 ? 6000 : 1500);
          await sleep(bay.tool.kind === "least" ? 100 : 900);
          costs[at]!.push(bay.group.cpuMs() - before);
        }
      }
      return costs.map((values) => percentile(values, 0.5));
    });
  const one = await measure(toolbox.tools, 1, false);
  const patient = toolbox.tools.filter((tool) => tool.watchesMany && !tool.slow);
  const hundred = await measure(patient, 100, false);
  say("  1 and 100 files done");
  const many = await measure(patient, scale.manyFiles, false);
  const plain = await measure(patient, scale.manyFiles, true);
  return toolbox.tools.map((tool, i) => {
    const of = (values: (number | null)[]) => patient.includes(tool) ? values[patient.indexOf(tool)]! : null;
    return row(tool, {
      "1 file, ms": one[i]!,
      "100 files swapped, ms": of(hundred),
      [`${scale.manyFiles} files swapped, ms`]: of(many),
      [`1 of ${scale.manyFiles} plain files, ms`]: of(plain),
    });
  });
}

/** Memory at the start, after reloads, and after scrapes. */
export async function measureMemory(context: Context): Promise<Row[]> {
  const { scale, toolbox, say } = context;
  const extra = ["--min-reload-interval", "0s", "--poll-interval", "20ms"];
  const tools = toolbox.tools.filter((tool) => !tool.slow);
  return await withBays(tools, () => ({ ...context, extra }), async (bays) => {
    await sleep(5000);
    const start = bays.map((bay) => bay.memory());
    for (let i = 0; i < scale.reloads; i++) {
      for (const bay of bays) {
        bay.swap();
        await bay.triggered(100);
      }
      if (i % 250 === 249) say(`  ${i + 1} reloads`);
    }
    await sleep(1000);
    const reloaded = bays.map((bay) => bay.memory());
    const missed = bays.map((bay) => bay.delays().filter((delay) => delay.ms === null).length);
    for (let i = 0; i < scale.scrapes; i++) {
      for (const bay of bays) if (bay.tool.hasMetrics) await bay.scrape();
    }
    await sleep(1000);
    const scraped = bays.map((bay) => bay.memory());
    const mib = (bytes: number) => bytes / 1048576;
    return bays.map((bay, i) =>
      row(bay.tool, {
        "anonymous at start, MiB": mib(start[i]!.anonymousBytes),
        [`after ${scale.reloads} reloads`]: mib(reloaded[i]!.anonymousBytes),
        [`after ${scale.scrapes} scrapes`]: bay.tool.hasMetrics ? mib(scraped[i]!.anonymousBytes) : null,
        "RSS then, MiB": mib(scraped[i]!.rssBytes),
        "working set then, MiB": mib(scraped[i]!.workingSetBytes),
        "missed": missed[i]!,
      })
    );
  });
}

/** Start → ready with a warm page cache, in turns. */
export async function measureStart(context: Context): Promise<Row[]> {
  const { scale, toolbox } = context;
  const tools = toolbox.tools.filter((tool) => tool.hasMetrics && !tool.slow);
  const found = tools.map(() => ({ ms: [] as number[], cpuMs: [] as number[] }));
  for (let i = 0; i <= scale.starts; i++) {
    for (const [at, tool] of tools.entries()) {
      await withBays([tool], () => context, async ([bay]) => {
        await Promise.resolve();
        if (i === 0) return; // warms the page cache
        found[at]!.ms.push(bay!.ready!.ms);
        found[at]!.cpuMs.push(bay!.ready!.cpuMs);
      });
    }
  }
  return tools.map((tool, i) =>
    row(tool, {
      "ready, ms (median)": percentile(found[i]!.ms, 0.5),
      "ready, ms (best)": percentile(found[i]!.ms, 0),
      "CPU, ms (median)": percentile(found[i]!.cpuMs, 0.5),
      "binary, MiB": tool.sizeBytes === null ? null : tool.sizeBytes / 1048576,
    })
  );
}
