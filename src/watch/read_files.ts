/**
 * Reads the files of one look: which of them have to be read, within which bounds, their bytes and digests. An endless file, or
 * one that changes or is replaced meanwhile, is an answer and not an accident. Knows no directory and no volume. Must not touch
 * Node's layer, except for the hash of a file beyond 1 MiB.
 */

import { digestOf } from "./digest.ts";
import { type Disk, forEachLimited, NoAnswer, orNull } from "./disk.ts";
import {
  checkStat,
  explain,
  type FileProblem,
  type FileStat,
  isSameStat,
  isStat,
  problem,
  statFile,
  tooLarge,
} from "./file_stat.ts";
import type { Candidate } from "./walk.ts";

/** A file changed within this time before it was read may change again without a new time: it is read again next time. */
const FRESH_MS = 2_000;
/** Of the collector's units of work, a hundred of which are a collection: those of a file, and the bytes of one more. */
const READ_WORK = 0.1;
const READ_BYTES_PER_WORK = 80 * 1024;

/** The digest built into the runtime makes a copy of what it is given; a larger file is hashed in pieces. */
const WHOLE_BYTES_MAX = 1024 * 1024;
const PIECE_BYTES = 64 * 1024;

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

/** Bounds of reading. */
interface ReadLimits {
  readonly sizeBytesMax: number;
  /** Something later needs the bytes. */
  readonly keepBytes: boolean;
  /** What is read is written elsewhere: it must be the very file at its path, and none that a link leads to meanwhile. */
  readonly inPlace: boolean;
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
    if (full || !disk.isLocal || !isKnown) due.push(i);
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
    return { ...createFile(file, problem("failed", error, "too-large", sizeBytes)), stat: file.stat };
  });
}

async function readOne(file: FileLook, { disk, limits, wallMs, collect }: ReadOptions): Promise<FileLook> {
  const { stat, realPath } = file;
  if (stat === null) return file;
  // What is kept is most likely the same still: no second copy of it is made to see that.
  const isKept = file.bytes !== null;
  let found = await readFile(disk, realPath, stat, isKept ? { ...limits, keepBytes: false } : limits);
  if (isKept && "digest" in found) {
    if (found.digest === file.digest) found = { ...found, bytes: file.bytes };
    else found = await readFile(disk, realPath, stat, limits);
  }
  if (!("digest" in found)) return { ...file, digest: null, bytes: null, problem: found };
  if (limits.inPlace && !await isStillAt(disk, realPath, found.stat)) {
    const error = "it was replaced while it was being read";
    return { ...file, digest: null, bytes: null, problem: problem("failed", error), stable: false };
  }
  collect(READ_WORK + found.stat.sizeBytes / READ_BYTES_PER_WORK);
  const isSame = file.digest === found.digest && file.stable === found.stable &&
    isSameStat(found.stat, stat) && found.bytes === file.bytes;
  // The same value, so that the next comparison is one of references; but its times may be trusted from now on.
  if (isSame && isTrusted(file)) return file;
  return { ...file, ...found, stat: isSameStat(found.stat, stat) ? stat : found.stat, readWallMs: wallMs };
}

/** Whether what was opened is the very file that `path`, which has no links in it, names. */
async function isStillAt(disk: Disk, path: string, { ino, dev }: FileStat): Promise<boolean> {
  const [info, real] = [await orNull(disk.lstat(path)), await orNull(disk.realPath(path))];
  return real === path && info !== null && info.ino === ino && info.dev === dev;
}

/** What reading a file finds. */
type FileContent = Pick<FileLook, "bytes" | "stable"> & { readonly stat: FileStat; readonly digest: string };

