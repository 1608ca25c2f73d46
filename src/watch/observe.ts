/**
 * What a look means: compares it with the look before, with the last that counted and with the last content, and words the
 * observation. Decides nothing about time (`settle.ts`). Asks the disk only for the times of what has changed.
 */

import type { FileState, Observation, Snapshot, SnapshotFile } from "../model.ts";
import { parentOf } from "../paths.ts";
import { isInPayload } from "../proc/mountinfo.ts";
import { digestOfListing, sortPaths } from "./digest.ts";
import { type Disk, fileError, orNull } from "./disk.ts";
import type { Look } from "./look.ts";
import type { FileLook } from "./reading.ts";
import { isSameStat } from "./read_file.ts";

/** Directories whose own times are asked when names came or went. */
const CHANGED_DIRS_MAX = 20;
/** Changed files whose real place is looked up, to see whether a link leads into a volume. */
const LINKS_MAX = 100;

/** The last content, with the look that found it. */
export interface Content {
  readonly look: Look;
  readonly snapshot: Snapshot;
}

/** The looks that a new one is compared with; null before there was one. */
export interface Earlier {
  /** The look before. */
  readonly last: Look | null;
  /** The last that counted, be it an error. */
  readonly settled: Look | null;
  readonly content: Content | null;
}

/** What a look differs in. */
export interface Comparison {
  /** Something is other than at the look before. */
  readonly moved: boolean;
  /** Something outside of atomically swapped volumes is other than when it last counted. */
  readonly plainDiffers: boolean;
  readonly volumeDiffers: boolean;
  /** Files that are there and other than when it last counted. */
  readonly differing: readonly FileLook[];
  /** Files that counted and are no more there. */
  readonly gone: readonly FileLook[];
  /** What keeps the content from being complete. */
  readonly errors: readonly FileState[];
  /** What is no part of the content although it lies there. */
  readonly skipped: readonly FileState[];
}

/** Compares; changes nothing. */
export function compareLook(look: Look, { last, settled, content }: Earlier): Comparison {
  const wasContent = ({ path }: FileLook) => (content?.look.files.get(path)?.digest ?? null) !== null;
  // What never had content is left out; what had some and is a FIFO or too large now is an error.
  const isSkipped = (file: FileLook) => file.problem?.kind === "skip" && !file.named && !wasContent(file);
  const stateOf = (file: FileLook | undefined) =>
    file === undefined || isAbsent(file) || isSkipped(file)
      ? null
      : file.problem !== null
      ? `error: ${file.problem.error}`
      : file.digest;
  const errors = [...look.errors];
  const skipped = [...look.skipped];
  const differing: FileLook[] = [];
  for (const file of look.files.values()) {
    const { path, problem } = file;
    if (problem !== null && !isAbsent(file)) {
      const state = fileError(path, problem.error, problem.sizeBytes || (file.stat?.sizeBytes ?? 0));
      (isSkipped(file) ? skipped : errors).push(state);
    }
    const before = settled?.files.get(path);
    if (before === file || stateOf(file) === null) continue;
    if (stateOf(file) !== stateOf(before)) differing.push(file);
  }
  const gone: FileLook[] = [];
  for (const file of settled?.files.values() ?? []) {
    const found = look.files.get(file.path);
    if (found !== file && stateOf(file) !== null && stateOf(found) === null) gone.push(file);
  }
  const isPlain = (file: FileLook) => file.volume === null;
  return {
    moved: last === null || hasMoved(look, last),
    plainDiffers: settled === null || textOf(look.errors) !== textOf(settled.errors) ||
      differing.some(isPlain) ||
      gone.some(isPlain),
    volumeDiffers: !differing.every(isPlain) || !gone.every(isPlain),
    differing,
    gone,
    errors,
    skipped,
  };
}

/** What vanished between the listing and the read is as if it had not been listed. */
function isAbsent({ problem, named }: FileLook): boolean {
  return problem?.kind === "missing" && !named;
}

function textOf(errors: readonly FileState[]): string {
  return errors.map(({ path, error }) => `${path}: ${error}`).join("\n");
}

/** Sizes, times, contents or errors are others than at the look before. */
function hasMoved(look: Look, last: Look): boolean {
  if (look.files === last.files && look.errors.length === 0 && last.errors.length === 0) return false;
  if (look.files.size !== last.files.size || textOf(look.errors) !== textOf(last.errors)) return true;
  return look.files.values().some((file) => {
    const before = last.files.get(file.path);
    return before !== file && (before === undefined || before.digest !== file.digest ||
      before.problem?.error !== file.problem?.error || !isSameStat(before.stat, file.stat));
  });
}

