/**
 * The status page for people: what `/status` tells, in the order in which somebody asks at three in the morning. Rendered
 * here, without scripts; everything that comes from outside is escaped by hono's `html`. Loaded when somebody looks.
 */

import { html, raw } from "hono/html";
import type { StatusView } from "../model.ts";
import { escapeUnsafeLines, formatMs } from "../text.ts";
import { capitalize, type Html, lasting, nextStep, renderClock, type Tone } from "./page_parts.ts";
import { content, isWeak, proofLine, settings, target, timeline, watcher } from "./page_sections.ts";
import { STYLE } from "./page_style.ts";

/** Seconds between two refreshes: often enough to watch a reload, seldom enough to read. */
const REFRESH_SECONDS = 5;

/** Renders the page. `refresh`: it asks the browser to load it again; readers can turn that off (WCAG 2.2.2). */
export async function renderPage(
  view: StatusView,
  { refresh }: { refresh: boolean },
): Promise<{ body: string; headers: Record<string, string> }> {
  const state = judgeState(view);
  const pod = view.namespace === null ? view.pod : `${view.namespace}/${view.pod}`;
  const body = await html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>${state.mark} ${state.title} · ${pod} · config-reloader</title>
        <link rel="icon" href="${icon(state)}">
        <style>${raw(STYLE)}</style>
      </head>
      <body>
        <div class="page">
          <header><strong>${pod}</strong>
    <span>config-reloader ${view.version} (${view.revision}), up for ${lasting(
      view.startedWallMs,
      view,
    )}</span></header>
          <main>
    ${hero(view, state)}
    ${warnings(view)}
    ${timeline(view)}
    ${content(view)}
    <div class="two">${target(view)}${watcher(view)}</div>
    ${settings(view)}
          </main>
          <footer>Updated ${renderClock(view.nowWallMs, view.nowWallMs)}.
    <a href="/status">Status as JSON</a> <a href="/metrics">Metrics</a>
    ${refresh
      ? html`<a href="/?refresh=off">Stop refreshing</a> Loaded again every ${REFRESH_SECONDS} seconds.`
      : html`<a href="/">Refresh by itself</a>`}
          </footer>
        </div>
      </body>
    </html>
  `;
  return {
    body: escapeUnsafeLines(String(body).trim()) + "\n",
    headers: {
      "Content-Security-Policy":
        `default-src 'none'; style-src 'sha256-${await styleHash()}'; img-src data:; ` +
        `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      ...(refresh ? { "Refresh": String(REFRESH_SECONDS) } : {}),
    },
  };
}

/** The policy allows exactly this style sheet. */
async function styleHash(): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(STYLE));
  return new Uint8Array(digest).toBase64();
}

type State = Tone & { readonly title: string; readonly why: string };

function judgeState(view: StatusView): State {
  const why = capitalize(view.outOfSyncReason);
  if (view.reloads[0]?.outcome === "in progress") return { tone: "busy", mark: "…", title: "Reloading", why };
  const { state, message } = view.rollout ?? { state: "steady", message: "" };
  if (state === "held") return { tone: "wait", mark: "‖", title: "Held", why: message };
  if (state === "waiting") return { tone: "wait", mark: "‖", title: "Waiting for its turn", why: message };
  if (!view.inSync) return { tone: "bad", mark: "✗", title: "Not in sync", why };
  if (view.target?.ok === false) {
    const cannot = `In sync, but the next change cannot be sent: ${view.target.message}`;
    return { tone: "wait", mark: "⚠", title: "In sync", why: cannot };
  }
  if (isWeak(view.proof)) return { tone: "wait", mark: "⚠", title: "In sync", why: "" };
  const soaking = "First in its group: the other pods follow if the app lives on for a while";
  return { tone: "good", mark: "✓", title: "In sync", why: state === "soaking" ? soaking : "" };
}

/** A dot in the state's colour, so that a tab tells it too. */
function icon({ tone }: Tone): string {
  const colour = { good: "1a9c55", bad: "d3382d", wait: "d99000", busy: "2f6fdb" }[tone];
  return `data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E` +
    `%3Ccircle cx='8' cy='8' r='7' fill='%23${colour}'/%3E%3C/svg%3E`;
}

function hero(view: StatusView, state: State): Html {
  const { nextRetryWallMs: retryWallMs, nowWallMs, inSync, inSyncSinceWallMs } = view;
  return html`<section class="hero ${state.tone}" aria-labelledby="state">
<h1 id="state"><span class="mark" aria-hidden="true">${state.mark}</span> ${state.title}</h1>
<p>${meaning(view)} ${inSync ? "In sync" : "Out of sync"} for ${lasting(inSyncSinceWallMs, view)},
since ${renderClock(inSyncSinceWallMs, nowWallMs)}.</p>
${inSync && proofLine(view.proof)}
${state.why !== "" && html`<p class="why">${state.why}</p>`}
${
    retryWallMs !== null &&
    html`<p>Next try in <strong>${
      formatMs(retryWallMs - nowWallMs)
    }</strong>, sooner if the content changes.</p>`
  }
${nextStep(view.fix)}
</section>`;
}

/** No more than what is known. */
function meaning({ inSync, proof }: StatusView): string {
  if (!inSync) return "The app is not known to run what is on disk.";
  const isProved = proof !== null && !isWeak(proof) && proof !== "delivered" && proof !== "assumed-at-start";
  return isProved ? "The app runs what is on disk." : "The app is taken to run what is on disk.";
}

function warnings(view: StatusView): Html | null {
  const lines = [
    ...view.staleMounts.map((mount) => mount.message),
    ...view.restartRequired.map((what) => `The app needs a restart for a part of the change: ${what}`),
  ];
  if (lines.length === 0) return null;
  return html`
    <section class="note" aria-labelledby="attention">
      <h2 id="attention"><span aria-hidden="true">⚠</span> Needs attention</h2>
      <ul>${lines.map((line) => html`<li>${capitalize(line)}</li>`)}</ul>
    </section>
  `;
}
