/**
 * The structured logger: LogTape filters by level, `lines.ts` renders, `log_queue.ts` writes. Logging never throws, never
 * waits and never blocks the loop. Callers hide secrets in URLs first.
 */

import { configureSync, getLogger, type LogRecord } from "@logtape/logtape";
import type { LogFormat, LogLevel } from "../config.ts";
import type { LogFields, Logger } from "../ports.ts";
import { renderLine } from "./lines.ts";
import { type ByteSink, createLogQueue } from "./log_queue.ts";

/** The logger of a process, with what only its owner needs. */
export interface ProcessLogger extends Logger {
  /** Lines dropped since the start because standard error took none. */
  dropped(): number;
  /** Waits until all lines are written, `timeoutMs` at most: before the program ends. */
  flush(timeoutMs: number): Promise<void>;
}

/**
 * Creates the logger of this process. LogTape's configuration is global: a second call replaces the first one's sink
 * and level.
 * @param sink where lines go, `Deno.stderr` by default
 * @param wallMs the wall clock, for tests
 */
export function createLogger(
  level: LogLevel,
  format: LogFormat,
  sink: ByteSink = Deno.stderr,
  wallMs: () => number = Date.now,
): ProcessLogger {
  const queue = createLogQueue(sink, (count) =>
    renderLine(format, {
      wallMs: wallMs(),
      level: "warn",
      message: `${count} log lines were dropped: standard error did not take them`,
      fields: { dropped: count },
    }));
  const write = (record: LogRecord) =>
    queue.push(renderLine(format, {
      wallMs: record.timestamp,
      level: record.level === "warning" ? "warn" : record.level as LogLevel,
      message: String(record.rawMessage),
      fields: record.properties as LogFields,
    }));
  configureSync({
    reset: true,
    sinks: { queue: write },
    loggers: [
      { category: "config-reloader", sinks: ["queue"], lowestLevel: level === "warn" ? "warning" : level },
      // LogTape's own logger would greet every program that does not name it.
      { category: ["logtape", "meta"], sinks: [] },
    ],
  });
  const tape = getLogger("config-reloader");
  // `emit` and not `info`: LogTape would take braces in a message (an app's JSON answer) for placeholders.
  const log = (tapeLevel: LogRecord["level"]) => (message: string, fields: LogFields = {}) => {
    if (!tape.isEnabledFor(tapeLevel)) return;
    tape.emit({
      level: tapeLevel,
      message: [message],
      rawMessage: message,
      timestamp: wallMs(),
      properties: fields,
    });
  };
  return {
    debug: log("debug"),
    info: log("info"),
    warn: log("warning"),
    error: log("error"),
    dropped: queue.dropped,
    flush: queue.flush,
  };
}
