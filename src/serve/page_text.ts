/** Times, durations and sizes as people say them. Pure; loaded with the page only. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * `2026-11-24T08:00:00Z`; a time out of range (a broken clock) is `unknown`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(renderTime(Date.UTC(2026, 10, 24, 8)), "2026-11-24T08:00:00Z");
 * assert.equal(renderTime(NaN), "unknown");
 * ```
 */
export function renderTime(wallMs: number): string {
  const time = new Date(wallMs);
  return Number.isNaN(time.getTime()) ? "unknown" : time.toISOString().replace(/\.\d+Z$/, "Z");
}

/**
 * The time of day in UTC, as logs have it; with its date where that is another day than `nowWallMs`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const now = Date.UTC(2026, 10, 24, 8);
 * assert.equal(renderClock(now - 60_000, now), "07:59:00 UTC");
 * assert.equal(renderClock(now - 86_400_000, now), "2026-11-23 08:00:00 UTC");
 * ```
 */
export function renderClock(wallMs: number, nowWallMs: number): string {
  const [day, clock] = renderTime(wallMs).slice(0, -1).split("T");
  if (clock === undefined) return renderTime(wallMs);
  return renderTime(nowWallMs).startsWith(day!) ? `${clock} UTC` : `${day} ${clock} UTC`;
}

/**
 * A rough span: `less than a second`, `12 s`, `3 min`, `2 h 5 min`, `4 d`. A negative one counts as none.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([400, 12_000, 7_500_000, 172_800_000].map(renderSpan), [
 *   "less than a second",
 *   "12 s",
 *   "2 h 5 min",
 *   "2 d",
 * ]);
 * ```
 */
export function renderSpan(ms: number): string {
  if (!(ms >= SECOND)) return "less than a second";
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms >= 2 * DAY) return `${Math.floor(ms / DAY)} d`;
  const minutes = Math.floor((ms % HOUR) / MINUTE);
  return `${Math.floor(ms / HOUR)} h${minutes > 0 ? ` ${minutes} min` : ""}`;
}

/**
 * How long ago: `just now`, `12 s ago`, `3 min ago`. A time to come counts as now.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([-5_000, 999, 12_000].map(renderAgo), ["just now", "just now", "12 s ago"]);
 * ```
 */
export function renderAgo(ms: number): string {
  return ms >= SECOND ? `${renderSpan(ms)} ago` : "just now";
}

/**
 * A duration: `0.4 ms`, `38 ms`, `1.5 s`, `2 min 5 s`; in whole seconds for what counts down.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([0.42, 1_500, 125_000].map((ms) => renderMs(ms)), ["0.4 ms", "1.5 s", "2 min 5 s"]);
 * assert.equal(renderMs(1_500, "whole seconds"), "2 s");
 * ```
 */
export function renderMs(ms: number, precision: "fine" | "whole seconds" = "fine"): string {
  if (precision === "fine") {
    if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
    if (ms < SECOND) return `${Math.round(ms)} ms`;
    if (ms < 10 * SECOND) return `${Number((ms / SECOND).toFixed(1))} s`;
  }
  const seconds = Math.round(ms / SECOND);
  if (seconds < 60) return `${seconds} s`;
  const rest = seconds % 60;
  return `${Math.floor(seconds / 60)} min${rest > 0 ? ` ${rest} s` : ""}`;
}

/**
 * `812 B`, `2.1 KiB`, `1 MiB`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual([812, 2_150, 2 ** 20].map(renderBytes), ["812 B", "2.1 KiB", "1 MiB"]);
 * ```
 */
export function renderBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${Number((bytes / 1024).toFixed(1))} KiB`;
  return `${Number((bytes / 1024 / 1024).toFixed(1))} MiB`;
}
