/**
 * Chooses the one process that may be signalled, or says why there is none. Pure: a table of one moment in, one answer
 * out. Must never answer with a process that `refusal` refuses, and never with a guess among several.
 */

import { selectAuto } from "./auto.ts";
import { selectMatching } from "./matching.ts";
import { isPid, PID_MAX } from "../linux.ts";
import { refusal } from "./rules.ts";
import type { ProcessTable } from "./table.ts";
import { HIDDEN, none, type Selection, type SelectOptions, type Trace } from "./choice.ts";

/**
 * The choice itself; see the contract, "Choosing the target".
 */
export function select(table: ProcessTable, options: SelectOptions, trace?: Trace): Selection {
  const { wanted } = options;
  const chosen = wanted.kind === "auto"
    ? selectAuto(table, options, trace)
    : wanted.kind === "pid"
    ? selectPid(table, wanted.pid, wanted.asked)
    : selectMatching(table, wanted, options, trace);
  if (chosen.kind === "none") return chosen;
  const refused = refusal(table, chosen.stat, "");
  return refused ? { kind: "none", ...refused } : chosen;
}

function selectPid(table: ProcessTable, pid: number, asked: string): Selection {
  if (!isPid(pid)) {
    return none("bad-pid", `Cannot use ${asked}: a PID is an integer from 1 to ${PID_MAX}`);
  }
  const stat = table.processes.get(pid);
  if (!stat) {
    const leader = table.status(pid)?.tgid;
    if (leader !== undefined && leader !== pid) {
      return none(
        "bad-pid",
        `Cannot signal PID ${pid}, named by ${asked}: it is a thread of PID ${leader}; use ${leader}`,
      );
    }
    if (table.isHidden()) {
      return none(
        "hidden-proc",
        `Cannot see PID ${pid}, named by ${asked}, as one of this user's: ${HIDDEN}`,
        true,
      );
    }
    return none(
      "not-there",
      `Cannot signal PID ${pid}, named by ${asked}: there is no such process now`,
      true,
    );
  }
  const refused = refusal(table, stat, asked);
  return refused ? { kind: "none", ...refused } : { kind: "process", stat, reason: `named by ${asked}` };
}
