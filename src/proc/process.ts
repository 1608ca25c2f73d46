/**
 * The texts of /proc/PID as values: stat, status, cmdline, environ, cgroup and mountinfo's first line; and the listening
 * sockets of /proc/net/tcp. Pure parsing; `reader.ts` does the reading. Must never trust a name: comm and command line are
 * written by the process itself.
 */

/** What /proc/PID/stat has of a process. */
export interface ProcessStat {
  readonly pid: number;
  /** The kernel's comm, at most 15 bytes; may hold any byte, also `)` and spaces. */
  readonly comm: string;
  /**
   * One letter of proc(5): R, S, D, T, t, Z, X, …; X as soon as it is on its way there. Its memory goes first then, and
   * with it its command line and executable: for some milliseconds it looks like one that has not begun.
   */
  readonly state: string;
  /** 0: its parent is outside this PID namespace (a container's first process, an exec, a kernel thread). */
  readonly ppid: number;
  readonly kernelThread: boolean;
  /** User and system time in clock ticks. */
  readonly cpuTicks: number;
  /** Start in clock ticks since boot (field 22, proc(5)); 100 a second on Linux. */
  readonly startTicks: number;
  /** Signals 1 to 31 as masks, fields 32 to 34: those that its first thread blocks, that it ignores, and has a handler for. */
  readonly blocked: number;
  readonly ignored: number;
  readonly caught: number;
}

/** What /proc/PID/status has beyond stat. */
export interface ProcessStatus {
  /** PID of the thread group; differs from the PID asked for where that is a thread. */
  readonly tgid: number;
  /** Real user ID. */
  readonly uid: number;
}

/** Kernel's PF_KTHREAD, include/linux/sched.h. */
const FLAG_KERNEL_THREAD = 0x00200000;
/** PF_EXITING of the same file: set before anything of the process is taken away (do_exit, kernel/exit.c). */
const FLAG_EXITING = 0x00000004;

/**
 * Parses /proc/PID/stat. The fields start after the last `)`, since comm may hold anything.
 * @throws when it is not a stat line
 */
export function parseStat(text: string): ProcessStat {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  const fields = text.slice(close + 2).split(" ", 32);
  const flags = Number(fields[6]);
  const startTicks = Number(fields[19]);
  // Of a zombie the other threads may still be there, with all that it had open.
  const isEnding = fields[0] === "Z" ? Number(fields[17]) > 1 : (flags & FLAG_EXITING) !== 0;
  if (open < 1 || close < open || !Number.isSafeInteger(startTicks)) {
    throw new Error(
      `Cannot parse process state ${JSON.stringify(text.slice(0, 80))}: not a line of /proc/PID/stat`,
    );
  }
  return {
    pid: Number(text.slice(0, open)),
    comm: text.slice(open + 1, close),
    state: isEnding ? "X" : fields[0]!,
    ppid: Number(fields[1]),
    kernelThread: (flags & FLAG_KERNEL_THREAD) !== 0,
    cpuTicks: Number(fields[11]) + Number(fields[12]),
    startTicks,
    blocked: Number(fields[29]),
    ignored: Number(fields[30]),
    caught: Number(fields[31]),
  };
}

/**
 * Parses /proc/PID/status. The kernel escapes line ends in the name, so a name cannot fake a field.
 * @throws when a field is missing
 */
export function parseStatus(text: string): ProcessStatus {
  return {
    tgid: Number(field(text, "Tgid")),
    uid: Number(field(text, "Uid").split("\t", 1)[0]),
  };
}

function field(text: string, name: string): string {
  const start = text.indexOf(`\n${name}:\t`);
  if (start < 0) throw new Error(`Cannot parse process status: no line ${JSON.stringify(name)}`);
  const from = start + name.length + 3;
  return text.slice(from, text.indexOf("\n", from));
}

