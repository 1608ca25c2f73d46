/**
 * `--pid auto`: the one application among the first processes of all containers. Pure; where more than one is left it
 * says so, and never guesses.
 */

import type { ProcessStat } from "../proc/process.ts";
import { none, NOTES, type Selection, type SelectOptions, several, type Trace } from "./choice.ts";
import { firstProcesses, type KnownFirsts } from "./firsts.ts";
import {
  describe,
  forbids,
  isDead,
  isSidecar,
  isWholeMachine,
  NAME_IT,
  type Refusal,
  refusal,
  unwrap,
} from "./rules.ts";
import type { ProcessTable } from "./table.ts";
import { isAncestor, isFirst, topOf } from "./tree.ts";

const NOTHING_KNOWN: KnownFirsts = new Map();

const LEFTOVERS: Refusal = {
  code: "not-there",
  message:
    "The application has ended, and only what an exec or a probe started beside it is left in its container; " +
    "looking again",
  again: true,
};

const MOUNT_PROC = "mount the container's own /proc";

/**
 * Chooses without being told whom.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, PAUSE, SIDECAR, SIGHUP, tableOf } from "../../tests/target/fake_table.ts";
 * const options = { wanted: { kind: "auto" as const }, signal: SIGHUP, port: null };
 * const chosen = selectAuto(tableOf([PAUSE, SIDECAR, app(7)]), options);
 * assert.equal(chosen.kind === "process" && chosen.stat.pid, 7);
 * const unsure = selectAuto(tableOf([PAUSE, SIDECAR, app(7), app(8)]), options);
 * assert.equal(unsure.kind === "none" && unsure.code, "ambiguous"); // never a guess
 * ```
 */
export function selectAuto(table: ProcessTable, options: SelectOptions, trace?: Trace): Selection {
  const self = table.processes.get(table.selfPid);
  if (!self) {
    return none("bad-proc", `Cannot find this process (PID ${table.selfPid}) in /proc; ${MOUNT_PROC}`);
  }
  if (isWholeMachine(table)) return hostInit(table);
  const own = table.container(topOf(table, self).pid);
  const firsts = firstProcesses(table, options.known ?? NOTHING_KNOWN);
  if (trace) traceOthers(table, firsts, trace);
  const candidates: ProcessStat[] = [];
  let waitFor: Refusal | null = null;
  for (const [container, stat] of firsts) {
    if (container === own || container === table.container(self.pid)) {
      if (stat) {
        trace?.(stat, stat === self ? "config-reloader itself" : "in config-reloader's own container");
      }
      continue;
    }
    if (stat === null) {
      waitFor ??= LEFTOVERS;
      continue;
    }
    const code = forbids(table, stat);
    if (code !== null) {
      trace?.(stat, NOTES[code] ?? code);
      if (code === "runtime" || code === "not-there") waitFor = refusal(table, stat, "");
      continue;
    }
    for (const found of unwrap(table, stat, options.signal)) {
      const how = found === stat
        ? "the first process of a container"
        : `started by ${stat.comm} (PID ${stat.pid})`;
      trace?.(found, how);
      candidates.push(found);
    }
  }
  if (candidates.length === 0) return nobody(table, [...firsts.keys()].some((key) => key !== own), waitFor);
  if (candidates.length > 1) return breakTie(table, candidates, options.port);
  const only = candidates[0]!;
  if (options.losers?.has(containerOf(table, only))) {
    return none(
      "not-there",
      `The application is not running now, only ${describe(table, only)}, which is another one`,
      true,
    );
  }
  return { kind: "process", stat: only, reason: reasonOf(table, only) };
}

function containerOf(table: ProcessTable, stat: ProcessStat): string {
  return table.container(topOf(table, stat).pid);
}

function traceOthers(
  table: ProcessTable,
  firsts: ReadonlyMap<string, ProcessStat | null>,
  trace: Trace,
): void {
  for (const stat of table.processes.values()) {
    if (!isFirst(firsts, table, stat)) {
      trace(stat, "started beside a container's first process (exec, probe or hook)");
    }
  }
}

function reasonOf(table: ProcessTable, stat: ProcessStat): string {
  const first = topOf(table, stat);
  const via = first === stat ? "" : `, started by ${first.comm} (PID ${first.pid})`;
  const what = first.pid === 1
    ? "the first process of the container whose process namespace is shared"
    : "the only application container in the pod";
  return what + via;
}

/** The one that listens on the port of `--reload-url`, itself or through a descendant. */
function breakTie(table: ProcessTable, candidates: readonly ProcessStat[], port: number | null): Selection {
  if (port !== null) {
    const owners = new Set<ProcessStat>();
    for (const pid of table.listeners([...table.processes.keys()], port)) {
      for (let stat = table.processes.get(pid), depth = 0; stat && depth < 64; depth++) {
        if (candidates.includes(stat)) {
          owners.add(stat);
          break;
        }
        stat = table.processes.get(stat.ppid);
      }
    }
    const [owner] = owners;
    if (owners.size === 1) {
      const losers = new Set(candidates.map((stat) => containerOf(table, stat)));
      losers.delete(containerOf(table, owner!));
      return {
        kind: "process",
        stat: owner!,
        losers,
        reason: `of ${candidates.length} it listens on port ${port} of --reload-url`,
      };
    }
  }
  const hint = port === null
    ? ""
    : `, and which of them listens on port ${port} of --reload-url cannot be told`;
  return several(table, candidates, `${candidates.length} processes may be the application${hint}`);
}

function nobody(table: ProcessTable, othersVisible: boolean, waitFor: Refusal | null): Selection {
  if (waitFor) return { kind: "none", ...waitFor };
  if (othersVisible) {
    return none(
      "not-there",
      "No application is running in the pod now, only pause and config-reloader; looking again",
      true,
    );
  }
  if (table.isHidden()) {
    return none(
      "hidden-proc",
      "Cannot look at the processes of other users: /proc is mounted with hidepid; mount it without, or run " +
        "config-reloader as the application's user (securityContext.runAsUser)",
    );
  }
  if ([...table.processes.values()].some((stat) => isBesideUs(table, stat))) {
    return none(
      "own-container",
      "No process of another container is visible, only some in config-reloader's own: if the application is one of " +
        `those, ${NAME_IT}; if it runs in another container, set shareProcessNamespace: true in the pod's spec`,
    );
  }
  return none(
    "no-shared-process-namespace",
    "No process of another container is visible, so there is nobody to signal: set shareProcessNamespace: true in " +
      "the pod's spec (with Docker: --pid=container:NAME)",
  );
}

/** In our container, and neither this program nor what started it or was started by it. */
function isBesideUs(table: ProcessTable, stat: ProcessStat): boolean {
  const self = table.processes.get(table.selfPid)!;
  return !isSidecar(table, stat) && !isDead(stat) && !isAncestor(table, stat, self) &&
    !isAncestor(table, self, stat);
}

function hostInit(table: ProcessTable): Selection {
  const init = table.processes.get(1)?.comm ?? "not visible";
  return none(
    "host-init",
    `Cannot choose a process by itself outside of a container: all processes of this machine are visible ` +
      `(PID 1 is "${init}"); ${NAME_IT}, or take hostPID out of the pod's spec and set shareProcessNamespace: true`,
  );
}
