/**
 * One look at the disk: lists, asks for times, reads and hashes what has to be, and makes sure that no volume was swapped
 * meanwhile. Takes the look before as a value and gives the next one; a look is never changed afterwards. Judges nothing.
 */

import type { FileState } from "../model.ts";
import { isWithin } from "../paths.ts";
import { sortPaths } from "./digest.ts";
import { type Disk, type FileProblem, forEachLimited, leadsOutside, orNull, problem } from "./disk.ts";
import {
  type FileStat,
  isSameStat,
  isStat,
  isUnchangedSync,
  readFile,
  type ReadLimits,
  statFile,
} from "./read_file.ts";
import {
  type Candidate,
  type ListingMemory,
  listSources,
  type Source,
  type SourceConfig,
} from "./sources.ts";

/** Up to here every look hashes everything (the original's limits). */
const SMALL_FILES_MAX = 100;
const SMALL_BYTES_MAX = 1024 * 1024;
/** A file changed within this time before it was read may change again without a new time: it is read again next time. */
const FRESH_MS = 2_000;
/** Longest stretch on the calling thread before others get their turn; the clock is looked at after so many files. */
const SLICE_MS_MAX = 4;
const SLICE_FILES = 32;

/** One file as a look found it. */
export interface FileLook extends Candidate {
  readonly stat: FileStat | null;
  /** Null where it could not be read. */
  readonly digest: string | null;
  readonly problem: FileProblem | null;
  /** The bytes that were hashed, where something later needs them. */
  readonly bytes: Uint8Array | null;
  /** False where it changed while it was read. */
  readonly stable: boolean;
  /** Wall time at which it was read. */
  readonly readWallMs: number;
}

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
export interface LookOptions {
  readonly config: SourceConfig;
  readonly sources: readonly Source[];
  readonly disk: Disk;
  readonly limits: ReadLimits;
  readonly nowMs: number;
  readonly wallMs: number;
  /** List and hash everything, whatever the times say. */
  readonly full: boolean;
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
  const isSameList = before !== null && (candidates === before.candidates ||
    before.files.size === candidates.size && before.files.keys().every((path) => candidates.has(path)));
  // Sorting ten thousand paths costs more than asking for their times.
  const paths = isSameList ? [...before.files.keys()] : sortPaths([...candidates.keys()]);
  const stated = await statAll(paths.map((path) => candidates.get(path)!), before, options);
  const isMoved = (file: FileLook) =>
    file.volume === null && !isSameStat(before?.files.get(file.path)?.stat ?? null, file.stat);
  const reading = readAll(stated, options);
  // What the caller begins now goes on beside the disk's answers.
  options.onTimes(volumes, stated.some(isMoved));
  const read = await reading;
  if (await isTorn(read, volumes, disk)) return "torn";
  const isSame = isSameList && read.every((file) => before.files.get(file.path) === file);
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
  for (const [i, candidate] of candidates.entries()) {
    const known = before?.files.get(candidate.path);
    if (known !== undefined && isUnchanged(known, candidate)) files[i] = known;
    else await one(i);
    if ((i + 1) % SLICE_FILES !== 0 || performance.now() < sliceEndMs) continue;
    await pause();
    sliceEndMs = performance.now() + SLICE_MS_MAX;
  }
  return files;
}

function isUnchanged({ stat, problem, readPath, roots }: FileLook, candidate: Candidate): boolean {
  return problem === null && stat !== null && roots === null && readPath === candidate.readPath &&
    isUnchangedSync(readPath, stat);
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

function createFile(candidate: Candidate, problem: FileProblem | null = null): FileLook {
  return { ...candidate, stat: null, digest: null, problem, bytes: null, stable: true, readWallMs: 0 };
}

/** Reads and hashes what has to be: everything where it is little, else what has changed or cannot be trusted. */
async function readAll(files: readonly FileLook[], options: LookOptions): Promise<FileLook[]> {
  const { disk, limits, full } = options;
  const isLittle = files.length <= SMALL_FILES_MAX &&
    files.reduce((sum, { stat }) => sum + (stat?.sizeBytes ?? 0), 0) <= SMALL_BYTES_MAX;
  const read = limits.keepBytes ? boundBytes(files, limits.sizeBytesMax) : [...files];
  const due: number[] = [];
  for (const [i, file] of read.entries()) {
    if (file.problem !== null) continue;
    const isKnown = file.digest !== null && isTrusted(file) && (!limits.keepBytes || file.bytes !== null);
    if (isLittle || full || !disk.local || !isKnown) due.push(i);
  }
  await forEachLimited(due, async (i) => {
    read[i] = await readOne(read[i]!, options);
  });
  return read;
}

/** Its times were old enough when it was read for them to stand for its content. */
function isTrusted({ stat, stable, readWallMs }: FileLook): boolean {
  return stable && stat !== null && readWallMs - stat.ctimeMs > FRESH_MS;
}

/** Kept bytes stay within the limit of one file together. */
function boundBytes(files: readonly FileLook[], sizeBytesMax: number): FileLook[] {
  let sum = 0;
  return files.map((file) => {
    const sizeBytes = file.stat?.sizeBytes ?? 0;
    if (sizeBytes > sizeBytesMax) return file;
    if ((sum += sizeBytes) <= sizeBytesMax) return file;
    const error =
      `with the files before it larger than --max-file-size (${sum} of ${sizeBytesMax} bytes), which bounds ` +
      "what is validated or rendered together";
    return { ...createFile(file, problem("failed", error, sizeBytes)), stat: file.stat };
  });
}

async function readOne(file: FileLook, { disk, limits, wallMs }: LookOptions): Promise<FileLook> {
  const { stat, readPath, roots } = file;
  if (stat === null) return file;
  const found = await readFile(disk, readPath, stat, limits);
  if (found.kind !== "content") return { ...file, digest: null, bytes: null, problem: found };
  if (roots !== null && !await isStillAt(disk, readPath, found.stat)) {
    const error = "it was replaced while it was being read";
    return { ...file, digest: null, bytes: null, problem: problem("failed", error), stable: false };
  }
  const { digest, bytes, stable } = found;
  const isSame = file.digest === digest && file.stable === stable && isSameStat(found.stat, stat) &&
    (bytes === null) === (file.bytes === null);
  // The same value, so that the next comparison is one of references; but its times may be trusted from now on.
  if (isSame && isTrusted(file)) return file;
  return {
    ...file,
    digest,
    bytes,
    stable,
    stat: isSameStat(found.stat, stat) ? stat : found.stat,
    readWallMs: wallMs,
  };
}

/** Whether what was opened is the very file that `path`, which has no links in it, names. */
async function isStillAt(disk: Disk, path: string, { ino, dev }: FileStat): Promise<boolean> {
  const [info, real] = [await orNull(disk.lstat(path)), await orNull(disk.realPath(path))];
  return real === path && info !== null && info.ino === ino && info.dev === dev;
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