/** Reads a file that `statFile` found to be regular just before; `stat` is what that has found. Never throws. */
async function readFile(
  disk: Disk,
  path: string,
  stat: FileStat,
  limits: ReadLimits,
): Promise<FileContent | FileProblem> {
  if (stat.sizeBytes > limits.sizeBytesMax) return tooLarge(stat.sizeBytes, limits.sizeBytesMax);
  try {
    // The name has the inode: where another file takes the place of one whose read hangs, that one is read.
    return await disk.ask(`read ${path} ${stat.dev}:${stat.ino}`, () => readOpened(disk, path, limits));
  } catch (error) {
    if (!(error instanceof NoAnswer)) return await explain(path, error);
    // Most likely a FIFO took the file's place before it was opened: that read waits for ever.
    const now = await statFile(disk, path);
    return isStat(now) ? problem("failed", error.message) : now;
  }
}

async function readOpened(disk: Disk, path: string, limits: ReadLimits): Promise<FileContent | FileProblem> {
  using file = await Deno.open(path);
  const stat = async () => checkStat(disk.isLocal ? file.statSync() : await file.stat(), path);
  const before = await stat();
  if (!isStat(before)) return before;
  if (before.sizeBytes > limits.sizeBytesMax) return tooLarge(before.sizeBytes, limits.sizeBytesMax);
  const read = before.sizeBytes > WHOLE_BYTES_MAX
    ? await hashPieces(file, before.sizeBytes, limits.keepBytes)
    : await hashWhole(file, before.sizeBytes, limits, disk.isLocal && before.sizeBytes <= PIECE_BYTES);
  if (read === null) return tooLarge(before.sizeBytes, limits.sizeBytesMax);
  const after = await stat();
  const stable = isStat(after) && after.mtimeMs === before.mtimeMs && after.sizeBytes === before.sizeBytes &&
    read.length === after.sizeBytes;
  return { stat: before, digest: read.digest, bytes: read.bytes, stable };
}

interface Hashed {
  readonly digest: string;
  readonly length: number;
  readonly bytes: Uint8Array | null;
}

/** Null where the file grew past the limit. One byte more than its size is asked for, so that growth shows. */
async function hashWhole(
  file: Deno.FsFile,
  sizeBytes: number,
  limits: ReadLimits,
  sync: boolean,
): Promise<Hashed | null> {
  let buffer = new Uint8Array(sizeBytes + 1);
  let length = 0;
  for (;;) {
    const rest = buffer.subarray(length);
    const count = sync ? file.readSync(rest) : await file.read(rest);
    if (count === null) break;
    length += count;
    if (length > limits.sizeBytesMax) return null;
    // A regular file gives less than asked for at its end only.
    if (length < buffer.length) break;
    const larger = new Uint8Array(Math.min(buffer.length * 2, limits.sizeBytesMax + 1));
    larger.set(buffer);
    release(buffer);
    buffer = larger;
  }
  const bytes = buffer.subarray(0, length);
  const digest = await digestOf(bytes);
  if (limits.keepBytes) return { digest, length, bytes };
  release(buffer);
  return { digest, length, bytes: null };
}

/** Gives memory back at once: V8 lets tens of MiB of what was read lie. `bytes` are gone then. */
function release(bytes: Uint8Array): void {
  (bytes.buffer as ArrayBuffer).transfer(0);
}

/** No more than `sizeBytes`: growth shows in the times. */
async function hashPieces(file: Deno.FsFile, sizeBytes: number, keepBytes: boolean): Promise<Hashed> {
  // The only SHA-256 there is that takes a file in pieces. Loading it takes tens of milliseconds.
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  const buffer = new Uint8Array(keepBytes ? sizeBytes : PIECE_BYTES);
  let length = 0;
  while (length < sizeBytes) {
    const start = keepBytes ? length : 0;
    const piece = buffer.subarray(start, start + Math.min(PIECE_BYTES, sizeBytes - length));
    const count = await file.read(piece);
    if (count === null) break;
    hash.update(piece.subarray(0, count));
    length += count;
  }
  return { digest: hash.digest("hex"), length, bytes: keepBytes ? buffer.subarray(0, length) : null };
}
