/**
 * Reads and hashes one file and never hangs on what is not one: a FIFO, a device, a directory, a loop, an endless file
 * are answers, not accidents. Must not touch Node's layer, except for the stream hash of a file beyond 1 MiB.
 */

import type { FileState } from "../model.ts";
import { isWithin } from "../paths.ts";

/** What stands for "unchanged" in a re-check; all of it comes from stat(2). */
export interface FileStat {
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly ino: number;
  readonly dev: number;
  /** Permission bits. */
  readonly mode: number;
  /** 0: removed under a bind mount. */
  readonly nlink: number;
}

/** What the kernel shows of itself: read by accident it never ends, or shows what is nobody's business. */
export const KERNEL_DIRS = ["/proc", "/sys", "/dev"] as const;

/** The words for a link into one of them. */
export function leadsToKernel(dir: string): string {
  return `a link that leads to ${dir} is not followed`;
}

/** A file state that tells of an error. */
export function fileError(path: string, error: string, sizeBytes = 0): FileState {
  return { path, digest: null, sizeBytes, error };
}

/** Why a file has no content; `skip`: it is nothing that could have any, such as a FIFO or a link to nowhere. */
export interface FileProblem {
  readonly kind: "missing" | "denied" | "skip" | "failed";
  /** A sentence part for people. */
  readonly error: string;
  readonly sizeBytes: number;
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
  /** Read small files on the calling thread once they are open: half the cost, for thousands of them on a local disk. */
  readonly sync: boolean;
}

/** The digest built into the runtime takes a file whole; a larger one is hashed piece by piece. */
const WHOLE_BYTES_MAX = 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
const NO_BYTES = new Uint8Array(0);

/**
 * stat(2), following links. Never throws.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const stat = await readStat("/proc/version");
 * assert.ok(isStat(stat) && stat.nlink === 1);
 * const none = await readStat("/proc");
 * assert.equal(isStat(none) ? "" : none.error, "a directory, not a regular file");
 * ```
 */
export async function readStat(path: string): Promise<FileStat | FileProblem> {
  try {
    return checkStat(await Deno.stat(path), path);
  } catch (error) {
    return await explain(path, error);
  }
}

/**
 * As `readStat`, on the calling thread: 4 µs instead of 20, for thousands of files on a local disk. `before` itself where
 * nothing differs, so that no new one is made for each.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const stat = readStatSync("/dev/null");
 * assert.equal(isStat(stat) ? "" : stat.error, "a device, not a regular file");
 * ```
 */
export function readStatSync(path: string, before: FileStat | null = null): FileStat | FileProblem {
  try {
    const info = Deno.statSync(path);
    return before !== null && isStatOf(info, before) ? before : checkStat(info, path);
  } catch (error) {
    return { kind: "failed", error: String(error), sizeBytes: 0 };
  }
}

function isStatOf(info: Deno.FileInfo, before: FileStat): boolean {
  const mtimeMs = info.mtime?.getTime() ?? 0;
  return info.isFile && info.size === before.sizeBytes && info.ino === before.ino &&
    info.dev === before.dev &&
    mtimeMs === before.mtimeMs && changeTime(info.ctime?.getTime() ?? 0, mtimeMs) === before.ctimeMs;
}

