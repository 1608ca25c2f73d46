/**
 * Processes that only start the application: a plain init or a shell is looked through, and below a supervisor the
 * process that listens on the port of the status URL is the application. Pure; must never guess among several.
 */

import { type ProcessStat, programName } from "../proc/process.ts";
import { hasSignal } from "../linux.ts";
import { isWord } from "./rules.ts";
import type { ProcessTable } from "./table.ts";
import { childrenOf, treeOf } from "./tree.ts";

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
  if (isWord(INITS, stat.comm)) return true;
  return isWord(SHELLS, stat.comm) && !hasSignal(stat.caught, signal);
}

/** True for the name of an init or a shell: another process may take its place as the target. */
export function isWrapperName(comm: string): boolean {
  return isWord(INITS, comm) || isWord(SHELLS, comm);
}

/** True for any process that is there to start others, whatever it does with signals. */
export function isLauncher(table: ProcessTable, stat: ProcessStat): boolean {
  return isWrapperName(stat.comm) || isSupervisor(table, stat);
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

/**
 * The application behind wrappers such as tini and `sh -c`: the process itself where it is none. Several where a shell
 * has more than one child, so that nothing says which of them is the application.
 */
function unwrap(table: ProcessTable, main: ProcessStat, signal: Deno.Signal): ProcessStat[] {
  let current = main;
  // Eight wrappers in a row is more than anybody nests; a limit all the same.
  for (let depth = 0; depth < 8; depth++) {
    if (!isWrapper(current, signal)) return [current];
    const children = childrenOf(table, current);
    if (children.length === 0) return [current];
    if (children.length > 1 && !isWord(INITS, current.comm)) return children;
    current = children[0]!;
  }
  return [current];
}

/**
 * The topmost process from `root` down that holds the listening socket of the port and is no supervisor (systemd and circusd
 * hold the sockets of their services). Null where nobody does, or it cannot be seen.
 */
function listenerIn(table: ProcessTable, root: ProcessStat, port: number): ProcessStat | null {
  // Alone it is the one anyway: its descriptors need not be read.
  if (childrenOf(table, root).length === 0) return null;
  for (const stat of treeOf(table, root)) {
    if (!isSupervisor(table, stat) && table.listens(stat.pid, port)) return programOf(table, stat, root);
  }
  return null;
}

/**
 * The first process of the program that `worker` is part of: a fork without exec keeps name and command line, and
 * HAProxy's master, for one, leaves the socket to its worker.
 */
function programOf(table: ProcessTable, worker: ProcessStat, root: ProcessStat): ProcessStat {
  let current = worker;
  while (current !== root) {
    const parent = table.processes.get(current.ppid);
    const argv = table.argv(current.pid).join("\0");
    if (parent?.comm !== current.comm || argv === "" || table.argv(parent.pid).join("\0") !== argv) break;
    current = parent;
  }
  return current;
}
