/**
 * What a look means after those before it: whether it is a change that is still settling, an error, or content, and what
 * is remembered of it for the next look. Asks the disk only for the times of what has changed.
 */

import type { Config } from "../config.ts";
import type { FileState, Observation, Snapshot, SnapshotFile } from "../model.ts";
import { isWithin, joinPath, parentOf } from "../paths.ts";
import type { Clock } from "../ports.ts";
import { digestOfListing, sortPaths } from "./digest.ts";
import { type Disk, orNull } from "./disk.ts";
import { problemAt } from "./file_stat.ts";
import { type Change, findChanges, isSameFile, type Look } from "./look.ts";
import type { FileLook } from "./read_files.ts";
import { AUTO_DELAY_MS, decideSettling, type Settling } from "./settle.ts";
import type { Volumes } from "./volumes.ts";

/** Directories whose own times are asked when names came or went. */
const CHANGED_DIRS_MAX = 20;

/** All that is remembered from one look to the next. */
export interface Reading {
  /** The look before. */
  readonly last: Look | null;
  /** The last that counted, be it an error. */
  readonly settled: Look | null;
  /** The last content, with the look that found it. */
  readonly content: { readonly look: Look; readonly snapshot: Snapshot } | null;
  /** A change that is being waited out. */
  readonly waiting: Waiting | null;
  /** When everything was listed and hashed last, whatever the times said. */
  readonly fullAtMs: number;
}

interface Waiting {
  readonly settling: Settling;
  /** Files outside of volumes that differ from what counted. */
  readonly unsettled: readonly string[];
  /** What was told, and is told again until it is time for another look. */
  readonly told: Observation;
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
  volumes: Volumes,
  plainMoved: boolean,
): boolean {
  if (content === null) return false;
  if (waiting !== null) return waiting.settling.firstReadAtMs !== null && !plainMoved;
  const isSwapped = swappedSince(volumes, content.look.volumes).length > 0;
  return delayIntervalMs === 0 ? isSwapped || plainMoved : delayIntervalMs === "auto" && isSwapped;
}

/** The directories of the volumes that are new, or show another payload than before. */
function swappedSince(now: Volumes, before: Volumes | undefined): string[] {
  return [...now].flatMap(([dir, target]) => before?.get(dir) === target ? [] : [dir]);
}

/** What a look means after those before it, and what is remembered then. */
export async function judgeLook(
  reading: Reading,
  look: Look,
  { delayIntervalMs, clock, disk }: Pick<Config, "delayIntervalMs"> & { clock: Clock; disk: Disk },
): Promise<[Observation, Reading]> {
  const { settled, content, last } = reading;
  const isAuto = delayIntervalMs === "auto";
  const delayMs = isAuto ? AUTO_DELAY_MS : delayIntervalMs;
  const changes = findChanges(look, settled).flatMap(({ now, before }) => {
    const state = stateOf(now, content);
    // What is there and no part of the content is as if it were gone.
    return state === stateOf(before, content) ? [] : [{ now: state === null ? undefined : now, before }];
  });
  const plain = changes.filter((change) => !isSwapped(change, look.volumes));
  // A swap that ends an error, such as a volume that comes late, counts at once.
  const isMended = look.errors.length === 0 && changes.length > 0;
  const plainDiffers = settled === null || plain.length > 0 ||
    !isMended && isOther(look.errors, settled.errors);
  const isQuiet = settled === null && !isFresh(look, clock.wallMs(), delayMs);
  const settling = decideSettling(reading.waiting?.settling ?? null, {
    nowMs: clock.nowMs(),
    delayMs: isQuiet ? 0 : delayMs,
    differs: plainDiffers || !isAuto && changes.length > 0,
    sameAsBefore: last !== null && !isOther(look.errors, last.errors) &&
      findChanges(look, last).every(isSameFile),
    stable: changes.every(({ now }) => now?.stable ?? true),
    atomic: !plainDiffers,
  });
  const { errors, skipped } = problemsOf(look, content);
  if (settling !== null) {
    const { againAtMs } = settling;
    // Before anything has counted, what was read is told all the same, where it is complete.
    const told: Observation = errors.length > 0 || content !== null
      ? { kind: "settling", againAtMs }
      : { kind: "settling", againAtMs, digest: await digestOfFiles(listFiles(look), look) };
    const unsettled = plain.flatMap(({ now }) => now === undefined ? [] : [now.path]);
    return [told, { ...reading, last: look, waiting: { settling, unsettled, told } }];
  }
  const counted = { ...reading, last: look, settled: look, waiting: null };
  if (errors.length > 0) return [{ kind: "unreadable", files: statesOf(look, errors) }, counted];
  const snapshot = await snapshotOf(look, changes, content, disk);
  return [{ kind: "content", snapshot, skipped }, { ...counted, content: { look, snapshot } }];
}

