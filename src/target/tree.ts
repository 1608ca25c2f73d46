/**
 * Who started whom: the main process of each container, the tree below a process, and what in it is the application,
 * behind those that only start others. Pure; must never guess among several. A table that was read while processes come and
 * go may hold a loop of parents.
 */

import { type ProcessStat, programName } from "../proc/process.ts";
import { hasSignal } from "../linux.ts";
import { isWord, ruleAgainst } from "./rules.ts";
import type { ProcessTable } from "./table.ts";

/** The main processes by container. A zombie counts as there, so that no exec takes its place. */
export type MainProcesses = ReadonlyMap<string, ProcessStat>;

/**
 * Finds the main process of each container: of all that have parent 0 in the shared PID namespace the oldest. What
 * `kubectl exec`, an exec probe or a hook starts has parent 0 too, and is younger.
 */
export function mainProcesses(table: ProcessTable): MainProcesses {
  const found = new Map<string, ProcessStat>();
  for (const stat of table.processes.values()) {
    if (stat.ppid !== 0 || stat.kernelThread) continue;
    const key = table.container(stat.pid);
    const other = found.get(key);
    if (!other || byAge(stat, other) < 0) found.set(key, stat);
  }
  return found;
}

/** True where the top of a tree is its container's main process, and not an exec, probe or hook. */
export function isMain(mains: MainProcesses, table: ProcessTable, top: ProcessStat): boolean {
  // A tree whose top has a parent that is not in the table (hidden, or just gone) was not started by an exec.
  return top.ppid !== 0 || top.kernelThread || mains.get(table.container(top.pid)) === top;
}

/** Oldest first; the PID decides between processes of one tick. */
export function byAge(a: ProcessStat, b: ProcessStat): number {
  return a.startTicks - b.startTicks || a.pid - b.pid;
}

/** Who started a process, who started that, and so on. No tree is deeper than the table is long. */
function* ancestorsOf(table: ProcessTable, stat: ProcessStat): Generator<ProcessStat> {
  let parent = table.processes.get(stat.ppid);
  for (let depth = table.processes.size; parent && depth > 0; depth--) {
    yield parent;
    parent = table.processes.get(parent.ppid);
  }
}

/** The process at the top of the tree that `stat` is in. */
export function topOf(table: ProcessTable, stat: ProcessStat): ProcessStat {
  return ancestorsOf(table, stat).reduce((_, parent) => parent, stat);
}

/** True where `stat` was started by `above`, or by what that has started. */
export function isAncestor(table: ProcessTable, above: ProcessStat, stat: ProcessStat): boolean {
  return ancestorsOf(table, stat).some((parent) => parent === above);
}

/** `root` and what is below it, level by level, without what `childrenOf` leaves out; each once, also in a loop. */
export function* treeOf(table: ProcessTable, root: ProcessStat): Generator<ProcessStat> {
  const children = Map.groupBy(table.processes.values(), ({ ppid }) => ppid);
  const tree = new Set([root]);
  for (const stat of tree) {
    yield stat;
    for (const child of allowed(table, children.get(stat.pid) ?? [])) tree.add(child);
  }
}

/** The children that may be signalled, oldest first. */
function childrenOf(table: ProcessTable, parent: ProcessStat): ProcessStat[] {
  return allowed(table, [...table.processes.values()].filter(({ ppid }) => ppid === parent.pid));
}

function allowed(table: ProcessTable, stats: readonly ProcessStat[]): ProcessStat[] {
  return stats.filter((stat) => ruleAgainst(table, stat) === null).sort(byAge);
}

/** Start one program, wait for it and pass signals on. */
const INITS = "tini tini-static docker-init podman-init dumb-init catatonit su sudo runuser";
/** Run an entrypoint script; a script that traps the signal passes it on itself. */
const SHELLS = "sh bash dash ash busybox ksh mksh zsh";
/**
 * Keep programs running, and take the signal for themselves: runsvdir ends its services and exits, supervisord stops and
 * starts all of them, s6-svscan and systemd read their own directories again.
 */
