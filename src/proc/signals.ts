/** Numbers of signals on Linux (signal(7)), to look them up in the masks of /proc/PID/status. */

const NAMES =
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP " +
  "TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";

/**
 * Number of a signal by its name with `SIG`, the same on x86-64 and ARM.
 * @throws for a name Linux does not have
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(signalNumber("SIGHUP"), 1);
 * assert.equal(signalNumber("SIGPOLL"), signalNumber("SIGIO"));
 * assert.throws(() => signalNumber("SIGEMT"), /no such signal/);
 * ```
 */
export function signalNumber(signal: Deno.Signal): number {
  const short = signal === "SIGPOLL" ? "IO" : signal.slice(3);
  const index = NAMES.split(" ").indexOf(short);
  if (index < 0) throw new Error(`Cannot use signal ${JSON.stringify(signal)}: Linux has no such signal`);
  return index + 1;
}

/**
 * Whether a mask of /proc/PID/status holds the signal.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * // A program that catches SIGHUP (1) and SIGTERM (15): `SigCgt: 0000000000004001`.
 * assert.equal(hasSignal(0x4001, 15), true);
 * assert.equal(hasSignal(0x4001, 2), false);
 * ```
 */
export function hasSignal(mask: number, signal: number): boolean {
  return ((mask >>> (signal - 1)) & 1) === 1;
}
