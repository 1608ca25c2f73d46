/**
 * Who may never be signalled, and who only starts the application: pure rules on one process. Every way to a target,
 * chosen or named by the user, ends in `refusal`; nothing may go around it.
 */

import { displayName, type ProcessStat, programName } from "../proc/process.ts";
import { hasSignal } from "../proc/signals.ts";
import type { TargetCode } from "../model.ts";
import type { ProcessTable } from "./table.ts";

/** Why nobody is signalled. `again`: the state passes by itself, so look again soon. */
export interface Refusal {
  readonly code: TargetCode;
  readonly message: string;
  readonly again?: boolean;
}

/** Largest PID: PID_MAX_LIMIT of include/linux/threads.h on 64-bit. */
export const PID_MAX = 4194304;

/** The way out of every doubt, for texts. */
export const NAME_IT = "name the application with --process-name, --process-cmdline or --pid-file";

/**
 * True for an integer that can be one process: `Deno.kill` takes NaN, 0 and 2^32 for our group, 1.5 for 1.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(isPid(7), true);
 * assert.equal(isPid(0), false); // kill(2) takes it for our own group
 * assert.equal(isPid(1.5), false); // Deno.kill takes it for 1
 * ```
 */
export function isPid(pid: number): boolean {
  return Number.isSafeInteger(pid) && pid >= 1 && pid <= PID_MAX;
}

/**
 * The pause process that holds the pod's namespaces, by name and command line: `/pause` (Kubernetes), `/usr/bin/pod`
 * (OpenShift), `podman-pause` and `catatonit -P` (Podman). It may well have the app's user; a signal ends the pod.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { tableOf } from "../../tests/target/fake_table.ts";
 * const { processes } = tableOf([{ pid: 1, comm: "pause" }]);
 * assert.equal(isPause(processes.get(1)!, ["/pause"]), true);
 * assert.equal(isPause(processes.get(1)!, ["pause", "30"]), false); // an app of that name
 * ```
 */
