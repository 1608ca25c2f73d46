/**
 * How a log record becomes one line: `text`, `json` or `logfmt`. Pure. Whatever a message or a field holds (an app's
 * answer, a file name), the result is a single line without control characters: nobody may forge a log line.
 */

import type { LogFormat, LogLevel } from "../config.ts";
import type { LogFields } from "../ports.ts";

/** What one line is made of. */
export interface LogEntry {
  readonly wallMs: number;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** Longest message or field value, in UTF-16 units: an app's answer may be 1 MiB, a log line should not. */
const VALUE_LENGTH_MAX = 4096;

/** C0, DEL, C1, line and paragraph separators, and the marks that turn the direction of text around. */
// deno-lint-ignore no-control-regex
const UNSAFE = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
/** What logfmt needs no quotes for: no blank, quote, `=` or backslash, and nothing of the above. */
// deno-lint-ignore no-control-regex
const LOGFMT_BARE = /^[^\s"'=\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+$/;

/**
 * Renders an entry in `format`, with the newline at its end.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const entry = { wallMs: 0, level: "warn", message: "a\nb", fields: { port: 9091 } } as const;
 * assert.equal(renderLine("text", entry), "1970-01-01T00:00:00.000Z WARN  a\\nb\n");
 * assert.match(renderLine("logfmt", entry), / level=warn msg="a\\nb" port=9091\n$/);
 * assert.equal(JSON.parse(renderLine("json", entry)).msg, "a\nb");
 * ```
 */
export function renderLine(format: LogFormat, entry: LogEntry): string {
  if (format === "json") return renderJson(entry);
  if (format === "logfmt") return renderLogfmt(entry);
  return renderText(entry);
}

/**
 * `2026-11-24T08:00:00.123Z INFO  message`. The message says it all; only debug lines add the fields whose value the
 * message does not hold.
 */
function renderText(entry: LogEntry): string {
  let line = `${renderTime(entry.wallMs)} ${entry.level.toUpperCase().padEnd(5)} ${
    escapeUnsafe(cut(entry.message))
  }`;
  if (entry.level === "debug") {
    for (const [name, value] of Object.entries(entry.fields)) {
      const text = renderValue(value);
      if (value !== null && !entry.message.includes(text)) line += ` ${name}=${quoteLogfmt(text)}`;
    }
  }
  return line + "\n";
}

function renderJson(entry: LogEntry): string {
  const record: Record<string, unknown> = {
    time: renderTime(entry.wallMs),
    level: entry.level,
    msg: cut(entry.message),
  };
  for (const [name, value] of Object.entries(entry.fields)) {
    if (!(name in record)) record[name] = typeof value === "string" ? cut(value) : value;
  }
  // JSON escapes C0 itself; the rest is escaped in JSON's own way, so that a parser gives the message back.
  return JSON.stringify(record).replace(UNSAFE, toUnicodeEscape) + "\n";
}

function renderLogfmt(entry: LogEntry): string {
  let line = `time=${renderTime(entry.wallMs)} level=${entry.level} msg=${quoteLogfmt(cut(entry.message))}`;
  for (const [name, value] of Object.entries(entry.fields)) {
    if (name !== "time" && name !== "level" && name !== "msg") {
      line += ` ${name}=${quoteLogfmt(renderValue(value))}`;
    }
  }
  return line + "\n";
}

/** RFC 3339 in UTC with milliseconds; a time that is none (a broken clock) must not end the program. */
function renderTime(wallMs: number): string {
  const time = new Date(wallMs);
  return Number.isNaN(time.getTime()) ? "0000-00-00T00:00:00.000Z" : time.toISOString();
}

function renderValue(value: LogFields[string]): string {
  return cut(Array.isArray(value) ? value.join(",") : String(value));
}

function cut(text: string): string {
  return text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX)}…` : text;
}

/**
 * Makes control characters visible: a newline becomes the two characters `\n`. For all text that reaches a terminal.
 */
export function escapeUnsafe(text: string): string {
  return text.replace(UNSAFE, (char) => SHORT_ESCAPES[char] ?? toUnicodeEscape(char));
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function toUnicodeEscape(char: string): string {
  return "\\u" + char.charCodeAt(0).toString(16).padStart(4, "0");
}

/** Bare where no parser can misread it, else in double quotes (as Go's logfmt writers do it). */
function quoteLogfmt(text: string): string {
  if (LOGFMT_BARE.test(text)) return text;
  return `"${escapeUnsafe(text.replace(/[\\"]/g, "\\$&"))}"`;
}
