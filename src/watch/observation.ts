/**
 * What a look means: whether it is a change that is still settling, an error, or content, and what is remembered of it for
 * the next look. Asks the disk only for the times of what has changed.
 */

import type { Config } from "../config.ts";
import type { Observation, Snapshot, SnapshotFile } from "../model.ts";
import { parentOf } from "../paths.ts";
import { isInPayload } from "../proc/mountinfo.ts";
import type { Clock } from "../ports.ts";
import { type Comparison, type Content, type Earlier, findChanges } from "./comparison.ts";
import { digestOfListing, sortPaths } from "./digest.ts";
import { type Disk, orNull } from "./disk.ts";
import type { Look } from "./look.ts";
import { AUTO_DELAY_MS, decideSettling, type Settling } from "./settle.ts";
import type { Volume } from "./volumes.ts";

/** Changed files whose real place is looked up, to see whether a link leads into a volume. */
const LINKS_MAX = 100;

/** Directories whose own times are asked when names came or went. */
const CHANGED_DIRS_MAX = 20;

/** A change that is being waited out. */
interface Waiting {
  readonly settling: Settling;
  /** Files outside of volumes that differ from what counted. */
  readonly unsettled: readonly string[];
  /** What was told, and is told again until it is time for another look. */
  readonly told: Observation;
}

/** All that is remembered from one look to the next. */
export interface Reading extends Earlier {
  readonly waiting: Waiting | null;
  /** When everything was listed and hashed last, whatever the times said. */
  readonly fullAtMs: number;
}

/** Before the first look. */
export const NOTHING_YET: Reading = {
  last: null,
  settled: null,
  content: null,
  waiting: null,
  fullAtMs: -Infinity,
};

/** Before anything is hashed: will this look, as far as links and times tell, decide about a change? */
export function isLikelyChange(
  { waiting, content }: Reading,
  delayIntervalMs: Config["delayIntervalMs"],
  nowMs: number,
  volumes: Look["volumes"],
  plainMoved: boolean,
): boolean {
  if (content === null) return false;
  if (waiting !== null) {
    const { firstReadAtMs, againAtMs } = waiting.settling;
    return firstReadAtMs !== null && nowMs >= againAtMs - 1 && !plainMoved;
  }
  const isSwapped = swappedSince(volumes, content.look.volumes).length > 0;
  return delayIntervalMs === "auto" && isSwapped || plainMoved && delayIntervalMs === 0;
}

/** The volumes that are new, or show another payload than before. */
function swappedSince(now: Look["volumes"], before: Look["volumes"] | undefined): Volume[] {
  return [...now.values()].filter(({ dir, target }) => before?.get(dir)?.target !== target);
}

/** What a look means after those before it, and what is remembered then. */
export async function judgeLook(
  reading: Reading,
  look: Look,
  comparison: Comparison,
  { delayIntervalMs, clock, disk }: Pick<Config, "delayIntervalMs"> & { clock: Clock; disk: Disk },
): Promise<[Observation, Reading]> {
  const isAuto = delayIntervalMs === "auto";
  const delayMs = isAuto ? AUTO_DELAY_MS : delayIntervalMs;
  const isQuiet = reading.settled === null && !isFresh(look, clock.wallMs(), delayMs);
  let settling = decideSettling(reading.waiting?.settling ?? null, {
    nowMs: clock.nowMs(),
    delayMs: isQuiet ? 0 : delayMs,
    differs: comparison.plainDiffers || (!isAuto && comparison.volumeDiffers),
    sameAsBefore: !comparison.moved,
    stable: comparison.differing.every((file) => file.stable),
    atomic: !comparison.plainDiffers,
  });
  if (settling !== null && isAuto && await areInVolumes(comparison, disk)) settling = null;
  if (settling !== null) {
    const told = await describeSettling(look, comparison, reading.content, settling.againAtMs);
    const unsettled = comparison.differing.flatMap(({ path, volume }) => volume === null ? [path] : []);
    return [told, { ...reading, last: look, waiting: { settling, unsettled, told } }];
  }
  const counted = { ...reading, last: look, settled: look, waiting: null };
  if (comparison.errors.length > 0) return [describeErrors(look, comparison), counted];
  const snapshot = await describeContent(look, comparison, reading.content, disk);
  const observation: Observation = { kind: "content", snapshot, skipped: comparison.skipped };
  return [observation, { ...counted, content: { look, snapshot } }];
}

/** At the start nothing but their times tells how long plain files have been quiet. */
function isFresh(look: Look, wallMs: number, delayMs: number): boolean {
  return look.files.values().some(({ volume, stat }) =>
    volume === null && stat !== null && Math.abs(wallMs - stat.ctimeMs) < delayMs
  );
}

/** True where all that differs are links into atomically swapped volumes elsewhere. */
async function areInVolumes({ differing, gone }: Comparison, disk: Disk): Promise<boolean> {
  if (differing.length === 0 || differing.length > LINKS_MAX || gone.length > 0) return false;
  for (const { path, volume, stat } of differing) {
    if (volume !== null) continue;
    const real = stat === null ? null : await orNull(disk.realPath(path));
    if (real === null || !isInPayload(real)) return false;
  }
  return true;
}

/** Nothing counts yet; before anything has counted, what was read is told all the same, where it is complete. */
async function describeSettling(
  look: Look,
  { errors }: Comparison,
  content: Content | null,
  againAtMs: number,
): Promise<Observation> {
  if (errors.length > 0 || content !== null) return { kind: "settling", againAtMs };
  return { kind: "settling", againAtMs, digest: await digestOfFiles(listFiles(look), look) };
}

/** Something is missing or unreadable: all errors and, beside them, the other files. */
function describeErrors(look: Look, { errors }: Comparison): Observation {
  const states = new Map(errors.map((state) => [state.path, state]));
  for (const { path, problem, digest, stat } of look.files.values()) {
    if (problem !== null || states.has(path)) continue;
    states.set(path, { path, digest, sizeBytes: stat?.sizeBytes ?? 0, error: null });
  }
  return { kind: "unreadable", files: sortPaths([...states.keys()]).map((path) => states.get(path)!) };
}

/** Complete content: the snapshot before where nothing has changed, else a new one. */
async function describeContent(
  look: Look,
  comparison: Comparison,
  before: Content | null,
  disk: Disk,
): Promise<Snapshot> {
  const isUnswapped = before !== null && look.volumes.size === before.look.volumes.size &&
    swappedSince(look.volumes, before.look.volumes).length === 0;
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
  return findChanges(look.files, before.files).every(([now, other]) =>
    now !== undefined && other !== undefined && other.digest === now.digest && other.name === now.name &&
    other.stat?.mode === now.stat?.mode && (other.bytes === null) === (now.bytes === null)
  );
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
  for (const { dir } of swappedSince(volumes, before?.volumes)) {
    times.push(await timeOf(disk.lstat(`${dir}/..data`)));
  }
  return times.reduce((newest, time) => Math.max(newest, time));
}
