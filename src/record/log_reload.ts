/** The log lines of a reload: how it begins, what is sent, how it ends, and what counts as applied without one. */

import { type Config, rendersOutput } from "../config.ts";
import { hideUrlSecrets } from "../http/urls.ts";
import type { Result } from "../model.ts";
import type { LogFields } from "../ports.ts";
import {
  type Concluded,
  type Event,
  isInSync,
  type Job,
  type Model,
  reloadOf,
  turnOf,
} from "../reload/model.ts";
import { formatMs, shortHash } from "../text.ts";
import { phaseText } from "./log_rollout.ts";
import { changesIn, changeText, failureText, type RecordedStep } from "./step_facts.ts";

/** Writes what one step says of a reload. */
export function logReload(step: RecordedStep): void {
  const { logger, before, event, concluded } = step;
  logAnswer(step);
  logBegun(step);
  if (event.kind === "sent") logSent(step, event);
  if (event.kind === "rendered") logRendered(step, event);
  if (concluded !== null) logOutcome(step, concluded);
  const givenUp = concluded === null && step.after.phase.is === "ended" ? reloadOf(before) : null;
  if (givenUp !== null) {
    logger.info("Stopped before the reload was proved", { new_hash: shortHash(givenUp.job.digest) });
  }
  logSync(step);
  logOnce(step);
  logWaiting(step);
}

/** What became of the question whether the app has read what is on disk. */
function logAnswer({ config, logger, before, event, after }: RecordedStep): void {
  if (event.kind !== "answered" || before.phase.is !== "asking") return;
  const { question } = before.phase;
  // A reload says so itself when it begins, or when it begins to wait for its group.
  const isForReload = ["reloading", "due", "waiting"].includes(after.phase.is);
  if (question.changedFrom !== undefined && !isForReload) {
    const { digest, changedFrom: oldDigest } = question;
    const fields = { old_hash: shortHash(oldDigest), new_hash: shortHash(digest) };
    logger.info(startText({ digest, oldDigest, why: "change", attempt: 1 }), fields);
  }
  // Without a process to look at, only the status URL shows that the app is there.
  const { resolution, reading } = event;
  const isFirst = after.phase.is === "absent" && before.question === null;
  if (isFirst && resolution === null && reading?.kind === "error") {
    logger.info(`Waiting for the app to answer: GET ${hideUrlSecrets(config.reloadUrl)}: ${reading.reason}`);
  }
}

/** The reload that waits for its group; null where none does. */
function waitingJob({ phase }: Model): Job | null {
  return phase.is === "waiting" ? phase.job : null;
}

/** Whether the line with which a reload begins was written when it began to wait for its group. */
function isAnnounced(before: Model): boolean {
  return waitingJob(before) !== null || before.pending?.isSpread === true;
}

/** A reload that is due waits for its group, or is held. */
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

function logBegun({ logger, before, after, begun }: RecordedStep): void {
  if (begun === null) return;
  const { job, causes, isContinued } = begun;
  if (isContinued && before.phase.is === "concluding" && before.phase.result.outcome === "rejected") {
    const { result, reload } = before.phase;
    const fields = { outcome: "rejected", reason: result.reason, new_hash: shortHash(reload.job.digest) };
    logger.warn(`${failureText(result, false)}; going on with newer content`, fields);
  }
  // What had to wait for its group was announced when it began to wait.
  const text = isAnnounced(before) ? goText(after, job) : startText(job);
  logger.info(text, { ...jobFields(job), causes: causes.join(",") });
  for (const change of changesIn(after)) logger.debug(`File ${changeText(change)}`, { path: change.path });
}

/** The line with which a reload goes that had to wait for its group. */
function goText({ rollout }: Model, { digest }: Job): string {
  const isFirst = rollout?.turn.is === "go" && rollout.turn.isFirst;
  return `${
    isFirst ? "Trying this content first in its group" : "Its group has proved this content"
  } (hash: ${shortHash(digest)})`;
}

/** The line with which an attempt begins. */
function startText(job: Pick<Job, "digest" | "oldDigest" | "why" | "attempt">): string {
  const [oldHash, newHash] = [shortHash(job.oldDigest), shortHash(job.digest)];
  switch (job.why) {
    case "start":
      return `Config found that the app may not have read yet (hash: ${newHash})`;
    case "revert":
      return `Config is back to what was applied before (hash: ${newHash}): reloading it to be certain`;
    case "retry":
      return `Trying the reload again (hash: ${newHash}, attempt ${job.attempt})`;
    case "told":
      return `The app says that its last reload failed: asking it about the content on disk (hash: ${newHash})`;
    case "change":
      return `Config change detected (hash: ${oldHash} -> ${newHash})`;
  }
}

/** The fields of lines about what is to be reloaded. */
function jobFields({ digest, oldDigest, attempt }: Pick<Job, "digest" | "oldDigest" | "attempt">) {
  return { old_hash: shortHash(oldDigest), new_hash: shortHash(digest), attempt };
}

