/**
 * What a look differs in from those before it: what came, went or has other content, and what is wrong with it. Pure.
 */

import type { FileState, Snapshot } from "../model.ts";
import { isSameStat, problemAt } from "./file_stat.ts";
import type { Look } from "./look.ts";
import type { FileLook } from "./read_files.ts";

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
    const state = problemAt(path, { ...problem, sizeBytes: problem.sizeBytes || (stat?.sizeBytes ?? 0) });
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
