/**
 * One `Deno.watchFs` on the directories of a plan: whether it may be opened or closed now, opening and closing, and
 * how many events are borne and passed on. Reads none.
 *
 * For each event the thread behind it opens the event's path to compare files; if that is a FIFO, it waits for a writer with a
 * lock held, for ever even if the FIFO is removed, and the next open or close of a watcher then freezes the whole process
 * (Deno 2.9.6).
 */

import { commonParent, joinPath } from "../paths.ts";
import type { Clock, TakeHint } from "../ports.ts";
import { messageOf } from "../text.ts";
import { type Disk, orNull } from "./disk.ts";
import type { Plan } from "./plan.ts";

/** What may come at once, and how much of it goes on for ever. */
type Rate = { readonly burst: number; readonly perSecond: number };

/**
 * Beyond it a directory is too busy to be watched: an update of a volume has 10 events, a checkout thousands; each costs
 * about 30 µs, most of it in the thread behind `Deno.watchFs`.
 */
export const EVENTS: Rate = { burst: 5_000, perSecond: 200 };
/** Hints beyond it are gathered for `GATHER_MS`. */
const HINTS: Rate = { burst: 50, perSecond: 20 };
const GATHER_MS = 50;

/** The kernel's function in which open(2) of a FIFO waits for the other side (fs/pipe.c). */
const WAITS_FOR_WRITER = "wait_for_partner";
/** Numbers of open and openat on x86-64, and of openat on arm64. */
const OPEN_CALLS = new Set(["2", "257", "56"]);
/** So often, with this pause between, a thread must be seen waiting. */
const STUCK_LOOKS = 3;
const STUCK_PAUSE_MS = 10;
/** Entries looked at in search of a FIFO; beyond it the thread itself must tell. */
const ENTRIES_MAX = 20_000;

/** Why nothing is watched: a limit of the kernel, or all directories went away after the look. */
export interface NoWatch {
  readonly why: "limit" | "gone" | "refused";
  readonly reason: string;
}

/** Opens a watch on what is there of `plan`. `onError` takes what the kernel does not want, with the directory it is about. */
export function openWatch(
  plan: Plan,
  onError: (error: string, path: string) => void,
): Deno.FsWatcher | NoWatch {
  const paths = new Set(watchedPaths(plan));
  let reason = "nothing is there that could be watched";
  let isGone = paths.size > 0;
  while (plan.dirs.keys().some((dir) => paths.has(dir))) {
    try {
      return Deno.watchFs([...paths], { recursive: false });
    } catch (error) {
      reason = messageOf(error);
      // It went away, or may not be read: the others are watched without it.
      const bad = [...paths].find((path) => reason.includes(JSON.stringify(path)));
      onError(reason, bad ?? "");
      const limit = limitOf(reason);
      if (limit !== null) {
        return {
          why: "limit",
          reason: `${limit} is used up; all processes of this user on the node share it`,
        };
      }
      isGone &&= error instanceof Deno.errors.NotFound && bad !== undefined;
      if (bad === undefined) break;
      paths.delete(bad);
    }
  }
  return isGone
    ? { why: "gone", reason: "a directory went away" }
    : { why: "refused", reason: `no directory can be watched: ${reason}` };
}

/**
 * Closes it. Watches are counted by path: one that is opened before the old one is gone never tells anything. And the old one
 * is gone only a turn of the event loop after `reading`, the reading of its events, has ended (Deno 2.9.6).
 */
export async function closeWatch(
  watcher: Deno.FsWatcher,
  reading: Promise<void>,
  clock: Pick<Clock, "sleep">,
): Promise<void> {
  try {
    watcher.close();
  } catch {
    // It ended by itself.
  }
  await reading;
  await clock.sleep(0);
}

/**
 * The planned directories, and before them what lies above all of them. Deno passes an event on only if its path, links
 * resolved, lies below a path of the watcher: so none for a link that leads to where nothing is watched yet. And it compares
 * an event with the paths in their order.
 */
export function watchedPaths({ dirs }: Plan): string[] {
  const planned = [...dirs.keys()];
  return [...new Set([commonParent(planned), ...planned])];
}

/** The name of the limit behind an error; Deno gives no code for either. */
function limitOf(message: string): string | null {
  if (/file watch limit|os error 28/i.test(message)) {
    return "the kernel's limit of watches (fs.inotify.max_user_watches)";
  }
  if (/os error 24/.test(message)) {
    return "the kernel's limit of inotify instances (fs.inotify.max_user_instances)";
  }
  return null;
}

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

/** Makes a bucket of tokens that fills up again with time. Each call takes one, and is false where there is none left. */
export function createBudget({ burst, perSecond }: Rate, clock: Pick<Clock, "nowMs">): () => boolean {
  let tokens = burst;
  let atMs = clock.nowMs();
  return () => {
    const nowMs = clock.nowMs();
    tokens = Math.min(burst, tokens + (nowMs - atMs) / 1000 * perSecond) - 1;
    atMs = nowMs;
    return tokens >= 0;
  };
}

/**
 * Passes hints on; those of events a little later and together where there are very many. Without, 2,000 writes a second to
 * a file of a `--watched-dir` cost 697 ms of CPU a second with `--watch-method inotify`, and 225 with it (100 writes: 220
 * and 122; one run on a loaded machine).
 */
export function gatherHints(hint: TakeHint, clock: Clock, signal: AbortSignal): TakeHint {
  const take = createBudget(HINTS, clock);
  let isGathering = false;
  return (cause) => {
    if (cause !== "event") return hint(cause);
    if (isGathering) return;
    if (take()) return hint(cause);
    isGathering = true;
    clock.sleep(GATHER_MS, signal).then(() => {
      isGathering = false;
      if (!signal.aborted) hint(cause);
    });
  };
}