function checkStat(info: Deno.FileInfo, path: string): FileStat | FileProblem {
  if (!info.isFile) return { kind: "skip", error: `${kindOf(info)}, not a regular file`, sizeBytes: 0 };
  kernelDevices ??= readKernelDevices();
  const kernel = kernelDevices.get(info.dev);
  if (kernel !== undefined && !isWithin(path, kernel)) {
    return { kind: "skip", error: leadsToKernel(kernel), sizeBytes: 0 };
  }
  return {
    sizeBytes: info.size,
    mtimeMs: info.mtime?.getTime() ?? 0,
    ctimeMs: changeTime(info.ctime?.getTime() ?? 0, info.mtime?.getTime() ?? 0),
    ino: info.ino ?? 0,
    dev: info.dev,
    mode: (info.mode ?? 0) & 0o7777,
    nlink: info.nlink ?? 1,
  };
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

function kindOf(info: Deno.FileInfo): string {
  if (info.isDirectory) return "a directory";
  if (info.isFifo) return "a FIFO";
  if (info.isSocket) return "a socket";
  return "a device";
}

/**
 * True for the answer of a look that went well.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(isStat({ kind: "missing", error: "no such file", sizeBytes: 0 }), false);
 * assert.equal(isStat(await readStat("/proc/version")), true);
 * ```
 */
export function isStat(found: FileStat | FileProblem): found is FileStat {
  return "mtimeMs" in found;
}

/**
 * Reads a file that `readStat` found to be regular just before. `atomic` says that its bytes never change once they are
 * visible (kubelet's volumes): then one whole read does, where a plain file is opened, looked at again and compared
 * afterwards. Only opening can hang, if a FIFO takes the file's place in between: the caller gives it up, and lets that cost one thread.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, "a: 1\n");
 * const stat = await readStat(path);
 * assert.ok(isStat(stat));
 * const limits = { sizeBytesMax: 5, keepBytes: false, sync: false };
 * const read = await readContent(path, stat, limits, false);
 * assert.ok(read.kind === "content" && read.stable && read.bytes === null);
 * await Deno.writeTextFile(path, "a: 12\n"); // it grew after it was looked at
 * assert.equal((await readContent(path, stat, limits, false)).kind, "skip");
 * await Deno.remove(path);
 * ```
 */
export async function readContent(
  path: string,
  stat: FileStat,
  limits: ReadLimits,
  atomic: boolean,
): Promise<FileContent | FileProblem> {
  if (stat.sizeBytes > limits.sizeBytesMax) return tooLarge(stat.sizeBytes, limits.sizeBytesMax);
  try {
    if (!atomic || limits.sync || stat.sizeBytes > WHOLE_BYTES_MAX) return await readOpened(path, limits);
    const bytes = await Deno.readFile(path);
    if (bytes.length > limits.sizeBytesMax) return tooLarge(bytes.length, limits.sizeBytesMax);
    const digest = await digestOf(bytes);
    return { kind: "content", stat, digest, bytes: limits.keepBytes ? bytes : null, stable: true };
  } catch (error) {
    return await explain(path, error);
  }
}

async function readOpened(path: string, limits: ReadLimits): Promise<FileContent | FileProblem> {
  using file = await Deno.open(path);
  const stat = () => limits.sync ? file.statSync() : file.stat();
  const before = checkStat(await stat(), path);
  if (!isStat(before)) return before;
  if (before.sizeBytes > limits.sizeBytesMax) return tooLarge(before.sizeBytes, limits.sizeBytesMax);
  const streamed = before.sizeBytes > WHOLE_BYTES_MAX && !limits.keepBytes;
  const read = streamed ? await hashStream(file, limits) : await hashWhole(file, before.sizeBytes, limits);
  if (read === null) return tooLarge(before.sizeBytes, limits.sizeBytesMax);
  const after = checkStat(await stat(), path);
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
async function hashWhole(file: Deno.FsFile, sizeBytes: number, limits: ReadLimits): Promise<Hashed | null> {
  let buffer = new Uint8Array(sizeBytes + 1);
  let length = 0;
  for (;;) {
    const isQuick = limits.sync && sizeBytes <= CHUNK_BYTES;
    const count = isQuick ? file.readSync(buffer.subarray(length)) : await file.read(buffer.subarray(length));
    if (count === null) break;
    length += count;
    if (length > limits.sizeBytesMax) return null;
    // A regular file gives less than asked for at its end only.
    if (length < buffer.length) break;
    const larger = new Uint8Array(Math.min(buffer.length * 2, limits.sizeBytesMax + 1));
    larger.set(buffer);
    buffer = larger;
  }
  const bytes = length === 0 ? NO_BYTES : buffer.subarray(0, length);
  return { digest: await digestOf(bytes), length, bytes: limits.keepBytes ? bytes : null };
}

/** Null where the file grew past the limit. */
async function hashStream(file: Deno.FsFile, limits: ReadLimits): Promise<Hashed | null> {
  // The only streaming SHA-256 there is; loading it costs tens of milliseconds, so only for the first large file.
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  const chunk = new Uint8Array(CHUNK_BYTES);
  let length = 0;
  for (let count = await file.read(chunk); count !== null; count = await file.read(chunk)) {
    length += count;
    if (length > limits.sizeBytesMax) return null;
    hash.update(chunk.subarray(0, count));
  }
  return { digest: hash.digest("hex"), length, bytes: null };
}

/**
 * SHA-256 as 64 hex digits.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const digest = await digestOf(new TextEncoder().encode("abc")); // the test vector of FIPS 180-4
 * assert.equal(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
 * ```
 */
export async function digestOf(bytes: Uint8Array): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource)).toHex();
}

