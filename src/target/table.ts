/**
 * The process table of one moment, as selection sees it: the state of every process, and the rest read only for those
 * that selection asks about. What identity (PID, start time, name) keeps safe is remembered between two tables.
 * It decides nothing.
 */

import type { ProcReader } from "../proc/reader.ts";
import { containerId, type ProcessStat, type ProcessStatus } from "../proc/process.ts";
import { hasSignal } from "../proc/signals.ts";
import { parseListeners } from "../proc/sockets.ts";

/** A look at all processes. The methods may be called for any PID in `processes`. */
export interface ProcessTable {
  readonly selfPid: number;
  readonly selfUid: number;
  readonly processes: ReadonlyMap<number, ProcessStat>;
  argv(pid: number): readonly string[];
  /** The container, as an opaque key: equal for processes of one container only. */
  container(pid: number): string;
  /** Its state now, where `processes` has that of the moment of the table; null when it is gone. */
  statNow(pid: number): ProcessStat | null;
  /** Read afresh at each call; null when it is gone. */
  status(pid: number): ProcessStatus | null;
  /** Null where it may not be read: another user's, or a process that is not dumpable. */
  exe(pid: number): string | null;
  /** Whether every thread blocks the signal: then a signalfd takes it, and nothing dies of it. */
  blocks(pid: number, signal: number): boolean;
  /** The machine's uptime in ms, to 10 ms; the same throughout one table. */
  uptimeMs(): number;
  /** Age in ms, to 20 ms. */
  ageMs(stat: ProcessStat): number;
  /** Whether /proc keeps other users' processes from us (hidepid). */
  isHidden(): boolean;
  /** Those of `pids` that hold a socket listening on the TCP port. */
  listeners(pids: readonly number[], port: number): number[];
}

/** Makes tables; one maker serves the whole run, since it remembers what cannot have changed. */
export interface TableMaker {
  /**
   * All processes; with `only` just that one and ourselves, where a PID is given and nothing else matters.
   * @throws when /proc cannot be listed, or is that of another PID namespace than ours
   */
  look(only?: number): ProcessTable;
}

interface Known {
  readonly startTicks: number;
  readonly comm: string;
  argv: readonly string[] | null;
  container: string | null;
}

/** One clock tick of /proc in ms: USER_HZ is 100 on every architecture Deno runs on. */
export const TICK_MS = 10;

/**
 * `nowMs` is monotonic and counts from this process's start; it serves where /proc/uptime is not the machine's.
 * `rememberArgv`: false where the user's pattern looks at command lines, since a process may write its own (nginx does
 * some time after its start). The rules that hold everywhere look at the name, too, which is part of the identity.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createProcReader } from "../proc/reader.ts";
 * const table = createTableMaker(createProcReader(), () => performance.now(), true).look();
 * const self = table.processes.get(Deno.pid)!;
 * assert.ok(table.argv(self.pid)[0]?.endsWith("deno"));
 * assert.ok(table.ageMs(self) < table.uptimeMs());
 * ```
 */
export function createTableMaker(reader: ProcReader, nowMs: () => number, rememberArgv: boolean): TableMaker {
  const selfPid = Deno.pid;
  const selfUid = Deno.uid() ?? 0;
  let known = new Map<number, Known>();
  let checked = false;

  const look = (only?: number): ProcessTable => {
    if (!checked) {
      const seen = reader.self();
      if (seen !== selfPid) {
        throw new Error(
          `Cannot use /proc: it shows this process as ${seen ?? "nothing"} instead of PID ${selfPid}, ` +
            "so it belongs to another process namespace; mount the container's own /proc",
        );
      }
      checked = true;
    }
    const processes = new Map<number, ProcessStat>();
    const kept = new Map<number, Known>();
    let hidden = 0;
    // A thread has an entry, too, although none is listed.
    const isThread = only !== undefined && reader.status(only)?.tgid !== only;
    for (const pid of only === undefined ? reader.pids() : isThread ? [selfPid] : [only, selfPid]) {
      const stat = reader.stat(pid);
      if (stat === null) continue;
      if (stat === "hidden") {
        hidden++;
        continue;
      }
      processes.set(pid, stat);
      const old = known.get(pid);
      if (old && old.startTicks === stat.startTicks && old.comm === stat.comm) kept.set(pid, old);
    }
    known = kept;
    const recall = (pid: number): Known => {
      let entry = kept.get(pid);
      if (!entry) {
        const { startTicks, comm } = processes.get(pid)!;
        kept.set(pid, entry = { startTicks, comm, argv: null, container: null });
      }
      return entry;
    };
    let uptimeMs: number | null = null;
    const uptime = () => uptimeMs ??= readUptime(reader, processes.get(selfPid), nowMs());
    return {
      selfPid,
      selfUid,
      processes,
      argv: (pid) => {
        const entry = recall(pid);
        if (entry.argv) return entry.argv;
        const argv = reader.argv(pid);
        // Just after an exec the command line is empty for up to 1 ms: that must not be remembered.
        if (rememberArgv && argv.length > 0) entry.argv = argv;
        return argv;
      },
      container: (pid) => recall(pid).container ??= readContainer(reader, pid),
      statNow: (pid) => {
        const stat = reader.stat(pid);
        return stat === "hidden" ? null : stat;
      },
      status: (pid) => reader.status(pid),
      exe: (pid) => reader.exe(pid),
      blocks: (pid, signal) => {
        const threads = reader.threads(pid);
        return threads.length > 0 && threads.every((thread) => hasSignal(thread.blocked, signal));
      },
      uptimeMs: uptime,
      ageMs: (stat) => uptime() - stat.startTicks * TICK_MS,
      isHidden: () => hidden > 0 || / \/proc [^\n]*\bhidepid=[12ip]/.test(reader.mountinfo(selfPid) ?? ""),
      listeners: (pids, port) => {
        const inodes = [
          ...parseListeners(reader.net("tcp"), port),
          ...parseListeners(reader.net("tcp6"), port),
        ];
        if (inodes.length === 0) return [];
        return pids.filter((pid) => {
          const sockets = reader.sockets(pid);
          return sockets !== null && inodes.some((inode) => sockets.has(inode));
        });
      },
    };
  };
  return { look };
}

/** Where no container ID is in the cgroup, its path and the mount namespace together tell containers apart. */
function readContainer(reader: ProcReader, pid: number): string {
  const cgroup = reader.cgroup(pid);
  const id = containerId(cgroup);
  if (id !== null) return id;
  const mount = reader.mountId(pid);
  // Nothing to read at all: a container of its own, so that it is neither merged with another nor taken for ours.
  return cgroup === "" && mount === "" ? `pid ${pid}` : `${cgroup}mount ${mount}`;
}

/**
 * Time since boot. lxcfs shows a container's own uptime in /proc/uptime while start times stay the machine's: where
 * our own age by it is impossible, the start of our own process is the anchor instead.
 */
function readUptime(reader: ProcReader, self: ProcessStat | undefined, sinceStartMs: number): number {
  const uptimeMs = reader.uptimeMs();
  if (!self) return uptimeMs ?? 0;
  const startedMs = self.startTicks * TICK_MS;
  const possible = uptimeMs !== null && uptimeMs - startedMs >= sinceStartMs - 1000;
  return possible ? uptimeMs : startedMs + sinceStartMs;
}
