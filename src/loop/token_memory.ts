/**
 * What `--verify json` has to remember from one attempt to the next, since a token may be a value of the content
 * itself (a config hash, a version): then it does not move at every reload, only when other content is applied.
 */

import type { Outcome, Status } from "../model.ts";
import type { ReloadJob } from "../reload/state.ts";

/** What an attempt is told. */
export interface TokenHints {
  /** The status before the first trigger with this content: a late reload since then counts. Null where unknown. */
  readonly baseline: Status | null;
  /** The token that this very content had when it was last proved; null where unknown. */
  readonly provedToken: string | null;
}

/** A content on disk: what it is, and since when. What was there for a moment in between makes it another one. */
type Job = Pick<ReloadJob, "digest" | "changedAtMs">;

/** The memory; see the top of this file. */
export interface TokenMemory {
  /** What is known about the content of `job`. */
  recall(job: Job): TokenHints;
  /**
   * Takes over an attempt at `job`: its baseline, its end, and the last status seen. `isPure`: the disk held this content
   * all the time; else a token that moved may be that of another one.
   */
  remember(job: Job, baseline: Status | null, outcome: Outcome, status: Status | null, isPure: boolean): void;
}

/**
 * Makes a memory that knows nothing.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const memory = createTokenMemory();
 * const status = { format: "json" as const, ok: null, token: '"v1"' };
 * memory.remember({ digest: "a", changedAtMs: 5 }, null, "success", status, true);
 * assert.equal(memory.recall({ digest: "a", changedAtMs: 9 }).provedToken, '"v1"'); // it has come back
 * assert.equal(memory.recall({ digest: "b", changedAtMs: 9 }).provedToken, null); // other content
 * ```
 */
export function createTokenMemory(): TokenMemory {
  let first: { job: Job; baseline: Status } | null = null;
  let proved: { digest: string; token: string | null } | null = null;
  const isFirst = (job: Job) => first?.job.digest === job.digest && first.job.changedAtMs === job.changedAtMs;
  return {
    recall: (job) => ({
      baseline: isFirst(job) ? first!.baseline : null,
      provedToken: proved?.digest === job.digest ? proved.token : null,
    }),
    remember(job, baseline, outcome, status, isPure) {
      if (outcome === "success") {
        first = null;
        proved = isPure && status?.format === "json" ? { digest: job.digest, token: status.token } : null;
      } else if (!isPure) first = null;
      else if (!isFirst(job)) first = baseline?.format === "json" ? { job, baseline } : null;
    },
  };
}
