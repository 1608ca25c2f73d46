/** What a phase waits for, and when it ends by itself. Pure. */

import { overtakeAtMs } from "./attempt.ts";
import type { Model, Now, Policy, Step } from "./model.ts";
import { end, survivalAtMs } from "./outcome.ts";

/** What is done next in this phase. */
export function next(model: Model, now: Now, policy: Policy): Step {
  const { phase } = model;
  switch (phase.is) {
    case "asking":
      return [model, { do: "ask", question: phase.question, snapshot: phase.snapshot }];
    case "rendering":
      return [model, { do: "render", snapshot: phase.snapshot }];
    case "reloading":
    case "concluding":
      return waitFor(model, now, policy);
    default:
  }
  if (model.owed !== null) return [{ ...model, owed: null }, { do: "look", hint: model.owed }];
  const code = policy.once ? onceCode(model, now, policy) : null;
  return code === null ? waitFor(model, now, policy) : end(model, code);
}

function waitFor(model: Model, now: Now, policy: Policy): Step {
  // An attempt watches by itself whether the process survives.
  const lifeAtMs = model.phase.is === "reloading" ? Infinity : survivalAtMs(model, now);
  return [model, { do: "wait", untilMs: Math.min(dateOf(model, policy), lifeAtMs) }];
}

/** When something is to be done in this phase without a hint; Infinity where nothing is. */
export function dateOf(model: Model, policy: Policy): number {
  const { phase, startedAtMs } = model;
  switch (phase.is) {
    case "starting":
      return startedAtMs;
    case "settling":
      return phase.untilMs;
    case "due":
      return phase.atMs;
    case "blocked":
      // `--once`: the interval may be long, and no event come.
      return policy.once ? startedAtMs + policy.reloadTimeoutMs : Infinity;
    case "reloading":
      return Math.min(overtakeAtMs(phase.reload, model, policy), phase.reload.lookAtMs);
    case "concluding":
      return phase.lookAtMs;
    default:
      return Infinity;
  }
}

/** `--once`: the exit code in this phase; null where it is not done yet. */
function onceCode({ phase, startedAtMs }: Model, now: Now, policy: Policy): number | null {
  switch (phase.is) {
    case "steady":
    // An app that is not there yet reads the content when it starts.
    case "absent":
      return 0;
    case "blocked":
      // Content that is not there is waited for.
      if (phase.why === "unreadable" && now.nowMs < startedAtMs + policy.reloadTimeoutMs) return null;
      return 1;
    default:
      return null;
  }
}
