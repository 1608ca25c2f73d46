/**
 * One look at the disk: lists, asks for times, reads and hashes what has to be, and makes sure that no volume was swapped
 * meanwhile. Takes the look before as a value and gives the next one; a look is never changed afterwards. Says what differs
 * between two, and judges nothing.
 */

import { joinPath } from "../paths.ts";
import { sortPaths } from "./digest.ts";
import { type Disk, forEachLimited, orNull } from "./disk.ts";
import { isSameStat, isStat, isUnchangedSync, statFile } from "./file_stat.ts";
import { type Listing, listSources, type NoListing, type Source, type SourceConfig } from "./listing.ts";
import { createFile, type FileLook, isTrusted, readAll, type ReadOptions } from "./read_files.ts";
import type { Candidate } from "./walk.ts";

/** After so many files it is asked whether others must have their turn. */
const SLICE_FILES = 32;

/** Everything that one look found. */
export interface Look extends Listing {
  /** By path, in the order of paths. */
  readonly files: ReadonlyMap<string, FileLook>;
  /** All there is to watch is one named file: its digest is that of the content. */
  readonly single: boolean;
}

/** How to look. */
export interface LookOptions extends ReadOptions {
  readonly config: SourceConfig;
  readonly sources: readonly Source[];
  /** Lets others have their turn, where it is time. */
  readonly pause: () => Promise<void>;
  /** Is called before anything is hashed: with the volumes, and whether a plain file has other times than before. */
  readonly onTimes: (volumes: Look["volumes"], plainMoved: boolean) => void;
}

/**
 * Looks once; where `only` is given, at these files that the look before has found, and not at what came or went meanwhile.
 * Throws nothing that the disk does.
 */
export async function takeLook(
  before: Look | null,
  only: readonly string[] | null,
  options: LookOptions,
): Promise<Look | NoListing> {
  const { config, sources, disk, full, wallMs } = options;
  if (before !== null && only !== null) {
    const read = await readPaths(only, before, before, options);
    return read === "torn" ? read : { ...before, files: replaceFiles(before.files, read) };
  }
  const known = before !== null && full ? { ...before, isPlain: false } : before;
  const listed = await listSources(config, sources, disk, known, wallMs);
  if (listed === "torn" || "replacedDir" in listed) return listed;
  const isSameList = listed.candidates === before?.candidates;
  // Sorting ten thousand paths costs more than asking for their times.
  const paths = isSameList ? [...before.files.keys()] : sortPaths([...listed.candidates.keys()]);
  const read = await readPaths(paths, listed, before, options);
  if (read === "torn") return "torn";
  // A link to what was a file, or nothing, may lead to a directory now.
  if (isSameList && before.isPlain && read.values().some((file) => isNewProblem(file, before))) {
    return takeLook({ ...before, isPlain: false }, null, options);
  }
  const files = isSameList
    ? replaceFiles(before.files, read)
    : new Map(paths.map((path) => [path, read.get(path) ?? before!.files.get(path)!]));
  const single = sources.length === 1 && files.size === 1 && files.values().every(({ named }) => named);
  return { ...listed, files, single };
}

function isNewProblem({ path, problem }: FileLook, before: Look): boolean {
  return problem !== null && problem.error !== before.files.get(path)?.problem?.error;
}

/** With the files of `read` in their places; the same value where nothing is new. */
function replaceFiles(files: Look["files"], read: Look["files"]): Look["files"] {
  if (read.values().every((file) => files.get(file.path) === file)) return files;
  const replaced = new Map(files);
  for (const [path, file] of read) replaced.set(path, file);
  return replaced;
}

/** Of all files of `paths` those that have changed, or may have: a file that is not among them is as it was before. */
async function readPaths(
  paths: readonly string[],
  { candidates, volumes }: Listing,
  before: Look | null,
  options: LookOptions,
): Promise<Look["files"] | "torn"> {
  const stated = await statAll(paths, candidates, before, options);
  const reading = readAll(stated, options);
  // What the caller begins now goes on beside the disk's answers.
  options.onTimes(volumes, stated.some((file) => isMoved(file, before)));
  const read = await reading;
  const isOne = candidates.size === 1 && read.every(({ named, problem }) => named && problem === null);
  if (!isOne && await isTorn(read, volumes, options.disk)) return "torn";
  return new Map(read.map((file) => [file.path, file]));
}

