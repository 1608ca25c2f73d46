/** Waiting in tests: poll until a deadline, never a bare sleep; and times that do not depend on who else uses the machine. */

/** How long something is waited for that a busy machine may take its time for, such as a start from source. */
export const WAIT_MS = 60_000;

/** Lets time pass until what comes next is clearly later than what was, also by the clocks of files and processes. */
export async function clearlyLater(): Promise<void> {
  const beganMs = performance.now();
  await until("the clocks to tell the difference", () => performance.now() - beganMs > 60);
}

/**
 * Polls `probe` every `everyMs` until it returns something other than undefined, null or false, and returns that.
 * @throws after `timeoutMs`, or at the first look in vain after `isOver`, naming `what` and the last value seen.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { timeoutMs = WAIT_MS, everyMs = 10, isOver = (): boolean => false } = {},
): Promise<NonNullable<T>> {
  const beganMs = performance.now();
  let last: unknown;
  let isLast: boolean;
  do {
    isLast = isOver() || performance.now() > beganMs + timeoutMs;
    try {
      const value = await probe();
      if (value !== undefined && value !== null && value !== false) return value as NonNullable<T>;
      last = value;
    } catch (error) {
      last = error;
    }
    if (!isLast) await new Promise((resolve) => setTimeout(resolve, everyMs));
  } while (!isLast);
  throw new Error(`Waited ${Math.round(performance.now() - beganMs)} ms in vain for ${what}; last: ${last}`);
}

/**
 * Milliseconds that `action` takes, without those in which this thread and the main thread of process `pid` stood in the
 * queue of a busy machine's processors.
 */
export async function ownMs(pid: number, action: () => Promise<unknown>): Promise<number> {
  const queuedMs = () =>
    ["thread-self", pid].map((who) =>
      Number(Deno.readTextFileSync(`/proc/${who}/schedstat`).split(" ")[1]) / 1e6
    )
      .reduce((sum, ms) => sum + ms);
  const before = performance.now() - queuedMs();
  await action();
  return performance.now() - queuedMs() - before;
}
