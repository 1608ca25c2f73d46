/**
 * Whether a `Deno.watchFs` may be opened or closed now. For each event the thread behind it opens the event's path to compare
 * files; if that is a FIFO, it waits for a writer with a lock held, for ever even if the FIFO is removed, and the next open
 * or close of a watcher then freezes the whole process (Deno 2.9.6). Opens and closes nothing itself.
 */

import { joinPath } from "../paths.ts";
import type { Clock } from "../ports.ts";
import { type Disk, orNull } from "./disk.ts";

/** The kernel's function in which open(2) of a FIFO waits for the other side (fs/pipe.c). */
const WAITS_FOR_WRITER = "wait_for_partner";
/** Numbers of open and openat on x86-64, and of openat on arm64. */
const OPEN_CALLS = new Set(["2", "257", "56"]);
/** So often, with this pause between, a thread must be seen waiting. */
const STUCK_LOOKS = 3;
const STUCK_PAUSE_MS = 10;
/** Entries looked at in search of a FIFO; beyond it the thread itself must tell. */
const ENTRIES_MAX = 20_000;

/** True where a FIFO lies in one of the directories. */
export async function holdsFifo(dirs: Iterable<string>): Promise<boolean> {
  let left = ENTRIES_MAX;
  for (const dir of dirs) {
    try {
      for (const entry of await Array.fromAsync(Deno.readDir(dir))) {
        if (--left < 0) return false;
        if (entry.isFile || entry.isDirectory || entry.isSymlink) continue;
        if ((await Deno.lstat(joinPath(dir, entry.name)).catch(() => null))?.isFifo) return true;
      }
    } catch {
      // It went away, or nobody may read it: then nobody watches it either.
    }
  }
  return false;
}

/**
 * Whether the thread behind the watchers waits for a FIFO; false where there is none or /proc does not tell. Each event makes
 * it open a file for a moment, so only who is seen waiting again and again is stuck. False is true right now: nothing
 * comes between the last question and the act.
 */
export async function isNotifyThreadStuck(clock: Pick<Clock, "sleep">): Promise<boolean> {
  for (let i = 0; i < STUCK_LOOKS; i++) {
    if (!seemsStuck()) return false;
    await clock.sleep(STUCK_PAUSE_MS);
  }
  return seemsStuck();
}

/** Whether a watch on `dirs` may be opened or closed now; no where the disk does not say. */
export async function mayOpenOrClose(
  disk: Disk,
  clock: Pick<Clock, "sleep">,
  dirs: Iterable<string>,
): Promise<boolean> {
  const fifo = await orNull(disk.ask("fifo", () => holdsFifo(dirs))) ?? true;
  return !fifo && !await isNotifyThreadStuck(clock);
}

/** Where /proc has the thread behind the watchers. There is one for all of them, so it is looked for once, and when it is gone. */
let known: string | null = null;

function seemsStuck(): boolean {
  return waitsForWriter(known) ?? waitsForWriter(known = findThread()) ?? false;
}

/** Null where there is no such thread, or /proc does not say what it waits for. */
function waitsForWriter(thread: string | null): boolean | null {
  if (thread === null) return null;
  try {
    const channel = Deno.readTextFileSync(`${thread}/wchan`);
    if (channel !== "0" && channel !== "") return channel === WAITS_FOR_WRITER;
    // Kernels that hide the name still show the system call of the own threads.
    return OPEN_CALLS.has(Deno.readTextFileSync(`${thread}/syscall`).split(" ")[0]!);
  } catch {
    return null;
  }
}

function findThread(): string | null {
  try {
    for (const { name } of Deno.readDirSync("/proc/self/task")) {
      const path = `/proc/self/task/${name}`;
      if (Deno.readTextFileSync(`${path}/comm`).startsWith("notify-rs")) return path;
    }
  } catch {
    // A thread that ended meanwhile, or no /proc.
  }
  return null;
}
