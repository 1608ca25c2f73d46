/** Numbers of signals on Linux (signal(7)), to look them up in the masks of /proc/PID/status. */

const NAMES =
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP " +
  "TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";

/**
 * Number of a signal by its name with `SIG`, the same on x86-64 and ARM.
 * @throws for a name Linux does not have
 */
export function signalNumber(signal: Deno.Signal): number {
  const short = signal === "SIGPOLL" ? "IO" : signal.slice(3);
  const index = NAMES.split(" ").indexOf(short);
  if (index < 0) throw new Error(`Cannot use signal ${JSON.stringify(signal)}: Linux has no such signal`);
  return index + 1;
}

/** Whether a mask of /proc/PID/status holds the signal. */
export function hasSignal(mask: number, signal: number): boolean {
  return ((mask >>> (signal - 1)) & 1) === 1;
}
