/**
 * The one reader of files: a file's times by stat(2), then its bytes and their digest, within limits. A FIFO, a device, a
 * directory, a loop, an endless file are answers and not accidents; what leads to /proc, /sys or /dev is refused. Must not
 * touch Node's layer, except for the hash of a file beyond 1 MiB.
 */

import { isWithin } from "../paths.ts";
import { digestOf } from "./digest.ts";
import { type Disk, explain, type FileProblem, NoAnswer, notRegular, problem, tooLarge } from "./disk.ts";

/** What stands for "unchanged" in a re-check; all of it comes from stat(2). */
export interface FileStat {
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly ino: number;
  readonly dev: number;
  /** Permission bits. */
  readonly mode: number;
}

/** A file that was read. */
export interface FileContent {
  readonly kind: "content";
  readonly stat: FileStat;
  readonly digest: string;
  readonly bytes: Uint8Array | null;
  /** False where the file changed while it was read. */
  readonly stable: boolean;
}

/** Bounds of one read. */
export interface ReadLimits {
  readonly sizeBytesMax: number;
  readonly keepBytes: boolean;
}

/** What the kernel shows of itself: read by accident it never ends, or shows what is nobody's business. */
export const KERNEL_DIRS = ["/proc", "/sys", "/dev"] as const;
/** The digest built into the runtime makes a copy of what it is given; a larger file is hashed in pieces. */
const WHOLE_BYTES_MAX = 1024 * 1024;
const PIECE_BYTES = 64 * 1024;

/** The words for a link into one of `KERNEL_DIRS`. */
export function leadsToKernel(dir: string): string {
  return `a link that leads to ${dir} is not followed`;
}

/** True for the answer of a look that went well. */
export function isStat(found: FileStat | FileProblem): found is FileStat {
  return "mtimeMs" in found;
}

/** True where both are the same state of the same file. */
export function isSameStat(a: FileStat | null, b: FileStat | null): boolean {
  if (a === b) return true;
  return a !== null && b !== null && a.sizeBytes === b.sizeBytes && a.mtimeMs === b.mtimeMs &&
    a.ctimeMs === b.ctimeMs && a.ino === b.ino && a.dev === b.dev && a.mode === b.mode;
}

/** stat(2), following links; `before` itself where nothing differs, so that none is made for each of ten thousand. Never throws. */
export async function statFile(
  disk: Disk,
  path: string,
  before: FileStat | null = null,
): Promise<FileStat | FileProblem> {
  try {
    const stat = checkStat(await disk.stat(path), path);
    return isStat(stat) && isSameStat(stat, before) ? before! : stat;
  } catch (error) {
    return await explain(path, error);
  }
}

/** The same on the calling thread, for many files that are not behind a network: whether nothing differs. */
export function isUnchangedSync(path: string, before: FileStat): boolean {
  try {
    const stat = checkStat(Deno.statSync(path), path);
    return isStat(stat) && isSameStat(stat, before);
  } catch {
    return false;
  }
}

function checkStat(info: Deno.FileInfo, path: string): FileStat | FileProblem {
  if (!info.isFile) return notRegular(info);
  kernelDevices ??= readKernelDevices();
  const kernel = kernelDevices.get(info.dev);
  if (kernel !== undefined && !isWithin(path, kernel)) return problem("skip", leadsToKernel(kernel));
  const mtimeMs = info.mtime?.getTime() ?? 0;
  return {
    sizeBytes: info.size,
    mtimeMs,
    ctimeMs: changeTime(info.ctime?.getTime() ?? 0, mtimeMs),
    ino: info.ino ?? 0,
    dev: info.dev,
    mode: (info.mode ?? 0) & 0o7777,
  };
}

/** Asked once: the number of the device also tells of a link that was put there after its path was looked at. */
let kernelDevices: ReadonlyMap<number, string> | null = null;

function readKernelDevices(): ReadonlyMap<number, string> {
  const devices = new Map<number, string>();
  const root = Deno.statSync("/").dev;
  for (const dir of KERNEL_DIRS) {
    try {
      const { dev } = Deno.statSync(dir);
      if (dev !== root) devices.set(dev, dir);
    } catch {
      // A container may have none of it.
    }
  }
  return devices;
}

/**
 * Deno 2.9.6 gives the change time in whole seconds, cut. Where the time of the last write falls into that second it
 * stands for both; else the end of the second does, since a change that is dated too late costs one reload at most.
 */
function changeTime(ctimeMs: number, mtimeMs: number): number {
  if (ctimeMs % 1000 !== 0) return ctimeMs;
  const second = Math.floor(mtimeMs / 1000) * 1000;
  return second === ctimeMs ? mtimeMs : ctimeMs + 999;
}

/** Reads a file that `statFile` found to be regular just before; `stat` is what that has found. Never throws. */
export async function readFile(
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
  const stat = async () => checkStat(disk.local ? file.statSync() : await file.stat(), path);
  const before = await stat();
  if (!isStat(before)) return before;
  if (before.sizeBytes > limits.sizeBytesMax) return tooLarge(before.sizeBytes, limits.sizeBytesMax);
  const read = before.sizeBytes > WHOLE_BYTES_MAX
    ? await hashPieces(file, before.sizeBytes, limits.keepBytes)
    : await hashWhole(file, before.sizeBytes, limits, disk.local && before.sizeBytes <= PIECE_BYTES);
  if (read === null) return tooLarge(before.sizeBytes, limits.sizeBytesMax);
  const after = await stat();
  const stable = isStat(after) && after.mtimeMs === before.mtimeMs && after.sizeBytes === before.sizeBytes &&
    read.length === after.sizeBytes;
  return { kind: "content", stat: before, digest: read.digest, bytes: read.bytes, stable };
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
