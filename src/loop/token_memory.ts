/**
 * What `--verify json` has to remember from one attempt to the next, since a token may be a value of the content
 * itself (a config hash, a version): then it does not move at every reload, only when other content is applied.
 */

import type { Outcome, Status } from "../model.ts";

/** What an attempt is told. */
export interface TokenHints {
  /** The status before the first trigger with this content: a late reload since then counts. Null where unknown. */
  readonly baseline: Status | null;
  /** The token that this very content had when it was last proved; null where unknown. */
  readonly provedToken: string | null;
}

/** The memory; see the top of this file. */
export interface TokenMemory {
  /** What is known about the content `digest`. */
  recall(digest: string): TokenHints;
  /** Takes over an attempt at `digest`: its baseline, its end, and the last status seen. */
  remember(digest: string, baseline: Status | null, outcome: Outcome, status: Status | null): void;
}

/**
 * Makes a memory that knows nothing.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const memory = createTokenMemory();
 * memory.remember("a", null, "success", { format: "json", ok: null, token: '"v1"' });
 * assert.equal(memory.recall("a").provedToken, '"v1"');
 * assert.equal(memory.recall("b").provedToken, null); // other content
 * ```
 */
export function createTokenMemory(): TokenMemory {
  let first: { digest: string; baseline: Status } | null = null;
  let proved: { digest: string; token: string | null } | null = null;
  return {
    recall: (digest) => ({
      baseline: first?.digest === digest ? first.baseline : null,
      provedToken: proved?.digest === digest ? proved.token : null,
    }),
    remember(digest, baseline, outcome, status) {
      if (outcome === "success") {
        first = null;
        proved = status?.format === "json" ? { digest, token: status.token } : null;
      } else if (first?.digest !== digest) {
        first = baseline?.format === "json" ? { digest, baseline } : null;
      }
    },
  };
}
