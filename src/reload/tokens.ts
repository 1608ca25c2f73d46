/**
 * What `--verify json` has to remember from one attempt to the next, since a token may be a value of the content itself (a
 * config hash, a version): then it does not move at every reload, only when other content is applied. Pure.
 */

import type { Result, Status } from "../model.ts";
import type { ContentSince, TokenMemory } from "./model.ts";

/** What an attempt gets to know. */
export interface TokenHints {
  /** The status before the first trigger with this content: a late reload since then counts. Null where unknown. */
  readonly baseline: Status | null;
  /** The token that this very content had when it was last proved; null where unknown. */
  readonly provedToken: string | null;
}

function isFirst({ first }: TokenMemory, { digest, changedAtMs }: ContentSince): boolean {
  return first?.content.digest === digest && first.content.changedAtMs === changedAtMs;
}

/** What is known about the content of `job`. */
export function recallTokens(memory: TokenMemory, job: ContentSince): TokenHints {
  return {
    baseline: isFirst(memory, job) ? memory.first!.baseline : null,
    provedToken: memory.proved?.digest === job.digest ? memory.proved.token : null,
  };
}

/**
 * The memory after an attempt at `job`. `isPure`: the disk held this content all the time; else a token that moved may be
 * that of another one.
 */
export function rememberTokens(
  memory: TokenMemory,
  { digest, changedAtMs }: ContentSince,
  { outcome, baseline, status }: Pick<Result, "outcome" | "baseline" | "status">,
  isPure: boolean,
): TokenMemory {
  if (outcome === "success") {
    const proved = isPure && status?.format === "json" ? { digest, token: status.token } : null;
    return { first: null, proved };
  }
  if (!isPure) return { ...memory, first: null };
  if (isFirst(memory, { digest, changedAtMs })) return memory;
  const first = baseline?.format === "json" ? { content: { digest, changedAtMs }, baseline } : null;
  return { ...memory, first };
}
