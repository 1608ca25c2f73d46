/**
 * What the log says of a reload: why it begins, how it failed, and what comes next. Pure; a text names the fact first
 * and the way out after it.
 */

import type { FileChange, FileState, Result } from "../model.ts";
import { CHANGES_MAX } from "../model.ts";
import type { Job } from "../reload/model.ts";
import { formatMs, shortHash } from "../text.ts";

/** The line with which an attempt begins. */
export function startText(job: Job): string {
  const [oldHash, newHash] = [shortHash(job.oldDigest), shortHash(job.digest)];
  switch (job.why) {
    case "start":
      return `Config found that the app may not have read yet (hash: ${newHash})`;
    case "revert":
      return `Config is back to what was applied before (hash: ${newHash}): reloading it to be certain`;
    case "retry":
      return `Trying the reload again (hash: ${newHash}, attempt ${job.attempt})`;
    case "told":
      return `The app says that its last reload failed: asking it about the content on disk (hash: ${newHash})`;
    case "change":
      return `Config change detected (hash: ${oldHash} -> ${newHash})`;
  }
}

/**
 * How an attempt failed. `again`: for the same reason as the one before, so that the way out is not given again.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { failure } from "./attempt_input.ts";
 * const result = failure("failed", "connection refused; is the app running?", "trigger-failed");
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

/** Why a failure has no further try: the sidecar is being stopped, or had one try only. */
export type End = "stopping" | "once" | null;

/** What comes after a failure. `retryInMs`: null where only new content, or a SIGHUP, leads to another try. */
export function nextText(result: Result, retryInMs: number | null, end: End): string {
  if (end === "stopping") return "no further try, since config-reloader is being stopped";
  if (end === "once") return "no further try, because of --once";
  if (retryInMs === null) return "nothing was sent; waiting until the content changes";
  return `next ${result.killed ? "look" : "try"} in ${formatMs(retryInMs)}`;
}

/** Which files differ, the first `CHANGES_MAX` by path; none where the content before is not known. */
export function changesBetween(
  before: readonly FileState[] | null,
  after: readonly FileState[],
): readonly FileChange[] {
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
  return changes.sort((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : 0).slice(0, CHANGES_MAX);
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