function logSent({ config, logger }: RecordedStep, event: Event & { kind: "sent" }): void {
  const { how, target, unanswered } = event;
  if (unanswered !== undefined) {
    logger.warn(`${unanswered}; the app may have got it all the same: its status is asked`);
  }
  if (how === "again") {
    logger.debug("There was no status before the trigger: triggered once more to prove the reload");
  } else if (target !== null && how === "first") {
    logger.info(`Sending ${config.signal} to main process (PID ${target.pid})`, {
      signal: config.signal,
      pid: target.pid,
      process: target.name,
    });
  } else if (target !== null) {
    logger.info(
      `${target.name} (PID ${target.pid}) started after the change and has read it; verifying without a signal`,
      { pid: target.pid, process: target.name },
    );
  }
}

function logOutcome(step: RecordedStep, { job, result }: Concluded): void {
  const { config, logger, nowMs, before } = step;
  const fields = {
    outcome: result.outcome,
    ...(result.code === "" ? {} : { code: result.code }),
    ...(result.proof === null ? {} : { proof: result.proof }),
    ...(result.target === null ? {} : { pid: result.target.pid }),
    new_hash: shortHash(job.digest),
    attempt: job.attempt,
    duration_ms: Math.round((nowMs - job.seenAtMs) * 10) / 10,
  };
  if (result.outcome === "success") return logSuccess(step, fields);
  const failed = failureText(result, before.failedFor === result.reason);
  logger.error(`${failed}; ${nextText(step, result)}`, fields);
  if (result.outcome === "timeout" && before.failedFor === null && isDefault(config, "reload-url")) {
    logger.warn(
      `Nothing proved the reload, and ${hideUrlSecrets(config.reloadUrl)} is only the default: ` +
        "is --reload-url right? It is where the app reports its last reload; --verify says in which form",
    );
  }
}

/** What comes after a failure. */
function nextText({ config, nowMs, after }: RecordedStep, { code }: Result): string {
  if (after.isStopping) return "no further try, since config-reloader is being stopped";
  if (config.once) return "no further try, because of --once";
  const retryAtMs = after.failure?.retryAtMs ?? null;
  if (retryAtMs === null) return "nothing was sent; waiting until the content changes";
  return `next ${code === "killed" ? "look" : "try"} in ${formatMs(retryAtMs - nowMs)}`;
}

function isDefault({ settings }: Config, name: string): boolean {
  return settings.some((setting) => setting.name === name && setting.source === "default");
}

function logSuccess({ config, logger, before, after }: RecordedStep, fields: LogFields): void {
  logger.info("✅ Reload successful", fields);
  if (config.verify === "auto" && after.proof === "http-200" && before.proof !== "http-200") {
    const isGauge = after.last?.result.status?.format === "prometheus";
    const answer = isGauge
      ? "says that its last reload was successful, without a time or a count"
      : "answers HTTP 200";
    logger.warn(
      `The only proof is that GET ${hideUrlSecrets(config.reloadUrl)} ${answer}, which proves little: ` +
        "set --verify to the form in which the app reports its reloads, or to http if this is enough",
      fields,
    );
  }
  if (after.restartRequired.length > 0) {
    const parts = after.restartRequired.join(", ");
    logger.warn(`The app applied the change, but says that part of it needs a restart: ${parts}`, fields);
  }
}

/** What the app runs is certain again, or certain without a reload. */
function logSync({ logger, nowMs, before, after }: RecordedStep): void {
  // Content that was away and came back as it was is no news.
  const isBack = before.phase.is === "asking" && before.phase.question.goneSinceAtMs !== null;
  if (before.restartRequired.length > 0 && after.restartRequired.length === 0 && after.last === before.last) {
    logger.info("The app has restarted: no part of the configuration needs that any more");
  }
  if (!isInSync(after)) return;
  if (after.last === before.last && after.applied !== before.applied && !isBack) {
    const hash = shortHash(after.applied);
    logger.info(`Nothing to reload: what is on disk counts as applied (hash: ${hash})`, { new_hash: hash });
  }
  if (before.failedFor === null || before.outOfSyncSinceAtMs === null) return;
  logger.info(`In sync again after ${formatMs(nowMs - before.outOfSyncSinceAtMs)}`);
}

function logRendered({ logger, config }: RecordedStep, { prepared }: Event & { kind: "rendered" }): void {
  const { kind } = prepared;
  if (kind === "ok") {
    return logger.info(`Wrote ${config.configEnvsubstFile ?? config.outputDir}`);
  }
  const { reason } = prepared;
  const text = kind === "invalid" ? `Config is invalid: ${reason}` : `Cannot write the output: ${reason}`;
  logger.error(text, { outcome: kind });
}

/** `--once` ends with what was reached, where no attempt has said it. */
function logOnce({ config, logger, before, after }: RecordedStep): void {
  if (!config.once || after.phase.is !== "ended" || after.isStopping || after.last !== before.last) return;
  if (after.question !== null) {
    logger.info("The app is not there; it reads the content when it starts");
  } else if (after.diskProblem !== null) {
    const waited = formatMs(config.reloadTimeoutMs);
    logger.error(`Gave up after ${waited}, because of --once: ${after.diskProblem}`);
  } else if (!isInSync(after) && !rendersOutput(config)) {
    logger.error("The content cannot be reloaded, because of --once: it is invalid");
  }
}
