/**
 * The first process of each container, and what is known of it from earlier looks. When it ends, what an exec or a
 * probe started beside it lives on for some milliseconds (26 were seen with containerd) and would be the oldest then:
 * such a leftover must never pass for the application. Pure.
 */

import type { ProcessStat } from "../proc/process.ts";
import { byAge, isDead, isRuntime } from "./rules.ts";
import { type ProcessTable, TICK_MS } from "./table.ts";

/** The first process of one container, as an earlier look found it. Times are the machine's uptime in ms. */
export interface KnownFirst {
  readonly pid: number;
  readonly startTicks: number;
  /** When it was last seen alive: what had started by then beside it is no first process, ever. */
  readonly seenMs: number;
  /** Since when it is gone; null while it is there. */
  readonly goneSinceMs: number | null;
}
/** All of them, by container. */
export type KnownFirsts = ReadonlyMap<string, KnownFirst>;

/**
 * How long what may be a container started again under its old ID (Docker and Podman do that, Kubernetes does not)
 * must live to be believed, in ms. Runtimes kill leftovers at once.
 */
export const LEFTOVER_MS_MAX = 2000;

/**
 * The first process of each container, by container; null where it is gone and only leftovers are there. Whatever else
 * has parent 0 (`kubectl exec`, probes, hooks) is younger. A zombie counts as there.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, tableOf } from "../../tests/target/fake_table.ts";
 * const container = "c";
 * const table = tableOf([app(9, { container, startTicks: 800 }), app(7, { container, startTicks: 500 })]);
 * assert.equal(firstProcesses(table, new Map()).get("c")?.pid, 7);
 * // At an earlier look another process was the first: these are what it left behind.
 * const before = { pid: 3, startTicks: 100, seenMs: 9_000, goneSinceMs: null };
 * assert.equal(firstProcesses(table, new Map([["c", before]])).get("c"), null);
 * ```
 */
export function firstProcesses(table: ProcessTable, known: KnownFirsts): Map<string, ProcessStat | null> {
  const firsts = new Map<string, ProcessStat | null>();
  for (const [container, oldest] of oldestProcesses(table, () => true)) {
    const before = known.get(container);
    if (before === undefined) {
      firsts.set(container, oldest);
      continue;
    }
    const stat = table.processes.get(before.pid);
    firsts.set(container, stat?.startTicks === before.startTicks ? stat : null);
  }
  return firsts;
}

/**
 * What is known after this look. A container without processes is forgotten.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, tableOf } from "../../tests/target/fake_table.ts";
 * const seen = nextFirsts(new Map(), tableOf([app(7)], { uptimeMs: () => 5_000 }));
 * assert.deepEqual(seen.get("app7"), { pid: 7, startTicks: 107, seenMs: 5_000, goneSinceMs: null });
 * const left = tableOf([app(9, { container: "app7" })], { uptimeMs: () => 6_000 });
 * assert.deepEqual(nextFirsts(seen, left).get("app7"), { ...seen.get("app7"), goneSinceMs: 6_000 });
 * ```
 */
export function nextFirsts(before: KnownFirsts, table: ProcessTable): KnownFirsts {
  const next = new Map<string, KnownFirst>();
  const nowMs = table.uptimeMs();
  for (
    const [container, oldest] of oldestProcesses(table, (stat) => !isRuntime(stat, table.argv(stat.pid)))
  ) {
    const known = before.get(container);
    const seen = (stat: ProcessStat): KnownFirst => ({
      pid: stat.pid,
      startTicks: stat.startTicks,
      seenMs: nowMs,
      goneSinceMs: null,
    });
    if (known === undefined) {
      next.set(container, seen(oldest));
      continue;
    }
    const stat = table.processes.get(known.pid);
    if (stat?.startTicks === known.startTicks) {
      next.set(container, isDead(stat) ? known : seen(stat));
      continue;
    }
    const goneSinceMs = known.goneSinceMs ?? nowMs;
    const again = nowMs - goneSinceMs < LEFTOVER_MS_MAX
      ? undefined
      : startedAfter(table, container, known.seenMs);
    next.set(container, again ? seen(again) : { ...known, goneSinceMs });
  }
  return next;
}

/**
 * Notes that a process was seen alive between two looks.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const known = new Map([["c", { pid: 7, startTicks: 100, seenMs: 5_000, goneSinceMs: null }]]);
 * assert.equal(seenAgain(known, { pid: 7, startTicks: 100 }, 6_000).get("c")?.seenMs, 6_000);
 * assert.equal(seenAgain(known, { pid: 7, startTicks: 101 }, 6_000), known); // another process with its PID
 * ```
 */
export function seenAgain(
  known: KnownFirsts,
  stat: { pid: number; startTicks: number },
  nowMs: number,
): KnownFirsts {
  for (const [container, first] of known) {
    if (first.pid !== stat.pid || first.startTicks !== stat.startTicks) continue;
    return new Map(known).set(container, { ...first, seenMs: Math.max(first.seenMs, nowMs) });
  }
  return known;
}

function oldestProcesses(
  table: ProcessTable,
  counts: (stat: ProcessStat) => boolean,
): Map<string, ProcessStat> {
  const oldest = new Map<string, ProcessStat>();
  for (const stat of table.processes.values()) {
    if (stat.ppid !== 0 || stat.kernelThread || !counts(stat)) continue;
    const key = table.container(stat.pid);
    const other = oldest.get(key);
    if (!other || byAge(stat, other) < 0) oldest.set(key, stat);
  }
  return oldest;
}

function startedAfter(table: ProcessTable, container: string, ms: number): ProcessStat | undefined {
  const counts = (stat: ProcessStat) =>
    stat.startTicks * TICK_MS > ms && !isRuntime(stat, table.argv(stat.pid));
  return oldestProcesses(table, counts).get(container);
}
