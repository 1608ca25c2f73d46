/** What a phase waits for, and when it ends by itself. Pure. */

import type { Config } from "../config.ts";
import type { Model, Now, Reload, Step } from "./model.ts";
import { end, survivalAtMs } from "./outcome.ts";

/** So long after its trigger a proof may be pending before newer content overtakes it (contract: on a change, 5). */
const OVERTAKE_MS = 2_000;

/** What is done next in this phase. */
export function next(model: Model, now: Now, config: Config): Step {
  const { phase } = model;
  switch (phase.is) {
    case "asking":
      return [model, { do: "ask", question: phase.question, snapshot: phase.snapshot }];
    case "rendering":
      return [model, { do: "render", snapshot: phase.snapshot }];
    case "reloading":
    case "concluding":
      return waitFor(model, now, config);
    default:
  }
  if (model.owed !== null) return [{ ...model, owed: null }, { do: "look", hint: model.owed }];
  const code = config.once ? onceCode(model, now, config) : null;
  return code === null ? waitFor(model, now, config) : end(model, code);
}

function waitFor(model: Model, now: Now, config: Config): Step {
  // An attempt watches by itself whether the process survives.
  const lifeAtMs = model.phase.is === "reloading" ? Infinity : survivalAtMs(model, now);
  return [model, { do: "wait", untilMs: Math.min(dateOf(model, config), lifeAtMs) }];
}

/** When something is to be done in this phase without a hint; Infinity where nothing is. */
export function dateOf(model: Model, config: Config): number {
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
      return config.once ? startedAtMs + config.reloadTimeoutMs : Infinity;
    case "reloading":
      return Math.min(overtakeAtMs(phase.reload, model, config), phase.reload.lookAtMs);
    case "concluding":
      return phase.lookAtMs;
    default:
      return Infinity;
  }
}

/**
 * When newer content may overtake the pending proof; Infinity where there is none, or no trigger to wait for. At SIGTERM the
 * reload in progress is finished, since nothing more will be sent.
 */
export function overtakeAtMs(
  { newer, sentAtMs, isOvertaken }: Reload,
  { isStopping }: Pick<Model, "isStopping">,
  config: Config,
): number {
  if (newer === null || sentAtMs === null || isOvertaken || isStopping) return Infinity;
  return Math.max(sentAtMs + OVERTAKE_MS, sentAtMs + config.minReloadIntervalMs, newer.notBeforeMs);
}

/** `--once`: the exit code in this phase; null where it is not done yet. */
function onceCode({ phase, startedAtMs }: Model, now: Now, config: Config): number | null {
  switch (phase.is) {
    case "steady":
    // An app that is not there yet reads the content when it starts.
    case "absent":
      return 0;
    case "blocked":
      // Content that is not there is waited for.
      if (phase.why === "unreadable" && now.nowMs < startedAtMs + config.reloadTimeoutMs) return null;
      return 1;
    default:
      return null;
  }
}
