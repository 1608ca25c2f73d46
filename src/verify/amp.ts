/**
 * The status of AMP, `GET /health/reload`, and what it proves: JSON with a counter of all reloads. Pure. The answer is the
 * same JSON with 200 and with 503 (unhealthy), so the code is not looked at.
 */

import type { Status, StatusReading, Verdict } from "../model.ts";
import { type Answer, isObject, parseJson, parseTime } from "./answer.ts";
import { GRAIN_MS, isInFuture, type JudgeContext, pending, rejected, success } from "./verdict.ts";

type AmpStatus = Extract<Status, { format: "amp" }>;

/** Parses an answer; never throws. */
export function parseAmp(answer: Answer): StatusReading {
  return parseJson(answer, readAmp);
}

/** The status that a JSON value is; else why it is none. */
export function readAmp(value: unknown): Status | string {
  const { status, attempts, ...more } = isObject(value) ? value : {};
  if (typeof status !== "string" || !isCount(attempts)) {
    return "not an AMP status: it has no status text and attempts number";
  }
  return {
    format: "amp",
    status: status.slice(0, ENTRY_LENGTH_MAX),
    attempts,
    splitState: more.split_state === true,
    restartRequired: restartRequired(more.restart_required),
    lastReloadWallMs: parseTime(more.last_reload_time),
  };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}

/** At most this many entries are kept, each cut, as is the status: they are shown, kept, and must stay small. */
const ENTRIES_MAX = 20;
const ENTRY_LENGTH_MAX = 100;

/** What needs a restart, e.g. `W600 publishing`; entries of an unknown shape count too. */
function restartRequired(value: unknown): string[] {
  if (typeof value === "string" && value !== "") return [value.slice(0, ENTRY_LENGTH_MAX)];
  if (value === true) return ["restart required"];
  if (!Array.isArray(value)) return [];
  return value.slice(0, ENTRIES_MAX).map((entry) => {
    if (typeof entry === "string") return entry.slice(0, ENTRY_LENGTH_MAX);
    const parts = isObject(entry)
      ? [entry.code, entry.component].filter((part) => typeof part === "string")
      : [];
    return (parts.join(" ") || "restart required").slice(0, ENTRY_LENGTH_MAX);
  });
}

const PENDING_INITIAL = "no reload since the app started";

/** Judges one status read after the trigger. */
export function judgeAmp(status: AmpStatus, context: JudgeContext): Verdict {
  const baseline = context.baseline?.format === "amp" ? context.baseline : null;
  // A lower counter is one that started anew: the app restarted after the baseline, and so with the new content, unless
  // the baseline may be older than the change.
  const isAnew = baseline !== null && status.attempts < baseline.attempts;
  const isBefore = context.untriggered === true && context.startWouldShow !== true;
  const restarted = context.restarted || isAnew && !isBefore;
  const { lastReloadWallMs } = status;
  // Null where it is not asked, not told, or says nothing.
  const toldLater = context.untriggered !== true || lastReloadWallMs === null ||
      isInFuture(lastReloadWallMs, context)
    ? null
    : lastReloadWallMs > context.triggeredWallMs - GRAIN_MS;
  if ((baseline === null || isAnew) && !restarted && toldLater === null) return { kind: "baseline" };
  const moved = status.attempts > (restarted ? 0 : baseline?.attempts ?? Infinity);
  const counted = toldLater === null || restarted ? moved : toldLater;
  const good = status.status === "success" || status.status === "no_changes";
  if (counted && status.splitState) return rejected(good ? "split_state" : `${status.status}, split_state`);
  if (counted && !good && !(restarted && status.status === "initial")) return rejected(status.status);
  if (counted || (restarted && !status.splitState && (good || status.status === "initial"))) {
    if (!context.settled) return { kind: "settling" };
    return success(restarted ? "restarted" : toldLater === null ? "counter" : "time");
  }
  // Nobody asked for a reload, and there was none since this content was proved: the app never left it.
  const isUnmoved = context.untriggered === true && `${status.attempts}` === context.provedToken;
  if (isUnmoved && good && !status.splitState) return success("counter");
  if (restarted) return pending(`the app has restarted and its status is ${status.status}`);
  const before = status.status === "initial" ? PENDING_INITIAL : `status is still ${status.status}`;
  return pending(`the app has not counted a new reload: attempts is still ${status.attempts}, ${before}`);
}
