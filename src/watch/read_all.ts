/**
 * Brings what is known of every listed file up to date with as few disk operations as its times allow: a little content
 * is read and hashed at every look; of much content only what stat(2) says has changed, and all of it now and then.
 * Must not decide whether a change counts.
 */

import type { Guard } from "./guard.ts";
import {
  type FileProblem,
  type FileStat,
  isStat,
  readContent,
  type ReadLimits,
  readStat,
} from "./read_file.ts";
import { readStatSync } from "./read_file.ts";
import type { Candidate } from "./scan.ts";

/** Up to here every look hashes everything (the original's limits). */
const SMALL_FILES_MAX = 100;
const SMALL_BYTES_MAX = 1024 * 1024;
/** A file changed within this time before it was read may change again without a new time: it is read again next time. */
const FRESH_MS = 2_000;
/** Disk operations at once. Deno has 32 threads for all of them, and name lookups need some too. */
const CONCURRENCY = 8;
/** Longest stretch on the calling thread before others get their turn. */
const SLICE_MS_MAX = 4;

/** What is known of one file. */
export interface Entry {
  readonly path: string;
  candidate: Candidate;
  /** Number of the last look that listed it. */
  lookNo: number;
  stat: FileStat | null;
  /** Null where it could not be read. */
  digest: string | null;
  problem: FileProblem | null;
  /** Only for the look at hand. */
  bytes: Uint8Array | null;
  stable: boolean;
  /** Its times were old enough when it was read for `stat` to stand for its content. */
  trusted: boolean;
  /** What the look before found; null at the first. */
  before:
    | { readonly stat: FileStat | null; readonly digest: string | null; readonly error: string | null }
    | null;
  /** The state that last counted; null where it was no part of it. */
  counted: { readonly digest: string | null; readonly error: string | null } | null;
}

export interface ReadAllOptions {
  readonly guard: Guard;
  readonly limits: ReadLimits;
  readonly wallMs: number;
  /** Hash everything, whatever the times say. */
  readonly full: boolean;
  /** The disk is not behind a network: stat may run on the calling thread, 4 µs instead of 20. */
  readonly local: boolean;
}

/** Looks at size and times of every entry. Returns true where there is little enough to hash it all. */
export async function statAll(entries: readonly Entry[], options: ReadAllOptions): Promise<boolean> {
  if (entries.length > SMALL_FILES_MAX && options.local) await statInSlices(entries);
  else {
    await forEachLimited(entries, CONCURRENCY, async (entry) => {
      const { readPath } = entry.candidate;
      note(entry, await options.guard.run(readPath, () => readStat(readPath)) ?? noAnswer());
    });
  }
  const bytes = entries.reduce((sum, entry) => sum + (entry.stat?.sizeBytes ?? 0), 0);
  return entries.length <= SMALL_FILES_MAX && bytes <= SMALL_BYTES_MAX;
}

async function statInSlices(entries: readonly Entry[]): Promise<void> {
  let sliceEndMs = performance.now() + SLICE_MS_MAX;
  for (const entry of entries) {
    const found = readStatSync(entry.candidate.readPath);
    // The words for an error take more looks at the disk, which are rare enough to be asynchronous.
    note(entry, isStat(found) || found.kind === "skip" ? found : await readStat(entry.candidate.readPath));
    if (performance.now() < sliceEndMs) continue;
    await new Promise((resolve) => setTimeout(resolve, 0));
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
  if (entry.stat === null || !sameStat(entry.stat, found)) entry.trusted = false;
  entry.problem = null;
  entry.stat = found;
}

/** True where this look found the file other than the look before. */
export function hasMoved(entry: Entry): boolean {
  const { before, stat, digest, problem } = entry;
  if (before === null || before.digest !== digest || before.error !== (problem?.error ?? null)) return true;
  return stat === null || before.stat === null ? stat !== before.stat : !sameStat(stat, before.stat);
}

function sameStat(a: FileStat, b: FileStat): boolean {
  return a.sizeBytes === b.sizeBytes && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs &&
    a.ino === b.ino &&
    a.dev === b.dev;
}

/** Reads and hashes what has to be: everything where `small`, else what has moved or cannot be trusted. */
export async function hashAll(
  entries: readonly Entry[],
  small: boolean,
  options: ReadAllOptions,
): Promise<void> {
  const limits = small ? options.limits : { ...options.limits, keepBytes: false };
  const due = small || options.full
    ? entries
    : entries.filter((entry) => !entry.trusted || entry.digest === null || !options.local);
  await forEachLimited(due, CONCURRENCY, async (entry) => {
    const { stat } = entry;
    if (stat === null) return;
    const { readPath, volume } = entry.candidate;
    const found = await options.guard.run(readPath, () =>
      readContent(readPath, stat, limits, volume !== null)) ??
      noAnswer();
    if (found.kind !== "content") {
      entry.problem = found;
      entry.digest = null;
      return;
    }
    entry.digest = found.digest;
    entry.bytes = found.bytes;
    entry.stable = found.stable;
    entry.stat = found.stat;
    entry.trusted = found.stable && options.wallMs - found.stat.ctimeMs > FRESH_MS;
  });
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
