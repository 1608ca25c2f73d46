/** Process tables written down by hand, for tests of the pure choice. */

import { hasSignal } from "../../src/linux.ts";
import type { Target } from "../../src/model.ts";
import type { ProcessStat, ProcessStatus } from "../../src/proc/process.ts";
import type { ProcessTable } from "../../src/target/table.ts";

/** SIGHUP is signal 1. */
export const CAUGHT = 1 << 0;

/** One process; everything but the PID has a harmless value. */
export interface FakeProcess extends Partial<Omit<ProcessStat, "pid">> {
  readonly pid: number;
  readonly argv?: readonly string[];
  readonly container?: string;
  readonly uid?: number;
  readonly exe?: string | null;
  readonly listens?: number;
  /** Its descriptors may not be read. */
  readonly isPrivate?: boolean;
  readonly ageMs?: number;
}

export const SELF = 90;
export const PAUSE: FakeProcess = {
  pid: 1,
  comm: "pause",
  argv: ["/pause"],
  container: "sandbox",
  startTicks: 1,
  caught: 0x14002,
};
export const SIDECAR: FakeProcess = {
  pid: SELF,
  comm: "config-reloader",
  argv: ["/config-reloader", "--config-file", "/etc/amp/config.yaml"],
  container: "sidecar",
  startTicks: 900,
};

/** An application's first process in a container of its own. */
export function app(pid: number, more: Partial<FakeProcess> = {}): FakeProcess {
  return {
    pid,
    comm: "amp",
    argv: ["/bin/amp"],
    container: `app${pid}`,
    caught: CAUGHT,
    startTicks: 100 + pid,
    ...more,
  };
}

/** The application as a target that was looked up. */
export function targetOf(pid: number, more: Partial<Target> = {}): Target {
  return {
    pid,
    startTicks: 100 + pid,
    comm: "amp",
    name: "amp",
    uid: 65532,
    startedAtMs: 0,
    reason: "named by --pid",
    handled: true,
    ...more,
  };
}

/** What /proc/PID/stat says of such a process. */
export function statOf(process: Partial<ProcessStat> & Pick<ProcessStat, "pid">): ProcessStat {
  return {
    comm: "program",
    state: "S",
    ppid: 0,
    kernelThread: false,
    cpuTicks: 0,
    startTicks: 100,
    blocked: 0,
    ignored: 0,
    caught: 0,
    ...process,
  };
}

/** The table of these processes; the sidecar is PID 90 unless `selfPid` says otherwise. */
export function tableOf(list: readonly FakeProcess[], more: Partial<ProcessTable> = {}): ProcessTable {
  const all = new Map(list.map((process) => [process.pid, process]));
  const processes = new Map(list.map((process) => [process.pid, statOf(process)]));
  return {
    self: processes.get(SELF)!,
    selfUid: 65532,
    processes,
    argv: (pid) => all.get(pid)?.argv ?? [],
    container: (pid) => all.get(pid)?.container ?? `pid ${pid}`,
    statNow: (pid) => processes.get(pid) ?? null,
    status: (pid): ProcessStatus | null => {
      const p = all.get(pid);
      return p ? { tgid: pid, uid: p.uid ?? 65532 } : null;
    },
    exe: (pid) => {
      const exe = all.get(pid)?.exe;
      return exe === undefined ? "/bin/program" : exe;
    },
    blocks: (pid, signal) => hasSignal(all.get(pid)?.blocked ?? 0, signal),
    ageMs: (stat) => all.get(stat.pid)?.ageMs ?? 60_000,
    isHidden: () => false,
    isListening: (port) => list.some((process) => process.listens === port),
    listens: (pid, port) => !all.get(pid)?.isPrivate && all.get(pid)?.listens === port,
    ...more,
  };
}
