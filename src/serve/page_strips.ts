/**
 * Two small pictures on the page, as inline SVG without scripts: how long the last reloads took, and when in the last hour
 * the app was in sync. Each has its figures in words for those who do not see it. Loaded with the page only.
 */

import { html } from "hono/html";
import type { ReloadRecord, StatusView } from "../model.ts";
import { formatMs } from "../text.ts";
import { type Html, OUTCOME_TONES } from "./page_parts.ts";

const HOUR_MS = 3_600_000;
/** Units of the pictures; the style sheet gives them their size on the page. */
const BAR = { width: 10, gap: 3, heightMax: 40 };
const BARS_MAX = 20;
const HOUR = { width: 600, height: 14 };

/** The durations of the last reloads, oldest on the left; null where there are fewer than two. */
export function durations(reloads: readonly ReloadRecord[]): Html | null {
  const ended = reloads.filter((record) => record.durationMs !== null).slice(0, BARS_MAX).reverse();
  if (ended.length < 2) return null;
  const longestMs = Math.max(...ended.map((record) => record.durationMs!));
  const bars = ended.map(({ outcome, durationMs }, index) => {
    // By the square root: one timeout of 30 s leaves the others to be seen.
    const height = Math.max(2, BAR.heightMax * Math.sqrt(durationMs! / Math.max(longestMs, 1)));
    const [x, y] = [index * (BAR.width + BAR.gap), BAR.heightMax - height];
    return rect(OUTCOME_TONES[outcome].tone, x, y, BAR.width, height);
  });
  const width = ended.length * (BAR.width + BAR.gap) - BAR.gap;
  const words = `How long the last ${ended.length} reloads took, oldest first: ${
    ended.map((record) => `${formatMs(record.durationMs!)} (${record.outcome})`).join(", ")
  }`;
  const caption = `last ${ended.length} reloads, longest ${formatMs(longestMs)}`;
  return strip("bars", { width, height: BAR.heightMax }, words, caption, bars);
}

function strip(name: string, { width, height }: typeof HOUR, words: string, caption: string, shapes: Html[]) {
  return html`
    <figure class="strip">
      <svg class="${name}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"
        preserveAspectRatio="none" role="img" aria-label="${words}">${shapes}</svg>
      <figcaption class="soft small">${caption}</figcaption>
    </figure>
  `;
}

function rect(tone: string, x: number, y: number, width: number, height: number): Html {
  const [left, top, wide, tall] = [x, y, width, height].map((units) => units.toFixed(1));
  return html`
    <rect class="${tone}" x="${left}" y="${top}" width="${wide}" height="${tall}" rx="1" />
  `;
}

/** The last hour, or as much of it as the sidecar has seen. */
export function lastHour(view: StatusView): Html | null {
  const beginMs = view.nowWallMs - HOUR_MS;
  const spans = spansOf(view).filter(({ toMs }) => toMs > beginMs)
    .map((span) => ({ ...span, fromMs: Math.max(span.fromMs, beginMs) }));
  const lengthOf = (some: typeof spans) => some.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
  const seenMs = lengthOf(spans);
  if (seenMs <= 0) return null;
  const goodMs = lengthOf(spans.filter(({ inSync }) => inSync));
  const x = (ms: number) => (ms - beginMs) / HOUR_MS * HOUR.width;
  const rects = spans.map(({ fromMs, toMs, inSync }) =>
    rect(inSync ? "good" : "bad", x(fromMs), 0, Math.max(inSync ? 0 : 2, x(toMs) - x(fromMs)), HOUR.height)
  );
  const percent = goodMs === seenMs ? 100 : Math.min(99, Math.round(goodMs / seenMs * 100));
  const words = `In sync ${percent} % of the last ${seenMs >= HOUR_MS - 1 ? "hour" : formatMs(seenMs)}`;
  const unseen = rect("unseen", 0, 0, HOUR.width, HOUR.height);
  return strip("hour", HOUR, words, words, [unseen, ...rects]);
}

/** When the app was in sync and when not, from the start of the sidecar until now. */
function spansOf(view: StatusView): { fromMs: number; toMs: number; inSync: boolean }[] {
  const [first] = view.syncChanges;
  let inSync = first === undefined ? view.inSync : !first.inSync;
  let fromMs = view.startedWallMs;
  return [...view.syncChanges, { wallMs: view.nowWallMs, inSync: view.inSync }].flatMap((change) => {
    const span = { fromMs, toMs: change.wallMs, inSync };
    fromMs = Math.max(fromMs, change.wallMs);
    inSync = change.inSync;
    // The wall clock may have been set back.
    return span.toMs > span.fromMs ? [span] : [];
  });
}