const SUPERVISORS =
  "runsvdir runsv runit runit-init supervisord s6-svscan s6-supervise systemd openrc-init my_init " +
  "pm2 pm2-runtime pm2-docker honcho foreman overmind hivemind goreman circusd monit procd dinit perpd process-compose";
/** Programs whose first argument is the script that they run. */
const INTERPRETER = /^(python[\d.]*|node|ruby[\d.]*|perl[\d.]*|deno|bun)$/;

/** True for a process that only starts others: an init, or a shell without a trap for the signal. */
export function isWrapper(stat: ProcessStat, signal: Deno.Signal): boolean {
  return isWrapperName(stat.comm) && !(isWord(SHELLS, stat.comm) && hasSignal(stat.caught, signal));
}

/** True for the name of an init or a shell: another process may take its place as the target. */
export function isWrapperName(comm: string): boolean {
  return isWord(INITS, comm) || isWord(SHELLS, comm);
}

/** True for a supervisor that is known by its name, or by the name of its script; PM2 calls itself `PM2 v5.3.0: God …`. */
export function isSupervisor(table: ProcessTable, stat: ProcessStat): boolean {
  const [program = "", script = ""] = table.argv(stat.pid).map(programName);
  return isWord(SUPERVISORS, stat.comm) || isWord(SUPERVISORS, program) || /^PM2 v\d/.test(program) ||
    INTERPRETER.test(program) && isWord(SUPERVISORS, script);
}

/**
 * What may be the application in the tree of a container's main process: the process that listens on the port where one
 * can be seen, else what is behind wrappers. A script that traps the signal is meant to get it, whatever it starts.
 */
export function applicationsIn(
  table: ProcessTable,
  main: ProcessStat,
  signal: Deno.Signal,
  port: number | null,
): ProcessStat[] {
  const found = unwrap(table, main, signal);
  const isScript = found.length === 1 && isWord(SHELLS, found[0]!.comm);
  const listener = port === null || isScript ? null : listenerIn(table, main, port);
  return listener ? [listener] : found;
}

/** Eight wrappers in a row are more than anybody nests; a limit all the same. */
const WRAPPERS_MAX = 8;

/**
 * The application behind wrappers such as tini and `sh -c`: the process itself where it is none. Several where a shell
 * has more than one child, so that nothing says which of them is the application.
 */
function unwrap(table: ProcessTable, stat: ProcessStat, signal: Deno.Signal, depth = 0): ProcessStat[] {
  const isThrough = isWrapper(stat, signal) && depth < WRAPPERS_MAX;
  const [first, ...others] = isThrough ? childrenOf(table, stat) : [];
  if (first === undefined) return [stat];
  if (others.length > 0 && !isWord(INITS, stat.comm)) return [first, ...others];
  return unwrap(table, first, signal, depth + 1);
}

/**
 * The topmost process from `root` down that holds the listening socket of the port and is no supervisor (systemd and circusd
 * hold the sockets of their services). Null where nobody does, or it cannot be seen.
 */
function listenerIn(table: ProcessTable, root: ProcessStat, port: number): ProcessStat | null {
  // Alone it is the one anyway: its descriptors need not be read.
  if (childrenOf(table, root).length === 0) return null;
  const found = treeOf(table, root).find((stat) =>
    !isSupervisor(table, stat) && table.listens(stat.pid, port)
  );
  return found ? programOf(table, found, root) : null;
}

/**
 * The first process of the program that `worker` is part of: a fork without exec keeps name and command line, and
 * HAProxy's master, for one, leaves the socket to its worker.
 */
function programOf(table: ProcessTable, worker: ProcessStat, root: ProcessStat): ProcessStat {
  const parent = table.processes.get(worker.ppid);
  if (worker === root || parent?.comm !== worker.comm) return worker;
  const [argv, argvOfParent] = [worker, parent].map(({ pid }) => table.argv(pid).join("\0"));
  return argv === "" || argv !== argvOfParent ? worker : programOf(table, parent, root);
}
