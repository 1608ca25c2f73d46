/**
 * One look at the disk: lists, asks for times, hashes, and makes sure that no volume was swapped meanwhile. Says as soon
 * as it can that the content has changed. Judges nothing.
 */

import { type Entry, isSameStat, type Memory, takeEntries } from "./entries.ts";
import { hashAll, type ReadAllOptions, statAll } from "./read_all.ts";
import { type Scan, type ScanContext, scanSources, type Source } from "./scan.ts";
import type { Look } from "./compare.ts";

/** How to look. */
export interface LookOptions {
  readonly sources: readonly Source[];
  readonly scan: ScanContext;
  readonly read: ReadAllOptions;
  /** Volumes count at once; else they settle like all others. */
  readonly swapsAreFinal: boolean;
  readonly delayMs: number;
}

/** `torn`: a volume was swapped meanwhile, look again. `replacedDir`: a volume was torn down under its mount. */
export type LookResult = Look | "torn" | { readonly replacedDir: string };

/** Looks once; `tell` is called where a change is likely, before anything is hashed. */
export async function lookOnce(memory: Memory, options: LookOptions, tell: () => void): Promise<LookResult> {
  memory.lookNo++;
  const scan = await scanSources(options.sources, options.scan);
  if (scan.replacedDir !== null) return { replacedDir: scan.replacedDir };
  if (scan.torn) return "torn";
  const canTell = memory.last !== null;
  const entries = takeEntries(memory, scan);
  await statAll(entries, options.read);
  const small = isSmall(entries);
  const isLikely = memory.settling === null && options.swapsAreFinal && isSwapped(memory, scan) ||
    seemsSettled(memory, entries, options);
  const hashed = hashAll(entries, small, options.read);
  // What the caller begins now goes on beside the disk's answers.
  if (canTell && isLikely) tell();
  await hashed;
  if (await isTorn(entries, scan)) {
    memory.sortedOf = null;
    return "torn";
  }
  const beside = await findBeside(entries);
  if (beside.length > 0) {
    await statAll(beside, options.read);
    await hashAll(beside, small, options.read);
  }
  return { scan, entries, small };
}

/** Up to here every look hashes everything (the original's limits). */
const SMALL_FILES_MAX = 100;
const SMALL_BYTES_MAX = 1024 * 1024;

function isSmall(entries: readonly Entry[]): boolean {
  if (entries.length > SMALL_FILES_MAX) return false;
  return entries.reduce((sum, entry) => sum + (entry.stat?.sizeBytes ?? 0), 0) <= SMALL_BYTES_MAX;
}

function isSwapped(memory: Memory, scan: Scan): boolean {
  for (const [dir, { target }] of scan.volumes) if (memory.targets.get(dir) !== target) return true;
  return false;
}

/** Before anything is hashed: will this look, as far as sizes and times tell, decide about a change? */
function seemsSettled(
  { settling }: Memory,
  entries: readonly Entry[],
  { delayMs, read }: LookOptions,
): boolean {
  if (settling === null && delayMs > 0) return false;
  const isUnlike = ({ candidate, before, stat }: Entry) =>
    candidate.volume === null && !isSameStat(before?.stat ?? null, stat);
  if (settling === null) return entries.some(isUnlike);
  if (settling.firstReadAtMs === null || read.nowMs - settling.firstReadAtMs + 1 < delayMs) return false;
  return !entries.some(isUnlike);
}

/**
 * True where a volume was swapped while it was read. A single file is whole whatever happened: it was opened once, and
 * payload files never change. Around a swap the old payload is being removed, so several files may be a mixture.
 */
async function isTorn(entries: readonly Entry[], scan: Scan): Promise<boolean> {
  if (scan.volumes.size === 0) return false;
  if (entries.length === 1 && entries[0]!.candidate.literal && entries[0]!.problem === null) return false;
  for (const { dir, target } of scan.volumes.values()) {
    if (await Deno.readLink(`${dir}/..data`).catch(() => null) !== target) return true;
  }
  return entries.some(({ candidate, problem }) =>
    candidate.volume !== null && !candidate.literal && problem?.kind === "missing"
  );
}

/** A file that is mounted by itself into a volume's directory is no key of the volume: it is read where it is. */
async function findBeside(entries: readonly Entry[]): Promise<Entry[]> {
  const beside: Entry[] = [];
  for (const entry of entries) {
    if (entry.candidate.volume === null || entry.problem?.kind !== "missing") continue;
    const info = await Deno.lstat(entry.path).catch(() => null);
    if (info === null || info.isSymlink) continue;
    entry.candidate = { ...entry.candidate, readPath: entry.path, volume: null };
    beside.push(entry);
  }
  return beside;
}