/** What counts of a file: its error or its digest; null where it is no part of the content. */
function stateOf(file: FileLook | undefined, content: Reading["content"]): string | null {
  if (file === undefined || isAbsent(file) || isSkipped(file, content)) return null;
  return file.problem === null ? file.digest : `error: ${file.problem.error}`;
}

/** What vanished between the listing and the read is as if it had not been listed. */
function isAbsent({ problem, named }: FileLook): boolean {
  return problem?.kind === "missing" && !named;
}

/** What never had content is left out; what had some and is a FIFO or too large now is an error. */
function isSkipped({ path, problem, named }: FileLook, content: Reading["content"]): boolean {
  return problem?.kind === "skip" && !named && (content?.look.files.get(path)?.digest ?? null) === null;
}

/** Published by a rename of `..data`, and so never half-written; what is gone is that only where its volume is still there. */
function isSwapped({ now, before }: Change, volumes: Volumes): boolean {
  if (now !== undefined) return now.payload !== null;
  return before!.payload !== null && volumes.keys().some((dir) => isWithin(before!.realPath, dir));
}

function isOther(now: readonly FileState[], before: readonly FileState[]): boolean {
  const textOf = (errors: readonly FileState[]) =>
    errors.map(({ path, error }) => `${path}: ${error}`).join("\n");
  return textOf(now) !== textOf(before);
}

/** At the start nothing but their times tells how long plain files have been quiet. */
function isFresh(look: Look, wallMs: number, delayMs: number): boolean {
  return look.files.values().some(({ payload, stat }) =>
    payload === null && stat !== null && Math.abs(wallMs - stat.ctimeMs) < delayMs
  );
}

/** What keeps the content from being complete, and what is no part of it although it lies there. */
function problemsOf(look: Look, content: Reading["content"]): Record<"errors" | "skipped", FileState[]> {
  const found = { errors: [...look.errors], skipped: [] as FileState[] };
  look.files.forEach((file) => {
    const { path, problem, stat } = file;
    if (problem === null || isAbsent(file)) return;
    const state = problemAt(path, { ...problem, sizeBytes: problem.sizeBytes || (stat?.sizeBytes ?? 0) });
    found[isSkipped(file, content) ? "skipped" : "errors"].push(state);
  });
  return found;
}

/** Something is missing or unreadable: all errors and, beside them, the other files. */
function statesOf(look: Look, errors: readonly FileState[]): FileState[] {
  const states = new Map(errors.map((state) => [state.path, state]));
  for (const { path, problem, digest, stat } of look.files.values()) {
    if (problem !== null || states.has(path)) continue;
    states.set(path, { path, digest, sizeBytes: stat?.sizeBytes ?? 0, error: null });
  }
  return sortPaths([...states.keys()]).map((path) => states.get(path)!);
}

/** Complete content: the snapshot before where nothing has changed, else a new one. */
async function snapshotOf(
  look: Look,
  changes: readonly Change[],
  before: Reading["content"],
  disk: Disk,
): Promise<Snapshot> {
  const isUnswapped = before !== null && look.volumes.size === before.look.volumes.size &&
    swappedSince(look.volumes, before.look.volumes).length === 0;
  if (isUnswapped && findChanges(look, before.look).every(isSameInSnapshot)) return before.snapshot;
  const files = listFiles(look);
  const digest = await digestOfFiles(files, look);
  // The same content under a new target was swapped in just now, perhaps after something else.
  const isOld = isUnswapped && before.snapshot.digest === digest;
  const changedWallMs = isOld
    ? before.snapshot.changedWallMs
    : await findChangeTime(look, changes, before?.look ?? null, disk);
  return { digest, files, changedWallMs };
}

function isSameInSnapshot({ now, before }: Change): boolean {
  return now !== undefined && before !== undefined && before.digest === now.digest &&
    before.name === now.name && before.stat?.mode === now.stat?.mode &&
    (before.bytes === null) === (now.bytes === null);
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
  changes: readonly Change[],
  before: Look | null,
  disk: Disk,
): Promise<number> {
  const times = [0];
  const dirs = new Set<string>();
  for (const { now, before: earlier } of changes) {
    if (now === undefined) dirs.add(parentOf(earlier!.path));
    else if (now.payload === null) {
      if (now.stat !== null) times.push(now.stat.ctimeMs);
      if (now.stat === null || before?.files.has(now.path) !== true) dirs.add(parentOf(now.path));
    }
  }
  const timeOf = async (info: Promise<Deno.FileInfo>) => (await orNull(info))?.mtime?.getTime() ?? 0;
  for (const dir of [...dirs].slice(0, CHANGED_DIRS_MAX)) times.push(await timeOf(disk.stat(dir)));
  for (const dir of swappedSince(volumes, before?.volumes)) {
    times.push(await timeOf(disk.lstat(joinPath(dir, "..data"))));
  }
  return times.reduce((newest, time) => Math.max(newest, time));
}
