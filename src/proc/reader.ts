/**
 * Reads /proc. Synchronous on purpose: /proc is memory (12 to 17 µs a file), and a promise would cost more than the read.
 * What has vanished is null, never an error; it must never write, and never follow anything a process can choose.
 */

import {
  firstMountId,
  isPastListeners,
  parseCmdline,
  parseEnviron,
  parseListeners,
  parseStat,
  parseStatus,
  type ProcessStat,
  type ProcessStatus,
} from "./process.ts";

/** One /proc; the root is another directory in tests only. */
export interface ProcReader {
  /** PIDs of all processes that /proc lists; threads are not listed. @throws when /proc cannot be listed */
  pids(): number[];
  /** Null when it is gone; `hidden` when /proc is mounted with hidepid and shows the entry without its content. */
  stat(pid: number): ProcessStat | null | "hidden";
  status(pid: number): ProcessStatus | null;
  /** Empty when it is gone too. */
  argv(pid: number): string[];
  /** Its environment at its start; null where it may not be read (another user's), or is gone. */
  environ(pid: number): Readonly<Record<string, string>> | null;
  /** Whole text of the cgroup file; empty when it is gone or unreadable. */
  cgroup(pid: number): string;
  /** See `firstMountId`; empty when unreadable. */
  mountId(pid: number): string;
  /** Whole text of mountinfo, which every user may read; null when it is gone. */
  mountinfo(pid: number): string | null;
  /** Path of the executable; null where it may not be read (another user, or not dumpable). */
  exe(pid: number): string | null;
  /** All threads, each like a process; empty when it is gone. */
  threads(pid: number): ProcessStat[];
  /**
   * All sockets of this network namespace that listen on the TCP port, as `descriptors` names them; or the first one alone,
   * which costs hardly anything.
   */
  listening(port: number, isOneEnough: boolean): ReadonlySet<string>;
  /** What its descriptors lead to, in their order (`socket:[4711]`); nothing where they may not be read (another user's). */
  descriptors(pid: number): Generator<string>;
  /** Time since boot in ms, to 10 ms; null when it cannot be read. */
  uptimeMs(): number | null;
  /** The PID of this process as this /proc has it; null where it has none. */
  self(): number | null;
}

/** About two lines of /proc/net/tcp; the kernel gives less only at the end. */
const SOCKET_LINES_BYTES = 256;
/** A command line may have megabytes; the longest of real programs (Java's class paths) have some ten KiB. */
const CMDLINE_BYTES_MAX = 64 * 1024;
/** Holds the number at the start of a file. The kernel makes only as many lines as are asked for: 15 µs instead of 50. */
const START_BYTES = 32;

/** A reader of the /proc mounted at `root`. */
export function createProcReader(root = "/proc"): ProcReader {
  const read = (path: string) => readText(`${root}/${path}`);
  return {
    pids: () => {
      const names = Array.from(Deno.readDirSync(root), ({ name }) => name);
      return names.filter((name) => /^[1-9]/.test(name)).map(Number);
    },
    stat: (pid) => readStat(`${root}/${pid}`),
    status: (pid) => {
      const content = read(`${pid}/status`);
      return content === null ? null : parseStatus(content);
    },
    argv: (pid) => parseCmdline(readStart(`${root}/${pid}/cmdline`, CMDLINE_BYTES_MAX)),
    environ: (pid) => {
      const content = read(`${pid}/environ`);
      return content === null ? null : parseEnviron(content);
    },
    cgroup: (pid) => read(`${pid}/cgroup`) ?? "",
    mountId: (pid) => firstMountId(readStart(`${root}/${pid}/mountinfo`, START_BYTES)),
    mountinfo: (pid) => read(`${pid}/mountinfo`),
    exe: (pid) => readLink(`${root}/${pid}/exe`),
    threads: (pid) =>
      (readNames(`${root}/${pid}/task`) ?? []).map((tid) => readStat(`${root}/${pid}/task/${tid}`))
        .filter((found) => found !== null && found !== "hidden"),
    listening: (port, isOneEnough) => {
      const sockets = new Set<string>();
      for (const file of ["tcp", "tcp6"]) {
        if (isOneEnough && sockets.size > 0) break;
        const inodes = readListeners(`${root}/net/${file}`, port, isOneEnough);
        for (const inode of inodes) sockets.add(`socket:[${inode}]`);
      }
      return sockets;
    },
    descriptors: function* (pid) {
      for (const fd of readNames(`${root}/${pid}/fd`) ?? []) yield readLink(`${root}/${pid}/fd/${fd}`) ?? "";
    },
    uptimeMs: () => {
      const seconds = parseFloat(read("uptime") ?? "");
      return Number.isFinite(seconds) ? seconds * 1000 : null;
    },
    self: () => {
      const name = readLink(`${root}/self`);
      return name === null ? null : Number(name);
    },
  };
}

/** ENOENT and ESRCH: it went away; EACCES: not ours to read. All mean that nothing is known: null. */
function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

const readText = (path: string) => orNull(() => Deno.readTextFileSync(path));
const readLink = (path: string) => orNull(() => Deno.readLinkSync(path));
const readNames = (path: string) => orNull(() => Array.from(Deno.readDirSync(path), ({ name }) => name));

function readStat(path: string): ProcessStat | null | "hidden" {
  try {
    return parseStat(Deno.readTextFileSync(`${path}/stat`));
  } catch (error) {
    return error instanceof Deno.errors.PermissionDenied ? "hidden" : null;
  }
}

const decoder = new TextDecoder();
/** Reading is synchronous, so one buffer serves all. */
const buffer = new Uint8Array(CMDLINE_BYTES_MAX);

/** The first bytes of a file, as many as are asked for, by one read; empty where it is gone. */
function readStart(path: string, bytesMax: number): string {
  return orNull(() => {
    using file = Deno.openSync(path);
    const piece = buffer.subarray(0, bytesMax);
    return decoder.decode(piece.subarray(0, file.readSync(piece) ?? 0));
  }) ?? "";
}

/**
 * Inodes of the sockets that listen on the port; or of those that are found with the first one. Linux lists listening
 * sockets first. What comes after them costs the kernel a walk through a hash table of the whole machine (1 to 3 ms with
 * 262,144 entries), and 50 µs for each connection, so the file is read in small pieces, and no further than is needed.
 */
function readListeners(path: string, port: number, isOneEnough: boolean): string[] {
  const found: string[] = [];
  // No IPv6, or no /proc/net: nothing listens that can be seen.
  orNull(() => {
    using file = Deno.openSync(path);
    const piece = buffer.subarray(0, SOCKET_LINES_BYTES);
    let rest = "";
    for (let count: number | null = piece.length; count === piece.length;) {
      count = file.readSync(piece);
      rest += decoder.decode(piece.subarray(0, count ?? 0));
      const end = rest.lastIndexOf("\n") + 1;
      const lines = rest.slice(0, end);
      found.push(...parseListeners(lines, port));
      if (isPastListeners(lines) || isOneEnough && found.length > 0) break;
      rest = rest.slice(end);
    }
  });
  return found;
}
