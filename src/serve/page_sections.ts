/**
 * The parts of the status page below its head line, each from the view alone. Whatever comes from outside is escaped by
 * hono's `html`. Loaded with the page only.
 */

import { html } from "hono/html";
import type { FileState, ReloadRecord, StatusView } from "../model.ts";
import { renderAgo, renderBytes, renderMs, renderTime } from "./page_text.ts";

/** Markup that is escaped already. */
export type Html = ReturnType<typeof html>;

/** Files that are listed; a directory may have thousands, and `/status` has them all. */
const FILES_SHOWN_MAX = 50;

/** How a state looks: the word is what counts, mark and colour go with it. */
export interface Tone {
  readonly tone: "good" | "bad" | "wait" | "busy";
  readonly mark: string;
}

const OUTCOME_TONES: Readonly<Record<ReloadRecord["outcome"], Tone>> = {
  "success": { tone: "good", mark: "✓" },
  "rejected": { tone: "bad", mark: "✗" },
  "failed": { tone: "bad", mark: "✗" },
  "timeout": { tone: "bad", mark: "✗" },
  "invalid": { tone: "bad", mark: "✗" },
  "in progress": { tone: "busy", mark: "…" },
};

/** What is on disk and in the app, and the files; those that cannot be read come first. */
export function content(view: StatusView): Html {
  const broken = view.files.filter((file) => file.error !== null);
  const shown = [...broken, ...view.files.filter((file) => file.error === null)].slice(0, FILES_SHOWN_MAX);
  const hidden = view.files.length - shown.length;
  return html`<section aria-labelledby="content">
<h2 id="content">Configuration</h2>
<dl>
<dt>On disk</dt><dd>${digest(view.diskDigest, "not read yet")}</dd>
<dt>In the app</dt><dd>${digest(view.appliedDigest, "not known yet")}</dd>
</dl>
<h3 class="small soft">${view.files.length === 1 ? "1 file" : `${view.files.length} files`}${
    broken.length > 0 ? `, ${broken.length} cannot be read` : ""
  }</h3>
<ul class="files">${shown.map(fileItem)}</ul>
${
    hidden > 0
      ? html`<p class="soft">and ${hidden} more, all of them in <a href="/status">the JSON</a></p>`
      : ""
  }
</section>`;
}

function fileItem(file: FileState): Html {
  const state = file.error === null
    ? html`<span class="badge good">✓ read</span>`
    : html`<span class="badge bad">✗ ${file.error}</span>`;
  return html`<li><code>${file.path}</code><br>
${state} <span class="soft small">${
    file.digest === null
      ? ""
      : html`<code title="${file.digest}">${file.digest.slice(0, 12)}</code>, ${renderBytes(file.sizeBytes)}`
  }</span></li>`;
}

function digest(value: string | null, otherwise: string): Html {
  return value === null
    ? html`<span class="soft">${otherwise}</span>`
    : html`<code title="${value}">${value.slice(0, 12)}</code>`;
}

/** Who gets the signal, or why nobody does. */
export function target({ target }: StatusView): Html {
  const row = (name: string, value: unknown) =>
    value === null ? "" : html`
      <dt>${name}</dt>
      <dd>${value}</dd>
    `;
  const yesNo = (value: boolean | null) => value === null ? null : value ? "✓ yes" : "✗ no";
  return html`<section aria-labelledby="target">
<h2 id="target">Target</h2>
${
    target === null
      ? html`<p class="soft">Not looked for yet.</p>`
      : html`<p><span class="badge ${target.ok ? "good" : "bad"}">${
        target.ok ? "✓ found" : "✗ problem"
      }</span></p>
<p>${target.message}</p>
<dl class="small">
${row("Process", target.pid === null ? null : `${target.name ?? "?"} (PID ${target.pid})`)}
${row("User", target.uid)}
${row("Handles it", yesNo(target.handled))}
${row("Permission", yesNo(target.permitted))}
${target.code === "ready" ? "" : row("Code", html`<code>${target.code}</code>`)}
</dl>`
  }
</section>`;
}

/** How changes are noticed. */
export function watcher(view: StatusView): Html {
  const { method, reason, events, errors, lastScanWallMs } = view.watcher;
  return html`
    <section aria-labelledby="watcher">
      <h2 id="watcher">Watcher</h2>
      <p><span class="badge ${method === "inotify" ? "good" : "wait"}">${method === "inotify"
        ? "✓ inotify"
        : "⏱ poll"}</span></p>
      <p>${capitalize(reason)}</p>
      <dl class="small">
        <dt>Last look</dt>
        <dd>${lastScanWallMs === null ? "none yet" : time(lastScanWallMs, view)}</dd>
        <dt>Events</dt>
        <dd>${events}</dd>
        <dt>Errors</dt>
        <dd>${errors}</dd>
      </dl>
    </section>
  `;
}

/** The last reloads, newest first, each with its outcome in words. */
export function timeline(view: StatusView): Html {
  return html`<section aria-labelledby="reloads">
<h2 id="reloads">Reloads, newest first</h2>
${
    view.reloads.length === 0
      ? html`<p class="soft">None so far: the content has not changed since the start.</p>`
      : html`<ol class="timeline">${view.reloads.map((record) => reloadItem(record, view))}</ol>`
  }
</section>`;
}

function reloadItem(record: ReloadRecord, view: StatusView): Html {
  const { tone, mark } = OUTCOME_TONES[record.outcome];
  const facts = [
    record.durationMs === null ? "" : `took ${renderMs(record.durationMs)}`,
    record.triggerDelayMs === null ? "no trigger sent" : `triggered after ${renderMs(record.triggerDelayMs)}`,
    record.pid === null ? "" : `PID ${record.pid}`,
    record.attempt > 1 ? `attempt ${record.attempt}` : "",
    `cause: ${record.causes.join(", ")}`,
  ].filter((fact) => fact !== "");
  return html`<li class="${tone}"><div class="line">
<span class="badge ${tone}"><span aria-hidden="true">${mark}</span> ${record.outcome}</span>
<code>${record.oldHash} → ${record.newHash}</code> ${time(record.startedWallMs, view)}</div>
${record.reason === "" ? "" : html`<p class="reason">${capitalize(record.reason)}</p>`}
<p class="soft small">${facts.join(" · ")}</p></li>`;
}

/** Every setting and where it came from. */
export function settings(view: StatusView): Html {
  return html`
    <section aria-labelledby="settings">
      <h2 id="settings">Settings in force</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Flag</th>
            <th scope="col">Value</th>
            <th scope="col">From</th>
          </tr>
        </thead>
        <tbody>${view.settings.map((setting) =>
          html`
            <tr>
              <th scope="row"><code>--${setting.name}</code></th>
              <td><code>${setting.value || "–"}</code></td>
              <td class="soft">${setting.variable
                ? html`environment, <code>${setting.variable}</code>`
                : setting.source}</td>
            </tr>
          `
        )}</tbody>
      </table>
    </section>
  `;
}

/** A time as its distance from now; the time itself is in the markup. */
export function time(wallMs: number, view: StatusView): Html {
  return html`<time datetime="${renderTime(wallMs)}" title="${renderTime(wallMs)}">${
    renderAgo(view.nowWallMs - wallMs)
  }</time>`;
}

/**
 * Makes a sentence part a sentence; a path or a code (`validation_failed`) stays what it is.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(capitalize("connection refused"), "Connection refused");
 * assert.equal(capitalize("validation_failed: x"), "validation_failed: x");
 * ```
 */
export function capitalize(text: string): string {
  return /^[a-z]+[ ,]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}
