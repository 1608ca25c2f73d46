/**
 * A bay: one tool at work in a pod of its own with an app and a volume laid out as kubelet does it. Owns starting,
 * changing, matching signals to swaps and the end of everything. It must never judge a figure.
 */

import { createKubeletVolume, type KubeletVolume, type Payload } from "../tests/support/kubelet.ts";
import { until } from "../tests/support/poll.ts";
import { freePort } from "../tests/support/scene.ts";
import {
  createGroup,
  createPod,
  type Group,
  isListening,
  type Limits,
  namespacePid,
  path,
  readMemory,
  sleep,
} from "./lab.ts";
import type { Tool, Toolbox } from "./tools.ts";

/** How a bay differs from the ordinary. */
export interface BayOptions {
  readonly dir: string;
  readonly toolbox: Toolbox;
  readonly clock: (performanceMs: number) => number;
  readonly limits?: Limits;
  /** Files in the volume; above 1 the tool watches the directory. */
  readonly files?: number;
  /** More arguments for the product. */
  readonly extra?: readonly string[];
  /** Plain files in a plain directory instead of a swapped volume. */
  readonly plain?: boolean;
}

/** One swap with the triggers that followed it. */
export interface Delay {
  /** Milliseconds from the swap to the first trigger; null where none came before the next swap. */
  readonly ms: number | null;
  readonly triggers: number;
}

/** A tool at work. */
export interface Bay {
  readonly tool: Tool;
  readonly group: Group;
  readonly metricsPort: number;
  /** Start → ready, where the tool serves metrics. */
  readonly ready: { ms: number; cpuMs: number } | null;
  /** Changes the content (all files are new inodes; one or all bytes differ) and remembers when. */
  swap(): void;
  /** Waits for the trigger of the latest change; null after `timeoutMs`. */
  triggered(timeoutMs: number): Promise<number | null>;
  /** Every swap so far with what came of it. */
  delays(): Delay[];
  memory(): { rssBytes: number; anonymousBytes: number; workingSetBytes: number };
  /** Scrapes `/metrics` and returns its text. */
  scrape(): Promise<string>;
  readonly log: string;
  remove(): Promise<void>;
}

let bays = 0;

/** Sets a tool to work and waits until it watches. */
export async function createBay(tool: Tool, options: BayOptions): Promise<Bay> {
  const { toolbox, clock } = options;
  const files = options.files ?? 1;
  const id = ++bays;
  const dir = path(options.dir, `bay-${id}`);
  Deno.mkdirSync(dir);
  const appName = `app-${id}`;
  const appProgram = path(dir, appName);
  Deno.copyFileSync(toolbox.app, appProgram);
  const signals = path(dir, "signals");
  Deno.writeTextFileSync(signals, "");
  const volumeDir = path(dir, "volume");
  let version = 0;
  const volume = options.plain
    ? createPlainVolume(volumeDir, payload(files, version))
    : createKubeletVolume(volumeDir, payload(files, version));
  const pod = await createPod(toolbox.pause);
  const appGroup = createGroup();
  const group = createGroup(options.limits);
  const [appPort, metricsPort] = [freePort(), freePort()];
  pod.spawn([appProgram, String(appPort), signals], appGroup);
  await until("the app to listen", () => isListening(appPort), { everyMs: 2 });
  const appPid = namespacePid(appGroup.pids()[0]!);
  const place = {
    volume: volumeDir,
    file: volume.path("config.yaml"),
    appPid,
    appName,
    appPort,
    metricsPort,
  };
  const command = tool.command({ ...place, wholeDirectory: files > 1 });
  const log = path(dir, "log");
  const began = performance.now();
  const ended = pod.spawn([...command, ...(tool.kind === "product" ? options.extra ?? [] : [])], group, log);
  const remove = async () => {
    await pod.remove();
    group[Symbol.dispose]();
    appGroup[Symbol.dispose]();
    Deno.removeSync(dir, { recursive: true });
  };
  let ready: Bay["ready"] = null;
  try {
    ready = await waitUntilReady(tool, { group, metricsPort, began, files, log, ended });
  } catch (error) {
    await remove();
    throw error;
  }
  const swaps: number[] = [];
  const bay: Bay = {
    tool,
    group,
    metricsPort,
    ready,
    log,
    swap: () => void swaps.push(clock(volume.timedSwap(payload(files, ++version)))),
    triggered: (timeoutMs) =>
      until("a trigger", () => delaysOf(swaps.slice(-1), signals)[0]?.ms, { timeoutMs, everyMs: 5 })
        .catch(() => null),
    delays: () => delaysOf(swaps, signals),
    memory: () => ({ ...readMemory(group.pids()), workingSetBytes: group.workingSetBytes() }),
    scrape: async () => await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text(),
    remove,
  };
  return bay;
}

