/**
 * What the Events of the pod say (`--kubernetes-events`): from the model before a step and after it, one for each state that
 * begins. Never content: what a check said of it may quote it.
 */

import { TARGET_CODES } from "../codes.ts";
import type { EventReason } from "../model.ts";
import type { EventSink } from "../ports.ts";
import { type Concluded, staleMountsOf, turnOf } from "../reload/model.ts";
import { shortHash } from "../text.ts";
import { phaseText } from "./log_rollout.ts";
import { failureText, type RecordedStep } from "./step_facts.ts";

/** Hands over the Events of one step. */
export function noteEvents(events: EventSink, { before, after, concluded }: RecordedStep): void {
  if (concluded !== null) noteOutcome(events, concluded);
  if (after.death !== null && after.death !== before.death) {
    events.add("ConfigReloadFailed", after.death.text);
  }
  if (turnOf(after) === "held" && turnOf(before) !== "held") events.add("ConfigHeld", phaseText(after));
  const known = new Set(staleMountsOf(before).map(({ message }) => message));
  for (const { message } of staleMountsOf(after)) {
    if (!known.has(message)) events.add("ConfigMountStale", message);
  }
}

function noteOutcome(events: EventSink, { job, result }: Concluded): void {
  const hash = shortHash(job.digest);
  switch (result.outcome) {
    case "success":
      return events.add("ConfigReloaded", `Reload successful (hash: ${hash}, proof: ${result.proof})`);
    case "rejected":
      return events.add("ConfigReloadRejected", `${failureText(result, false)} (hash: ${hash})`);
    case "invalid":
      return events.add(
        "ConfigReloadFailed",
        `Config is invalid (hash: ${hash}); the sidecar's log says why`,
      );
    default:
      return events.add(reasonOf(result.code), `${failureText(result, false)} (hash: ${hash})`);
  }
}

function reasonOf(code: string): EventReason {
  if (code === "stale-mount") return "ConfigMountStale";
  return code in TARGET_CODES ? "ConfigTargetUnreachable" : "ConfigReloadFailed";
}
