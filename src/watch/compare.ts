/**
 * Compares what a look found with the look before and with what counted last. Decides nothing about time; only
 * `areInVolumes` asks the disk.
 */

import type { FileState } from "../model.ts";
import { isInPayload } from "../proc/mountinfo.ts";
import { differs, entriesToClose, type Entry, hasMoved, type Memory } from "./entries.ts";
import { fileError } from "./read_file.ts";
import type { Scan } from "./scan.ts";

/** Changed files whose real place is looked up, to see whether a link leads into a volume. */
const LINKS_MAX = 100;

/** One look, not yet judged. */
export interface Look {
  readonly scan: Scan;
  /** Sorted by path. */
  readonly entries: readonly Entry[];
  /** Little enough to hash it all at every look. */
  readonly small: boolean;
}

/** What a look differs in. */
export interface Comparison {
  /** Something outside of atomically swapped volumes is other than when it last counted. */
  readonly plainDiffers: boolean;
  readonly volumeDiffers: boolean;
  /** Something is other than at the look before. */
  readonly moved: boolean;
  readonly differing: readonly Entry[];
  /** Counted once, and no more there. */
  readonly gone: readonly Entry[];
  /** What keeps the content from being complete. */
  readonly errors: readonly FileState[];
  /** What is no part of the content although it lies there. */
  readonly skipped: readonly FileState[];
  /** What is wrong with directories and patterns, as one text. */
  readonly scanErrors: string;
}

/** Compares; changes nothing. */
export function compareLook(memory: Memory, look: Look): Comparison {
  const { scan } = look;
  const errors = [...scan.errors];
  const skipped: FileState[] = [...scan.skipped];
  const differing: Entry[] = [];
  const scanErrors = scan.errors.map((error) => `${error.path}: ${error.error}`).join("\n");
  let moved = scanErrors !== memory.errorsBefore;
  for (const entry of look.entries) {
    moved ||= hasMoved(entry);
    if (isAbsent(entry)) continue;
    const { problem } = entry;
    if (problem === null) {
      if (differs(entry)) differing.push(entry);
      continue;
    }
    const state = fileError(entry.path, problem.error, problem.sizeBytes || (entry.stat?.sizeBytes ?? 0));
    // What never had content is left out; what had some and is a FIFO or too large now is an error.
    if (problem.kind === "skip" && !entry.candidate.literal && !wasContent(entry)) skipped.push(state);
    else {
      errors.push(state);
      if (differs(entry)) differing.push(entry);
    }
  }
  const gone: Entry[] = [];
  for (const entry of entriesToClose(memory, look)) {
    const isListed = entry.lookNo === memory.lookNo;
    if (isListed && !isAbsent(entry)) continue;
    if (wasContent(entry)) gone.push(entry);
    if (!isListed && entry.before !== null) moved = true;
  }
  const isPlain = (entry: Entry) => entry.candidate.volume === null;
  const all = [...differing, ...gone];
  return {
    plainDiffers: scanErrors !== memory.errorsCounted || all.some(isPlain),
    volumeDiffers: !all.every(isPlain),
    moved,
    differing,
    gone,
    errors,
    skipped,
    scanErrors,
  };
}

/** What vanished between the listing and the read is as if it had not been listed. */
function isAbsent({ problem, candidate }: Entry): boolean {
  return problem?.kind === "missing" && !candidate.literal;
}

function wasContent({ counted }: Entry): boolean {
  return (counted?.digest ?? null) !== null;
}

/** At the start nothing but their times tells how long plain files have been quiet. */
export function isFresh(entries: readonly Entry[], wallMs: number, delayMs: number): boolean {
  return entries.some(({ candidate, stat }) =>
    candidate.volume === null && stat !== null && Math.abs(wallMs - stat.ctimeMs) < delayMs
  );
}

/** True where all that differs are links into atomically swapped volumes elsewhere. */
export async function areInVolumes({ differing, gone }: Comparison): Promise<boolean> {
  if (differing.length > LINKS_MAX || gone.length > 0) return false;
  for (const { path, candidate, stat } of differing) {
    if (candidate.volume !== null) continue;
    if (stat === null) return false;
    const real = await Deno.realPath(path).catch(() => "");
    if (!isInPayload(real)) return false;
  }
  return differing.length > 0;
}
