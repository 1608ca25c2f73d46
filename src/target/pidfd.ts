/**
 * Holds on to a process while it is checked and signalled, so that its PID cannot pass to another one in between
 * (pidfd_open(2), Linux 5.3). Deno has no such call, so it goes through libc; where that does not work (musl, gVisor, an
 * old seccomp profile) there is none, and `send.ts` signals by PID. Loaded at the first signal, never at start: 1 ms and
 * 30 KiB.
 */

declare const BUILD_ENGINE: string | undefined;

/** Process descriptors, or the lack of them. */
export interface Pidfds {
  /** A descriptor for the process that has this PID now; null where that does not work. */
  open(pid: number): number | null;
  /** Whether the signal was delivered; what was wrong is for kill(2) to tell. */
  send(fd: number, signal: number): boolean;
  close(fd: number): void;
}

const SYMBOLS = {
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64"], result: "i64" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

/** Numbers of the calls: the same on every architecture, since they are younger than the common table of Linux 5.1. */
const PIDFD_SEND_SIGNAL = 424n;
const PIDFD_OPEN = 434n;

/**
 * Descriptors through libc, which is loaded when the first is asked for and kept.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const pidfds = createPidfds();
 * const fd = pidfds.open(Deno.pid);
 * if (fd !== null) { // a kernel before 5.3, or another libc, has none
 *   assert.equal(pidfds.send(fd, 0), true); // signal 0 only asks
 *   pidfds.close(fd);
 * }
 * ```
 */
export function createPidfds(): Pidfds {
  let libc: Deno.DynamicLibrary<typeof SYMBOLS> | null | undefined;
  const load = () => {
    // Deno's QuickJS engine panics at calls into a library, most often the first (`ext/ffi/dlfcn.rs`, Deno 2.9.6).
    if (typeof BUILD_ENGINE !== "undefined" && BUILD_ENGINE === "quickjs") return null;
    if (libc === undefined) {
      try {
        libc = Deno.dlopen("libc.so.6", SYMBOLS);
      } catch {
        libc = null;
      }
    }
    return libc;
  };
  return {
    open: (pid) => {
      const fd = Number(load()?.symbols.syscall(PIDFD_OPEN, BigInt(pid), 0n, 0n, 0n) ?? -1);
      return fd < 0 ? null : fd;
    },
    send: (fd, signal) =>
      load()?.symbols.syscall(PIDFD_SEND_SIGNAL, BigInt(fd), BigInt(signal), 0n, 0n) === 0n,
    close: (fd) => void load()?.symbols.close(fd),
  };
}
