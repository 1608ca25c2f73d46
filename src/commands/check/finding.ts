/**
 * What `check` finds: one fact, whether it is good, a stable code, and the fix to paste. Types and the two ways to show
 * them; finds nothing itself. Names and answers in them come from other programs: none may control a terminal.
 */

import type { CheckCode } from "../../codes.ts";
import type { TakenSettings } from "../../config.ts";
import type { NextStep } from "../../model.ts";
import { escapeUnsafe, escapeUnsafeLines, plural } from "../../text.ts";
import { VERSION } from "../../version.ts";

/** `ok` ✓ works, `warn` ! works with a limit, `fault` ✗ does not work. */
export type Level = "ok" | "warn" | "fault";

/** Parts of the report, in its order, with their titles. */
const AREAS = {
  settings: "Settings",
  paths: "Watched paths",
  watcher: "Watcher",
  checking: "Checking and rendering",
  target: "Target",
  status: "Status URL and trigger",
  server: "Own server",
  kubernetes: "Kubernetes API",
  running: "Running config-reloader",
} as const;
/** One of them. */
export type Area = keyof typeof AREAS;

/** One fact. */
export interface Finding {
  readonly area: Area;
  readonly level: Level;
  /** Stable; `docs/troubleshooting.md` has those of what is wrong. */
  readonly code: string;
  readonly message: string;
  /** Further lines beneath it: who else was there. */
  readonly details?: readonly string[];
  readonly fix?: NextStep;
}

/** What to change: a sentence without full stop, and what to paste. */
export type Fix = NextStep & ({ readonly yaml: string } | { readonly command: string });

/** Makes the findings of one area; each fault has a fix that can be pasted. */
export function findingsIn(area: Area) {
  const make = (
    level: Level,
    code: string,
    message: string,
    fix: NextStep | null = null,
    details: readonly string[] = [],
  ): Finding => ({ area, level, code, message, ...(details.length > 0 && { details }), ...(fix && { fix }) });
  return {
    ok: (code: string, message: string, details?: readonly string[]) =>
      make("ok", code, message, null, details),
    warn: (code: CheckCode, message: string, fix?: NextStep | null) => make("warn", code, message, fix),
    fault: (code: CheckCode, message: string, fix: Fix, details?: readonly string[]) =>
      make("fault", code, message, fix, details),
  };
}

const MARKS: Readonly<Record<Level, string>> = { ok: "✓", warn: "!", fault: "✗" };
/** Green, yellow, red; the marks tell the same without them. */
const COLOURS: Readonly<Record<Level, number>> = { ok: 32, warn: 33, fault: 31 };

/** The report for people. */
export function renderText(
  findings: readonly Finding[],
  colour: boolean,
  taken: TakenSettings | null,
): string {
  const paint = (text: string, code: number) => colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  const lines = [`config-reloader ${VERSION} check${taken ? describeTaken(taken) : ""}`];
  for (const [area, title] of Object.entries(AREAS)) {
    const here = findings.filter((finding) => finding.area === area);
    if (here.length === 0) continue;
    lines.push("", paint(title, 1));
    for (const { level, code, message, details = [], fix } of here) {
      const suffix = level === "ok" ? "" : paint(` [${code}]`, 2);
      lines.push(`${paint(MARKS[level], COLOURS[level])} ${escapeUnsafe(message)}${suffix}`);
      for (const detail of details) lines.push(`    ${escapeUnsafe(detail)}`);
      if (!fix) continue;
      const paste = [fix.yaml, fix.command].flatMap((text) => text?.split("\n") ?? []);
      lines.push(`    → ${escapeUnsafe(fix.say)}${paste.length > 0 ? ":" : ""}`);
      for (const line of paste) lines.push(`      ${escapeUnsafe(line)}`.trimEnd());
    }
  }
  lines.push("", summary(findings, paint), "");
  return lines.join("\n");
}

/** Whose settings were checked. */
function describeTaken({ pid, flags, variables }: TakenSettings): string {
  return `, with the settings of the running config-reloader (PID ${pid}): ${plural(flags, "flag")}, ` +
    plural(variables, "variable");
}

function summary(findings: readonly Finding[], paint: (text: string, code: number) => string): string {
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length;
  const [faults, warnings] = [count("fault"), count("warn")];
  if (faults > 0) {
    return paint(`${plural(faults, "fault")} to fix, ${plural(warnings, "warning")}`, COLOURS.fault);
  }
  const rest = warnings > 0 ? `, ${plural(warnings, "warning")}` : "";
  return paint(`Nothing stands in the way of a reload${rest}`, COLOURS.ok);
}

/** The same as one JSON document. */
export function renderJson(findings: readonly Finding[], taken: TakenSettings | null): string {
  const text = JSON.stringify({ version: VERSION, settingsOf: taken, ok: isOk(findings), findings }, null, 2);
  return escapeUnsafeLines(text) + "\n";
}

/** Whether nothing is ✗. */
export function isOk(findings: readonly Finding[]): boolean {
  return findings.every((finding) => finding.level !== "fault");
}
