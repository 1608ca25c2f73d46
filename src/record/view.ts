/** What `/status` and the page show of the model: the words for people, and what the recorder keeps beside. Pure. */

import type { Config } from "../config.ts";
import type { RolloutStatus, TargetView } from "../model.ts";
import { stateOf } from "../reload/look.ts";
import { isInSync, type Model, type Now, staleMountsOf, turnOf } from "../reload/model.ts";
import { phaseText, untoldText } from "./log_rollout.ts";

/** The part of `/status` that follows from the model as it is now. */
export function viewOf(
  model: Model,
  config: Config,
  now: Pick<Now, "nowMs" | "wallMs">,
) {
  const retryAtMs = nextRetryAtMs(model);
  return {
    inSync: isInSync(model),
    inSyncSinceWallMs: model.syncSinceWallMs,
    proof: model.proof,
    outOfSyncReason: outOfSyncReason(model),
    diskDigest: model.disk,
    appliedDigest: model.applied,
    files: model.files.map(stateOf),
    staleMounts: staleMountsOf(model),
    target: targetViewOf(model),
    nextRetryWallMs: retryAtMs === null ? null : now.wallMs + retryAtMs - now.nowMs,
    restartRequired: model.restartRequired,
    rollout: rolloutStatus(config, model),
  };
}

/** Why not in sync, for people; empty where it is. */
export function outOfSyncReason(model: Model): string {
  if (isInSync(model)) return "";
  if (model.diskProblem !== null) return model.diskProblem;
  if (model.disk === null) return "the content has not been read yet";
  if (model.question !== null) {
    if (model.known?.view.ok === false) return model.known.view.message;
    const { reading } = model;
    return reading?.kind === "error"
      ? `the app gives no status yet: ${reading.reason}`
      : "the app is not there yet";
  }
  if (model.phase.is === "waiting") return phaseText(model) || "waiting for the turn in the rollout";
  if (model.phase.is === "due" && model.failure?.digest !== model.disk) {
    return "the content on disk has changed; its reload waits for --jitter or --min-reload-interval";
  }
  if (model.failure !== null) return model.failure.reason;
  return "the content on disk has changed and is being reloaded";
}

/** When the next try is due, where there will be one. */
function nextRetryAtMs(model: Model): number | null {
  // A failure of other content, or one whose content is away, leads to no try at its date.
  if (isInSync(model) || model.diskProblem !== null || model.failure?.digest !== model.disk) return null;
  return model.failure.retryAtMs;
}

/** An app that cannot see the content is not in order, whether or not a signal would reach it. */
function targetViewOf({ known }: Model): TargetView | null {
  if (known === null || !known.mounts?.blind) return known?.view ?? null;
  const message = known.mounts.stale[0]?.message ?? known.view.message;
  return { ...known.view, ok: false, code: "stale-mount", message };
}

/** The rollout; null without one. */
function rolloutStatus({ rollout: mode, rolloutGroup: group }: Config, model: Model): RolloutStatus | null {
  if (mode === "none" || group === null) return null;
  const message = phaseText(model) || untoldText(model);
  switch (model.phase.is) {
    case "waiting":
      return { mode, group, state: turnOf(model) === "held" ? "held" : "waiting", message };
    case "reloading":
    case "concluding":
      return { mode, group, state: "reloading", message };
    default:
      return { mode, group, state: model.rollout?.isSoaking ? "soaking" : "steady", message };
  }
}
