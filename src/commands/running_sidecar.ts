/**
 * Finds the sidecar that runs in this container, with its arguments and variables, so that `check` and `healthcheck` ask
 * about the settings that count. Reads /proc; changes nothing.
 */

import type { RunningSidecar } from "../config.ts";
import { createProcReader, type ProcReader } from "../proc/reader.ts";
import { type ProcessStat, programName } from "../proc/process.ts";
import { isDead } from "../target/rules.ts";
import { type ProcessTable, readTable } from "../target/table.ts";
import { byAge, isSupervisor, isWrapperName, mainProcesses, topOf } from "../target/tree.ts";

/** Other commands of this program are no sidecar. */
const OTHER_COMMAND = /^(check|healthcheck|help|version|-h|--help|--version)$/;
/** How it is started from source: `deno run -A main.ts`. */
const SOURCE_NAME = "main.ts";

/** The oldest in this container that is its main process, or was started by an init, a shell or a supervisor alone. */
export function findRunningSidecar(): RunningSidecar | null {
  const reader = createProcReader();
  const table = tableOf(reader);
  if (!table) return null;
  const main = mainProcesses(table).get(table.container(table.self.pid)) ?? topOf(table, table.self);
  const found = sidecarsBelow(table, main).sort((a, b) => byAge(a.stat, b.stat))[0];
  return found
    ? { pid: found.stat.pid, args: found.args, environment: reader.environ(found.stat.pid) }
    : null;
}

function tableOf(reader: ProcReader): ProcessTable | null {
  try {
    return readTable(reader, performance.now());
  } catch {
    // A /proc of another namespace: `check` says so where it looks for the target.
    return null;
  }
}

/** Each sidecar that is `main` itself, or below it and below nothing but launchers. */
function sidecarsBelow(table: ProcessTable, main: ProcessStat): { stat: ProcessStat; args: string[] }[] {
  const found: { stat: ProcessStat; args: string[] }[] = [];
  const tree = new Set([main]);
  for (const stat of tree) {
    const isOther = stat !== table.self && !isDead(stat);
    const args = isOther ? sidecarArgs(stat, table.argv(stat.pid)) : null;
    if (args !== null) found.push({ stat, args });
    else if (isWrapperName(stat.comm) || isSupervisor(table, stat)) {
      for (const child of table.processes.values()) if (child.ppid === stat.pid) tree.add(child);
    }
  }
  return found;
}

/** The arguments of a sidecar, compiled or from source; null for any other process. */
function sidecarArgs(stat: ProcessStat, argv: readonly string[]): string[] | null {
  const [program = "", ...rest] = argv;
  const at = programName(program) === "config-reloader" || stat.comm === "config-reloader"
    ? 0
    : programName(program).startsWith("deno") && rest[0] === "run"
    ? rest.findIndex((arg) => programName(arg) === SOURCE_NAME) + 1 || -1
    : -1;
  if (at < 0) return null;
  const args = rest.slice(at);
  return args.some((arg) => OTHER_COMMAND.test(arg)) ? null : args;
}
