/** Small pieces that all parts of the page share: tones, times, sizes, texts to copy. Loaded with the page only. */

import { html } from "hono/html";
import type { NextStep, ReloadRecord, StatusView } from "../model.ts";
import { formatMs } from "../text.ts";

/** Markup that is escaped already. */
export type Html = ReturnType<typeof html>;

/** How a state looks: the word is what counts, mark and colour go with it. */
export interface Tone {
  readonly tone: "good" | "bad" | "wait" | "busy";
  readonly mark: string;
}

const GOOD: Tone = { tone: "good", mark: "✓" };
const BAD: Tone = { tone: "bad", mark: "✗" };
/** How each outcome looks. */
export const OUTCOME_TONES: Readonly<Record<ReloadRecord["outcome"], Tone>> = {
  "success": GOOD,
  "rejected": BAD,
  "failed": BAD,
  "timeout": BAD,
  "invalid": BAD,
  "in progress": { tone: "busy", mark: "…" },
};

/** A part of the page under its heading; what is false is left out. */
export function section(id: string, title: string, ...parts: (Html | false)[]): Html {
  return html`<section aria-labelledby="${id}">
<h2 id="${id}">${title}</h2>
${parts}
</section>`;
}

/** A list of facts, each under its name; what is null is left out. */
export function facts(rows: Readonly<Record<string, unknown>>, style = ""): Html {
  const known = Object.entries(rows).filter(([, value]) => value !== null);
  return html`<dl class="${style}">${
    known.map(([name, value]) =>
      html`
        <dt>${name}</dt>
        <dd>${value}</dd>
      `
    )
  }</dl>`;
}

/** A state as a small label. */
export function badge(tone: Tone["tone"], text: string): Html {
  return html`<span class="badge ${tone}">${text}</span>`;
}

/** A time as people compare it with logs, and its distance from now. */
export function time(wallMs: number, { nowWallMs }: Pick<StatusView, "nowWallMs">): Html {
  const ago = nowWallMs - wallMs;
  return html`<time datetime="${renderTime(wallMs)}" title="${renderTime(wallMs)}">${
    renderClock(wallMs, nowWallMs)
  } · ${ago < 1_000 ? "just now" : `${formatMs(ago)} ago`}</time>`;
}

/** How long something has lasted, with its beginning in the title. */
export function lasting(sinceWallMs: number, { nowWallMs }: Pick<StatusView, "nowWallMs">): Html {
  const since = renderTime(sinceWallMs);
  return html`<time datetime="${since}" title="since ${since}">${formatMs(nowWallMs - sinceWallMs)}</time>`;
}

/** The next step: in words, and what to paste; a click selects all of it. */
export function nextStep(step: NextStep | null): Html | null {
  if (step === null) return null;
  const copy = (text: string | undefined) =>
    text !== undefined && html`<pre class="copy" tabindex="0"><code>${text}</code></pre>`;
  const end = /[.:?]$/.test(step.say) ? "" : step.command || step.yaml ? ":" : ".";
  return html`<div class="fix"><p>${capitalize(step.say)}${end}</p>
${copy(step.command)}${copy(step.yaml)}</div>`;
}

/** Makes a sentence part a sentence; a path or a code (`validation_failed`) stays what it is. */
export function capitalize(text: string): string {
  return /^[a-z]+[ ,]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

/** `2026-11-24T08:00:00Z`. */
function renderTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d+Z$/, "Z");
}

/** The time of day in UTC, as logs have it; with its date where that is another day than `nowWallMs`. */
export function renderClock(wallMs: number, nowWallMs: number): string {
  const [day, clock] = renderTime(wallMs).slice(0, -1).split("T");
  return renderTime(nowWallMs).startsWith(day!) ? `${clock} UTC` : `${day} ${clock} UTC`;
}

/** `812 B`, `2.1 KiB`, `1 MiB`. */
export function renderBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${Number((bytes / 1024).toFixed(1))} KiB`;
  return `${Number((bytes / 1024 / 1024).toFixed(1))} MiB`;
}
