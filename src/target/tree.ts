/** The ways through a tree of processes. Pure. */

import type { ProcessStat } from "../proc/process.ts";
import type { ProcessTable } from "./table.ts";

/**
 * The process at the top of the tree that `stat` is in.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, tableOf } from "../../tests/target/fake_table.ts";
 * const table = tableOf([app(7), app(8, { ppid: 7 }), app(9, { ppid: 8 })]);
 * assert.equal(topOf(table, table.processes.get(9)!).pid, 7);
 * ```
 */
export function topOf(table: ProcessTable, stat: ProcessStat): ProcessStat {
  let current = stat;
  // A table read while processes come and go may hold a loop of parents: no tree is deeper than the table is long.
  for (let depth = table.processes.size; depth > 0; depth--) {
    const parent = table.processes.get(current.ppid);
    if (!parent || parent === current) break;
    current = parent;
  }
  return current;
}

/**
 * True where `stat` was started by `above`, or by what that has started.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, tableOf } from "../../tests/target/fake_table.ts";
 * const table = tableOf([app(7), app(8, { ppid: 7 }), app(9, { ppid: 8 })]);
 * const [first, , worker] = [...table.processes.values()];
 * assert.equal(isAncestor(table, first!, worker!), true);
 * assert.equal(isAncestor(table, worker!, worker!), false); // nobody is above itself
 * ```
 */
export function isAncestor(table: ProcessTable, above: ProcessStat, stat: ProcessStat): boolean {
  let current = table.processes.get(stat.ppid);
  for (let depth = table.processes.size; current && depth > 0; depth--) {
    if (current === above) return true;
    current = table.processes.get(current.ppid);
  }
  return false;
}

/**
 * True where the top of a tree is its container's first process, and not an exec, probe or hook.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, tableOf } from "../../tests/target/fake_table.ts";
 * import { firstProcesses } from "./firsts.ts";
 * const probe = { container: "app7", startTicks: 900 };
 * const table = tableOf([app(7), app(8, probe)]);
 * const firsts = firstProcesses(table, new Map());
 * assert.equal(isFirst(firsts, table, table.processes.get(7)!), true);
 * assert.equal(isFirst(firsts, table, table.processes.get(8)!), false);
 * ```
 */
export function isFirst(
  firsts: ReadonlyMap<string, ProcessStat | null>,
  table: ProcessTable,
  top: ProcessStat,
): boolean {
  // A tree whose top has a parent that is not in the table (hidden, or just gone) was not started by an exec.
  return top.ppid !== 0 || top.kernelThread || firsts.get(table.container(top.pid)) === top;
}
