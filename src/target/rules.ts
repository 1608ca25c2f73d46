/**
 * Which processes may never be signalled: pure rules on one process. Every way to a target, chosen or named by the user,
 * ends in `refusal`; nothing may go around it.
 */

import { displayName, type ProcessStat, programName } from "../proc/process.ts";
import type { TargetCode } from "../codes.ts";
import type { Resolution } from "../model.ts";
import { isPid } from "../linux.ts";
import { orList, processText } from "../text.ts";
import type { ProcessTable } from "./table.ts";

/** Why no process is signalled. */
export type Refusal = Resolution & { kind: "none" };

/** `message` names the way out; `again`: it passes by itself, so look again soon. */
export function none(code: TargetCode, message: string, again = false): Refusal {
  return { kind: "none", code, message, ...(again && { again }) };
}

const WAYS_TO_NAME = ["--process-name", "--process-cmdline", "--pid-file"];

/** The way out where several match, for texts: the flags that are not those by which they were `asked` for already. */
export function nameIt(asked: string): string {
  const flags = WAYS_TO_NAME.filter((flag) => !asked.includes(`${flag} `));
  return `name the application with ${orList(flags)}`;
}

/** The way out of every other doubt. */
export const NAME_IT = nameIt("");

/**
 * The pause process that holds the pod's namespaces, by name and command line: `/pause` (Kubernetes), `/usr/bin/pod`
 * (OpenShift), `podman-pause` and `catatonit -P` (Podman). It may well have the app's user; a signal ends the pod.
 */
function isPause(stat: ProcessStat, argv: readonly string[]): boolean {
  if (stat.comm === "catatonit") return argv.includes("-P");
  // argv is empty for a moment after its exec: then the name alone must do.
  if (argv.length > 1) return false;
  if (stat.comm === "pod") return argv[0] === "/usr/bin/pod";
  if (stat.comm !== "pause" && stat.comm !== "podman-pause") return false;
  return argv.length === 0 || programName(argv[0]!) === stat.comm;
}

/**
 * The container runtime on its way to becoming a container's process: it already has the app's user and the runtime's
 * own signal handlers, keeps PID and start time through exec, and the container fails to start when it is signalled.
 */
function isRuntime(stat: ProcessStat, argv: readonly string[]): boolean {
  if (/^(runc|youki):\[/.test(stat.comm) || isWord(RUNTIMES, stat.comm)) return true;
  if (argv.length === 0) return false;
  // A runtime started from memory has a descriptor's number for a name; crun titles itself `[libcrun:create]`.
  if (isWord(RUNTIMES, programName(argv[0]!)) || argv[0]!.startsWith("[libcrun:")) return true;
  return argv.length > 1 && argv.at(-1) === "init" && isWord(`exe ${RUNTIMES}`, programName(argv.at(-2)!));
}

const RUNTIMES = "runc crun youki";

/** Any instance of this product: the command line of another one holds the pattern, and so matches it. */
export function isSidecar(table: ProcessTable, stat: ProcessStat): boolean {
  return stat.pid === table.self.pid || stat.comm === "config-reloader" ||
    table.argv(stat.pid).some((arg, index) =>
      index === 0 ? programName(arg) === "config-reloader" : arg.includes("--process-cmdline")
    );
}

/** True where the table is that of a whole machine, with its kernel threads, and not of a pod. */
export function isWholeMachine(table: ProcessTable): boolean {
  return table.processes.get(2)?.kernelThread === true;
}

/** Zombies and dead processes take signals and do nothing. */
export function isDead(stat: ProcessStat): boolean {
  return stat.state === "Z" || stat.state === "X" || stat.state === "x";
}

/** What forbids to signal a process, as the code of its refusal. The guard on every way to a target. */
export function forbids(table: ProcessTable, stat: ProcessStat): ForbidCode | null {
  if (!isPid(stat.pid) || stat.kernelThread) return "bad-pid";
  if (isDead(stat)) return "not-there";
  if (isSidecar(table, stat)) return "self";
  const argv = table.argv(stat.pid);
  if (isPause(stat, argv)) return "pause";
  if (isRuntime(stat, argv)) return "runtime";
  return stat.pid === 1 && isWholeMachine(table) ? "host-init" : null;
}

/** What each of them is: a word or two for `check`, and why it is not signalled, with the way out. */
const FORBIDDEN = {
  "bad-pid": { note: "a kernel thread", why: () => `it is a thread of the kernel; ${NAME_IT}` },
  "self": { note: "another config-reloader", why: () => `it is config-reloader itself; ${NAME_IT}` },
  "pause": {
    note: "the pause process",
    why: () =>
      "it is the pause process, which holds the pod's namespaces, and not the application; " +
      `leave --pid at auto, or ${NAME_IT}`,
  },
  "runtime": {
    note: "the container runtime, not yet an application",
    why: () => "it is the container runtime, about to become a container's process; looking again",
  },
  "not-there": {
    note: "a zombie",
    why: ({ state }: ProcessStat) =>
      `it has ${state === "Z" ? "ended and is a zombie" : "just ended"}; ` +
      "looking again when the application is back",
  },
  "host-init": {
    note: "the init process of this machine",
    why: ({ comm }: ProcessStat) => `it is the init process of this machine ("${comm}"); ${NAME_IT}`,
  },
} as const;

type ForbidCode = keyof typeof FORBIDDEN;

/** What is wrong with the process, in a word or two. */
export function noteOn(code: ForbidCode): string {
  return FORBIDDEN[code].note;
}

/**
 * `forbids` with its text; apart from it, since a text reads more of /proc. `asked` is how the user named it: `--pid 1`.
 */
export function refusal(table: ProcessTable, stat: ProcessStat, asked = ""): Refusal | null {
  const code = forbids(table, stat);
  if (code === null) return null;
  const who = describe(table, stat) + (asked && `, named by ${asked}`);
  const again = code === "runtime" || code === "not-there";
  return none(code, `Cannot signal ${who}: ${FORBIDDEN[code].why(stat)}`, again);
}

/** The process as texts name it. */
export function describe(table: ProcessTable, stat: ProcessStat): string {
  return processText(stat.pid, displayName(stat, table.argv(stat.pid)), table.status(stat.pid)?.uid);
}

/** Oldest first; the PID decides between processes of one tick. */
export function byAge(a: ProcessStat, b: ProcessStat): number {
  return a.startTicks - b.startTicks || a.pid - b.pid;
}

/** Whether the word is one of a list that blanks separate. */
export function isWord(list: string, word: string): boolean {
  return ` ${list} `.includes(` ${word} `);
}
