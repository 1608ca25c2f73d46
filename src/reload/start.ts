/**
 * What content means for an app that may have been running for long, at the sidecar's start or after the content was
 * away: has the app read it, or did it start without it? And what its status says of what it has read. Pure.
 */

import type { Config } from "../config.ts";
import type { Status, StatusReading } from "../model.ts";
import type { Event, Model, Now, Phase } from "./model.ts";
import { START_MARGIN_MS, startedAfter } from "./process.ts";

/** Clocks of one machine tell the same time; what is read a moment later may be this much later, in milliseconds. */
const CLOCK_SLACK_MS = 1_000;

/**
 * - `adopt`: the app has read this content;
 * - `reload`: it may not have (one reload too many is harmless);
 * - `later`: the app is not there yet. It will read the content when it starts; ask again when it is there.
 */
export type StartVerdict = "adopt" | "reload" | "later";

/** Judges content found at the start (`--reload-on-start auto`), or back after it was away. */
export function decideStart(
  { changedAtMs, reading: before }: Pick<Model, "changedAtMs" | "reading">,
  { question, snapshot }: Pick<Phase & { is: "asking" }, "question" | "snapshot">,
  { prepared, resolution, reading }: Omit<Event & { kind: "answered" }, "kind">,
  { wallMs }: Pick<Now, "wallMs">,
  { trigger, verify }: Pick<Config, "trigger" | "verify">,
): StartVerdict {
  const status = statusIn(reading);
  // Nobody asks the app: then its silence does not mean that it is not there.
  const isAsked = verify !== "none";
  const { goneSinceAtMs } = question;
  if (trigger === "none") {
    // An app that watches by itself has read what is there, unless it says that it could not.
    if (!isAsked || status === null && goneSinceAtMs !== null) return "adopt";
    if (status === null) return "later";
    return hasFailed(status) ? "reload" : "adopt";
  }
  // What the app reads may be an output, which came later than the content.
  const output = prepared.kind === "ok" ? prepared.output : undefined;
  // What the app tells of a later time than now was told before the clock was set back, and says nothing.
  if (
    status?.format === "prometheus" && status.successful && status.successWallMs !== null &&
    status.successWallMs >= Math.max(snapshot.changedWallMs, output?.wallMs ?? -Infinity) &&
    status.successWallMs <= wallMs + CLOCK_SLACK_MS
  ) return "adopt";
  const startedAtMs = resolution === null || resolution.kind === "none"
    ? null
    : resolution.target.startedAtMs;
  if (startedAtMs === null) {
    if (trigger === "signal") return "later";
    if (goneSinceAtMs === null) return status === null && isAsked ? "later" : "reload";
    // Without a process to look at, there may be no sign whether the app has restarted, and read the other content.
    return question.otherSeen || hasLoadedSince(status, statusIn(before)) ? "reload" : "adopt";
  }
  if (goneSinceAtMs !== null && !startedAfter(startedAtMs, goneSinceAtMs - 4 * START_MARGIN_MS)) {
    return "adopt";
  }
  return startedAfter(startedAtMs, Math.max(changedAtMs, output?.atMs ?? -Infinity)) ? "adopt" : "reload";
}

/** Whether the app tells of a start, or of a load, that nobody here has asked for. */
function hasLoadedSince(status: Status | null, before: Status | null): boolean {
  if (status?.format === "amp") return before?.format === "amp" && status.attempts < before.attempts;
  if (status?.format === "prometheus") {
    return before?.format === "prometheus" && status.successWallMs !== before.successWallMs;
  }
  return status?.format === "json" && before?.format === "json" && status.token !== before.token;
}

/** Whether the app says that it could not load what it read last. */
export function hasFailed(status: Status): boolean {
  switch (status.format) {
    case "amp":
      return status.splitState || !["initial", "success", "no_changes"].includes(status.status);
    case "prometheus":
      return !status.successful;
    case "json":
      return status.ok === false;
    case "http":
      return false;
  }
}

/** Whether an app that nobody triggers tells of a failed reload; `before`: what it told the last time. */
export function tellsFailure(status: Status, before: Status | null): boolean {
  // What a JSON document says is about a reload where its token has moved; else it may be about something else.
  const isOther = status.format === "json" && (before?.format !== "json" || before.token === status.token);
  return !isOther && hasFailed(status);
}

/** The status of a reading; null where there is none. */
export function statusIn(reading: StatusReading | null): Status | null {
  return reading?.kind === "status" ? reading.status : null;
}
