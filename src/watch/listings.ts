/**
 * Remembers which directories the last scan has listed and what their times were, so that a tree in which no directory
 * has changed is not listed again: a name that comes, goes or is replaced changes its directory's times. Only for disks
 * that are not behind a network. Decides nothing about files.
 */

import type { VolumeFinder } from "./volumes.ts";

/** Deno gives the change time in whole seconds: so long after it another change has another one. */
const FIRM_MS = 2_000;
/** The kernel stamps directories by a clock that ticks up to 10 ms late. */
const TICK_MS_MAX = 20;
/** More directories are listed each time. */
const DIRS_MAX = 1_000;
/** A directory that had no more entries is listed on the calling thread: 12 ms for 10,000 in place of 18. */
const SYNC_ENTRIES_MAX = 20_000;

/** What is remembered from scan to scan. */
export interface ListingMemory<T> {
  last: Listed<T> | null;
  /** Entries of each directory at its last listing. */
  counts: ReadonlyMap<string, number>;
}

interface Listed<T> {
  readonly found: T;
  readonly stamps: ReadonlyMap<string, string>;
  /** Where `..data` was looked for, and what it pointed to. */
  readonly targets: ReadonlyMap<string, string | null>;
  readonly listedWallMs: number;
  /** Newest times of the directories. */
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

/** How one scan may use the memory. */
export interface Reuse<T> {
  readonly memory: ListingMemory<T>;
  readonly wallMs: number;
  /** Everything is listed anew. */
  readonly full: boolean;
  /** A look between two others that settle a change: the directories' own times are proof enough for it. */
  readonly brief: boolean;
}

/** The listings of one scan. */
export interface Recording<T> {
  /** To be called right before `dir` is listed. True where that may be done on the calling thread. */
  begin(dir: string): boolean;
  end(dir: string, entries: number): void;
  /** The names alone do not tell what there is: a link was followed. */
  spoil(): void;
  /** The scan is complete, and this is what it found. */
  keep(found: T, finder: VolumeFinder): void;
}

/** Makes the recording of one scan; null: nothing is kept, and nothing listed on the calling thread. */
export function createRecording<T>(reuse: Reuse<T> | null): Recording<T> {
  const stamps = new Map<string, string>();
  const counts = new Map<string, number>();
  let [mtimeMs, ctimeMs] = [0, 0];
  let isSpoiled = false;
  return {
    begin: (dir) => {
      if (reuse === null) return false;
      try {
        const info = Deno.statSync(dir);
        stamps.set(dir, stampOf(info));
        mtimeMs = Math.max(mtimeMs, info.mtime?.getTime() ?? Infinity);
        ctimeMs = Math.max(ctimeMs, info.ctime?.getTime() ?? Infinity);
      } catch {
        isSpoiled = true;
      }
      return (reuse.memory.counts.get(dir) ?? Infinity) <= SYNC_ENTRIES_MAX;
    },
    end: (dir, entries) => void counts.set(dir, entries),
    spoil: () => {
      isSpoiled = true;
    },
    keep: (found, finder) => {
      if (reuse === null) return;
      reuse.memory.counts = counts;
      if (isSpoiled || stamps.size === 0 || stamps.size > DIRS_MAX) return;
      const targets = new Map([...finder.asked].map(([dir, volume]) => [dir, volume?.target ?? null]));
      reuse.memory.last = { found, stamps, targets, listedWallMs: reuse.wallMs, mtimeMs, ctimeMs };
    },
  };
}

/** What the last scan found, where no directory has changed since; else null. Tells `finder` of the volumes, too. */
export async function recallListing<T>(reuse: Reuse<T>, finder: VolumeFinder): Promise<T | null> {
  const { last } = reuse.memory;
  reuse.memory.last = null;
  if (last === null || reuse.full) return null;
  const isFirm = last.listedWallMs - last.ctimeMs > FIRM_MS;
  if (!isFirm && !(reuse.brief && last.listedWallMs - last.mtimeMs > TICK_MS_MAX)) return null;
  for (const [dir, target] of last.targets) {
    if (((await finder.volumeAt(dir))?.target ?? null) !== target) return null;
  }
  try {
    for (const [dir, stamp] of last.stamps) if (stampOf(Deno.statSync(dir)) !== stamp) return null;
  } catch {
    return null;
  }
  reuse.memory.last = last;
  return last.found;
}

function stampOf({ dev, ino, nlink, mtime, ctime }: Deno.FileInfo): string {
  return `${dev}:${ino}:${nlink}:${mtime?.getTime()}:${ctime?.getTime()}`;
}
