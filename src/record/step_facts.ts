/**
 * One step of the loop as it is recorded, and what more than one kind of record says of it: which files have changed, and why
 * it failed. Pure.
 */

import type { Config } from "../config.ts";
import type { FileChange, FileState, Result } from "../model.ts";
import type { Logger } from "../ports.ts";
import type { Concluded, Event, Model, Reload } from "../reload/model.ts";

/** How many changed files a record names. */
const CHANGES_MAX = 20;

/** One step, and what its lines are written with. */
export interface RecordedStep {
  readonly config: Config;
  readonly logger: Logger;
  /** The moment of the step: what is logged is what was decided, however late the line is written. */
  readonly nowMs: number;
  readonly wallMs: number;
  readonly before: Model;
  readonly event: Event;
  readonly after: Model;
  /** An attempt has begun, or goes on with newer content. */
  readonly begun: Reload | null;
  /** An attempt is over and counted. */
  readonly concluded: Concluded | null;
}

type Files = Pick<Model, "appliedFiles" | "previousFiles" | "files">;

/** Which files differ from what the app runs, or, where that is not known, from what was there before: the first by path. */
export function changesIn(model: Files): readonly FileChange[] {
  return differences(model)
    .sort((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : 0).slice(0, CHANGES_MAX);
}

/** Paths of all files that differ; none where the content before is not known. */
export function changedPaths(model: Files): readonly string[] {
  return differences(model).map(({ path }) => path);
}

function differences({ appliedFiles, previousFiles, files }: Files): FileChange[] {
  const before: readonly FileState[] | null = appliedFiles ?? previousFiles;
  if (before === null || before === files) return [];
  const old = new Map(before.map((file) => [file.path, file]));
  const changes: FileChange[] = [];
  for (const { path, digest, sizeBytes } of files) {
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

/** One changed file for the log: `changed /etc/a.yaml (72 bytes, 70 before)`. */
export function changeText({ path, change, sizeBytes, oldSizeBytes }: FileChange): string {
  switch (change) {
    case "added":
      return `added ${path} (${sizeBytes} bytes)`;
    case "removed":
      return `removed ${path} (${sizeBytes} bytes)`;
    case "changed":
      return `changed ${path} (${sizeBytes} bytes, ${oldSizeBytes} before)`;
  }
}

/**
 * How an attempt failed. `again`: for the same reason as the one before, so that the way out is not given again.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { resultOf } from "../attempt/input.ts";
 * const result = resultOf("failed", "connection refused; is the app running?", "trigger-failed");
 * assert.equal(failureText(result, false), "Reload failed: connection refused; is the app running?");
 * assert.equal(failureText(result, true), "Reload failed: connection refused");
 * ```
 */
export function failureText(result: Result, again: boolean): string {
  const reason = again ? result.reason.split("; ", 1)[0]! : result.reason;
  switch (result.outcome) {
    case "rejected":
      return `Reload rejected by the app: ${reason}`;
    case "invalid":
      return `Config is invalid: ${reason}`;
    case "timeout":
      return reason;
    default:
      return `Reload failed: ${reason}`;
  }
}
