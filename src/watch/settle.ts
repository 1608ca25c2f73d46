/**
 * When changed content counts: what a look differs in from those before it, and for how long that has to stay as it is, as
 * `--delay-interval` says: quiet first, then the same at two reads. An absent or unreadable file settles like any other
 * state, so a moment of absence is no removal. Asks the disk only where a link leads.
 */

import type { FileState, Snapshot } from "../model.ts";
import { isInPayload } from "../proc/mountinfo.ts";
import { type Disk, orNull } from "./disk.ts";
import { fileError, isSameStat } from "./file_stat.ts";
import type { Look } from "./look.ts";
import type { FileLook } from "./read_files.ts";

/** Quiet time of `auto` for plain files (contract, `--delay-interval`). */
export const AUTO_DELAY_MS = 200;
/** A busy writer can put content off for this many quiet times: 2 s of 200 ms, as the contract has it. */
const BUSY_FACTOR = 10;
/** A timer may fire this much too early by the monotonic clock. */
const TIMER_SLACK_MS = 1;

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
  look.files.forEach((file) => {
    if (file.problem === null || isAbsent(file)) return;
    const { path, problem, stat } = file;
    const state = fileError(path, problem.error, problem.sizeBytes || (stat?.sizeBytes ?? 0));
    (isSkipped(file) ? skipped : errors).push(state);
  });
  const changes = findChanges(look.files, settled?.files).filter(([now, before]) =>
    stateOf(now) !== stateOf(before)
  );
  const differing = changes.flatMap(([now]) => now === undefined || stateOf(now) === null ? [] : [now]);
  const gone = changes.flatMap(([now, before]) =>
    before === undefined || stateOf(now) !== null ? [] : [before]
  );
  const isPlain = (file: FileLook) => file.volume === null;
  const moves = findChanges(look.files, last?.files);
  return {
    moved: last === null || textOf(look.errors) !== textOf(last.errors) || !moves.every(isSameFile),
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

/** A file in two looks; undefined where one has none. */
type Change = readonly [now: FileLook | undefined, before: FileLook | undefined];

/** All files that are not the same value in both looks. Of ten thousand nearly all are, and mostly the map itself is. */
export function findChanges(now: Look["files"], before: Look["files"] = new Map()): Change[] {
  const changes: Change[] = [];
  if (now === before) return changes;
  now.forEach((file, path) => {
    const earlier = before.get(path);
    if (earlier !== file) changes.push([file, earlier]);
  });
  before.forEach((file, path) => {
    if (!now.has(path)) changes.push([undefined, file]);
  });
  return changes;
}

/** The size, times, content and error are those of before. */
function isSameFile([now, before]: Change): boolean {
  return now !== undefined && before !== undefined && before.digest === now.digest &&
    before.problem?.error === now.problem?.error && isSameStat(before.stat, now.stat);
}

/** What vanished between the listing and the read is as if it had not been listed. */
function isAbsent({ problem, named }: FileLook): boolean {
  return problem?.kind === "missing" && !named;
}

function textOf(errors: readonly FileState[]): string {
  return errors.map(({ path, error }) => `${path}: ${error}`).join("\n");
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

/** A difference that is being waited out. */
export interface Settling {
  /** When the difference was first seen. */
  readonly sinceMs: number;
  /** Since when nothing moved. */
  readonly quietSinceMs: number;
  /** Time of the first of the two equal reads, null before it. */
  readonly firstReadAtMs: number | null;
  readonly againAtMs: number;
}

/** What one look found. */
export interface SettleInput {
  readonly nowMs: number;
  /** 0: nothing is waited for. */
  readonly delayMs: number;
  /** The look differs from the last state that counted. */
  readonly differs: boolean;
  /** Sizes, times, contents and errors are those of the look before. */
  readonly sameAsBefore: boolean;
  /** No file changed while it was being read. */
  readonly stable: boolean;
  /** All that differs was published by a rename of `..data`: it is never half-written, so one read will do. */
  readonly atomic: boolean;
}

/**
 * Null: the look counts. Otherwise when to look again.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const look = { delayMs: 200, differs: true, sameAsBefore: true, stable: true, atomic: false };
 * const first = decideSettling(null, { ...look, nowMs: 0 });
 * assert.equal(first?.againAtMs, 200); // quiet until then,
 * const second = decideSettling(first, { ...look, nowMs: 200 });
 * assert.equal(second?.againAtMs, 400); // the same at a second read:
 * assert.equal(decideSettling(second, { ...look, nowMs: 400 }), null); // it counts
 * ```
 */
export function decideSettling(state: Settling | null, input: SettleInput): Settling | null {
  const { nowMs, delayMs } = input;
  if (!input.differs || delayMs === 0) return null;
  if (state === null) return waitFrom(nowMs, nowMs, null, nowMs + delayMs);
  const busyMaxMs = delayMs * BUSY_FACTOR;
  const waitedMs = nowMs - state.sinceMs + TIMER_SLACK_MS;
  // A file that changes under every read is given as long again, and then taken as it is.
  if (waitedMs >= busyMaxMs && (input.stable || waitedMs >= 2 * busyMaxMs)) return null;
  if (!input.sameAsBefore) {
    const nextMs = waitedMs < busyMaxMs
      ? Math.min(nowMs + delayMs, state.sinceMs + busyMaxMs)
      : nowMs + delayMs / 8;
    return waitFrom(state.sinceMs, nowMs, null, nextMs);
  }
  const passed = (sinceMs: number) => nowMs - sinceMs + TIMER_SLACK_MS >= delayMs;
  if (!passed(state.quietSinceMs)) {
    return waitFrom(state.sinceMs, state.quietSinceMs, null, state.quietSinceMs + delayMs);
  }
  if (input.atomic) return null;
  const firstReadAtMs = state.firstReadAtMs ?? nowMs;
  if (passed(firstReadAtMs)) return null;
  return waitFrom(state.sinceMs, state.quietSinceMs, firstReadAtMs, firstReadAtMs + delayMs);
}

function waitFrom(
  sinceMs: number,
  quietSinceMs: number,
  firstReadAtMs: number | null,
  againAtMs: number,
): Settling {
  return { sinceMs, quietSinceMs, firstReadAtMs, againAtMs };
}
