/**
 * What a path is, as stat(2) tells without opening it: a regular file with its times, or why it holds no content, in words. A
 * FIFO, a device, a directory, a loop are answers and not accidents; what leads to /proc, /sys or /dev is refused.
 */

import type { FileFault, FileState } from "../model.ts";
import { isWithin } from "../paths.ts";
import { messageOf } from "../text.ts";
import { type Disk, NoAnswer } from "./disk.ts";

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

/** Why a file has no content; `skip`: it is nothing that could have any, such as a FIFO or a link to nowhere. */
export interface FileProblem {
  readonly kind: "missing" | "skip" | "failed";
  readonly fault: FileFault;
  /** A sentence part for people. */
  readonly error: string;
  readonly sizeBytes: number;
}

const DIRECTORY = "a directory, not a regular file; use --watched-dir";

/** What the kernel shows of itself: read by accident it never ends, or shows what is nobody's business. */
const KERNEL_DIRS = ["/proc", "/sys", "/dev"] as const;

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

/** The file's times, or why it is none to be read; `path` is where it was asked for. */
export function checkStat(info: Deno.FileInfo, path: string): FileStat | FileProblem {
  if (!info.isFile) return notRegular(info);
  kernelDevices ??= readKernelDevices();
  const kernel = kernelDevices.get(info.dev);
  if (kernel !== undefined && !isWithin(path, kernel)) return leadsToKernel(kernel);
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

/** Why what a link at `path` leads to is not read, where that is the kernel's; null where it is not, or `path` lies there. */
export function kernelProblem(path: string, realPath: string): FileProblem | null {
  const dir = KERNEL_DIRS.find((dir) => isWithin(realPath, dir) && !isWithin(path, dir));
  return dir === undefined ? null : leadsToKernel(dir);
}

function leadsToKernel(dir: string): FileProblem {
  return problem("skip", `a link that leads to ${dir} is not followed`);
}

/** A problem of that kind. */
export function problem(
  kind: FileProblem["kind"],
  error: string,
  fault: FileFault = "other",
  sizeBytes = 0,
): FileProblem {
  return { kind, error, fault, sizeBytes };
}

/** The state of a file with that problem. */
export function problemAt(path: string, { error, fault, sizeBytes }: FileProblem): FileState {
  return { path, digest: null, sizeBytes, error, fault };
}

/** What a file is that is not regular. */
function notRegular(info: Deno.FileInfo): FileProblem {
  if (info.isDirectory) return problem("skip", DIRECTORY, "directory");
  const kind = info.isFifo ? "a FIFO" : info.isSocket ? "a socket" : "a device";
  return problem("skip", `${kind}, not a regular file`);
}

/** A file beyond `--max-file-size`. */
export function tooLarge(sizeBytes: number, sizeBytesMax: number): FileProblem {
  const error = `larger than --max-file-size (${sizeBytes} of ${sizeBytesMax} bytes)`;
  return problem("skip", error, "too-large", sizeBytes);
}

/** A file that may not be written to an output. */
export function leadsOutside(real: string): FileProblem {
  const error =
    `a link that leads out of the watched directories, to "${real}", is not rendered: name that file or ` +
    "directory with --config-file or --watched-dir";
  return problem("failed", error, "leads-out");
}

/**
 * Turns what the disk threw into a sentence part; looks again where the cause is not in the error.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const dir = await Deno.makeTempDir();
 * await Deno.symlink("nowhere", `${dir}/link`);
 * const { error } = await explain(`${dir}/link`, new Deno.errors.NotFound());
 * assert.equal(error, 'no such file: a link to "nowhere", which is not there');
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export async function explain(path: string, error: unknown): Promise<FileProblem> {
  if (error instanceof NoAnswer) return problem("failed", error.message);
  if (error instanceof Deno.errors.NotFound) {
    const link = await Deno.readLink(path).catch(() => null);
    if (link !== null) {
      return problem("skip", `no such file: a link to "${link}", which is not there`, "missing");
    }
    // Deno decodes names; one that is not UTF-8 cannot be named any more.
    return path.includes("\uFFFD")
      ? problem("skip", "its name is not UTF-8")
      : problem("missing", "no such file", "missing");
  }
  if (error instanceof Deno.errors.NotADirectory) {
    const info = await Deno.stat(path).catch(() => null);
    return info === null
      ? problem("missing", "no such file: a parent is no directory", "missing")
      : problem("missing", "a file, not a directory; use --config-file", "no-directory");
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return problem("failed", await explainDenied(path), "denied");
  }
  if (error instanceof Deno.errors.FilesystemLoop) return problem("skip", "a loop of symbolic links");
  if (error instanceof Deno.errors.IsADirectory) return problem("skip", DIRECTORY, "directory");
  // Deno puts the path behind a colon or comma; the reader of the log has it already.
  const text = messageOf(error);
  return problem("failed", text.split(/[:,] (?:stat|open|readfile|readdir) /)[0]!);
}

/**
 * Which permission is missing and the way out. A ConfigMap or Secret with mode 0400 belongs to root; kubelet adds group
 * read only where the pod has an `fsGroup`, and 0440 is readable because the group is 0 by default (kubelet 1.34).
 */
async function explainDenied(path: string): Promise<string> {
  const info = await Deno.stat(path).catch(() => null);
  const own = `this process is ${Deno.uid()}:${Deno.gid()}`;
  if (info === null) return `permission denied: a directory above it cannot be entered (${own})`;
  const mode = ((info.mode ?? 0) & 0o7777).toString(8).padStart(4, "0");
  const fix = info.isDirectory
    ? "give others read and execute on this directory (chmod o+rx), or watch the directories beside it one by one"
    : "set the volume's defaultMode to 0440, or fsGroup in the pod's securityContext";
  return `permission denied: mode ${mode}, owner ${info.uid}:${info.gid}, ${own}; ${fix}`;
}
