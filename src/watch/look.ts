/**
 * One look at the disk: lists, asks for times, reads and hashes what has to be, and makes sure that no volume was swapped
 * meanwhile. Takes the look before as a value and gives the next one; a look is never changed afterwards. Judges nothing.
 */

import type { FileState } from "../model.ts";
import { isWithin } from "../paths.ts";
import { sortPaths } from "./digest.ts";
import { type Disk, forEachLimited, leadsOutside, orNull } from "./disk.ts";
import { isSameStat, isStat, isUnchangedSync, statFile } from "./read_file.ts";
import { createFile, type FileLook, readAll, type ReadOptions } from "./reading.ts";
import {
  type Candidate,
  type ListingMemory,
  listSources,
  type Source,
  type SourceConfig,
} from "./sources.ts";

/** Longest stretch on the calling thread before others get their turn; the clock is looked at after so many files. */
const SLICE_MS_MAX = 4;
const SLICE_FILES = 32;

/** Everything that one look found. */
export interface Look extends ListingMemory {
  /** By path, in the order of paths. */
  readonly files: ReadonlyMap<string, FileLook>;
  /** All there is to watch is one named file: its digest is that of the content. */
  readonly single: boolean;
  /** What keeps the content from being complete, besides files. */
  readonly errors: readonly FileState[];
  /** What is left out of the content, besides files. */
  readonly skipped: readonly FileState[];
}

/** How to look. */
export interface LookOptions extends ReadOptions {
  readonly config: SourceConfig;
  readonly sources: readonly Source[];
  readonly nowMs: number;
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>;
  /** Is called before anything is hashed: with the volumes, and whether a plain file has other times than before. */
  readonly onTimes: (volumes: Look["volumes"], plainMoved: boolean) => void;
}

/** `torn`: a volume was swapped meanwhile, look again. `replacedDir`: a volume was torn down under its mount. */
export type LookResult = Look | "torn" | { readonly replacedDir: string };

/** Looks once. Throws nothing that the disk does. */
export async function takeLook(before: Look | null, options: LookOptions): Promise<LookResult> {
  const { config, sources, disk, full } = options;
  const memory = full && before !== null ? { ...before, listings: new Map() } : before;
  const found = await listSources(config, sources, disk, memory, options);
  const { replacedDir, torn, ...listed } = found;
  if (replacedDir !== null) return { replacedDir };
  if (torn) return "torn";
  const { candidates, volumes } = listed;
  const isSameList = candidates === before?.candidates;
  // Sorting ten thousand paths costs more than asking for their times.
  const paths = isSameList ? [...before.files.keys()] : sortPaths([...candidates.keys()]);
  const wanted = paths.map((path) => candidates.get(path)!);
  const stated = await statAll(wanted, before, options);
  const reading = readAll(stated, options);
  // What the caller begins now goes on beside the disk's answers.
  options.onTimes(volumes, stated.some((file) => isMoved(file, before)));
  const read = await reading;
  if (await isTorn(read, volumes, disk)) return "torn";
  const isSame = before !== null && before.files.size === read.length &&
    read.every((file) => before.files.get(file.path) === file);
  const files = isSame ? before.files : new Map(read.map((file) => [file.path, file]));
  const single = sources.length === 1 && read.length === 1 && read[0]!.named;
  return { ...listed, files, single };
}

/** Looks at the times of every file; one that is as before is the same value. */
async function statAll(
  candidates: readonly Candidate[],
  before: Look | null,
  { disk, pause }: LookOptions,
): Promise<FileLook[]> {
  const files: FileLook[] = new Array(candidates.length);
  const one = async (i: number) => {
    const candidate = candidates[i]!;
    files[i] = await statOne(candidate, before?.files.get(candidate.path) ?? null, disk);
  };
  if (!disk.local) {
    await forEachLimited([...candidates.keys()], one);
    return files;
  }
  let sliceEndMs = performance.now() + SLICE_MS_MAX;
  for (let i = 0; i < candidates.length; i++) {
    const known = before?.files.get(candidates[i]!.path);
    if (known !== undefined && isUnchanged(known, candidates[i]!)) files[i] = known;
    else await one(i);
    if (i % SLICE_FILES !== 0 || performance.now() < sliceEndMs) continue;
    await pause();
    sliceEndMs = performance.now() + SLICE_MS_MAX;
  }
  return files;
}

function isUnchanged(known: FileLook, candidate: Candidate): boolean {
  return known.problem === null && known.stat !== null && known.roots === null &&
    known.readPath === candidate.readPath && isUnchangedSync(known.readPath, known.stat);
}

/** A plain file has other times than before. */
function isMoved(file: FileLook, before: Look | null): boolean {
  if (file.volume !== null) return false;
  const known = before?.files.get(file.path);
  return known !== file && !isSameStat(known?.stat ?? null, file.stat);
}

async function statOne(candidate: Candidate, before: FileLook | null, disk: Disk): Promise<FileLook> {
  if (candidate.roots !== null) {
    const real = await orNull(disk.realPath(candidate.readPath));
    const isInside = real === null || candidate.roots.some((root) => isWithin(real, root));
    if (!isInside) return createFile(candidate, leadsOutside(real!));
    candidate = { ...candidate, readPath: real ?? candidate.readPath };
  }
  const stat = await statFile(disk, candidate.readPath, before?.stat ?? null);
  if (isStat(stat)) {
    const { readPath, volume } = candidate;
    const isSame = before !== null && before.problem === null && before.stat === stat &&
      before.readPath === readPath && before.volume?.target === volume?.target;
    return isSame ? before : { ...createFile(candidate), stat };
  }
  const beside = stat.kind === "missing" && candidate.volume !== null
    ? await findBeside(candidate, disk)
    : null;
  return beside === null ? createFile(candidate, stat) : await statOne(beside, before, disk);
}

/** A file that is mounted by itself into a volume's directory is no key of the volume: it is read where it is. */
async function findBeside(candidate: Candidate, disk: Disk): Promise<Candidate | null> {
  const info = await orNull(disk.lstat(candidate.path));
  return info === null || info.isSymlink ? null : { ...candidate, readPath: candidate.path, volume: null };
}

/**
 * True where a volume was swapped while it was read. A single file is whole whatever happened: it was opened once, and
 * payload files never change. Around a swap the old payload is being removed, so several files may be a mixture.
 */
async function isTorn(files: readonly FileLook[], volumes: Look["volumes"], disk: Disk): Promise<boolean> {
  if (volumes.size === 0) return false;
  if (files.length === 1 && files[0]!.named && files[0]!.problem === null) return false;
  for (const { dir, target } of volumes.values()) {
    if (await orNull(disk.readLink(`${dir}/..data`)) !== target) return true;
  }
  return files.some(({ volume, named, problem }) => volume !== null && !named && problem?.kind === "missing");
}
