/**
 * `--process-name` and `--process-cmdline`: the root of the one tree of processes that match. Pure; several trees are an
 * error, since nothing says which was meant.
 */

import { ambiguous, HIDDEN, type Selection, type SelectOptions, type Trace, type Wanted } from "./choice.ts";
import { isSupervisor, isWrapper } from "./launchers.ts";
import { displayName, type ProcessStat, programName } from "../proc/process.ts";
import { forbids, isSidecar, none, noteOn, type Refusal, refusal } from "./rules.ts";
import type { ProcessTable } from "./table.ts";
import { isAncestor, isMain, mainProcesses, topOf } from "./tree.ts";

type Match = Extract<Wanted, { kind: "match" }>;

/** What `--process-name` and `--process-cmdline` match, down to the root of one tree. */
export function selectMatching(
  table: ProcessTable,
  wanted: Match,
  options: SelectOptions,
  trace?: Trace,
): Selection {
  const asked = [
    wanted.name !== null && `--process-name ${JSON.stringify(wanted.name)}`,
    wanted.cmdline && `--process-cmdline "${wanted.cmdline.source}"`,
  ].filter(Boolean).join(" and ");
  const mains = mainProcesses(table);
  const matching = new Set<ProcessStat>();
  let refused: Refusal | null = null;
  for (const stat of findMatches(table, wanted)) {
    const code = forbids(table, stat);
    if (code !== null) {
      trace?.(stat, noteOn(code));
      refused ??= refusal(table, stat, asked);
    } else if (!isMain(mains, table, topOf(table, stat))) {
      trace?.(stat, "matches, but was started beside a container's first process (exec or probe)");
    } else {
      trace?.(stat, "matches");
      matching.add(stat);
    }
  }
  // `sh -c "app"`, `tini app` and `s6-supervise app` match what they start: not meant where that matches too.
  for (const stat of [...matching]) {
    const startsAnother = [...matching].some((other) => isAncestor(table, stat, other));
    const isLauncher = isWrapper(stat, options.signal) || isSupervisor(table, stat);
    if (startsAnother && isLauncher) matching.delete(stat);
  }
  const roots = [...matching].filter((stat) =>
    ![...matching].some((other) => isAncestor(table, other, stat))
  );
  if (roots.length === 1) {
    const workers = matching.size - 1;
    return {
      kind: "process",
      stat: roots[0]!,
      reason: `matches ${asked}${workers > 0 ? `, the root of ${workers + 1} that do` : ""}`,
    };
  }
  if (roots.length > 1) {
    return ambiguous(table, roots, `${roots.length} separate processes match ${asked}`, asked);
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

function findMatches(table: ProcessTable, { name, cmdline }: Match): ProcessStat[] {
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
  const others = [...table.processes.values()].filter((stat) => forbids(table, stat) === null);
  const names = new Set(others.map((stat) => displayName(stat, table.argv(stat.pid))));
  return names.size === 0
    ? "none but config-reloader: set shareProcessNamespace: true in the pod's spec"
    : [...names].slice(0, 10).join(", ");
}
