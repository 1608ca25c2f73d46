/**
 * Which processes may never be signalled: a table of pure rules on one process. Every way to a target, chosen or named by
 * the user, ends in `refusal`; nothing may go around it. And the words for all refusals.
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

/** The one process, or why there is none. */
export type Selection =
  | { readonly kind: "process"; readonly stat: ProcessStat; readonly reason: string }
  | Refusal;

/** Of each process that was looked at, by its PID, why it is not, or could be, the one. For `check`. */
export type Notes = Map<number, string>;

const WAYS_TO_NAME = ["--process-name", "--process-cmdline", "--pid-file"];

/** The way out where several match: the flags that are not those by which they were `asked` for already. */
function nameIt(asked: string): string {
  const flags = WAYS_TO_NAME.filter((flag) => !asked.includes(`${flag} `));
  return `name the application with ${orList(flags)}`;
}

/** The way out of every other doubt. */
export const NAME_IT = nameIt("");

/** What to do where /proc keeps the processes of other users to itself: only those of the same user can be found. */
export const HIDDEN =
  "/proc is mounted with hidepid; mount it without, or run config-reloader as the application's " +
  "user (securityContext.runAsUser)";

/** One reason never to signal a process. */
interface Rule {
  readonly code: TargetCode;
  forbids(stat: ProcessStat, table: ProcessTable): boolean;
  /** What the process is, in a word or two, for `check`. */
  readonly note: string;
  /** Why it is not signalled, with the way out. */
  why(stat: ProcessStat): string;
  /** It passes by itself. */
  readonly again?: true;
}

/** The contract's list (choosing the target), in the order in which it is asked; the first that holds is told. */
const RULES: readonly Rule[] = [
  {
    code: "bad-pid",
    forbids: (stat) => !isPid(stat.pid) || stat.kernelThread,
    note: "a kernel thread",
    why: () => `it is a thread of the kernel; ${NAME_IT}`,
  },
  {
    code: "not-there",
    forbids: isDead,
    note: "a zombie",
    why: ({ state }) =>
      `it has ${state === "Z" ? "ended and is a zombie" : "just ended"}; ` +
      "looking again when the application is back",
    again: true,
  },
  {
    code: "self",
    forbids: (stat, table) => isSidecar(table, stat),
    note: "another config-reloader",
    why: () => `it is config-reloader itself; ${NAME_IT}`,
  },
  {
    code: "pause",
    forbids: (stat, table) => isPause(stat, table.argv(stat.pid)),
    note: "the pause process",
    why: () =>
      "it is the pause process, which holds the pod's namespaces, and not the application; " +
      `leave --pid at auto, or ${NAME_IT}`,
  },
  {
    code: "runtime",
    forbids: (stat, table) => isRuntime(stat, table.argv(stat.pid)),
    note: "the container runtime, not yet an application",
    why: () => "it is the container runtime, about to become a container's process; looking again",
    again: true,
  },
  {
    code: "host-init",
    forbids: (stat, table) => stat.pid === 1 && isWholeMachine(table),
    note: "the init process of this machine",
    why: ({ comm }) => `it is the init process of this machine ("${comm}"); ${NAME_IT}`,
  },
];

/** The rule that forbids to signal a process; null where none does. The guard on every way to a target. */
export function ruleAgainst(table: ProcessTable, stat: ProcessStat): Rule | null {
  return RULES.find((rule) => rule.forbids(stat, table)) ?? null;
}

/**
 * `ruleAgainst` with its text; apart from it, since a text reads more of /proc. `asked` is how the user named it: `--pid 1`.
 */
export function refusal(table: ProcessTable, stat: ProcessStat, asked = ""): Refusal | null {
  const rule = ruleAgainst(table, stat);
  if (rule === null) return null;
  const who = describe(table, stat) + (asked && `, named by ${asked}`);
  return none(rule.code, `Cannot signal ${who}: ${rule.why(stat)}`, rule.again);
}

/** The refusal where more than one is left, which names them all. `asked`: the flags by which they were found. */
export function ambiguous(
  table: ProcessTable,
  stats: readonly ProcessStat[],
  what: string,
  asked = "",
): Refusal {
  // Ten are enough to see what is wrong, and keep the line readable.
  const shown = [...stats].sort((a, b) => a.pid - b.pid).slice(0, 10);
  const list = shown.map((stat) => describe(table, stat)).join(", ") + (stats.length > 10 ? ", …" : "");
  const message = `Cannot choose a process to signal: ${what}: ${list}; ${nameIt(asked)}`;
  const names = new Set(shown.map((stat) => displayName(stat, table.argv(stat.pid))));
  return { ...none("ambiguous", message), names: [...names] };
}

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

/** The process as texts name it. */
export function describe(table: ProcessTable, stat: ProcessStat): string {
  return processText(stat.pid, displayName(stat, table.argv(stat.pid)), table.status(stat.pid)?.uid);
}

/** Whether the word is one of a list that blanks separate. */
export function isWord(list: string, word: string): boolean {
  return ` ${list} `.includes(` ${word} `);
}
