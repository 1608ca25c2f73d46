/**
 * The laboratory: one clock for swaps and signals, small pods (a PID namespace with a pause, an app and a sidecar),
 * and accounting by control group. It must never judge a figure, and never leaves a process or a group behind.
 */

import { join } from "node:path";
import { until } from "../tests/support/poll.ts";

/** `performance.now()` → nanoseconds of CLOCK_MONOTONIC, the clock in which the app notes its signals. */
export function createMonotonicClock(): (performanceMs: number) => number {
  const libc = Deno.dlopen("libc.so.6", {
    clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  });
  const words = new BigInt64Array(2);
  let best = { gap: Infinity, offset: 0 };
  for (let i = 0; i < 2000; i++) {
    const before = performance.now();
    libc.symbols.clock_gettime(1, words);
    const after = performance.now();
    const ns = Number(words[0]! * 1_000_000_000n + words[1]!);
    if (after - before < best.gap) {
      best = { gap: after - before, offset: ns - ((before + after) / 2) * 1e6 };
    }
  }
  libc.close();
  return (performanceMs) => performanceMs * 1e6 + best.offset;
}

/** Limits of a group; absent means none. */
export interface Limits {
  readonly memoryBytes?: number;
  /** Thousandths of a core, in periods of 100 ms as Kubernetes sets them. */
  readonly cpuMillis?: number;
}

/** A control group that accounts for the CPU and the memory of what runs in it. It goes at the end of the scope. */
export interface Group extends Disposable {
  /** Put before a program, which runs in the group then, and that alone. */
  readonly enter: readonly string[];
  pids(): number[];
  cpuMs(): number;
  /** Usage without the page cache that the kernel would drop first: what kubelet evicts by. */
  workingSetBytes(): number;
  /** How often something was killed for its memory. */
  kills(): number;
}

/** Joins the groups by these files. */
const entering = (files: readonly string[]) => [
  "sh",
  "-c",
  `${files.map((file) => `echo 0 > ${file}`).join("; ")}; exec "$@"`,
  "sh",
];

const V1 = "/sys/fs/cgroup/cpuacct";
const V2 = "/sys/fs/cgroup/cgroup.controllers";

let groups = 0;

/** Makes a group. @throws where there are no control groups to write to (not root). */
export function createGroup(limits: Limits = {}): Group {
  const name = `bench-${Deno.pid}-${++groups}`;
  return exists(V2) ? createGroupV2(name, limits) : createGroupV1(name, limits);
}

function createGroupV1(name: string, limits: Limits): Group {
  if (!exists(V1)) throw new Error(`Cannot find control groups at ${V1} or ${V2}`);
  const dir = (controller: string) => `/sys/fs/cgroup/${controller}/${name}`;
  const controllers = ["cpuacct", "memory", "cpu"];
  for (const controller of controllers) Deno.mkdirSync(dir(controller));
  if (limits.memoryBytes) write(`${dir("memory")}/memory.limit_in_bytes`, limits.memoryBytes);
  if (limits.cpuMillis) {
    write(`${dir("cpu")}/cpu.cfs_period_us`, 100_000);
    write(`${dir("cpu")}/cpu.cfs_quota_us`, limits.cpuMillis * 100);
  }
  const memory = (file: string) => number(`${dir("memory")}/${file}`);
  return {
    enter: entering(controllers.map((controller) => `${dir(controller)}/cgroup.procs`)),
    pids: () => pids(`${dir("memory")}/cgroup.procs`),
    cpuMs: () => number(`${dir("cpuacct")}/cpuacct.usage`) / 1e6,
    workingSetBytes: () =>
      memory("memory.usage_in_bytes") - field(`${dir("memory")}/memory.stat`, "total_inactive_file"),
    kills: () => field(`${dir("memory")}/memory.oom_control`, "oom_kill"),
    [Symbol.dispose]: () => controllers.forEach((controller) => removeGroup(dir(controller))),
  };
}

