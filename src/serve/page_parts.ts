/** Small pieces that all parts of the page share: tones, times, digests, texts to copy. Loaded with the page only. */

import { html } from "hono/html";
import type { NextStep, ReloadRecord, StatusView } from "../model.ts";
import { renderAgo, renderClock, renderTime } from "./page_text.ts";

/** Markup that is escaped already. */
export type Html = ReturnType<typeof html>;

/** How a state looks: the word is what counts, mark and colour go with it. */
export interface Tone {
  readonly tone: "good" | "bad" | "wait" | "busy";
  readonly mark: string;
}

/** How each outcome looks. */
export const OUTCOME_TONES: Readonly<Record<ReloadRecord["outcome"], Tone>> = {
  "success": { tone: "good", mark: "✓" },
  "rejected": { tone: "bad", mark: "✗" },
  "failed": { tone: "bad", mark: "✗" },
  "timeout": { tone: "bad", mark: "✗" },
  "invalid": { tone: "bad", mark: "✗" },
  "in progress": { tone: "busy", mark: "…" },
};

/** A state as a small label. */
export function badge(tone: Tone["tone"], text: string): Html {
  return html`<span class="badge ${tone}">${text}</span>`;
}

/** A time as people compare it with logs, and its distance from now. */
export function time(wallMs: number, { nowWallMs }: Pick<StatusView, "nowWallMs">): Html {
  return html`<time datetime="${renderTime(wallMs)}" title="${renderTime(wallMs)}">${
    renderClock(wallMs, nowWallMs)
  } · ${renderAgo(nowWallMs - wallMs)}</time>`;
}

/** The next step: in words, and what to paste; a click selects all of it. */
export function nextStep(step: NextStep | null): Html | string {
  if (step === null) return "";
  const copy = (text: string | undefined) =>
    text === undefined ? "" : html`<pre class="copy" tabindex="0"><code>${text}</code></pre>`;
  return html`<div class="fix"><p>${capitalize(step.say)}${
    /[.:?]$/.test(step.say) ? "" : step.command || step.yaml ? ":" : "."
  }</p>
${copy(step.command)}${copy(step.yaml)}</div>`;
}

/** Makes a sentence part a sentence; a path or a code (`validation_failed`) stays what it is. */
export function capitalize(text: string): string {
  return /^[a-z]+[ ,]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}
