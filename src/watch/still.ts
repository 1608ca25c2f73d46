/**
 * A quiet look: asks, on the calling thread and without opening anything, whether the few named files in swapped volumes
 * are byte for byte what the last look has read. It keeps their descriptors for that. Where anything is not just as it
 * was, an ordinary look has to find out; this one never says what is different.
 */

import type { Observation } from "../model.ts";
import { type Entry, isSameStat, type Memory } from "./entries.ts";
import type { Guard } from "./guard.ts";
import { digestOf, isStat, readStatSync } from "./read_file.ts";

/** However still it is, an ordinary look is made each so-many-th time. */
const ORDINARY_EVERY = 12;
/** So many descriptors are kept at most. */
const FILES_MAX = 8;
/** Larger content is hashed, which costs less than to keep it for comparison. */
const BYTES_MAX = 64 * 1024;

/** The quiet look of one reader. */
export interface Still {
  /** What the last look of `memory` has found, if all of it is there unchanged; else null. */
  again(memory: Memory): Observation | null;
  /** Keeps what `observation`, the look just made, is about; drops what was kept where it is no case for this. */
  keep(memory: Memory, entries: readonly Entry[], observation: Observation): Promise<void>;
  /** Gives back all that is kept. */
  close(): void;
}

interface Kept {
  readonly entry: Entry;
  /** Of the very inode that `entry` was read from: while it is open, that number belongs to no other file. */
  readonly file: Deno.FsFile;
  /** The content as hexadecimal digits: two texts are compared 30 times faster than two arrays. */
  hex: string;
}

/** Makes one that keeps nothing yet; `guard` bounds the opening, which is asynchronous. */
export function createStill(guard: Guard): Still {
  let kept: Kept[] = [];
  let found: Observation | null = null;
  let lookNo = -1;
  let times = 0;
  const buffer = new Uint8Array(BYTES_MAX + 1);

  const drop = () => {
    for (const { file } of kept) file.close();
    kept = [];
    found = null;
  };

  /** The whole content as digits; null where it is longer than it was. */
  const read = (file: Deno.FsFile, sizeBytes: number): string | null => {
    file.seekSync(0, Deno.SeekMode.Start);
    const count = file.readSync(buffer.subarray(0, sizeBytes + 1)) ?? 0;
    return count === sizeBytes ? buffer.subarray(0, count).toHex() : null;
  };

  const keepOne = async (entry: Entry): Promise<boolean> => {
    const { stat, digest } = entry;
    const { readPath } = entry.candidate;
    const file = await guard.run(readPath, () => Deno.open(readPath).catch(() => null));
    if (file === null || stat === null) return false;
    const one = { entry, file, hex: "" };
    kept.push(one);
    const info = file.statSync();
    const isSame = info.isFile && info.ino === stat.ino && info.dev === stat.dev;
    const hex = isSame ? read(file, stat.sizeBytes) : null;
    one.hex = hex ?? "";
    return hex !== null && await digestOf(Uint8Array.fromHex(hex)) === digest;
  };

  return {
    again: (memory) => {
      if (found === null || lookNo !== memory.lookNo || ++times % ORDINARY_EVERY === 0) return null;
      try {
        for (const [dir, target] of memory.targets) {
          if (Deno.readLinkSync(`${dir}/..data`) !== target) return null;
        }
        for (const { entry, file, hex } of kept) {
          const stat = readStatSync(entry.candidate.readPath);
          if (!isStat(stat) || !isSameStat(stat, entry.stat) || stat.nlink === 0) return null;
          if (read(file, stat.sizeBytes) !== hex) return null;
        }
        return found;
      } catch {
        return null;
      }
    },
    keep: async (memory, entries, observation) => {
      drop();
      if (!isCase(memory, entries, observation)) return;
      for (const entry of entries) {
        if (!await keepOne(entry).catch(() => false)) return drop();
      }
      found = observation;
      lookNo = memory.lookNo;
    },
    close: drop,
  };
}

/** Whether all there is to know is in few and small payload files of volumes, and nothing is wrong with any of them. */
function isCase(memory: Memory, entries: readonly Entry[], observation: Observation): boolean {
  if (observation.kind !== "content" || observation.skipped.length > 0 || memory.settling !== null) {
    return false;
  }
  if (entries.length > FILES_MAX || memory.targets.size === 0) return false;
  const sizeBytes = entries.reduce((sum, { stat }) => sum + (stat?.sizeBytes ?? 0), 0);
  return sizeBytes <= BYTES_MAX &&
    entries.every(({ candidate, problem, stat, digest, counted }) =>
      candidate.literal && candidate.volume !== null && problem === null && stat !== null && stat.nlink > 0 &&
      digest !== null && counted?.digest === digest
    );
}
