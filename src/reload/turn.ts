/**
 * The turn in a rollout, as the model sees it: which content the group is asked about, and what its answer means for a
 * reload that is due (contract: a fleet). Who gets the turn is decided in `src/fleet`. Pure.
 */

import type { Config } from "../config.ts";
import type { Turn } from "../model.ts";
import type { Job, Model, Now, Phase } from "./model.ts";

/** The phase in which a reload that is due waits for its group; null where it may go. */
export function waitForTurn(model: Model, job: Job, config: Config): Phase | null {
  const turn = turnFor(model, job.digest);
  return config.rollout === "none" || turn.is === "go" ? null : { is: "waiting", job, turn };
}

/** The group's answer for this content; the one for other content says nothing. */
function turnFor({ rollout }: Model, digest: string): Turn {
  return rollout?.wanted === digest ? rollout.turn : { is: "asking" };
}

/** When a reload may go that only follows: `--jitter` after its group has let it go, so that replicas do not go together. */
export function spread(model: Model, digest: string, now: Now, config: Config): number | null {
  const turn = turnFor(model, digest);
  if (config.rollout === "none" || config.jitterMs === 0 || turn.is !== "go" || turn.isFirst) return null;
  return now.nowMs + now.random * config.jitterMs;
}

/** The content that the group is asked about: what waits for its turn, or is being reloaded. */
export function wantedOf({ phase, disk, pending }: Model): string | null {
  switch (phase.is) {
    case "waiting":
      return disk;
    case "reloading":
    case "concluding":
      return phase.reload.job.digest;
    case "due":
      return pending?.isSpread ? disk : null;
    default:
      return null;
  }
}

/** Whether the app runs what its group runs, although other content is on disk: no reason to send it no requests. */
export function isWithGroup({ phase, pending }: Model): boolean {
  return phase.is === "waiting" || phase.is === "due" && pending?.isSpread === true;
}
