/**
 * Two small pictures on the page, as inline SVG without scripts: how long the last reloads took, and when in the last hour
 * the app was in sync. Each has its figures in words for those who do not see it. Loaded with the page only.
 */

import { html } from "hono/html";
import type { ReloadRecord, StatusView } from "../model.ts";
import { type Html, OUTCOME_TONES, renderMs, renderSpan } from "./page_parts.ts";

const HOUR_MS = 3_600_000;
/** Units of the pictures; the style sheet gives them their size on the page. */
const BAR_WIDTH = 10;
const BAR_GAP = 3;
const BARS_HEIGHT = 40;
const BARS_MAX = 20;
const HOUR_WIDTH = 600;
const HOUR_HEIGHT = 14;

/** The durations of the last reloads, oldest on the left; nothing where there are fewer than two. */
export function durations(reloads: readonly ReloadRecord[]): Html | string {
  const ended = reloads.filter((record) => record.durationMs !== null).slice(0, BARS_MAX).reverse();
  if (ended.length < 2) return "";
  const longestMs = Math.max(...ended.map((record) => record.durationMs!));
  // By the square root: one timeout of 30 s leaves the others to be seen.
  const height = (ms: number) => Math.max(2, BARS_HEIGHT * Math.sqrt(ms / Math.max(longestMs, 1)));
  const bars = ended.map((record, index) => {
    const tall = height(record.durationMs!);
    return html`
      <rect class="${OUTCOME_TONES[record.outcome].tone}" x="${index *
        (BAR_WIDTH + BAR_GAP)}" y="${(BARS_HEIGHT - tall).toFixed(1)}" width="${BAR_WIDTH}" height="${tall
        .toFixed(1)}" rx="1.5" />
    `;
  });
  const width = ended.length * (BAR_WIDTH + BAR_GAP) - BAR_GAP;
  const words = `How long the last ${ended.length} reloads took, oldest first: ${
    ended.map((record) => `${renderMs(record.durationMs!)} (${record.outcome})`).join(", ")
  }`;
  return html`
    <figure class="strip">
      <svg class="bars" width="${width}" height="${BARS_HEIGHT}" viewBox="0 0 ${width} ${BARS_HEIGHT}" role="img"
        aria-label="${words}">${bars}</svg>
      <figcaption class="soft small">last ${ended.length} reloads, longest ${renderMs(longestMs)}</figcaption>
    </figure>
  `;
}

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
  readonly inSync: boolean;
}

/** The last hour, or as much of it as the sidecar has seen. */
export function lastHour(view: StatusView): Html | string {
  const beginMs = view.nowWallMs - HOUR_MS;
  const spans = spansOf(view).filter((span) => span.toMs > beginMs)
    .map((span) => ({ ...span, fromMs: Math.max(span.fromMs, beginMs) }));
  const seenMs = spans.reduce((sum, span) => sum + span.toMs - span.fromMs, 0);
  if (seenMs <= 0) return "";
  const goodMs = spans.reduce((sum, span) => sum + (span.inSync ? span.toMs - span.fromMs : 0), 0);
  const x = (ms: number) => (ms - beginMs) / HOUR_MS * HOUR_WIDTH;
  const rects = spans.map((span) => {
    const width = Math.max(span.inSync ? 0 : 2, x(span.toMs) - x(span.fromMs));
    return html`
      <rect class="${span.inSync ? "good" : "bad"}" x="${x(span.fromMs).toFixed(1)}" y="0" width="${width
        .toFixed(1)}" height="${HOUR_HEIGHT}" />
    `;
  });
  const percent = goodMs === seenMs ? 100 : Math.min(99, Math.round(goodMs / seenMs * 100));
  const period = seenMs >= HOUR_MS - 1 ? "hour" : renderSpan(seenMs);
  const words = `In sync ${percent} % of the last ${period}`;
  return html`
    <figure class="strip">
      <svg class="hour" viewBox="0 0 ${HOUR_WIDTH} ${HOUR_HEIGHT}" preserveAspectRatio="none" role="img"
        aria-label="${words}">
    <rect class="unseen" width="${HOUR_WIDTH}" height="${HOUR_HEIGHT}"/>${rects}</svg>
      <figcaption class="soft small">${words}</figcaption>
    </figure>
  `;
}

/** When the app was in sync and when not, from the start of the sidecar until now. */
function spansOf(view: StatusView): Span[] {
  const [first] = view.syncChanges;
  let inSync = first === undefined ? view.inSync : !first.inSync;
  let fromMs = view.startedWallMs;
  const spans: Span[] = [];
  for (const change of [...view.syncChanges, { wallMs: view.nowWallMs, inSync: view.inSync }]) {
    // The wall clock may have been set back.
    if (change.wallMs > fromMs) spans.push({ fromMs, toMs: change.wallMs, inSync });
    fromMs = Math.max(fromMs, change.wallMs);
    inSync = change.inSync;
  }
  return spans;
}
