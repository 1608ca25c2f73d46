/** The parts of the status page below its head line, each from the view alone. Loaded with the page only. */

import { html } from "hono/html";
import type { Setting } from "../config.ts";
import type { FileChange, FileState, Proof, ReloadRecord, StatusView } from "../model.ts";
import { escapeUnsafe, formatMs, plural } from "../text.ts";
import {
  badge,
  capitalize,
  facts,
  type Html,
  OUTCOME_TONES,
  renderBytes,
  section,
  time,
} from "./page_parts.ts";
import { durations, lastHour } from "./page_strips.ts";

/** Files that are listed; a directory may have thousands, and `/status` has them all. */
const FILES_SHOWN_MAX = 50;
/** Changed files that are named for each reload. */
const CHANGES_SHOWN_MAX = 5;

/** How sure a success is, in words; `weak` ones are amber. */
const PROOFS: Readonly<Record<Proof, { readonly words: string; readonly weak?: true }>> = {
  "counter": { words: "proved: the app's counter of reloads went up" },
  "time": { words: "proved: the app reports a reload after the change" },
  "token": { words: "proved: the value that the app reports changed" },
  "restarted": { words: "proved: the app started after the change" },
  "http-200": { words: "accepted: HTTP 200, which proves little", weak: true },
  "delivered": { words: "sent; the app was not asked" },
  "assumed-at-start": { words: "assumed: what was on disk at the start counts as applied" },
};

/** How the state was proved, as a sentence; null where it was not. */
export function proofLine(proof: Proof | null): Html | null {
  if (proof === null) return null;
  const { words, weak } = PROOFS[proof];
  return html`<p class="${weak ? "wait" : "soft"}">${words.charAt(0).toUpperCase()}${words.slice(1)}.</p>`;
}

/** Whether a proof says little. */
export function isWeak(proof: Proof | null): boolean {
  return proof !== null && PROOFS[proof].weak === true;
}

/** What is on disk and in the app, and the files; those that cannot be read come first. */
export function content(view: StatusView): Html {
  const leftOut = view.files.filter((file) => file.leftOut);
  const broken = view.files.filter((file) => file.error !== null && !file.leftOut);
  const good = view.files.filter((file) => file.error === null);
  const shown = [...broken, ...leftOut, ...good].slice(0, FILES_SHOWN_MAX);
  const hidden = view.files.length - shown.length;
  const counts = [
    plural(broken.length + good.length, "file"),
    broken.length > 0 && `${broken.length} cannot be read`,
    leftOut.length > 0 && `${leftOut.length} left out`,
  ].filter(Boolean);
  return section(
    "content",
    "Configuration",
    facts({ "On disk": onDisk(view, broken), "In the app": digest(view.appliedDigest, "not known yet") }),
    html`<h3 class="small soft">${counts.join(", ")}</h3>
<ul class="files">${shown.map(fileItem)}</ul>`,
    hidden > 0 &&
      html`<p class="soft">and ${hidden} more, all of them in <a href="/status">the JSON</a></p>`,
  );
}

/** The digest; where something is away now it is of what was read last, and says so. */
function onDisk(view: StatusView, broken: readonly FileState[]): Html {
  const { diskDigest, watcher: { lastScanWallMs } } = view;
  const known = digest(diskDigest, "not read yet");
  if (broken.length === 0 || diskDigest === null || lastScanWallMs === null) return known;
  const now = broken.every(({ fault }) => fault === "missing") ? "now missing" : "now not readable";
  return html`${known} last read ${time(lastScanWallMs, view)}, <strong>${now}</strong>`;
}

function fileItem({ path, error, fault, leftOut, digest: hash, sizeBytes }: FileState): Html {
  const unread = fault === "missing" ? "✗ missing" : "✗ cannot be read";
  const state = error === null
    ? html`${badge("good", "✓ read")}
<span class="soft small">${digest(hash, "")}, ${renderBytes(sizeBytes)}</span>`
    : html`${leftOut ? badge("wait", "– left out") : badge("bad", unread)}
<p class="reason small">${capitalize(error)}</p>`;
  return html`<li><code>${escapeUnsafe(path)}</code><br>${state}</li>`;
}

function digest(value: string | null, otherwise: string): Html {
  return value === null
    ? html`<span class="soft">${otherwise}</span>`
    : html`<code title="${value}">${value.slice(0, 12)}</code>`;
}

/** Who gets the signal, or why nobody does. */
export function target({ target, settings }: StatusView): Html {
  if (target === null) {
    return section("target", "Target", html`<p class="soft">Not looked for yet.</p>`);
  }
  const signal = settings.find((setting) => setting.name === "signal")?.value ?? "SIGHUP";
  const yesNo = (value: boolean | null) => value === null ? null : value ? "✓ yes" : "✗ no";
  return section(
    "target",
    "Target",
    html`
      <p>${target.ok ? badge("good", "✓ found") : badge("bad", "✗ problem")}</p>
      <p>${target.message}</p>
    `,
    facts({
      "Process": target.pid === null ? null : `${target.name ?? "?"} (PID ${target.pid})`,
      "User": target.uid,
      [`Handles ${signal}`]: yesNo(target.handled),
      "May be signalled": yesNo(target.permitted),
      "Code": target.ok ? null : html`<code>${target.code}</code>`,
    }, "small"),
  );
}

