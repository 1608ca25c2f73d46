/**
 * The structured log of this process, by LogTape: levels, and a bounded queue before standard error, which a pipe that
 * nobody reads fills without stopping the loop. Logging never throws and never waits. Callers hide secrets first.
 *
 * The form of a line is the product's: LogTape's JSON and logfmt have other keys. Its stream sink is not used: it wakes up
 * ten times a second, 109 ms of CPU a minute.
 */

import { configureSync, fromAsyncSink, getLogger, type LogRecord } from "@logtape/logtape";
import type { LogFormat, LogLevel } from "../config.ts";
import type { LogFields, Logger } from "../ports.ts";
import { escapeUnsafe } from "../text.ts";

/** Where bytes go. */
export type ByteSink = Pick<typeof Deno.stderr, "write">;

/** The logger of a process, with what only its owner needs. */
export interface ProcessLogger extends Logger {
  /** Waits until all lines are written, `timeoutMs` at most: before the program ends. */
  flush(timeoutMs: number): Promise<void>;
}

/** Most lines waiting at a time: 8 MB of the longest ones, 200 KB of usual ones. The oldest go first. */
const WAITING_LINES_MAX = 1_000;
/** Longest message or field value, in UTF-16 units: an app's answer may be 1 MiB, a log line should not. */
const VALUE_LENGTH_MAX = 4_096;

/** Creates the logger of this process: LogTape's configuration is global, so a second one replaces the first. */
export function createLogger(
  level: LogLevel,
  format: LogFormat,
  sink: ByteSink = Deno.stderr,
  wallMs: () => number = Date.now,
): ProcessLogger {
  const queue = createQueue(format, sink, wallMs);
  configureSync({
    reset: true,
    // Wrapped: `configureSync` takes no sink that has an end of its own, which `flush` is here.
    sinks: { queue: (record) => queue.push(record) },
    loggers: [
      { category: "config-reloader", sinks: ["queue"], lowestLevel: level === "warn" ? "warning" : level },
      // LogTape's own logger would greet every program that does not name it.
      { category: ["logtape", "meta"], sinks: [] },
    ],
  });
  const tape = getLogger("config-reloader");
  // `emit` and not `info`: LogTape would take braces in a message (an app's JSON answer) for placeholders.
  const log = (tapeLevel: LogRecord["level"]) => (message: string, fields: LogFields = {}) => {
    if (tape.isEnabledFor(tapeLevel)) tape.emit(toRecord(tapeLevel, message, fields, wallMs()));
  };
  return {
    debug: log("debug"),
    info: log("info"),
    warn: log("warning"),
    error: log("error"),
    flush: queue.flush,
  };
}

/** Without the category, which LogTape adds. */
function toRecord(level: LogRecord["level"], text: string, fields: LogFields, timestamp: number) {
  const message = cut(text) as string;
  const properties = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, cut(value)]));
  return { level, message: [message], rawMessage: message, timestamp, properties };
}

function cut(value: unknown): unknown {
  const isLong = typeof value === "string" && value.length > VALUE_LENGTH_MAX;
  return isLong ? `${value.slice(0, VALUE_LENGTH_MAX)}…` : value;
}

/** One write at a time; what does not fit is dropped and counted, and the next line that comes out says how many. */
function createQueue(format: LogFormat, sink: ByteSink, wallMs: () => number) {
  const encoder = new TextEncoder();
  let dropped = 0;
  const write = async (record: LogRecord) => {
    let bytes = encoder.encode(`${FORMATS[format](record)}\n`);
    while (bytes.length > 0) bytes = bytes.subarray(await sink.write(bytes));
  };
  const push = fromAsyncSink(async (record) => {
    try {
      const count = dropped;
      if (count > 0) {
        const text = `${count} log lines were dropped: standard error did not take them`;
        const note = toRecord("warning", text, { dropped: count }, wallMs());
        await write({ ...note, category: record.category });
        dropped -= count;
      }
      await write(record);
    } catch {
      // Closed pipe or full disk: this line is lost, and the next one tries again.
      dropped++;
    }
  }, { maxQueueSize: WAITING_LINES_MAX, onDrop: ({ count }) => dropped += count });
  const flush = async (timeoutMs: number) => {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, timeoutMs);
    await Promise.race([push.drain(), late.promise]);
    clearTimeout(timer);
  };
  return { push, flush };
}

/** How each format writes a record, without the newline. */
const FORMATS: Readonly<Record<LogFormat, (record: LogRecord) => string>> = {
  text: renderText,
  json: (record) => escapeUnsafe(JSON.stringify(fieldsOf(record))),
  logfmt: (record) =>
    Object.entries(fieldsOf(record)).map(([name, value]) => `${name}=${quoteValue(String(value))}`).join(" "),
};

/** All fields, those of every line first, which no other may replace. */
function fieldsOf({ timestamp, level, rawMessage, properties }: LogRecord): Record<string, unknown> {
  const fixed = {
    time: new Date(timestamp).toISOString(),
    level: level === "warning" ? "warn" : level,
    msg: rawMessage,
  };
  return { ...fixed, ...properties, ...fixed };
}

/**
 * `2026-11-24T08:00:00.123Z INFO  message`. The message says it all; only debug lines add the fields whose value the
 * message does not hold.
 */
function renderText(record: LogRecord): string {
  const { time, level, msg } = fieldsOf(record);
  const message = String(msg);
  const fields = level !== "debug" ? [] : Object.entries(record.properties)
    .filter(([, value]) => value !== null && !message.includes(String(value)))
    .map(([name, value]) => ` ${name}=${quoteValue(String(value))}`);
  return `${time} ${String(level).toUpperCase().padEnd(5)} ${escapeUnsafe(message)}${fields.join("")}`;
}

/** A value as logfmt has it: bare where no parser can misread it, else in double quotes, as Go's writers do it. */
function quoteValue(text: string): string {
  const escaped = escapeUnsafe(text.replace(/[\\"]/g, "\\$&"));
  return escaped === text && /^[^\s"'=]+$/.test(text) ? text : `"${escaped}"`;
}
