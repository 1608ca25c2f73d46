/**
 * What content means for an app that may have been running for long, at the sidecar's start or after the content was
 * away: has the app read it, or did it start without it? Pure.
 */

import type { Config, TriggerKind } from "../config.ts";
import type { Status, StatusReading } from "../model.ts";
import type { Event, Model, Now, Phase } from "./model.ts";
import { START_MARGIN_MS, startedAfter } from "./process.ts";

/** Clocks of one machine tell the same time; what is read a moment later may be this much later, in milliseconds. */
const CLOCK_SLACK_MS = 1_000;

/** What is known about the app. */
export interface StartFacts {
  readonly trigger: TriggerKind;
  /** When the content came to the disk, as wall time: for comparison with times that the app tells. */
  readonly changedWallMs: number;
  /** Wall time now: what the app tells of a later one was told before the clock was set back, and says nothing. */
  readonly nowWallMs: number;
  /** The change, monotonic: for comparison with the start of a process. */
  readonly changedAtMs: number;
  /** Start of the app's process, monotonic; null where there is none to be seen (yet). */
  readonly targetStartedAtMs: number | null;
  /** Since when the content was away before it came back as it was; null at the sidecar's start. */
  readonly goneSinceAtMs: number | null;
  /** Other content was on disk while it was away, and not only nothing. */
  readonly otherSeen: boolean;
  /** False where nobody asks the app (`--verify none`): then its silence does not mean that it is not there. */
  readonly isAsked: boolean;
  /** The app's answer; null where there was none. */
  readonly status: Status | null;
  /** What it said when it was last asked; null where it was not. */
  readonly before: Status | null;
}

/**
 * - `adopt`: the app has read this content;
 * - `reload`: it may not have (one reload too many is harmless);
 * - `later`: the app is not there yet. It will read the content when it starts; ask again when it is there.
 */
export type StartVerdict = "adopt" | "reload" | "later";

/** Judges content found at the start (`--reload-on-start auto`), or back after it was away. */
export function decideStart(facts: StartFacts): StartVerdict {
  const { status } = facts;
  if (facts.trigger === "none") return decideUntriggered(facts);
  if (
    status?.format === "prometheus" && status.successful && status.successWallMs !== null &&
    status.successWallMs >= facts.changedWallMs && status.successWallMs <= facts.nowWallMs + CLOCK_SLACK_MS
  ) return "adopt";
  if (facts.goneSinceAtMs !== null) {
    const { targetStartedAtMs } = facts;
    // Without a process to look at, there may be no sign whether the app has restarted, and read the other content.
    if (targetStartedAtMs === null) {
      if (facts.trigger === "signal") return "later";
      return facts.otherSeen || hasLoadedSince(facts) ? "reload" : "adopt";
    }
    if (!startedAfter(targetStartedAtMs, facts.goneSinceAtMs - 4 * START_MARGIN_MS)) return "adopt";
  }
  if (facts.targetStartedAtMs !== null) {
    return startedAfter(facts.targetStartedAtMs, facts.changedAtMs) ? "adopt" : "reload";
  }
  if (facts.trigger === "signal") return "later";
  return status === null && facts.isAsked ? "later" : "reload";
}

/** An app that watches by itself has read what is there, unless it says that it could not. */
function decideUntriggered({ isAsked, goneSinceAtMs, status }: StartFacts): StartVerdict {
  if (!isAsked || status === null && goneSinceAtMs !== null) return "adopt";
  if (status === null) return "later";
  return hasFailed(status) ? "reload" : "adopt";
}

/** Whether the app tells of a start, or of a load, that nobody here has asked for. */
function hasLoadedSince({ status, before }: StartFacts): boolean {
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

/** The status of a reading; null where there is none. */
export function statusIn(reading: StatusReading | null): Status | null {
  return reading?.kind === "status" ? reading.status : null;
}

/** The facts for `decideStart`. What the app reads may be an output, which came later than the content. */
export function startFacts(
  model: Model,
  { question, snapshot }: Pick<Phase & { is: "asking" }, "question" | "snapshot">,
  { prepared, resolution, reading }: Event & { kind: "answered" },
  now: Pick<Now, "wallMs">,
  config: Config,
): StartFacts {
  const output = prepared.kind === "ok" ? prepared.output : undefined;
  return {
    trigger: config.trigger,
    changedWallMs: Math.max(snapshot.changedWallMs, output?.wallMs ?? -Infinity),
    nowWallMs: now.wallMs,
    changedAtMs: Math.max(model.changedAtMs, output?.atMs ?? -Infinity),
    targetStartedAtMs: resolution === null || resolution.kind === "none"
      ? null
      : resolution.target.startedAtMs,
    goneSinceAtMs: question.goneSinceAtMs,
    otherSeen: question.otherSeen === true,
    isAsked: config.verify !== "none",
    status: statusIn(reading),
    before: statusIn(model.reading),
  };
}
