/**
 * Reads the status URL: one GET, one reading. The only place of verification that does HTTP; must never throw, and
 * never take longer than `--http-timeout`.
 */

import type { Config } from "../config.ts";
import { readCredentials } from "../http/credentials.ts";
import type { SendRequest } from "../http/request.ts";
import type { StatusReading } from "../model.ts";
import type { StatusProbe } from "../ports.ts";
import { parseAmp } from "./amp.ts";
import type { Answer } from "./answer.ts";
import { parseAuto, parseHttp } from "./http.ts";
import { parseJsonStatus } from "./json.ts";
import { parsePrometheus } from "./prometheus.ts";
import { messageOf } from "../text.ts";

/** Pause before the second read, in milliseconds: an app on the same machine has often reloaded by then. */
const FIRST_PAUSE_MS = 2;

/**
 * Pause before the second read that confirms a good status, in milliseconds: long enough for an app that reports success
 * and rolls back, short enough that the duration of a reload shows the app and not the poll interval.
 */
export const CONFIRM_PAUSE_MS = 100;

/** Makes the probe. With `auto` it holds on to the first known format it meets, for as long as it lives. */
export function createStatusProbe(config: Config, send: SendRequest): StatusProbe {
  let format = config.verify;

  function parse(answer: Answer): StatusReading {
    switch (format) {
      case "amp":
        return parseAmp(answer);
      case "prometheus":
        return parsePrometheus(answer);
      case "json":
        return parseJsonStatus(answer, config);
      case "auto": {
        const reading = parseAuto(answer);
        if (reading.kind === "status" && reading.status.format !== "http") format = reading.status.format;
        return reading;
      }
      case "http":
      case "none":
        return parseHttp(answer);
    }
  }

  return {
    async read(signal, timeoutMs = Infinity) {
      try {
        const { status, body, truncated } = await send({
          url: config.reloadUrl,
          method: "GET",
          ...readCredentials(config),
          timeoutMs: Math.min(timeoutMs, config.httpTimeoutMs),
          isRepeatable: true,
        }, signal);
        const reading = parse({ code: status, body, truncated });
        // Gives the memory back now; the collector may take its time, and the next read comes soon.
        body.buffer.transfer(0);
        return reading;
      } catch (error) {
        return { kind: "error", reason: messageOf(error) };
      }
    },
  };
}

/**
 * Pause in milliseconds before read number `n` (0 is the first one after the trigger, which comes at once): 2, 4, 8,
 * and so on up to the poll interval, so that the outcome comes at most twice as late as the app's own reload.
 */
export function nextPollDelayMs(n: number, pollIntervalMs: number): number {
  if (n <= 0) return 0;
  return Math.min(pollIntervalMs, FIRST_PAUSE_MS * 2 ** Math.min(n - 1, 30));
}
