/**
 * The log lines of states that last: what is wrong with the disk, who would be signalled, whether the signal killed it, which
 * mounts are stale. Each is logged when it begins and when it ends, from the models before and after a step.
 */

import { type KnownTarget, staleMountsOf } from "../reload/model.ts";
import { formatMs } from "../text.ts";
import type { RecordedStep } from "./step_facts.ts";

/** Writes what has begun or ended with one step. */
export function logStates(step: RecordedStep): void {
  logProblems(step);
  logDeath(step);
  logTarget(step);
  logMounts(step);
}

/** What is wrong with the disk: once when it begins, and once when it ends, with how long it lasted. */
function logProblems({ logger, nowMs, before, event, after }: RecordedStep): void {
  if (before.problems === after.problems || event.kind !== "looked") return;
  const { observation } = event;
  const known = new Map(before.problems.map((problem) => [problem.path, problem]));
  for (const { path, text } of after.problems) {
    if (known.get(path)?.text !== text) logger.warn(text, { path });
    known.delete(path);
  }
  for (const { path, sinceAtMs } of known.values()) {
    // Another problem has taken its place where the path itself was not read.
    const isRead = observation.kind === "content" ||
      observation.kind === "unreadable" && observation.files.some((file) => file.path === path);
    if (!isRead) continue;
    logger.info(`In order again after ${formatMs(nowMs - sinceAtMs)}: ${path}`, { path });
  }
}

/** The app died of its signal, although its reload had been counted. */
function logDeath({ logger, nowMs, before, after }: RecordedStep): void {
  if (after.death === null || after.death === before.death) return;
  const retryAtMs = after.failure?.retryAtMs ?? nowMs;
  const text = `${after.death.text}; next look in ${formatMs(retryAtMs - nowMs)}`;
  // What had been rejected fails for the second time.
  logger.error(before.failedFor === null ? `Reload failed after all: ${text}` : text, { code: "killed" });
}

/** Who would be signalled, or why nobody: once for each change of that. */
function logTarget({ config, logger, nowMs, before, after }: RecordedStep): void {
  const { known } = after;
  if (known === before.known || known === null || known.view.message === before.known?.view.message) return;
  const { ok, message, code, pid } = known.view;
  const fields = { code, pid };
  if (ok) {
    const since = before.brokenSinceAtMs;
    const lasted = since === null ? "" : `; in order after ${formatMs(nowMs - since)}`;
    logger.info(`Target: ${message}${lasted}`, fields);
    return;
  }
  // A process that ends is a zombie, then no process, then nobody is left: one death. An attempt may have said it, too.
  if (code === "not-there" && before.known?.view.code === code || message === after.failedFor) return;
  // Short-lived processes of the same names are the same question again, whatever their PIDs.
  if (code === "ambiguous" && before.known?.view.code === code && namesIn(known) === namesIn(before.known)) {
    return;
  }
  const line = `Target: ${message}`;
  // An app that has not started yet is nothing that somebody has to do something about. A number does not come back.
  const isComing = known.isExpected && !before.targetSeen && config.pid === "auto";
  if (isComing) logger.info(line, fields);
  else logger.warn(line, fields);
}

function namesIn({ view }: KnownTarget): string {
  return [...view.names ?? []].sort().join(" ");
}

/** Mounts that can never change again, each once. */
function logMounts({ logger, before, after }: RecordedStep): void {
  const isOld = after.ownStaleMounts === before.ownStaleMounts &&
    after.known?.mounts === before.known?.mounts;
  if (isOld) return;
  const known = new Set(staleMountsOf(before).map((mount) => mount.message));
  for (const { message, container, reason, mountPoint } of staleMountsOf(after)) {
    // What is wrong with a path of the content is said once, as such.
    const isSaid = after.failedFor?.includes(message) || after.problems.some(({ text }) => text === message);
    if (known.has(message) || isSaid) continue;
    logger.warn(message, { container, reason, mount: mountPoint });
  }
}
