/**
 * The status format of AMP, `GET /health/reload`: JSON with a counter of all reloads, and no clock. Pure. The answer is
 * the same JSON with 200 and with 503 (unhealthy), so the code is not looked at.
 */

import type { Status, StatusReading } from "../model.ts";
import { type Answer, isObject, parseJson, parseTime } from "./answer.ts";

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