export function isPause(stat: ProcessStat, argv: readonly string[]): boolean {
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
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { tableOf } from "../../tests/target/fake_table.ts";
 * const { processes } = tableOf([{ pid: 7, comm: "runc:[2:INIT]" }, { pid: 8, comm: "6" }]);
 * assert.equal(isRuntime(processes.get(7)!, []), true);
 * assert.equal(isRuntime(processes.get(8)!, ["/proc/self/exe", "init"]), true);
 * assert.equal(isRuntime(processes.get(8)!, ["/bin/app", "init"]), false);
 * ```
 */
export function isRuntime(stat: ProcessStat, argv: readonly string[]): boolean {
  if (/^(runc|youki):\[/.test(stat.comm) || isWord(RUNTIMES, stat.comm)) return true;
  if (argv.length === 0) return false;
  // A runtime started from memory has a descriptor's number for a name; crun titles itself `[libcrun:create]`.
  if (isWord(RUNTIMES, programName(argv[0]!)) || argv[0]!.startsWith("[libcrun:")) return true;
  return argv.length > 1 && argv.at(-1) === "init" && isWord(`exe ${RUNTIMES}`, programName(argv.at(-2)!));
}

const RUNTIMES = "runc crun youki";

/**
 * This product, whichever instance: another one's command line matches every pattern it was given.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, tableOf } from "../../tests/target/fake_table.ts";
 * const argv = ["/usr/bin/deno", "run", "main.ts", "--process-cmdline=amp"];
 * const table = tableOf([app(7), app(8, { comm: "deno", argv })]);
 * assert.equal(isSidecar(table, table.processes.get(7)!), false);
 * assert.equal(isSidecar(table, table.processes.get(8)!), true); // its own pattern would match it
 * ```
 */
export function isSidecar(table: ProcessTable, stat: ProcessStat): boolean {
  return stat.pid === table.selfPid || stat.comm === "config-reloader" ||
    table.argv(stat.pid).some((arg, index) =>
      index === 0 ? programName(arg) === "config-reloader" : arg.includes("--process-cmdline")
    );
}

/**
 * True where the table is a whole machine's (its kernel threads are there) and not a pod's.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, PAUSE, tableOf } from "../../tests/target/fake_table.ts";
 * assert.equal(isWholeMachine(tableOf([PAUSE, app(7)])), false);
 * assert.equal(isWholeMachine(tableOf([{ pid: 2, comm: "kthreadd", kernelThread: true }])), true);
 * ```
 */
export function isWholeMachine(table: ProcessTable): boolean {
  return table.processes.get(2)?.kernelThread === true;
}

/**
 * Zombies and dead processes take signals and do nothing.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, tableOf } from "../../tests/target/fake_table.ts";
 * const { processes } = tableOf([app(7, { state: "Z" }), app(8, { state: "T" })]);
 * assert.equal(isDead(processes.get(7)!), true);
 * assert.equal(isDead(processes.get(8)!), false); // stopped: it takes the signal when it goes on
 * ```
 */
export function isDead(stat: ProcessStat): boolean {
  return stat.state === "Z" || stat.state === "X" || stat.state === "x";
}

/**
 * What forbids to signal a process, as the code of its refusal. The guard on every way to a target.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, PAUSE, tableOf } from "../../tests/target/fake_table.ts";
 * const table = tableOf([PAUSE, app(7)]);
 * assert.equal(forbids(table, table.processes.get(1)!), "pause");
 * assert.equal(forbids(table, table.processes.get(7)!), null);
 * ```
 */
export function forbids(table: ProcessTable, stat: ProcessStat): ForbidCode | null {
  if (!isPid(stat.pid) || stat.kernelThread) return "bad-pid";
  if (isSidecar(table, stat)) return "self";
  const argv = table.argv(stat.pid);
  if (isPause(stat, argv)) return "pause";
  if (isRuntime(stat, argv)) return "runtime";
  if (isDead(stat)) return "not-there";
  return stat.pid === 1 && isWholeMachine(table) ? "host-init" : null;
}

type ForbidCode = "bad-pid" | "self" | "pause" | "runtime" | "not-there" | "host-init";

/**
 * `forbids` with its text; apart from it, since a text reads more of /proc. `asked` is how the user named it: `--pid 1`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { PAUSE, tableOf } from "../../tests/target/fake_table.ts";
 * const table = tableOf([PAUSE]);
 * const { message } = refusal(table, table.processes.get(1)!, "--pid 1")!;
 * assert.match(message, /^Cannot signal PID 1 \(pause, .*named by --pid 1: it is the pause process/);
 * ```
 */
export function refusal(table: ProcessTable, stat: ProcessStat, asked: string): Refusal | null {
  const code = forbids(table, stat);
  if (code === null) return null;
  const who = describe(table, stat) + (asked && `, named by ${asked}`);
  return {
    code,
    message: `Cannot signal ${who}: ${refusalText(code, stat)}`,
    ...((code === "runtime" || code === "not-there") && { again: true }),
  };
}

function refusalText(code: ForbidCode, stat: ProcessStat): string {
  switch (code) {
    case "bad-pid":
      return stat.kernelThread
        ? `it is a thread of the kernel; ${NAME_IT}`
        : `a PID is an integer from 1 to ${PID_MAX}`;
    case "self":
      return `it is config-reloader itself; ${NAME_IT}`;
    case "pause":
      return "it is the pause process, which holds the pod's namespaces, and not the application; " +
        `leave --pid at auto, or ${NAME_IT}`;
    case "runtime":
      return "it is the container runtime, about to become a container's process; looking again";
    case "not-there":
      return stat.state === "Z"
        ? "it has ended and is a zombie; looking again when the application is back"
        : "it has just ended; looking again when the application is back";
    case "host-init":
      return `it is the init process of this machine ("${stat.comm}"); ${NAME_IT}`;
  }
}

/**
 * `PID 7 (amp, user 65532)`, for texts.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, tableOf } from "../../tests/target/fake_table.ts";
 * const table = tableOf([app(7, { uid: 1000 })]);
 * assert.equal(describe(table, table.processes.get(7)!), "PID 7 (amp, user 1000)");
 * ```
 */
export function describe(table: ProcessTable, stat: ProcessStat): string {
  const uid = table.status(stat.pid)?.uid;
  const name = displayName(stat, table.argv(stat.pid));
  return `PID ${stat.pid} (${name}${uid === undefined ? "" : `, user ${uid}`})`;
}

/** Programs that only start the application, wait for it and pass signals on; the oldest child is the application. */
const INITS = "tini tini-static docker-init dumb-init catatonit su sudo runuser";
/** Shells, which run an entrypoint script; a script that traps the signal passes it on itself. */
const SHELLS = "sh bash dash ash busybox ksh mksh zsh";

/**
 * The application behind wrappers such as tini and `sh -c`: the process itself where it is none. Several where a shell
 * has more than one child, so that nothing says which of them is the application.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, CAUGHT, SIGHUP, tableOf } from "../../tests/target/fake_table.ts";
 * const pids = (caught: number) => {
 *   const table = tableOf([app(7, { comm: "sh", caught }), app(8, { ppid: 7 }), app(9, { ppid: 7 })]);
 *   return unwrap(table, table.processes.get(7)!, SIGHUP).map((stat) => stat.pid);
 * };
 * assert.deepEqual(pids(0), [8, 9]); // a shell with two children: nothing says which is the application
 * assert.deepEqual(pids(CAUGHT), [7]); // a script with a trap passes the signal on itself
 * ```
 */
export function unwrap(table: ProcessTable, first: ProcessStat, signal: number): ProcessStat[] {
  let current = first;
  // Eight wrappers in a row is more than anybody nests; a limit all the same.
  for (let depth = 0; depth < 8; depth++) {
    if (!isWrapper(table, current, signal)) return [current];
    const children = childrenOf(table, current);
    if (children.length === 0) return [current];
    if (children.length > 1 && !isWord(INITS, current.comm)) return children;
    current = children[0]!;
  }
  return [current];
}

/**
 * True for a process that only starts others: an init, or a shell without a trap for the signal.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, CAUGHT, SIGHUP, tableOf } from "../../tests/target/fake_table.ts";
 * const table = tableOf([app(7, { comm: "tini" }), app(8, { comm: "bash", caught: CAUGHT })]);
 * assert.equal(isWrapper(table, table.processes.get(7)!, SIGHUP), true);
 * assert.equal(isWrapper(table, table.processes.get(8)!, SIGHUP), false); // it has a trap
 * ```
 */
export function isWrapper(table: ProcessTable, stat: ProcessStat, signal: number): boolean {
  if (isWord(INITS, stat.comm)) return true;
  return isWord(SHELLS, stat.comm) && !hasSignal(table.status(stat.pid)?.caught ?? 0, signal);
}

/** Living children without runtime and sidecar, oldest first. */
function childrenOf(table: ProcessTable, parent: ProcessStat): ProcessStat[] {
  const children: ProcessStat[] = [];
  for (const stat of table.processes.values()) {
    if (stat.ppid !== parent.pid || isDead(stat)) continue;
    if (isSidecar(table, stat) || isRuntime(stat, table.argv(stat.pid))) continue;
    children.push(stat);
  }
  return children.sort(byAge);
}

/**
 * Oldest first; the PID decides between processes of one tick.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, tableOf } from "../../tests/target/fake_table.ts";
 * const young = { startTicks: 8 };
 * const { processes } = tableOf([app(7, young), app(3, young), app(9, { startTicks: 5 })]);
 * assert.deepEqual([...processes.values()].sort(byAge).map((stat) => stat.pid), [9, 3, 7]);
 * ```
 */
export function byAge(a: ProcessStat, b: ProcessStat): number {
  return a.startTicks - b.startTicks || a.pid - b.pid;
}

function isWord(list: string, word: string): boolean {
  return ` ${list} `.includes(` ${word} `);
}
