/** Waiting in tests: poll until a deadline, never a bare sleep. */

/** Lets time pass until what comes next is clearly later than what was, also by the clocks of files and processes. */
export async function clearlyLater(): Promise<void> {
  const beganMs = performance.now();
  await until("the clocks to tell the difference", () => performance.now() - beganMs > 60);
}

/**
 * Polls `probe` every `everyMs` until it returns something other than undefined, null or false, and returns that.
 * @throws after `timeoutMs`, naming `what` and the last value seen.
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 10 } = {},
): Promise<NonNullable<T>> {
  const end = performance.now() + timeoutMs;
  let last: unknown;
  do {
    try {
      const value = await probe();
      if (value !== undefined && value !== null && value !== false) return value as NonNullable<T>;
      last = value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  } while (performance.now() < end);
  throw new Error(`Waited ${timeoutMs} ms in vain for ${what}; last: ${last}`);
}
