/**
 * Whether kernel events may be used: when they are worth their price, which limit of the kernel they have met, and whether a
 * `Deno.watchFs` may be opened or closed now. For each event its thread opens the event's path to compare files; if that is a
 * FIFO, it waits for a writer with a lock held, for ever even if the FIFO is removed, and the next open or close of a watcher
 * then freezes the whole process (Deno 2.9.6). Opens and closes nothing itself.
 */

import { joinPath } from "../../paths.ts";
import type { Clock } from "../../ports.ts";
import { type Disk, orNull } from "../disk.ts";

/** What may come at once, and how much of it goes on for ever. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/**
 * Beyond it a directory is too busy to be watched: an update of a volume has 10 events, a checkout thousands; each costs
 * about 30 µs, most of it in the thread behind `Deno.watchFs`.
 */
export const EVENTS: Rate = { burst: 5_000, perSecond: 200 };
/** Hints that are given at once; beyond it they are gathered for `GATHER_MS`. */
export const HINTS: Rate = { burst: 50, perSecond: 20 };
/** How long hints beyond their budget are gathered. */
export const GATHER_MS = 50;
/** First and longest pause before events are tried again after they were given up. */
const PAUSE_MS = 60_000;
const PAUSE_MS_MAX = 600_000;

/** A bucket of tokens that fills up again with time. */
export interface Budget {
  readonly tokens: number;
  readonly atMs: number;
}

/** A full budget. */
export function createBudget({ burst }: Rate, nowMs: number): Budget {
  return { tokens: burst, atMs: nowMs };
}

/** Takes one; `tokens` below zero means that there were none left. */
export function take({ tokens, atMs }: Budget, { burst, perSecond }: Rate, nowMs: number): Budget {
  return { tokens: Math.min(burst, tokens + (nowMs - atMs) / 1000 * perSecond) - 1, atMs: nowMs };
}

/** How long to do without events: 1 minute, doubling up to 10. */
export function nextPauseMs(previousMs: number | null): number {
  return previousMs === null ? PAUSE_MS : Math.min(previousMs * 2, PAUSE_MS_MAX);
}

/** Pause before a watcher that broke `times` times in a row is opened again: 50 ms, doubling up to 25 s. */
export function breakPauseMs(times: number): number {
  return 50 * 2 ** Math.min(times - 1, 9);
}

/** The name of the limit behind an error; Deno gives no code for either. */
export function limitOf(message: string): string | null {
  if (/file watch limit|os error 28/i.test(message)) {
    return "the kernel's limit of watches (fs.inotify.max_user_watches)";
  }
  if (/os error 24/.test(message)) {
    return "the kernel's limit of inotify instances (fs.inotify.max_user_instances)";
  }
  return null;
}

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
