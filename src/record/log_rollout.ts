/**
 * The log lines of a rollout, when a state begins and when it ends: from the models before and after a step. None without
 * `--rollout`.
 */

import { type Job, type Model, turnOf } from "../reload/model.ts";
import { formatMs, shortHash } from "../text.ts";
import type { RecordedStep } from "./step_facts.ts";
import { jobFields, phaseText, startText, untoldText } from "./texts.ts";

/** The reload that waits for its group; null where none does. */
function waitingJob({ phase }: Model): Job | null {
  return phase.is === "waiting" ? phase.job : null;
}

/** Whether the line with which a reload begins was written when it began to wait for its group. */
export function isAnnounced(before: Model): boolean {
  return waitingJob(before) !== null || before.pending?.isSpread === true;
}

/** The line with which a reload goes that had to wait for its group. */
export function goText({ rollout }: Model, { digest }: Job): string {
  const isFirst = rollout?.turn.is === "go" && rollout.turn.isFirst;
  return `${
    isFirst ? "Trying this content first in its group" : "Its group has proved this content"
  } (hash: ${shortHash(digest)})`;
}

/** Writes the lines of one step. */
export function logRollout(step: RecordedStep): void {
  logWaiting(step);
  logUntold(step);
  logSoak(step);
}

function logWaiting({ logger, before, after }: RecordedStep): void {
  const job = waitingJob(after);
  if (job === null) return;
  const known = waitingJob(before);
  if (known?.digest !== job.digest && !isAnnounced(before)) logger.info(startText(job), jobFields(job));
  const [text, said] = [phaseText(after), known?.digest === job.digest ? phaseText(before) : ""];
  if (text === "" || text === said) return;
  const hash = { new_hash: shortHash(job.digest) };
  if (turnOf(after) === "held") logger.warn(text, { code: "held", ...hash });
  else if (turnOf(after) === "unreachable") logger.error(text, { code: "kubernetes-api", ...hash });
  // Which of the others tries something may change every few seconds.
  else if (turnOf(before) !== "waiting") logger.info(text, hash);
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
  else {logger.info(
      `The other pods of ${group} do not follow yet: newer content has come, or another pod has the turn`,
      { group },
    );}
}
