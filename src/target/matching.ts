/**
 * `--process-name` and `--process-cmdline`: the root of the one tree of processes that match. Pure; several trees are an
 * error, since nothing says which was meant.
 */

import {
  none,
  NOTES,
  type Selection,
  type SelectOptions,
  several,
  type Trace,
  type Wanted,
} from "./choice.ts";
import { firstProcesses } from "./firsts.ts";
import { displayName, type ProcessStat, programName } from "../proc/process.ts";
import { isDead, isPause, isRuntime, isSidecar, isWrapper, type Refusal, refusal } from "./rules.ts";
import type { ProcessTable } from "./table.ts";
import { isAncestor, isFirst, topOf } from "./tree.ts";

type Match = Extract<Wanted, { kind: "match" }>;

/**
 * What `--process-name` and `--process-cmdline` match, down to the root of one tree.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { app, PAUSE, SIDECAR, SIGHUP, tableOf } from "../../tests/target/fake_table.ts";
 * const table = tableOf([PAUSE, SIDECAR, app(7), app(8, { ppid: 7, container: "app7" })]);
 * const wanted = { kind: "match" as const, name: "amp", cmdline: null };
 * const chosen = selectMatching(table, wanted, { wanted, signal: SIGHUP, port: null });
 * assert.equal(chosen.kind === "process" && chosen.stat.pid, 7); // the root of the tree, not its worker
 * ```
 */
export function selectMatching(
  table: ProcessTable,
  wanted: Match,
  options: SelectOptions,
  trace?: Trace,
): Selection {
  const asked = [
    wanted.name !== null && `--process-name ${JSON.stringify(wanted.name)}`,
    wanted.cmdline && `--process-cmdline "${wanted.cmdline.source.replaceAll("\\/", "/")}"`,
  ].filter(Boolean).join(" and ");
  const firsts = firstProcesses(table, options.known ?? new Map());
  const matching = new Set<ProcessStat>();
  let refused: Refusal | null = null;
  for (const stat of table.processes.values()) {
    if (isSidecar(table, stat) || !matches(table, stat, wanted)) continue;
    const why = refusal(table, stat, asked);
    if (why) {
      trace?.(stat, NOTES[why.code] ?? why.code);
      refused ??= why;
    } else if (!isFirst(firsts, table, topOf(table, stat))) {
      trace?.(stat, "matches, but was started beside a container's first process (exec or probe)");
    } else {
      trace?.(stat, "matches");
      matching.add(stat);
    }
  }
  // `sh -c "app"` and `tini app` match what they start: they are not meant where that matches too.
  for (const stat of [...matching]) {
    const startsAnother = [...matching].some((other) => isAncestor(table, stat, other));
    if (startsAnother && isWrapper(table, stat, options.signal)) matching.delete(stat);
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
  if (roots.length > 1) return several(table, roots, `${roots.length} separate processes match ${asked}`);
  if (refused) return { kind: "none", ...refused };
  return none("not-there", `No process matches ${asked}; visible are ${visible(table)}`, true);
}

function matches(
  table: ProcessTable,
  stat: ProcessStat,
  wanted: Match,
): boolean {
  const argv = table.argv(stat.pid);
  if (wanted.cmdline) {
    wanted.cmdline.lastIndex = 0;
    if (argv.length === 0 || !wanted.cmdline.test(argv.join(" "))) return false;
  }
  const { name } = wanted;
  if (name === null) return true;
  // comm is cut at 15 bytes: a longer name can only be told by argv[0] or the executable.
  if (stat.comm === name || (argv.length > 0 && (argv[0] === name || programName(argv[0]!) === name))) {
    return true;
  }
  const exe = table.exe(stat.pid)?.replace(/ \(deleted\)$/, "");
  return exe !== undefined && (exe === name || programName(exe) === name);
}

/** Names of what could have been meant, for the text of a name that matches nothing. */
function visible(table: ProcessTable): string {
  const names = new Set<string>();
  for (const stat of table.processes.values()) {
    const argv = table.argv(stat.pid);
    if (
      stat.kernelThread || isSidecar(table, stat) || isPause(stat, argv) || isRuntime(stat, argv) ||
      isDead(stat)
    ) continue;
    names.add(displayName(stat, argv));
    if (names.size === 10) break;
  }
  return names.size === 0
    ? "none but config-reloader: set shareProcessNamespace: true in the pod's spec"
    : [...names].join(", ");
}
