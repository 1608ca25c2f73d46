/** One step of the loop as it is recorded: the models before and after it, and what it has caused. Pure. */

import type { Config } from "../config.ts";
import { CHANGES_MAX, type FileChange, type FileState } from "../model.ts";
import type { Logger } from "../ports.ts";
import type { Concluded, Event, Model, Reload } from "../reload/model.ts";

/** An attempt that is over and counted. */
export type ConcludedFacts = Concluded & { readonly durationMs: number };

/** What one step has brought about, beside the change of the model. */
export interface StepFacts {
  /** An attempt has begun, or goes on with newer content. */
  readonly begun: Reload | null;
  /** Files that differ from those that the app ran, or that were there, before; only where an attempt has begun. */
  readonly changed: readonly FileChange[];
  readonly concluded: ConcludedFacts | null;
  /** An attempt was given up because of a shutdown: no failure. */
  readonly isGivenUp: boolean;
}

/** One step, and what its lines are written with. */
export interface RecordedStep extends StepFacts {
  readonly config: Config;
  readonly logger: Logger;
  /** The moment of the step: what is logged is what was decided, however late the line is written. */
  readonly nowMs: number;
  readonly wallMs: number;
  readonly before: Model;
  readonly event: Event;
  readonly after: Model;
}

/** Compares the models. */
export function factsOf(before: Model, event: Event, after: Model, nowMs: number): StepFacts {
  const reload = after.phase.is === "reloading" ? after.phase.reload : null;
  const isBegun = reload !== null &&
    (before.phase.is !== "reloading" || before.phase.reload.job !== reload.job);
  const { last } = after;
  const isConcluded = last !== null && last !== before.last;
  return {
    begun: isBegun ? reload : null,
    changed: isBegun ? changesBetween(after.appliedFiles ?? after.previousFiles, after.files) : [],
    concluded: isConcluded ? { ...last, durationMs: nowMs - last.job.seenAtMs } : null,
    isGivenUp: (event.kind === "ended" || event.kind === "stop") && after.phase.is === "ended" &&
      !isConcluded &&
      ["reloading", "concluding"].includes(before.phase.is),
  };
}

/** Paths of all files that differ from what the app runs; none where that is not known. */
export function changedPaths(
  { appliedFiles, previousFiles, files }: Pick<Model, "appliedFiles" | "previousFiles" | "files">,
): readonly string[] {
  return differencesBetween(appliedFiles ?? previousFiles, files).map(({ path }) => path);
}

/** Which files differ, the first `CHANGES_MAX` by path; none where the content before is not known. */
export function changesBetween(
  before: readonly FileState[] | null,
  after: readonly FileState[],
): readonly FileChange[] {
  return differencesBetween(before, after)
    .sort((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : 0).slice(0, CHANGES_MAX);
}

function differencesBetween(before: readonly FileState[] | null, after: readonly FileState[]): FileChange[] {
  if (before === null || before === after) return [];
  const old = new Map(before.map((file) => [file.path, file]));
  const changes: FileChange[] = [];
  for (const { path, digest, sizeBytes } of after) {
    const known = old.get(path);
    old.delete(path);
    if (known === undefined) changes.push({ path, change: "added", sizeBytes, oldSizeBytes: null });
    else if (known.digest !== digest) {
      changes.push({ path, change: "changed", sizeBytes, oldSizeBytes: known.sizeBytes });
    }
  }
  for (const { path, sizeBytes } of old.values()) {
    changes.push({ path, change: "removed", sizeBytes, oldSizeBytes: sizeBytes });
  }
  return changes;
}
