/**
 * Brings what is known of every listed file up to date with as few disk operations as its times allow: a little content
 * is read and hashed at every look; of much content only what stat(2) says has changed, and all of it now and then.
 * Must not decide whether a change counts.
 */

import { type Entry, isSameStat } from "./entries.ts";
import type { Guard } from "./guard.ts";
import {
  type FileProblem,
  type FileStat,
  isStat,
  readContent,
  type ReadLimits,
  readStat,
  readStatSync,
} from "./read_file.ts";

/** From here on stat(2) on the calling thread is worth it. */
const MANY_FILES = 100;
/** A file changed within this time before it was read may change again without a new time: it is read again next time. */
const FRESH_MS = 2_000;
/** Disk operations at once. Deno has 32 threads for all of them, and name lookups need some too. */
const CONCURRENCY = 8;
/** Longest stretch on the calling thread before others get their turn. */
const SLICE_MS_MAX = 4;
/** The clock is looked at after so many files. */
const SLICE_FILES = 32;

/** How to read. */
export interface ReadAllOptions {
  readonly guard: Guard;
  readonly limits: Omit<ReadLimits, "sync">;
  readonly nowMs: number;
  readonly wallMs: number;
  /** Hash everything, whatever the times say. */
  readonly full: boolean;
  /** The disk is not behind a network: stat may run on the calling thread, 4 µs instead of 20. */
  readonly local: boolean;
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>;
}

/** Looks at size and times of every entry. */
export async function statAll(entries: readonly Entry[], options: ReadAllOptions): Promise<void> {
  if (isQuick(entries, options)) return await statInSlices(entries, options);
  await forEachLimited(entries, CONCURRENCY, async (entry) => {
    const { readPath } = entry.candidate;
    note(entry, await options.guard.run(readPath, () => readStat(readPath)) ?? noAnswer());
  });
}

/**
 * Whether stat, and the read of what is open, run on the calling thread: thousands of files, and swapped volumes, whose
 * files were just written on this machine. Opening never does: that is what takes long where something is wrong.
 */
function isQuick(entries: readonly Entry[], { local }: ReadAllOptions): boolean {
  return local &&
    (entries.length > MANY_FILES || entries.every(({ candidate }) => candidate.volume !== null));
}

async function statInSlices(entries: readonly Entry[], options: ReadAllOptions): Promise<void> {
  let sliceEndMs = performance.now() + SLICE_MS_MAX;
  let untilClock = SLICE_FILES;
  for (const entry of entries) {
    const found = readStatSync(entry.candidate.readPath, entry.problem === null ? entry.stat : null);
    // The words for an error take more looks at the disk, which are rare enough to be asynchronous.
    if (found !== entry.stat || entry.problem !== null) {
      note(entry, isStat(found) || found.kind === "skip" ? found : await readStat(entry.candidate.readPath));
    }
    if (--untilClock > 0) continue;
    untilClock = SLICE_FILES;
    if (performance.now() < sliceEndMs) continue;
    await options.pause();
    sliceEndMs = performance.now() + SLICE_MS_MAX;
  }
}

function note(entry: Entry, found: FileStat | FileProblem): void {
  if (!isStat(found)) {
    entry.problem = found;
    entry.stat = null;
    entry.digest = null;
    return;
  }
  entry.problem = null;
  if (isSameStat(entry.stat, found)) return;
  entry.trusted = false;
  entry.stat = found;
}

/** Reads and hashes what has to be: everything where `small`, else what has moved or cannot be trusted. */
export async function hashAll(
  entries: readonly Entry[],
  small: boolean,
  options: ReadAllOptions,
): Promise<void> {
  const sync = isQuick(entries, options);
  const limits = { ...options.limits, keepBytes: options.limits.keepBytes && small, sync };
  const due = small || options.full
    ? entries
    : entries.filter((entry) =>
      entry.problem === null && (!entry.trusted || entry.digest === null || !options.local)
    );
  await forEachLimited(due, CONCURRENCY, async (entry) => {
    const { stat } = entry;
    if (stat === null) return;
    const { readPath, volume } = entry.candidate;
    const found = await options.guard.run(nameOfRead(readPath), () =>
      readContent(readPath, stat, limits, volume !== null)) ??
      await explainHung(readPath, stat, options.guard);
    if (found.kind !== "content") {
      entry.problem = found;
      entry.digest = null;
      return;
    }
    entry.digest = found.digest;
    entry.bytes = found.bytes;
    entry.stable = found.stable;
    if (!isSameStat(entry.stat, found.stat)) {
      entry.stat = found.stat;
    }
    entry.trusted = found.stable && options.wallMs - found.stat.ctimeMs > FRESH_MS;
  });
}

/** A name apart from that of stat(2), which answers where a FIFO holds up the open. */
function nameOfRead(readPath: string): string {
  return `read ${readPath}`;
}

/**
 * Why a file that was regular just before, by `stat`, cannot be read. Where a FIFO took its place before it was opened
 * that read waits for ever, also when the FIFO is gone; what comes after it is read all the same.
 */
async function explainHung(readPath: string, stat: FileStat, guard: Guard): Promise<FileProblem> {
  const now = await guard.run(readPath, () => readStat(readPath));
  if (now === null || isStat(now) && now.ino === stat.ino && now.dev === stat.dev) return noAnswer();
  guard.release(nameOfRead(readPath));
  return isStat(now) ? noAnswer() : now;
}

function noAnswer(): FileProblem {
  return { kind: "failed", error: "the disk does not answer", sizeBytes: 0 };
}

/** Runs `visit` for all items, `limit` at a time. */
async function forEachLimited<T>(
  items: readonly T[],
  limit: number,
  visit: (item: T) => Promise<void>,
): Promise<void> {
  if (items.length === 1) return await visit(items[0]!);
  let next = 0;
  const worker = async () => {
    while (next < items.length) await visit(items[next++]!);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
}
