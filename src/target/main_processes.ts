/**
 * The main process of each container: of all that have parent 0 in the shared PID namespace the oldest. What
 * `kubectl exec`, an exec probe or a hook starts has parent 0 too, and is younger. Pure.
 */

import type { ProcessStat } from "../proc/process.ts";
import { byAge } from "./rules.ts";
import { type ProcessTable } from "./table.ts";

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