function createGroupV2(name: string, limits: Limits): Group {
  const dir = `/sys/fs/cgroup/${name}`;
  write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu +memory");
  Deno.mkdirSync(dir);
  if (limits.memoryBytes) write(`${dir}/memory.max`, limits.memoryBytes);
  if (limits.cpuMillis) write(`${dir}/cpu.max`, `${limits.cpuMillis * 100} 100000`);
  return {
    enter: entering([`${dir}/cgroup.procs`]),
    pids: () => pids(`${dir}/cgroup.procs`),
    cpuMs: () => field(`${dir}/cpu.stat`, "usage_usec") / 1e3,
    workingSetBytes: () => number(`${dir}/memory.current`) - field(`${dir}/memory.stat`, "inactive_file"),
    kills: () => field(`${dir}/memory.events`, "oom_kill"),
    [Symbol.dispose]: () => removeGroup(dir),
  };
}

/** Resident and anonymous bytes of processes, from smaps_rollup. */
export function readMemory(processes: readonly number[]): { rssBytes: number; anonymousBytes: number } {
  let rssBytes = 0, anonymousBytes = 0;
  for (const pid of processes) {
    rssBytes += field(`/proc/${pid}/smaps_rollup`, "Rss:") * 1024;
    anonymousBytes += field(`/proc/${pid}/smaps_rollup`, "Anonymous:") * 1024;
  }
  return { rssBytes, anonymousBytes };
}

/** One PID namespace with a pause process, as a pod with `shareProcessNamespace: true` is. */
export interface Pod {
  /** Starts a program in the pod and in `group`; output goes to `log`. Resolves with its end. */
  spawn(command: readonly string[], group: Group, log?: string): Promise<Deno.CommandStatus>;
  remove(): Promise<void>;
}

/** Makes a pod; `pause` is a program that waits for its end. */
export async function createPod(pause: string): Promise<Pod> {
  const holder = new Deno.Command("unshare", {
    args: ["--pid", "--fork", "--kill-child", "--mount-proc", pause],
    stdin: "null",
    stderr: "null", // it complains when its child is killed, which is how a pod ends
  }).spawn();
  const child = await until("the pod's first process", () => {
    const text = Deno.readTextFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`).trim();
    return text !== "" && Deno.readTextFileSync(`/proc/${text}/comm`) === "pause\n" ? text : null;
  }, { everyMs: 2 });
  const members: Promise<unknown>[] = [];
  return {
    spawn(command, group, log = "/dev/null") {
      const logged = ["sh", "-c", `exec "$@" >>${log} 2>&1`, "sh", ...command];
      const process = new Deno.Command("nsenter", {
        args: ["-t", child, "-p", "-m", "--", ...group.enter, ...logged],
        stdin: "null",
        env: { HOME: "/", DENO_NO_UPDATE_CHECK: "1" },
      }).spawn();
      members.push(process.status);
      return process.status;
    },
    async remove() {
      try {
        Deno.kill(Number(child), "SIGKILL"); // with it goes all that is in the pod; unshare then reaps it
      } catch { /* already gone */ }
      await holder.status;
      await Promise.all(members);
    },
  };
}

/** PID of a process as counted in the innermost namespace. */
export function namespacePid(hostPid: number): number {
  const line = Deno.readTextFileSync(`/proc/${hostPid}/status`).split("\n").find((l) =>
    l.startsWith("NSpid:")
  );
  return Number(line?.split(/\s+/).at(-1) ?? hostPid);
}

/** Waits. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whether something listens: a refused connection costs the program under test nothing. */
export async function isListening(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

/** Joins path parts. */
export const path = join;

function exists(file: string): boolean {
  try {
    Deno.statSync(file);
    return true;
  } catch {
    return false;
  }
}

function write(file: string, value: string | number): void {
  Deno.writeTextFileSync(file, String(value));
}

function number(file: string): number {
  return Number(Deno.readTextFileSync(file));
}

/** The number after a name at the start of a line; 0 where there is none. */
function field(file: string, name: string): number {
  try {
    const line = Deno.readTextFileSync(file).split("\n").find((l) => l.split(/\s+/)[0] === name);
    return Number(line?.split(/\s+/)[1] ?? 0);
  } catch {
    return 0;
  }
}

function pids(file: string): number[] {
  return Deno.readTextFileSync(file).split("\n").filter((line) => line !== "").map(Number);
}

function removeGroup(dir: string): void {
  for (let i = 0; i < 100; i++) {
    try {
      return Deno.removeSync(dir);
    } catch {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
