/**
 * Tells what is wrong with the disk: once when it begins, and once when it ends, with how long it lasted. It must never
 * repeat a state that lasts.
 */

import type { Config } from "../config.ts";
import type { FileState, Observation } from "../model.ts";
import type { Clock, Logger } from "../ports.ts";
import { formatMs } from "../text.ts";

/** The log of problems, by path. */
export interface ProblemLog {
  /** Compares what a look has found with what was found before. */
  tell(observation: Observation): void;
}

/**
 * Makes a log that knows of no problem yet.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createFakeClock } from "../../tests/support/fake_clock.ts";
 * const clock = createFakeClock();
 * const lines: string[] = [];
 * const say = (text: string) => void lines.push(text);
 * const logger = { debug: say, info: say, warn: say, error: say };
 * const log = createProblemLog({ intervalMs: 5_000 }, clock, logger);
 * const file = { path: "/etc/x.yaml", digest: null, sizeBytes: 0, error: "no such file" };
 * log.tell({ kind: "unreadable", files: [file] });
 * log.tell({ kind: "unreadable", files: [file] }); // lasts: said once
 * await clock.advance(90_000);
 * log.tell({ kind: "unreadable", files: [] });
 * assert.deepEqual(lines, [
 *   'Cannot read "/etc/x.yaml": no such file; looking again at least every 5s',
 *   "In order again after 1m30s: /etc/x.yaml",
 * ]);
 * ```
 */
export function createProblemLog(
  { intervalMs }: Pick<Config, "intervalMs">,
  clock: Clock,
  logger: Logger,
): ProblemLog {
  /** Problem text by path, with the time it began. */
  let open = new Map<string, { readonly text: string; readonly sinceMs: number }>();
  return {
    tell(observation) {
      const next: typeof open = new Map();
      for (const [path, text] of problemsOf(observation, intervalMs)) {
        const before = open.get(path);
        if (before?.text !== text) logger.warn(text, { path });
        next.set(path, { text, sinceMs: before?.sinceMs ?? clock.nowMs() });
      }
      for (const [path, { sinceMs }] of open) {
        if (!next.has(path)) {
          logger.info(`In order again after ${formatMs(clock.nowMs() - sinceMs)}: ${path}`, { path });
        }
      }
      open = next;
    },
  };
}

/** What is wrong, as a whole sentence, by path. */
function problemsOf(observation: Observation, intervalMs: number): Map<string, string> {
  switch (observation.kind) {
    case "settling":
      return new Map();
    case "replaced":
      return new Map([[observation.path, observation.message]]);
    case "unreadable":
      return textsOf(
        observation.files,
        (path, error) =>
          `Cannot read "${path}": ${error}; looking again at least every ${formatMs(intervalMs)}`,
      );
    case "content":
      return textsOf(observation.skipped, (path, error) => `Left "${path}" out of the content: ${error}`);
  }
}

function textsOf(
  files: readonly FileState[],
  say: (path: string, error: string) => string,
): Map<string, string> {
  return new Map(files.flatMap(({ path, error }) => error === null ? [] : [[path, say(path, error)]]));
}
