/**
 * `/status` as JSON text: the view as it is, with a time that people and programs read (RFC 3339) beside each Unix time in
 * milliseconds. Characters from outside that could control a terminal are escaped, as JSON allows.
 */

import type { StatusView } from "../model.ts";
import { escapeUnsafeLines } from "../text.ts";

/** Renders the view. */
export function renderStatusJson(view: StatusView): string {
  const json = JSON.stringify(view, (_, value) => isRecord(value) ? withTimes(value) : value, 2);
  return escapeUnsafeLines(json) + "\n";
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `startedWallMs: 0` gets `startedAt: "1970-01-01T00:00:00.000Z"` in front of it, `inSyncSinceWallMs` `inSyncSince`. */
function withTimes(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).flatMap(([key, value]) => {
      const stem = /^(.+)WallMs$/.exec(key)?.[1] ?? (key === "wallMs" ? "" : null);
      if (stem === null) return [[key, value]];
      const name = stem === "now" || stem.endsWith("Since") ? stem : stem === "" ? "at" : `${stem}At`;
      return [[name, typeof value === "number" ? new Date(value).toISOString() : null], [key, value]];
    }),
  );
}