/** At the start nothing but their times tells how long plain files have been quiet. */
export function isFresh(look: Look, wallMs: number, delayMs: number): boolean {
  return look.files.values().some(({ volume, stat }) =>
    volume === null && stat !== null && Math.abs(wallMs - stat.ctimeMs) < delayMs
  );
}

/** True where all that differs are links into atomically swapped volumes elsewhere. */
export async function areInVolumes({ differing, gone }: Comparison, disk: Disk): Promise<boolean> {
  if (differing.length === 0 || differing.length > LINKS_MAX || gone.length > 0) return false;
  for (const { path, volume, stat } of differing) {
    if (volume !== null) continue;
    const real = stat === null ? null : await orNull(disk.realPath(path));
    if (real === null || !isInPayload(real)) return false;
  }
  return true;
}

/** Nothing counts yet; what was read is told all the same, where it is complete. */
export async function describeSettling(
  look: Look,
  { errors }: Comparison,
  againAtMs: number,
): Promise<Observation> {
  if (errors.length > 0) return { kind: "settling", againAtMs };
  return { kind: "settling", againAtMs, digest: await digestOfFiles(listFiles(look), look) };
}

/** Something is missing or unreadable: all errors and, beside them, the other files. */
export function describeErrors(look: Look, { errors }: Comparison): Observation {
  const states = new Map(errors.map((state) => [state.path, state]));
  for (const { path, problem, digest, stat } of look.files.values()) {
    if (problem !== null || states.has(path)) continue;
    states.set(path, { path, digest, sizeBytes: stat?.sizeBytes ?? 0, error: null });
  }
  return { kind: "unreadable", files: sortPaths([...states.keys()]).map((path) => states.get(path)!) };
}

/** Complete content: the snapshot before where nothing has changed, else a new one. */
export async function describeContent(
  look: Look,
  comparison: Comparison,
  before: Content | null,
  disk: Disk,
): Promise<Snapshot> {
  const isUnswapped = before !== null && look.volumes.size === before.look.volumes.size &&
    look.volumes.values().every(({ dir, target }) => before.look.volumes.get(dir)?.target === target);
  if (isUnswapped && hasSameFiles(look, before.look)) return before.snapshot;
  const files = listFiles(look);
  const digest = await digestOfFiles(files, look);
  // The same content under a new target was swapped in just now, perhaps after something else.
  const isOld = isUnswapped && before.snapshot.digest === digest;
  const changedWallMs = isOld
    ? before.snapshot.changedWallMs
    : await findChangeTime(look, comparison, before?.look ?? null, disk);
  return { digest, files, changedWallMs };
}

function hasSameFiles(look: Look, before: Look): boolean {
  return look.files.size === before.files.size && look.files.values().every((file) => {
    const other = before.files.get(file.path);
    return other === file ||
      other !== undefined && other.digest === file.digest && other.name === file.name &&
        other.stat?.mode === file.stat?.mode && (other.bytes === null) === (file.bytes === null);
  });
}

function listFiles(look: Look): SnapshotFile[] {
  const files: SnapshotFile[] = [];
  for (const { path, digest, stat, bytes, name, problem } of look.files.values()) {
    if (digest === null || stat === null || problem !== null) continue;
    files.push({ path, digest, sizeBytes: stat.sizeBytes, mode: stat.mode, bytes, name, error: null });
  }
  return files;
}

/** The digest of the one `--config-file` that is no glob, else that of the listing. */
function digestOfFiles(files: readonly SnapshotFile[], look: Look): Promise<string> | string {
  return look.single && files.length === 1 ? files[0]!.digest : digestOfListing(files);
}

/**
 * When the content changed as the disk tells: the time of the swap for a volume (kubelet makes `..data` just before it),
 * the newest change time of the differing files, and that of directories whose names changed.
 */
async function findChangeTime(
  { volumes }: Look,
  { differing, gone }: Comparison,
  before: Look | null,
  disk: Disk,
): Promise<number> {
  const times = [0];
  const dirs = new Set(gone.map(({ path }) => parentOf(path)));
  for (const { volume, stat, path } of differing) {
    if (volume !== null) continue;
    if (stat !== null) times.push(stat.ctimeMs);
    if (stat === null || before?.files.has(path) !== true) dirs.add(parentOf(path));
  }
  const timeOf = async (info: Promise<Deno.FileInfo>) => (await orNull(info))?.mtime?.getTime() ?? 0;
  for (const dir of [...dirs].slice(0, CHANGED_DIRS_MAX)) times.push(await timeOf(disk.stat(dir)));
  for (const { dir, target } of volumes.values()) {
    if (before?.volumes.get(dir)?.target === target) continue;
    times.push(await timeOf(disk.lstat(`${dir}/..data`)));
  }
  return times.reduce((newest, time) => Math.max(newest, time));
}
