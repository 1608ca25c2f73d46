/**
 * Tells whether the thread behind `Deno.watchFs` hangs. For each event it opens the event's path to compare files; if
 * that is a FIFO, it waits for a writer with a lock held, for ever even if the FIFO is removed, and the next `watchFs`
 * or `close` of a watcher then freezes the whole process (Deno 2.9.6). The kernel says where each thread waits.
 */

/** The kernel's function in which open(2) of a FIFO waits for the other side (fs/pipe.c). */
const WAITS_FOR_WRITER = "wait_for_partner";
/** Numbers of open and openat on x86-64, and of openat on arm64. */
const OPEN_CALLS = new Set(["2", "257", "56"]);

/**
 * Finds the thread and remembers it; the answer is false where there is none or /proc does not say.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(createNotifyThread().isStuck(), false); // nothing is being watched
 * ```
 */
export function createNotifyThread(): { isStuck(): boolean } {
  let thread: string | null = null;
  return {
    // Synchronous: /proc is memory, and nothing may come between the question and the act.
    isStuck: () => {
      try {
        thread ??= findThread();
        if (thread === null) return false;
        const channel = Deno.readTextFileSync(`${thread}/wchan`);
        if (channel !== "0" && channel !== "") return channel === WAITS_FOR_WRITER;
        // Kernels that hide the name still tell the system call of the own threads.
        return OPEN_CALLS.has(Deno.readTextFileSync(`${thread}/syscall`).split(" ")[0]!);
      } catch {
        thread = null;
        return false;
      }
    },
  };
}

function findThread(): string | null {
  for (const { name } of Deno.readDirSync("/proc/self/task")) {
    const path = `/proc/self/task/${name}`;
    if (Deno.readTextFileSync(`${path}/comm`).startsWith("notify-rs")) return path;
  }
  return null;
}
