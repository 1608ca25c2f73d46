/**
 * What a choice of the target is made of: how it was asked for, what came of it, and why there may be none. Pure; it
 * chooses nothing itself.
 */

import { displayName, type ProcessStat } from "../proc/process.ts";
import type { Target } from "../model.ts";
import { describe, nameIt, none, type Refusal } from "./rules.ts";
import type { CmdlinePattern } from "./cmdline_pattern.ts";
import type { ProcessTable } from "./table.ts";

/** How the user wants the target to be found. */
export type Wanted =
  | { readonly kind: "auto" }
  /** `asked` names the setting, for texts: `--pid 1`, `--pid-file /run/app.pid`; `again`: it may say another one soon. */
  | { readonly kind: "pid"; readonly pid: number; readonly asked: string; readonly again: boolean }
  /** Either may be null, not both; where both are given both must hold. */
  | { readonly kind: "match"; readonly name: string | null; readonly cmdline: CmdlinePattern | null };

/** Settings of one choice. */
export interface SelectOptions {
  readonly wanted: Wanted;
  readonly signal: Deno.Signal;
  /** Port of `--reload-url` where its host is this machine; null elsewhere. */
  readonly port: number | null;
  /** The status is asked on that port: no process is the application while nothing listens on it. */
  readonly mustListen: boolean;
  /** The target of before, null where there was none: it stays the target while exactly it lives. */
  readonly previous: Target | null;
}

/** The one process, or why there is none. */
export type Selection =
  | { readonly kind: "process"; readonly stat: ProcessStat; readonly reason: string }
  | Refusal;

/** Told about each process that was looked at: why it is not, or could be, the one. For `check`. */
export type Trace = (stat: ProcessStat, note: string) => void;

/** The error for more than one, which names them all. `asked`: the flags by which they were found. */
export function ambiguous(
  table: ProcessTable,
  stats: readonly ProcessStat[],
  what: string,
  asked = "",
): Refusal {
  // Ten are enough to see what is wrong, and keep the line readable.
  const shown = [...stats].sort((a, b) => a.pid - b.pid).slice(0, 10);
  const list = shown.map((stat) => describe(table, stat)).join(", ") + (stats.length > 10 ? ", …" : "");
  const message = `Cannot choose a process to signal: ${what}: ${list}; ${nameIt(asked)}`;
  const names = new Set(shown.map((stat) => displayName(stat, table.argv(stat.pid))));
  return { ...none("ambiguous", message), names: [...names] };
}

/** What to do where /proc keeps the processes of other users to itself: only those of the same user can be found. */
export const HIDDEN =
  "/proc is mounted with hidepid; mount it without, or run config-reloader as the application's " +
  "user (securityContext.runAsUser)";
