/**
 * What the log says of a reload: why it begins, how it failed, and what comes next. Pure; a text names the fact first
 * and the way out after it.
 */

import type { AttemptResult } from "../model.ts";
import type { ReloadJob } from "../reload/state.ts";
import { formatMs, shortHash } from "../text.ts";

/**
 * The line with which an attempt begins.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const job = { oldDigest: null, attempt: 1, mayTrigger: true, seenAtMs: 0, changedAtMs: 0 };
 * const text = startText({ ...job, digest: "b".repeat(64), why: "change" });
 * assert.equal(text, "Config change detected (hash: none -> bbbbbbbbbbbb)");
 * ```
 */
export function startText(job: ReloadJob): string {
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
 * How an attempt failed. `again`: for the same reason as the one before, so that the way out is not told again.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { failure } from "./attempt_steps.ts";
 * const result = failure("failed", "connection refused; is the app running?", "trigger");
 * assert.equal(failureText(result, false), "Reload failed: connection refused; is the app running?");
 * assert.equal(failureText(result, true), "Reload failed: connection refused");
 * ```
 */
export function failureText(result: AttemptResult, again: boolean): string {
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

/**
 * What comes after a failure. `retryInMs`: null where only new content, or a SIGHUP, leads to another try.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { failure } from "./attempt_steps.ts";
 * const result = failure("rejected", "HTTP 500", "rejected");
 * assert.equal(nextText(result, 10_000, null), "next try in 10s");
 * assert.equal(nextText({ ...result, killed: true }, 10_000, null), "next look in 10s"); // no signal
 * assert.equal(nextText(result, 10_000, "once"), "no further try, because of --once");
 * ```
 */
export function nextText(result: AttemptResult, retryInMs: number | null, end: End): string {
  if (end === "stopping") return "no further try, since config-reloader is being stopped";
  if (end === "once") return "no further try, because of --once";
  if (retryInMs === null) return "nothing was sent; waiting until the content changes";
  return `next ${result.killed ? "look" : "try"} in ${formatMs(retryInMs)}`;
}
