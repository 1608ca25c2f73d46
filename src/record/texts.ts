/**
 * What is said of a reload, in the log, in `/status` and in Events: why it begins, how it failed, what comes next, what it
 * waits for. Pure; a text names the fact first and the way out after it.
 */

import type { FileChange, Result, Turn } from "../model.ts";
import type { Job, Model } from "../reload/model.ts";
import { formatMs, shortHash } from "../text.ts";

/** The fields of lines about what is to be reloaded. */
export function jobFields({ digest, oldDigest, attempt }: Pick<Job, "digest" | "oldDigest" | "attempt">) {
  return { old_hash: shortHash(oldDigest), new_hash: shortHash(digest), attempt };
}

/** The line with which an attempt begins. */
export function startText(job: Pick<Job, "digest" | "oldDigest" | "why" | "attempt">): string {
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

/** Why a failure has no further try: the sidecar is being stopped, or had one try only. */
export type End = "stopping" | "once" | null;

/** What comes after a failure. `retryInMs`: null where only new content, or a SIGHUP, leads to another try. */
export function nextText(result: Result, retryInMs: number | null, end: End): string {
  if (end === "stopping") return "no further try, since config-reloader is being stopped";
  if (end === "once") return "no further try, because of --once";
  if (retryInMs === null) return "nothing was sent; waiting until the content changes";
  return `next ${result.code === "killed" ? "look" : "try"} in ${formatMs(retryInMs)}`;
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

/** What a reload that is due waits for in its group; empty where none does. */
export function phaseText({ phase }: Model): string {
  return phase.is === "waiting" ? turnText(phase.turn) : "";
}

/** Why the other pods wait for what this one knows already; empty where they do not. */
export function untoldText({ rollout }: Model): string {
  const problem = rollout?.problem ?? null;
  return problem === null ? "" : `The other pods cannot be told of this pod's turn: ${problem}; trying again`;
}

/** What the answer of the group to a reload that is due means; empty where there is nothing to say. */
function turnText(turn: Turn): string {
  switch (turn.is) {
    case "asking":
    case "go":
      return "";
    case "waiting":
      return `Waiting for its turn in the rollout: ${turn.pod} tries new content first`;
    case "held":
      return `Held: ${turn.pod || "another pod"} tried this content first and ${
        HELD[turn.outcome] ?? "it was rejected there"
      }${turn.reason === "" ? "" : `: ${turn.reason}`}`;
    case "unreachable":
      return `Nothing is reloaded before the rollout's turn is known: ${turn.message}`;
  }
}

const HELD: Readonly<Record<string, string>> = {
  rejected: "its app rejected it",
  failed: "its reload failed",
  timeout: "its app did not prove it",
  invalid: "it did not pass there",
};