/** How changes are noticed. */
export function watcher(view: StatusView): Html {
  const { method, reason, events, errors, lastScanWallMs } = view.watcher;
  return section(
    "watcher",
    "Watcher",
    html`<p>${method === "inotify" ? badge("good", "✓ inotify") : badge("wait", "↻ poll")}</p>
<p>${capitalize(reason)}</p>`,
    facts({
      "Last look": lastScanWallMs === null ? "none yet" : time(lastScanWallMs, view),
      "Events": events,
      "Errors": errors,
    }, "small"),
  );
}

/** The last reloads, newest first, each with its outcome in words. */
export function timeline(view: StatusView): Html {
  return section(
    "reloads",
    "Reloads, newest first",
    html`<div class="strips">${lastHour(view)}${durations(view.reloads)}</div>`,
    view.reloads.length === 0
      ? html`<p class="soft">None so far: the content has not changed since the start.</p>`
      : html`<ol class="timeline">${view.reloads.map((record) => reloadItem(record, view))}</ol>`,
  );
}

function reloadItem(record: ReloadRecord, view: StatusView): Html {
  const { tone, mark } = OUTCOME_TONES[record.outcome];
  const weak = isWeak(record.proof);
  const facts = [
    record.durationMs === null ? "" : `took ${formatMs(record.durationMs)}`,
    record.triggerDelayMs === null ? "no trigger sent" : `triggered after ${formatMs(record.triggerDelayMs)}`,
    record.pid === null ? "" : `PID ${record.pid}`,
    record.attempt > 1 ? `attempt ${record.attempt}` : "",
    `cause: ${record.causes.join(", ")}`,
    record.proof === null || weak ? "" : PROOFS[record.proof].words,
  ].filter((fact) => fact !== "");
  return html`<li class="${weak ? "wait" : tone}"><div class="line">
<span class="badge ${weak ? "wait" : tone}"><span aria-hidden="true">${mark}</span> ${record.outcome}</span>
<code>${record.oldHash} → ${record.newHash}</code> ${time(record.startedWallMs, view)}</div>
${record.reason !== "" && html`<p class="reason">${capitalize(record.reason)}</p>`}
${weak && proofLine(record.proof)}${changes(record.changed)}
<p class="soft small">${facts.join(" · ")}</p></li>`;
}

/** Which files changed, the first few by name. */
function changes(changed: readonly FileChange[]): Html | null {
  if (changed.length === 0) return null;
  const hidden = changed.length - CHANGES_SHOWN_MAX;
  return html`<ul class="changes small">${
    changed.slice(0, CHANGES_SHOWN_MAX).map((file) =>
      html`<li>${file.change} <code>${escapeUnsafe(file.path)}</code> (${sizes(file)})</li>`
    )
  }${hidden > 0 && html`<li class="soft">and ${hidden} more</li>`}</ul>`;
}

function sizes({ change, sizeBytes, oldSizeBytes }: FileChange): string {
  if (change !== "changed" || oldSizeBytes === null) return renderBytes(sizeBytes);
  return `${renderBytes(oldSizeBytes)} → ${renderBytes(sizeBytes)}`;
}

/** The settings that somebody set, with their source; the defaults are folded away. */
export function settings(view: StatusView): Html {
  const given = view.settings.filter((setting) => setting.source !== "default");
  const defaults = view.settings.filter((setting) => setting.source === "default");
  return section(
    "settings",
    "Settings",
    given.length === 0 ? html`<p class="soft">Nothing is set.</p>` : settingsTable(given),
    defaults.length > 0 && html`<details>
<summary>${defaults.length} left at their ${defaults.length === 1 ? "default" : "defaults"}</summary>
${settingsTable(defaults)}
</details>`,
  );
}

function settingsTable(settings: StatusView["settings"]): Html {
  return html`
    <table>
      <thead>
        <tr>
          <th scope="col">Flag</th>
          <th scope="col">Value</th>
          <th scope="col">From</th>
        </tr>
      </thead>
      <tbody>${settings.map(settingRow)}</tbody>
    </table>
  `;
}

function settingRow({ name, value, source, variable }: Setting): Html {
  const from = variable ? html`environment, <code>${variable}</code>` : source;
  return html`
    <tr>
      <th scope="row"><code>--${name}</code></th>
      <td><code>${value || "–"}</code></td>
      <td class="soft">${from}</td>
    </tr>
  `;
}
