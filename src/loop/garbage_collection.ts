/**
 * Gives memory back after a certain amount of work. V8 lets garbage of a mostly idle process lie until its heap has
 * grown far beyond what a small memory limit allows (measured: 10 to 86 MiB over 60,000 requests), and a limit on its
 * heap crashes it instead. It decides nothing, and does nothing if the engine has no such call.
 */

/** Units of work between two collections; one takes 4 to 6 ms. */
const WORK_MAX = 100;
/** What a reload counts for: it reads, hashes, asks and tells. */
export const RELOAD_WORK = 10;

/**
 * Makes a counter of work: call it with the units done (1 for an answered request).
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * let collections = 0;
 * const work = createCollector(() => collections++);
 * work(99);
 * assert.equal(collections, 0);
 * work(1);
 * assert.equal(collections, 1);
 * ```
 */
export function createCollector(
  collect: (() => void) | undefined = (globalThis as { gc?: () => void }).gc,
): (work: number) => void {
  let done = 0;
  return (work) => {
    done += work;
    if (done < WORK_MAX) return;
    done = 0;
    collect?.();
  };
}
