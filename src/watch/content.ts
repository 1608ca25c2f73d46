/** Turns a look that counts into an observation, and remembers what counted. */

import type { FileState, Observation, Snapshot, SnapshotFile } from "../model.ts";
import type { Comparison, Look } from "./compare.ts";
import type { Entry, Memory } from "./entries.ts";
import { comparePaths, digestOfListing } from "./listing.ts";
import { parentOf } from "../paths.ts";

/** Directories whose own times are asked when names came or went. */
const CHANGED_DIRS_MAX = 20;

/** Something is missing or unreadable: all errors and, without them, the other files. */
export function countErrors({ entries }: Look, { errors }: Comparison): Observation {
  const files: FileState[] = [...errors];
  const told = new Set(files.map((file) => file.path));
  for (const entry of entries) {
    const { path, problem, digest, stat } = entry;
    if (problem !== null) entry.counted = { digest: entry.counted?.digest ?? null, error: problem.error };
    else if (!told.has(path)) files.push({ path, digest, sizeBytes: stat?.sizeBytes ?? 0, error: null });
  }
  return { kind: "unreadable", files: files.sort((a, b) => comparePaths(a.path, b.path)) };
}

/** Nothing counts yet; what was read is told all the same, where it is complete. */
export async function describeSettling(
  { entries }: Look,
  { errors }: Comparison,
  againAtMs: number,
  single: boolean,
): Promise<Observation> {
  if (errors.length > 0) return { kind: "settling", againAtMs };
  const files = entries.map(describeFile).filter((file) => file !== null);
  return { kind: "settling", againAtMs, digest: await digestOfFiles(files, single) };
}

async function digestOfFiles(files: readonly SnapshotFile[], single: boolean): Promise<string> {
  const only = files[0];
  return single && only !== undefined ? only.digest : await digestOfListing(files);
}

/** Complete content. `single`: its digest is that of its one file. */
export async function countContent(
  memory: Memory,
  look: Look,
  comparison: Comparison,
  single: boolean,
): Promise<Observation> {
  const { skipped, differing, gone, moved } = comparison;
  // Ten thousand files that are the same need no new listing; little content is built anew, for its bytes.
  if (memory.last !== null && !look.small && !moved && differing.length + gone.length === 0) {
    return { kind: "content", snapshot: memory.last, skipped };
  }
  const files: SnapshotFile[] = [];
  for (const entry of look.entries) {
    const file = describeFile(entry);
    if (file !== null) files.push(file);
  }
  const digest = await digestOfFiles(files, single);
  const isSame = memory.last !== null && memory.last.digest === digest;
  // The same content under a new target was swapped in just now, perhaps after something else.
  const isOld = isSame &&
    ![...look.scan.volumes].some(([dir, { target }]) => memory.targets.get(dir) !== target);
  const changedWallMs = isOld ? memory.last!.changedWallMs : await changeTime(memory, look, comparison);
  const snapshot: Snapshot = { digest, files, changedWallMs };
  // What is built anew each time is not kept, and its bytes least of all.
  memory.last = look.small ? { digest, files: [], changedWallMs } : snapshot;
  for (const entry of look.entries) {
    if (entry.digest === null) entry.counted = null;
    else if (entry.counted?.digest !== entry.digest || entry.counted.error !== null) {
      entry.counted = { digest: entry.digest, error: null };
    }
  }
  for (const entry of gone) memory.entries.delete(entry.path);
  memory.targets = new Map([...look.scan.volumes].map(([dir, { target }]) => [dir, target]));
  return { kind: "content", snapshot, skipped };
}

/** Null where it is no content. */
function describeFile(entry: Entry): SnapshotFile | null {
  const { path, digest, stat, bytes, candidate: { name }, problem, listed } = entry;
  if (digest === null || stat === null || problem !== null) return null;
  const { sizeBytes, mode } = stat;
  const isSame = listed?.digest === digest && listed.mode === mode && listed.name === name && bytes === null;
  if (isSame) return listed;
  const file = { path, digest, sizeBytes, mode, bytes, name, error: null };
  entry.listed = bytes === null ? file : null;
  return file;
}

/**
 * When the content changed as the disk tells: the time of the swap for a volume (kubelet makes `..data` just before it),
 * the newest change time of the differing files, and that of directories whose names changed.
 */
async function changeTime(memory: Memory, { scan }: Look, { differing, gone }: Comparison): Promise<number> {
  const times = [0];
  const dirs = new Set<string>();
  for (const { candidate, stat, path, counted } of [...differing, ...gone]) {
    if (candidate.volume !== null) continue;
    if (stat !== null) times.push(stat.ctimeMs);
    const isNameChange = counted === null || stat === null;
    if (isNameChange && dirs.size < CHANGED_DIRS_MAX) dirs.add(parentOf(path));
  }
  for (const { path } of gone) {
    if (dirs.size < CHANGED_DIRS_MAX) dirs.add(parentOf(path));
  }
  const timeOf = async (info: Promise<Deno.FileInfo>) =>
    (await info.catch(() => null))?.mtime?.getTime() ?? 0;
  for (const dir of dirs) times.push(await timeOf(Deno.stat(dir)));
  for (const { dir, target } of scan.volumes.values()) {
    if (memory.targets.get(dir) !== target) times.push(await timeOf(lookAtLink(`${dir}/..data`, scan.local)));
  }
  return times.reduce((newest, time) => Math.max(newest, time));
}

/** On the calling thread where no network is behind it: the link was just made. */
async function lookAtLink(path: string, local: boolean): Promise<Deno.FileInfo> {
  return local ? Deno.lstatSync(path) : await Deno.lstat(path);
}
