/** What a phase waits for, and when it ends by itself. Pure. */

import { overtakeAtMs } from "./attempt.ts";
import type { Effect, Model, Now, Policy, Reload } from "./model.ts";
import { end, survivalAtMs } from "./outcome.ts";

type Step = readonly [Model, Effect];

/** What a phase waits for. */
export function next(model: Model, now: Now, policy: Policy): Step {
  const { phase } = model;
  const lifeAtMs = survivalAtMs(model, now);
  switch (phase.is) {
    case "asking":
      return [model, { do: "ask", question: phase.question, snapshot: phase.snapshot }];
    case "rendering":
      return [model, { do: "render", snapshot: phase.snapshot }];
    case "reloading":
      return [model, { do: "wait", untilMs: besideAtMs(phase.reload, policy) }];
    case "concluding":
      return [model, { do: "wait", untilMs: Math.min(phase.lookAtMs ?? now.nowMs, lifeAtMs) }];
    default:
  }
  if (model.owed !== null) return [{ ...model, owed: null }, { do: "look", hint: model.owed }];
  const code = policy.once ? onceCode(model, now, policy) : null;
  if (code !== null) return end(model, code);
  return [model, { do: "wait", untilMs: Math.min(dateOf(model, policy) ?? Infinity, lifeAtMs) }];
}

/** When something is to be done beside the attempt in progress. */
function besideAtMs(reload: Reload, policy: Policy): number {
  return Math.min(overtakeAtMs(reload, policy), reload.lookAtMs ?? Infinity);
}

/** When the phase ends by itself with a look; null where it does not. */
export function dateOf({ phase, startedAtMs }: Model, policy: Policy): number | null {
  switch (phase.is) {
    case "starting":
      return startedAtMs;
    case "settling":
      return phase.untilMs;
    case "due":
      return phase.atMs;
    case "blocked":
      // `--once`: the interval may be long, and no event come.
      return policy.once ? startedAtMs + policy.reloadTimeoutMs : null;
    default:
      return null;
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