/** Parses /proc/PID/cmdline: arguments end in NUL; empty for zombies, kernel threads and just after an exec. */
export function parseCmdline(text: string): string[] {
  // A process that writes its own title (nginx, postgres) leaves a tail of NULs behind.
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0) end--;
  return end === 0 ? [] : text.slice(0, end).split("\0");
}

/** Parses /proc/PID/environ: variables end in NUL; of two with one name the first counts, as for getenv(3). */
export function parseEnviron(text: string): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const line of text.split("\0")) {
    const equals = line.indexOf("=");
    if (equals > 0) variables[line.slice(0, equals)] ??= line.slice(equals + 1);
  }
  return variables;
}

/** Base name of a program path; of a title such as `nginx: master process` the program's name. */
export function programName(argv0: string): string {
  const title = argv0.indexOf(": ");
  const path = title > 0 ? argv0.slice(0, title) : argv0;
  return path.slice(path.lastIndexOf("/") + 1);
}

/** A process writes argv[0] as it likes, up to megabytes. */
const NAME_LENGTH_MAX = 64;

/**
 * Name for people: base name of argv[0], or comm where there is no command line, or a title in its place that may hold
 * arguments (`npm exec x --password=y`).
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const stat = parseStat("7 (node) S 1 7 7 0 -1 4194560 1 0 0 0 2 1 0 0 20 0 1 0 88123 0 0");
 * assert.equal(displayName(stat, ["/usr/bin/amp", "--port=80"]), "amp");
 * assert.equal(displayName(stat, ["npm exec x --password=y"]), "node"); // this title holds arguments
 * ```
 */
export function displayName(stat: ProcessStat, argv: readonly string[]): string {
  const name = argv.length > 0 ? programName(argv[0]!) : "";
  return name === "" || name.length > NAME_LENGTH_MAX || /\s/.test(name) ? stat.comm : name;
}

/** A container's ID as Docker, containerd, CRI-O and Podman put it into the cgroup's name. */
const CONTAINER_ID = /[0-9a-f]{64}(?![0-9a-f])/g;

/**
 * The container a process belongs to, from /proc/PID/cgroup: the last container ID in it. With a private cgroup
 * namespace (cgroup v2) the reader's own container shows as `0::/` and has none, the others as `0::/../…ID…`.
 * Null where no ID is in it: then the path alone proves nothing.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const id = "4f".repeat(32);
 * assert.equal(containerId(`0::/../cri-containerd-${id}.scope`), id);
 * assert.equal(containerId("0::/"), null); // our own container, seen from inside
 * ```
 */
export function containerId(cgroup: string): string | null {
  for (const line of cgroup.split("\n")) {
    const ids = line.match(CONTAINER_ID);
    if (ids) return ids[ids.length - 1]!;
  }
  return null;
}

/** ID of the first mount in /proc/PID/mountinfo: unique on the machine, so the same only in one mount namespace. */
export function firstMountId(mountinfo: string): string {
  return mountinfo.slice(0, Math.max(0, mountinfo.indexOf(" ")));
}

/** State TCP_LISTEN, include/net/tcp_states.h. */
const LISTEN = "0A";

/**
 * Inodes of the sockets that listen on `port`, from lines of /proc/net/tcp or /proc/net/tcp6.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const text = `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
 *  0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1
 *  1: 0100007F:1F90 0100007F:8AE2 01 00000000:00000000 00:00000000 00000000 0 0 4712 1`;
 * assert.deepEqual(parseListeners(text, 8080), ["4711"]); // the other one is a connection
 * ```
 */
export function parseListeners(text: string, port: number): string[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return text.split("\n").map((line) => line.trim().split(/\s+/))
    .filter(([, address, , state, , , , , , inode]) => address?.endsWith(local) && state === LISTEN && inode)
    .map((fields) => fields[9]!);
}

/** Whether the lines go beyond the listening sockets: Linux lists those first. */
export function isPastListeners(text: string): boolean {
  return /\d: \S+ \S+ (?!0A)/.test(text);
}
