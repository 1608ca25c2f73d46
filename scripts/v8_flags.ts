/** The V8 flags of the compiled product; tests give them to the children that stand for it. */

/**
 * V8 for a process that sleeps nearly always: no helpers for the garbage collection, the smallest young generation, code for size, and no optimizing
 * compilers, whose code pages cost 3 MiB and whose work never pays off here. (Sparkplug, which only translates, does: 9 % of an idle minute, 7 % of
 * a change, 0.3 ms from a swap to the signal, for 1 MiB.) An idle minute costs 9 ms of CPU with them, 53 without.
 */
export const V8_FLAGS = [
  // Not `--single-threaded`: with it the callbacks of a FinalizationRegistry never run, and each `fetch` that has a signal leaks 240
  // bytes. The two threads that V8 starts then have nothing to do.
  "--single-threaded-gc",
  "--max-semi-space-size=1",
  "--min-semi-space-size=1",
  "--optimize-for-size",
  "--no-opt",
  "--no-maglev",
  // Without it the code of a change is thrown away during a quiet hour and compiled anew, on the way to the signal.
  "--no-flush-bytecode",
  // For src/loop/garbage_collection.ts.
  "--expose-gc",
];
