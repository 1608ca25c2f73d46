/**
 * Who started whom: the main process of each container, and the tree below a process. Of all that have parent 0 in the
 * shared PID namespace the oldest is its container's main process; what `kubectl exec`, an exec probe or a hook starts has
 * parent 0 too, and is younger. Pure; a table read while processes come and go may hold a loop of parents.
 */

import type { ProcessStat } from "../proc/process.ts";
import { byAge, forbids } from "./rules.ts";
import type { ProcessTable } from "./table.ts";

/** The main processes by container. A zombie counts as there, so that no exec takes its place. */
export type MainProcesses = ReadonlyMap<string, ProcessStat>;

/** Finds the main process of each container. */
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
export function childrenOf(table: ProcessTable, parent: ProcessStat): ProcessStat[] {
  return allowed(table, [...table.processes.values()].filter(({ ppid }) => ppid === parent.pid));
}

function allowed(table: ProcessTable, stats: readonly ProcessStat[]): ProcessStat[] {
  return stats.filter((stat) => forbids(table, stat) === null).sort(byAge);
}
