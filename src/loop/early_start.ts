/**
 * Begins what an attempt needs first, the baseline request and the look for the target, before it is certain that there
 * is a change: all of that is then off the way from the swap to the signal. It neither signals nor decides.
 */

import { type Advance, beginAdvance, FOUND_FRESH_MS } from "./attempt_steps.ts";

/** Least time between two starts for changes that are only foreseen: a directory may be busy with other things. */
const FORESEE_PAUSE_MS = 1_000;

/** The early start; see the top of this file. */
export interface EarlyStart {
  /** A change is likely: begins, unless that was done just now. */
  begin(): void;
  /** A change may follow: kubelet's update has several steps, and the swap is one of the last. */
  foresee(): void;
  /** What was begun since `sinceMs` or just before; null where nothing was: an old baseline proves nothing. */
  advance(sinceMs: number): Advance | null;
  /** Forgets what was begun, and ends a request that is still on its way. */
  drop(): void;
}

/**
 * Makes one; nothing has been begun.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createTestConfig } from "../../tests/support/config.ts";
 * import { createFakeClock } from "../../tests/support/fake_clock.ts";
 * const clock = createFakeClock();
 * const early = createEarlyStart({
 *   clock,
 *   config: createTestConfig({ trigger: "http" }),
 *   probe: { read: () => Promise.resolve({ kind: "error", reason: "connection refused" }) },
 *   target: { resolve: () => assert.fail("nothing is signalled") },
 * });
 * assert.equal(early.advance(clock.nowMs()), null);
 * early.begin();
 * assert.notEqual(early.advance(clock.nowMs())?.baseline, null); // the request is on its way
 * ```
 */
export function createEarlyStart(deps: Parameters<typeof beginAdvance>[0]): EarlyStart {
  let current: { readonly advance: Advance; readonly cancel: AbortController } | null = null;
  let begunAtMs = -Infinity;

  function drop(): void {
    // With a reason of its own it makes no DOMException, which costs more than all the rest.
    if (current?.advance.answer === null) current.cancel.abort("not needed");
    current = null;
  }

  function begin(): void {
    const nowMs = deps.clock.nowMs();
    if (current !== null && nowMs - begunAtMs < FOUND_FRESH_MS) return;
    drop();
    const cancel = new AbortController();
    current = { advance: beginAdvance(deps, cancel.signal), cancel };
    begunAtMs = nowMs;
  }

  return {
    begin,
    foresee() {
      if (deps.clock.nowMs() - begunAtMs >= FORESEE_PAUSE_MS) begin();
    },
    advance: (sinceMs) => begunAtMs > sinceMs - FOUND_FRESH_MS ? current?.advance ?? null : null,
    drop,
  };
}
