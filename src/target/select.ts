/**
 * Chooses the one process that may be signalled, or says why there is none. Pure: a table of one moment in, one answer
 * out. Must never answer with a process that `refusal` refuses, and never with a guess among several.
 */

import { isPid, PID_MAX } from "../linux.ts";
import { displayName, type ProcessStat, programName } from "../proc/process.ts";
import { type AutoOptions, selectAuto } from "./auto.ts";
import {
  ambiguous,
  HIDDEN,
  isSidecar,
  none,
  type Notes,
  type Refusal,
  refusal,
  ruleAgainst,
  type Selection,
} from "./rules.ts";
import type { ProcessTable } from "./table.ts";
import { isAncestor, isMain, isSupervisor, isWrapper, mainProcesses, topOf } from "./tree.ts";
import type { Wanted } from "./wanted.ts";

/** Settings of one choice. */
export interface SelectOptions extends AutoOptions {
  readonly wanted: Wanted;
}

/** The choice itself; see the contract, "Choosing the target". `notes` takes what was found out about each process. */
export function select(table: ProcessTable, options: SelectOptions, notes: Notes = new Map()): Selection {
  const { wanted, signal } = options;
  const chosen = wanted.kind === "auto"
    ? selectAuto(table, options, notes)
    : wanted.kind === "pid"
    ? selectPid(table, wanted)
    : selectMatching(table, wanted, signal, notes);
  return chosen.kind === "none" ? chosen : refusal(table, chosen.stat) ?? chosen;
}

/** `--pid` and `--pid-file`. */
function selectPid(table: ProcessTable, { pid, asked, again }: Wanted & { kind: "pid" }): Selection {
  if (!isPid(pid)) {
    return none("bad-pid", `Cannot use ${asked}: a PID is an integer from 1 to ${PID_MAX}`, again);
  }
  const stat = table.processes.get(pid);
  if (stat) return refusal(table, stat, asked) ?? { kind: "process", stat, reason: `named by ${asked}` };
  const who = `PID ${pid}, named by ${asked}`;
  // A thread has an entry, too, although none is listed.
  const leader = table.status(pid)?.tgid;
  if (leader !== undefined && leader !== pid) {
    return none("bad-pid", `Cannot signal ${who}: it is a thread of PID ${leader}; use ${leader}`, again);
  }
  return table.isHidden()
    ? none("hidden-proc", `Cannot see ${who}, as one of this user's: ${HIDDEN}`, true)
    : none("not-there", `Cannot signal ${who}: there is no such process now`, true);
}

/**
 * `--process-name` and `--process-cmdline`: the root of the one tree of processes that match. Several trees are an error,
 * since nothing says which was meant.
 */
function selectMatching(
  table: ProcessTable,
  wanted: Wanted & { kind: "match" },
  signal: Deno.Signal,
  notes: Notes,
): Selection {
  const asked = [
    wanted.name !== null && `--process-name ${JSON.stringify(wanted.name)}`,
    wanted.cmdline && `--process-cmdline "${wanted.cmdline.source}"`,
  ].filter(Boolean).join(" and ");
  const mains = mainProcesses(table);
  const matching = new Set<ProcessStat>();
  let refused: Refusal | null = null;
  for (const stat of findMatches(table, wanted)) {
    const rule = ruleAgainst(table, stat);
    const isBeside = rule === null && !isMain(mains, table, topOf(table, stat));
    if (rule !== null) refused ??= refusal(table, stat, asked);
    else if (!isBeside) matching.add(stat);
    notes.set(
      stat.pid,
      rule?.note ??
        (isBeside
          ? "matches, but was started beside a container's first process (exec or probe)"
          : "matches"),
    );
  }
  // `sh -c "app"`, `tini app` and `s6-supervise app` match what they start: not meant where that matches too.
  for (const stat of matching) {
    const startsAnother = matching.values().some((other) => isAncestor(table, stat, other));
    if (startsAnother && (isWrapper(stat, signal) || isSupervisor(table, stat))) matching.delete(stat);
  }
  const [root, ...others] = matching.values().filter((stat) =>
    !matching.values().some((other) => isAncestor(table, other, stat))
  );
  if (root !== undefined && others.length === 0) {
    const more = matching.size > 1 ? `, the root of ${matching.size} that do` : "";
    return { kind: "process", stat: root, reason: `matches ${asked}${more}` };
  }
  if (root !== undefined) {
    const what = `${others.length + 1} separate processes match ${asked}`;
    return ambiguous(table, [root, ...others], what, asked);
  }
  if (refused) return refused;
  return table.isHidden()
    ? none(
      "hidden-proc",
      `No process of this user matches ${asked}, and others cannot be seen: ${HIDDEN}`,
      true,
    )
    : none("not-there", `No process matches ${asked}; visible are ${visible(table)}`, true);
}

function findMatches(table: ProcessTable, { name, cmdline }: Wanted & { kind: "match" }): ProcessStat[] {
  const named = [...table.processes.values()].filter((stat) =>
    !isSidecar(table, stat) && (name === null || hasName(table, stat, name))
  );
  if (cmdline === null) return named;
  const begun = named.filter((stat) => table.argv(stat.pid).length > 0);
  const results = cmdline.match(begun.map((stat) => table.argv(stat.pid).join(" ")));
  return begun.filter((_, index) => results[index]);
}

/** comm is cut at 15 bytes: only argv[0] has a longer name. */
function hasName(table: ProcessTable, stat: ProcessStat, name: string): boolean {
  const [program] = table.argv(stat.pid);
  return stat.comm === name || program !== undefined && programName(program) === name;
}

/** Names of what could have been meant, for the text of a name that matches nothing. */
function visible(table: ProcessTable): string {
  const others = [...table.processes.values()].filter((stat) => ruleAgainst(table, stat) === null);
  const names = new Set(others.map((stat) => displayName(stat, table.argv(stat.pid))));
  return names.size === 0
    ? "none but config-reloader: set shareProcessNamespace: true in the pod's spec"
    : [...names].slice(0, 10).join(", ");
}
