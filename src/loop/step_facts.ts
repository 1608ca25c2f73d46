/** What one step has brought about, read off the model before and after it. Pure. */

import type { FileChange } from "../model.ts";
import type { Concluded, Event, Model, Reload } from "../reload/model.ts";
import { changesBetween } from "./record_text.ts";

/** What one step has brought about, beside the change of the model. */
export interface StepFacts {
  /** An attempt has begun, or goes on with newer content. */
  readonly begun: Reload | null;
  readonly changed: readonly FileChange[];
  /** An attempt is over and counted. */
  readonly concluded: (Concluded & { readonly durationMs: number }) | null;
}

/** Compares the models. */
export function factsOf(before: Model, after: Model, nowMs: number): StepFacts {
  const reload = after.phase.is === "reloading" ? after.phase.reload : null;
  const isBegun = reload !== null &&
    (before.phase.is !== "reloading" || before.phase.reload.job !== reload.job);
  const { last } = after;
  return {
    begun: isBegun ? reload : null,
    changed: isBegun ? changesBetween(after.appliedFiles, after.files) : [],
    concluded: last === null || last === before.last
      ? null
      : { ...last, durationMs: nowMs - last.job.seenAtMs },
  };
}

/** An attempt was given up because of a shutdown: no failure. */
export function isGivenUp(before: Model, event: Event, after: Model): boolean {
  return event.kind === "ended" && before.phase.is === "reloading" && after.phase.is === "ended" &&
    after.last === before.last;
}
