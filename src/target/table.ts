/**
 * The process table of one moment, as selection sees it: the state of every process, and the rest read when selection
 * asks for it. Nothing is remembered from one table to the next. It decides nothing.
 */

import type { ProcReader } from "../proc/reader.ts";
import { containerId, type ProcessStat, type ProcessStatus } from "../proc/process.ts";
import { hasSignal } from "../linux.ts";

/** A look at all processes. The methods may be called for any PID in `processes`. */
export interface ProcessTable {
  /** This process. */
  readonly self: ProcessStat;
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
  blocks(pid: number, signal: Deno.Signal): boolean;
  /** Age in ms, to 20 ms. */
  ageMs(stat: ProcessStat): number;
  /** Whether /proc keeps other users' processes from us (hidepid). */
  isHidden(): boolean;
  /** Whether any process in our network namespace, so in the pod, listens on the TCP port. */
  isListening(port: number): boolean;
  /** Whether this process is seen to hold such a socket; another user's descriptors may not be read. */
  listens(pid: number, port: number): boolean;
}

/** One clock tick of /proc in ms: USER_HZ is 100 on every architecture Deno runs on. */
export const TICK_MS = 10;

/**
 * So many descriptors are looked at, since any process of the pod may open as many as it likes. The listening socket is one
 * of the first; servers have thousands.
 */
const DESCRIPTORS_OF_ONE_MAX = 1000;
/** The same for all processes of a container: some 50 ms. */
const DESCRIPTORS_MAX = 5000;

/**
 * Reads the table. `sinceStartMs`: how long this process has been running; used where /proc/uptime is not the machine's.
 * @throws when /proc cannot be listed, or is that of another PID namespace than ours
 */
export function readTable(reader: ProcReader, sinceStartMs: number): ProcessTable {
  const selfPid = Deno.pid;
  const processes = new Map<number, ProcessStat>();
  let isAnyHidden = false;
  for (const pid of reader.pids()) {
    const stat = reader.stat(pid);
    if (stat === "hidden") isAnyHidden = true;
    else if (stat !== null) processes.set(pid, stat);
  }
  const self = processes.get(selfPid);
  const seen = self === undefined ? null : reader.self();
  if (self === undefined || seen !== selfPid) {
    throw new Error(
      `Cannot use /proc: it shows this process as ${seen ?? "nothing"} instead of PID ${selfPid}, ` +
        "so it belongs to another process namespace; mount the container's own /proc",
    );
  }
  const uptimeMs = once(() => readUptime(reader, self, sinceStartMs));
  // Mostly the first socket that listens there is the one that is asked about.
  const firstSocket = once((port) => reader.listening(port, true));
  const sockets = once((port) => reader.listening(port, false));
  const container = once((pid) => readContainer(reader, pid));
  const descriptorsLeft = new Map<string, number>();
  const holds = (pid: number, port: number): boolean => {
    const key = container(pid);
    let left = descriptorsLeft.get(key) ?? DESCRIPTORS_MAX;
    const seen: string[] = [];
    const found = reader.descriptors(pid).take(Math.min(left, DESCRIPTORS_OF_ONE_MAX)).some((descriptor) => {
      left--;
      seen.push(descriptor);
      return firstSocket(port).has(descriptor);
    });
    descriptorsLeft.set(key, left);
    return found || seen.some((descriptor) => sockets(port).has(descriptor));
  };
  return {
    self,
    selfUid: Deno.uid() ?? 0,
    processes,
    argv: once((pid) => reader.argv(pid)),
    container,
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
    ageMs: (stat) => uptimeMs(0) - stat.startTicks * TICK_MS,
    isHidden: () => isAnyHidden || / \/proc [^\n]*\bhidepid=[12ip]/.test(reader.mountinfo(selfPid) ?? ""),
    isListening: (port) => firstSocket(port).size > 0,
    listens: (pid, port) => firstSocket(port).size > 0 && holds(pid, port),
  };
}

/** Reads each value once for the whole table. */
function once<T>(read: (key: number) => T): (key: number) => T {
  const known = new Map<number, T>();
  return (key) => {
    if (!known.has(key)) known.set(key, read(key));
    return known.get(key)!;
  };
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
function readUptime(reader: ProcReader, self: ProcessStat, sinceStartMs: number): number {
  const uptimeMs = reader.uptimeMs();
  const startedMs = self.startTicks * TICK_MS;
  const possible = uptimeMs !== null && uptimeMs - startedMs >= sinceStartMs - 1000;
  return possible ? uptimeMs : startedMs + sinceStartMs;
}