/** Looks at the times of every file; gives those that have to be looked into. */
async function statAll(
  paths: readonly string[],
  candidates: Listing["candidates"],
  before: Look | null,
  { disk, pause, full, limits }: LookOptions,
): Promise<FileLook[]> {
  /** Nothing at the places of those that need not be looked into. */
  const files: (FileLook | undefined)[] = new Array(paths.length);
  const asked: number[] = [];
  // What is kept of all files together has a limit.
  const isAll = full || limits.keepBytes;
  for (let i = 0; i < paths.length; i++) {
    const path = paths[i]!;
    const known = before?.files.get(path);
    // Without a wait for each: of ten thousand nearly all are unchanged.
    if (!disk.isLocal || known === undefined || !isUnchanged(known, candidates.get(path)!)) asked.push(i);
    else if (isAll || !isTrusted(known)) files[i] = known;
    if ((i + 1) % SLICE_FILES === 0) await pause();
  }
  await forEachLimited(asked, async (i) => {
    const path = paths[i]!;
    files[i] = await statOne(candidates.get(path)!, before?.files.get(path) ?? null, disk);
  });
  return files.filter((file) => file !== undefined);
}

function isUnchanged(known: FileLook, { realPath, problem }: Candidate): boolean {
  return known.problem === null && known.stat !== null && problem === null && known.realPath === realPath &&
    isUnchangedSync(realPath, known.stat);
}

/** A plain file has other times than before. */
function isMoved(file: FileLook, before: Look | null): boolean {
  if (file.payload !== null) return false;
  const known = before?.files.get(file.path);
  return known !== file && !isSameStat(known?.stat ?? null, file.stat);
}

async function statOne(
  candidate: Candidate,
  before: FileLook | null,
  disk: Disk,
): Promise<FileLook> {
  if (candidate.problem !== null) return createFile(candidate, candidate.problem);
  const stat = await statFile(disk, candidate.realPath, before?.stat ?? null);
  if (!isStat(stat)) return createFile(candidate, stat);
  const isSame = before !== null && before.problem === null && before.stat === stat &&
    before.realPath === candidate.realPath;
  return isSame ? before : { ...createFile(candidate), stat };
}

/**
 * True where a volume was swapped while it was read. A single file is whole whatever happened: it was opened once, and
 * payload files never change. Around a swap the old payload is being removed, so several files may be a mixture.
 */
async function isTorn(
  read: readonly FileLook[],
  volumes: Look["volumes"],
  disk: Disk,
): Promise<boolean> {
  for (const [dir, target] of volumes) {
    if (await orNull(disk.readLink(joinPath(dir, "..data"))) !== target) return true;
  }
  return read.some(({ payload, named, problem }) =>
    payload !== null && !named && problem?.kind === "missing"
  );
}

/** A file in two looks; undefined where one has none. */
export interface Change {
  readonly now: FileLook | undefined;
  readonly before: FileLook | undefined;
}

/** All files that are not the same value in both looks. Of ten thousand nearly all are, and mostly the map itself is. */
export function findChanges(look: Look, earlier: Look | null): Change[] {
  const before = earlier?.files ?? new Map<string, FileLook>();
  if (look.files === before) return [];
  const changes: Change[] = [];
  look.files.forEach((file, path) => {
    if (before.get(path) !== file) changes.push({ now: file, before: before.get(path) });
  });
  before.forEach((file, path) => {
    if (!look.files.has(path)) changes.push({ now: undefined, before: file });
  });
  return changes;
}

/** The size, times, content and error are those of before. */
export function isSameFile({ now, before }: Change): boolean {
  return now !== undefined && before !== undefined && before.digest === now.digest &&
    before.problem?.error === now.problem?.error && isSameStat(before.stat, now.stat);
}
