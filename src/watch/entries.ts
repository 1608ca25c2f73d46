/**
 * What the reader remembers: one entry a file, with its state now, at the look before, and when it last counted. Nothing
 * here touches the disk; no entry keeps bytes from one look to the next.
 */

import { comparePaths, hasHighUnits } from "./listing.ts";
import type { FileProblem, FileStat } from "./read_file.ts";
import type { Candidate, Scan } from "./scan.ts";
import type { Settling } from "./settle.ts";
import type { Observation, Snapshot, SnapshotFile } from "../model.ts";

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
  /** False where it changed while it was read. */
  stable: boolean;
  /** Its times were old enough when it was read for `stat` to stand for its content. */
  trusted: boolean;
  /** What the look before found; null at the first, and where it was not listed. */
  before:
    | { readonly stat: FileStat | null; readonly digest: string | null; readonly error: string | null }
    | null;
  /** The state that last counted; null where it was no part of it. */
  counted: { readonly digest: string | null; readonly error: string | null } | null;
  /** What the last snapshot says of it, where that has no bytes: most of ten thousand files stay as they are. */
  listed: SnapshotFile | null;
}

/** All that a reader remembers from look to look. */
export interface Memory {
  readonly entries: Map<string, Entry>;
  /** The entries of the last look in order, for the usual case that the next one lists the same. */
  sorted: readonly Entry[];
  /** What `sorted` was made of. */
  sortedOf: Scan["candidates"] | null;
  /** `..data` of each volume at the last content. */
  targets: ReadonlyMap<string, string>;
  settling: Settling | null;
  /** What was told while something settles: told again until it is time for another look. */
  waiting: Observation | null;
  /** The last content, without its files where there are few; null before the first. */
  last: Snapshot | null;
  /** What was wrong with directories and patterns: at the look before, and when it last counted. */
  errorsBefore: string;
  errorsCounted: string;
  /** Something has counted, be it an error. */
  started: boolean;
  lookNo: number;
}

/** An empty memory. */
export function createMemory(): Memory {
  return {
    entries: new Map(),
    sorted: [],
    sortedOf: null,
    targets: new Map(),
    settling: null,
    waiting: null,
    last: null,
    errorsBefore: "",
    errorsCounted: "",
    started: false,
    lookNo: 0,
  };
}

/** The entries of all listed files, sorted by path; new ones are made. */
export function takeEntries(memory: Memory, scan: Scan): readonly Entry[] {
  if (scan.candidates === memory.sortedOf) {
    for (const entry of memory.sorted) {
      entry.lookNo = memory.lookNo;
      entry.bytes = null;
      entry.stable = true;
    }
    return memory.sorted;
  }
  memory.sortedOf = scan.candidates;
  let fresh = false;
  for (const candidate of scan.candidates.values()) {
    let entry = memory.entries.get(candidate.path);
    if (entry === undefined) {
      entry = createEntry(candidate);
      memory.entries.set(candidate.path, entry);
    }
    if (entry.candidate.readPath !== candidate.readPath) entry.trusted = false;
    fresh ||= entry.lookNo !== memory.lookNo - 1;
    entry.candidate = candidate;
    entry.lookNo = memory.lookNo;
    entry.bytes = null;
    entry.stable = true;
  }
  // Sorting ten thousand paths costs more than asking for their times.
  if (!fresh && memory.sorted.length === scan.candidates.size) return memory.sorted;
  const entries = Array.from(scan.candidates.keys(), (path) => memory.entries.get(path)!);
  const byUnits = (a: Entry, b: Entry) => a.path < b.path ? -1 : 1;
  const byBytes = (a: Entry, b: Entry) => comparePaths(a.path, b.path);
  memory.sorted = entries.sort(entries.some(({ path }) => hasHighUnits(path)) ? byBytes : byUnits);
  return memory.sorted;
}

function createEntry(candidate: Candidate): Entry {
  return {
    path: candidate.path,
    candidate,
    lookNo: -1,
    stat: null,
    digest: null,
    problem: null,
    bytes: null,
    stable: true,
    trusted: false,
    before: null,
    counted: null,
    listed: null,
  };
}

/**
 * True where both are the same state of the same file.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const stat = { sizeBytes: 3, mtimeMs: 1, ctimeMs: 1, ino: 7, dev: 1, mode: 0o644, nlink: 1 };
 * assert.equal(isSameStat(stat, { ...stat }), true);
 * assert.equal(isSameStat(stat, { ...stat, ino: 8 }), false); // another file was renamed over it
 * assert.equal(isSameStat(stat, null), false);
 * ```
 */
export function isSameStat(a: FileStat | null, b: FileStat | null): boolean {
  if (a === b) return true;
  return a !== null && b !== null && a.sizeBytes === b.sizeBytes && a.mtimeMs === b.mtimeMs &&
    a.ctimeMs === b.ctimeMs && a.ino === b.ino && a.dev === b.dev;
}

/** True where this look found the file other than the look before. */
export function hasMoved({ before, stat, digest, problem }: Entry): boolean {
  return before === null || before.digest !== digest || before.error !== (problem?.error ?? null) ||
    !isSameStat(stat, before.stat);
}

/** True where the file is other than when it last counted. */
export function differs({ problem, counted, digest }: Entry): boolean {
  return problem === null ? counted?.digest !== digest : counted?.error !== problem.error;
}

/** Those that a look has listed; all that are known where one of them is not listed. */
export function entriesToClose(
  memory: Memory,
  { entries }: { readonly entries: readonly Entry[] },
): Iterable<Entry> {
  return memory.entries.size === entries.length ? entries : memory.entries.values();
}

/** Sets the state of the look at `entries` aside for the next one, and forgets what neither counts nor is there. */
export function closeLook(memory: Memory, entries: Iterable<Entry>, scanErrors: string): void {
  memory.errorsBefore = scanErrors;
  if (memory.settling === null) {
    memory.errorsCounted = scanErrors;
    memory.started = true;
  }
  for (const entry of entries) {
    if (entry.lookNo === memory.lookNo) {
      if (!hasMoved(entry)) continue;
      const { stat, digest, problem } = entry;
      entry.before = { stat, digest, error: problem?.error ?? null };
    } else if (entry.counted === null) memory.entries.delete(entry.path);
    else entry.before = null;
  }
}
