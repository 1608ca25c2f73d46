/**
 * Watches the disk while an app is reloading: if it held anything but the content that is being reloaded, even for a
 * moment, a success proves that the app read a content, but not which. It looks; the loop decides.
 */

import type { Snapshot } from "../model.ts";
import type { SnapshotReader } from "../ports.ts";
import type { Hint, HintQueue } from "../reload/queue.ts";

/** What the watch needs of the loop. */
export interface FlapDeps {
  readonly reader: Pick<SnapshotReader, "look">;
  readonly queue: HintQueue;
  /** Whether a hint cannot mean anything. */
  readonly isNothing: (hint: Hint) => Promise<boolean>;
  /** Called before each look: the reader's last content is no more the one that was decided about. */
  readonly onLook: () => void;
  /** Called where somebody asked for a try (SIGHUP to the sidecar): it must be made after this one. */
  readonly onAsked: () => void;
}

/** What was seen: the content itself all the time, or something else, too. */
export type FlapVerdict = "same" | "flapped";

/**
 * Takes all hints until `over` aborts, looks at what they mean, and looks once more in the end. It is `flapped` as soon
 * as the disk holds something else than `snapshot`, be it a file that is being written, or held it by the time of its
 * last swap. The caller looks at nothing meanwhile.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createHintQueue } from "../reload/queue.ts";
 * const snapshot = { digest: "a", files: [], changedWallMs: 0 };
 * const other = { kind: "content" as const, snapshot: { ...snapshot, digest: "b" }, skipped: [] };
 * const deps = {
 *   reader: { look: () => Promise.resolve(other) },
 *   queue: createHintQueue(),
 *   isNothing: () => Promise.resolve(false),
 *   onLook: () => {},
 *   onAsked: () => {},
 * };
 * const over = new AbortController();
 * const verdict = watchForFlap(deps, snapshot, over.signal, new AbortController().signal);
 * over.abort(); // nobody hinted at anything; the last look sees it
 * assert.equal(await verdict, "flapped");
 * ```
 */
export async function watchForFlap(
  deps: FlapDeps,
  snapshot: Snapshot,
  over: AbortSignal,
  aborted: AbortSignal,
): Promise<FlapVerdict> {
  const ended = new Promise<void>((resolve) =>
    over.addEventListener("abort", () => resolve(), { once: true })
  );
  for (;;) {
    await Promise.race([deps.queue.filled(), ended]);
    // The last look is made without a hint: events get lost, but the time of a swap does not.
    const isLast = over.aborted;
    const hint = deps.queue.take();
    if (hint?.causes.includes("signal")) deps.onAsked();
    const isNothing = !isLast && (hint === null || await deps.isNothing(hint));
    if (isNothing) {
      if (hint !== null) deps.queue.calm();
      continue;
    }
    deps.onLook();
    // Without a hint, of many files only those that changed lately: the next interval looks at the others.
    const seen = await deps.reader.look({ signal: aborted, brief: hint === null });
    deps.queue.calm();
    if (seen.kind !== "content" || !isSame(seen.snapshot, snapshot)) {
      // The change counts from now on, not from the end of this reload.
      for (const cause of hint?.causes ?? []) deps.queue.push(cause, hint!.firstAtMs);
      return "flapped";
    }
    if (isLast) return "same";
  }
}

function isSame(a: Snapshot, b: Snapshot): boolean {
  return a.digest === b.digest && a.changedWallMs === b.changedWallMs;
}
