/**
 * What is said of a rollout: what a reload waits for in its group, and what the group is told of this one. None without
 * `--rollout`.
 */

import type { Turn } from "../model.ts";
import type { Model } from "../reload/model.ts";
import { formatMs } from "../text.ts";
import type { RecordedStep } from "./step_facts.ts";

/** Writes when it begins and when it ends that the others wait for this pod. */
export function logRollout(step: RecordedStep): void {
  logUntold(step);
  logSoak(step);
}

function logUntold({ logger, before, after }: RecordedStep): void {
  const text = untoldText(after);
  if (text !== "" && text !== untoldText(before)) logger.error(text, { code: "kubernetes-api" });
}

function logSoak({ logger, config, before, after }: RecordedStep): void {
  const [was, is] = [before.rollout?.isSoaking === true, after.rollout?.isSoaking === true];
  const group = config.rolloutGroup;
  if (is && !was) {
    const text = `The other pods of ${group} follow if the app lives on for ${
      formatMs(config.rolloutSoakMs)
    }`;
    logger.info(text, { group });
  }
  if (!was || is) return;
  const end = after.rollout?.soakEnd;
  if (end?.is === "proved") logger.info(`The other pods of ${group} may follow`, { group });
  else if (end?.is === "trouble") logger.error(`The other pods of ${group} hold: ${end.reason}`, { group });
  else {
    const why = "newer content has come, or another pod has the turn";
    logger.info(`The other pods of ${group} do not follow yet: ${why}`, { group });
  }
}

/** What a reload that is due waits for in its group; empty where none does. */
export function phaseText({ phase }: Model): string {
  return phase.is === "waiting" ? turnText(phase.turn) : "";
}

/** Why the other pods wait for what this one knows already; empty where they do not. */
export function untoldText({ rollout }: Model): string {
  const problem = rollout?.problem ?? null;
  return problem === null ? "" : `The other pods cannot be told of this pod's turn: ${problem}; trying again`;
}

/** What the answer of the group to a reload that is due means; empty where there is nothing to say. */
function turnText(turn: Turn): string {
  switch (turn.is) {
    case "asking":
    case "go":
      return "";
    case "waiting":
      return `Waiting for its turn in the rollout: ${turn.pod} tries new content first`;
    case "held":
      return `Held: ${turn.pod || "another pod"} tried this content first and ${
        HELD[turn.outcome] ?? "it was rejected there"
      }${turn.reason === "" ? "" : `: ${turn.reason}`}`;
    case "unreachable":
      return `Nothing is reloaded before the rollout's turn is known: ${turn.message}`;
  }
}

const HELD: Readonly<Record<string, string>> = {
  rejected: "its app rejected it",
  failed: "its reload failed",
  timeout: "its app did not prove it",
  invalid: "it did not pass there",
};