function tooLarge(sizeBytes: number, sizeBytesMax: number): FileProblem {
  return {
    kind: "skip",
    error: `larger than --max-file-size (${sizeBytes} of ${sizeBytesMax} bytes)`,
    sizeBytes,
  };
}

/**
 * Turns what the disk threw into a sentence part; looks again where the cause is not in the error.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const dir = await Deno.makeTempDir();
 * await Deno.symlink("nowhere", `${dir}/link`);
 * const problem = await explain(`${dir}/link`, new Deno.errors.NotFound());
 * assert.equal(problem.error, 'no such file: a link to "nowhere", which is not there');
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export async function explain(path: string, error: unknown): Promise<FileProblem> {
  const problem = (kind: FileProblem["kind"], text: string): FileProblem => ({
    kind,
    error: text,
    sizeBytes: 0,
  });
  if (error instanceof Deno.errors.NotFound) {
    const link = await Deno.readLink(path).catch(() => null);
    if (link !== null) return problem("skip", `no such file: a link to "${link}", which is not there`);
    // Deno decodes names; one that is not UTF-8 cannot be named any more.
    return path.includes("\uFFFD")
      ? problem("skip", "its name is not UTF-8")
      : problem("missing", "no such file");
  }
  if (error instanceof Deno.errors.NotADirectory) {
    return problem("missing", "no such file: a parent is no directory");
  }
  if (error instanceof Deno.errors.PermissionDenied) return problem("denied", await explainDenied(path));
  if (error instanceof Deno.errors.FilesystemLoop) return problem("skip", "a loop of symbolic links");
  if (error instanceof Deno.errors.IsADirectory) return problem("skip", "a directory, not a regular file");
  // Deno puts the path behind a colon or comma; the reader of the log has it already.
  const text = (error instanceof Error ? error.message : String(error)).split(
    /[:,] (?:stat|open|readfile) /,
  )[0]!;
  return problem("failed", text);
}

/**
 * Which permission is missing and the way out. A ConfigMap or Secret with mode 0400 belongs to root; kubelet adds group
 * read only where the pod has an `fsGroup`, and 0440 is readable because the group is 0 by default (kubelet 1.34).
 */
async function explainDenied(path: string): Promise<string> {
  const fix = "set the volume's defaultMode to 0440, or fsGroup in the pod's securityContext";
  const info = await Deno.stat(path).catch(() => null);
  const own = `this process is ${Deno.uid()}:${Deno.gid()}`;
  if (info === null) return `permission denied: a directory above it cannot be entered (${own})`;
  const mode = ((info.mode ?? 0) & 0o7777).toString(8).padStart(4, "0");
  const denied = `permission denied: mode ${mode}, owner ${info.uid}:${info.gid}, ${own}`;
  return info.isDirectory
    ? `${denied}; give others read and execute on this directory (chmod o+rx), or watch the directories beside it one by one`
    : `${denied}; ${fix}`;
}
