/** Numbers of Linux that more than one room needs: signals and their masks, PIDs. */

/** Signals by number, from 1 on (signal(7): the same on x86-64 and ARM). The real-time signals have no name in Deno. */
export const SIGNALS = (
  "SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM " +
  "SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO " +
  "SIGPWR SIGSYS"
).split(" ") as readonly Deno.Signal[];

/** Whether a mask of /proc/PID/stat holds the signal. */
export function hasSignal(mask: number, signal: Deno.Signal): boolean {
  return ((mask >>> SIGNALS.indexOf(signal)) & 1) === 1;
}

/** Largest PID: PID_MAX_LIMIT of include/linux/threads.h on 64-bit. */
export const PID_MAX = 4194304;

/** True for an integer that can be one process: `Deno.kill` takes NaN, 0 and 2^32 for our group, 1.5 for 1. */
export function isPid(pid: number): boolean {
  return Number.isSafeInteger(pid) && pid >= 1 && pid <= PID_MAX;
}
