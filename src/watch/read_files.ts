/**
 * Reads the files of one look: which of them have to be read, within which bounds, and what came of it. Knows no
 * directory and no volume; how one file is read is `read_file.ts`'s.
 */

import { type Disk, type FileProblem, forEachLimited, orNull, problem } from "./disk.ts";
import { type FileStat, isSameStat, readFile, type ReadLimits } from "./read_file.ts";
import type { Candidate } from "./sources.ts";

/** A file changed within this time before it was read may change again without a new time: it is read again next time. */
const FRESH_MS = 2_000;
/** Of the collector's units of work, a hundred of which are a collection: those of a file, and the bytes of one more. */
const READ_WORK = 0.1;
const READ_BYTES_PER_WORK = 80 * 1024;

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

/** How the files of a look are read. */
export interface ReadOptions {
  readonly disk: Disk;
  readonly limits: ReadLimits;
  readonly wallMs: number;
  /** Read everything, whatever the times say. */
  readonly full: boolean;
  /** Takes units of work, after a certain amount of which garbage is collected. */
  readonly collect: (work: number) => void;
}

/** A file of which nothing is known yet, or only that it cannot be read. */
export function createFile(candidate: Candidate, problem: FileProblem | null = null): FileLook {
  return { ...candidate, stat: null, digest: null, problem, bytes: null, stable: true, readWallMs: 0 };
}

/** Reads and hashes what has changed, or cannot be trusted by its times: an idle re-check costs stat calls only (contract). */
export async function readAll(files: readonly FileLook[], options: ReadOptions): Promise<FileLook[]> {
  const { disk, limits, full } = options;
  const read = limits.keepBytes ? boundBytes(files, limits.sizeBytesMax) : [...files];
  const due: number[] = [];
  for (let i = 0; i < read.length; i++) {
    const file = read[i]!;
    if (file.problem !== null) continue;
    const isKnown = file.digest !== null && isTrusted(file) && (!limits.keepBytes || file.bytes !== null);
    if (full || !disk.local || !isKnown) due.push(i);
  }
  await forEachLimited(due, async (i) => {
    read[i] = await readOne(read[i]!, options);
  });
  return read;
}

/** Its times were old enough when it was read for them to stand for its content. */
export function isTrusted({ stat, stable, readWallMs }: FileLook): boolean {
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

async function readOne(file: FileLook, { disk, limits, wallMs, collect }: ReadOptions): Promise<FileLook> {
  const { stat, readPath, roots } = file;
  if (stat === null) return file;
  // What is kept is most likely the same still: no second copy of it is made to see that.
  const isKept = file.bytes !== null;
  let found = await readFile(disk, readPath, stat, isKept ? { ...limits, keepBytes: false } : limits);
  if (isKept && found.kind === "content") {
    if (found.digest === file.digest) found = { ...found, bytes: file.bytes };
    else found = await readFile(disk, readPath, stat, limits);
  }
  if (found.kind !== "content") return { ...file, digest: null, bytes: null, problem: found };
  if (roots !== null && !await isStillAt(disk, readPath, found.stat)) {
    const error = "it was replaced while it was being read";
    return { ...file, digest: null, bytes: null, problem: problem("failed", error), stable: false };
  }
  collect(READ_WORK + found.stat.sizeBytes / READ_BYTES_PER_WORK);
  const { digest, bytes, stable } = found;
  const isSame = file.digest === digest && file.stable === stable && isSameStat(found.stat, stat) &&
    bytes === file.bytes;
  // The same value, so that the next comparison is one of references; but its times may be trusted from now on.
  if (isSame && isTrusted(file)) return file;
  const statNow = isSameStat(found.stat, stat) ? stat : found.stat;
  return { ...file, digest, bytes, stable, stat: statNow, readWallMs: wallMs };
}

/** Whether what was opened is the very file that `path`, which has no links in it, names. */
async function isStillAt(disk: Disk, path: string, { ino, dev }: FileStat): Promise<boolean> {
  const [info, real] = [await orNull(disk.lstat(path)), await orNull(disk.realPath(path))];
  return real === path && info !== null && info.ino === ino && info.dev === dev;
}