async function waitUntilReady(
  tool: Tool,
  { group, metricsPort, began, files, log, ended }: {
    group: Group;
    metricsPort: number;
    began: number;
    files: number;
    log: string;
    ended: Promise<Deno.CommandStatus>;
  },
): Promise<Bay["ready"]> {
  let isEnded = false;
  ended.then(() => isEnded = true);
  const wait = (what: string, probe: () => boolean | Promise<boolean>, everyMs: number) => {
    const timeoutMs = files > 1000 ? 120_000 : 60_000;
    return until(`${tool.name} to ${what}`, probe, { timeoutMs, everyMs, isOver: () => isEnded }).catch(
      (error) => {
        throw new Error(`${error.message}: ${Deno.readTextFileSync(log).slice(-800)}`);
      },
    );
  };
  if (!tool.hasMetrics) {
    // It says nothing when it watches: it does once it has an inotify instance and sleeps.
    await wait("watch", () => group.pids().some(hasInotify), 2);
    await sleep(300);
    return null;
  }
  await wait("listen", () => isListening(metricsPort), 1);
  if (tool.kind === "product") {
    await wait("be ready", async () => {
      const response = await fetch(`http://127.0.0.1:${metricsPort}/readyz`);
      await response.body?.cancel();
      return response.status === 200;
    }, 2);
  }
  return { ms: performance.now() - began, cpuMs: group.cpuMs() };
}

function hasInotify(pid: number): boolean {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/fd`)].some((entry) => {
      try {
        return Deno.readLinkSync(`/proc/${pid}/fd/${entry.name}`) === "anon_inode:inotify";
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}

/** Gives each swap the triggers between it and the next one. */
export function delaysOf(swaps: readonly number[], signalFile: string): Delay[] {
  const signals = Deno.readTextFileSync(signalFile).split("\n").filter((line) => line !== "").map(parseFloat);
  return swaps.map((swap, i) => {
    const mine = signals.filter((ns) => ns >= swap && ns < (swaps[i + 1] ?? Infinity));
    return { ms: mine.length > 0 ? (mine[0]! - swap) / 1e6 : null, triggers: mine.length };
  });
}

/** A config of 2 KiB, and as many small files beside it as asked for; only the first differs between versions. */
function payload(files: number, version: number): Payload {
  const all: Record<string, string> = {
    "config.yaml": `version: ${version}\n` + "setting: value of an ordinary length\n".repeat(54),
  };
  for (let i = 1; i < files; i++) all[`file-${i}.yaml`] = `number: ${i}\n`;
  return all;
}

/** The same interface over plain files: only what differs is replaced, by rename. */
function createPlainVolume(dir: string, first: Payload): Pick<KubeletVolume, "path" | "timedSwap"> {
  Deno.mkdirSync(dir);
  for (const [name, text] of Object.entries(first)) Deno.writeTextFileSync(path(dir, name), text as string);
  return {
    path: (key) => path(dir, key),
    timedSwap: (next) => {
      const fresh = `${dir}.new`;
      Deno.writeTextFileSync(fresh, next["config.yaml"] as string);
      const swapped = performance.now();
      Deno.renameSync(fresh, path(dir, "config.yaml"));
      return swapped;
    },
  };
}
