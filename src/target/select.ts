/**
 * Chooses the one process that may be signalled, or says why there is none. Pure: a table of one moment in, one answer
 * out. Must never answer with a process that `refusal` refuses, and never with a guess among several.
 */

import { selectAuto } from "./auto.ts";
import { selectMatching } from "./matching.ts";
import { isPid, PID_MAX } from "../linux.ts";
import { none, refusal } from "./rules.ts";
import type { ProcessTable } from "./table.ts";
import { HIDDEN, type Selection, type SelectOptions, type Trace, type Wanted } from "./choice.ts";

/** The choice itself; see the contract, "Choosing the target". */
export function select(table: ProcessTable, options: SelectOptions, trace?: Trace): Selection {
  const { wanted } = options;
  const chosen = wanted.kind === "auto"
    ? selectAuto(table, options, trace)
    : wanted.kind === "pid"
    ? selectPid(table, wanted)
    : selectMatching(table, wanted, options, trace);
  return chosen.kind === "none" ? chosen : refusal(table, chosen.stat) ?? chosen;
}

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
