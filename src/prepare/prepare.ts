/**
 * What comes between the content and the trigger: unpack and expand, validate, write the output, run the check command.
 *
 * The check command shall see what the app would read, and it is told nothing but its own arguments: so the output is in
 * its place when it runs. If it says no, the old output is put back, and an app that restarts finds the good one.
 * Validation looks at what would be written, before anything is.
 */

import { type Config, needsPreparing, usesBytes } from "../config.ts";
import type { SnapshotFile } from "../model.ts";
import type { Clock, Logger, Prepare, PrepareResult } from "../ports.ts";
import type { Expanded } from "./expand.ts";
import { parentOf } from "../paths.ts";
import { digestOf } from "../watch/read_file.ts";
import type { Staged } from "./render.ts";

/** What of the configuration this needs. */
export type PrepareConfig = Pick<
  Config,
  | "configFiles"
  | "validate"
  | "checkCommand"
  | "configEnvsubstFile"
  | "outputDir"
  | "maxFileSizeBytes"
  | "httpTimeoutMs"
>;

/** Names of unset variables in one line, and in memory: the content decides how many there are. */
const NAMES_TOLD_AT_ONCE = 20;
const NAMES_REMEMBERED_MAX = 200;
/** So long work that can be done in parts holds the event loop, in milliseconds. */
const TURN_MS = 10;

/**
 * Makes the preparation that `config` asks for; with nothing asked for it is always `ok` and costs nothing.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createTestConfig } from "../../tests/support/config.ts";
 * import { createClock } from "../clock.ts";
 * const bytes = new TextEncoder().encode('{"a": 1,}');
 * const more = { digest: "", sizeBytes: bytes.length, mode: 0o644, bytes, error: null };
 * const file = { path: "/etc/a.json", name: "a.json", ...more };
 * const logger = { debug() {}, info() {}, warn() {}, error() {} };
 * const prepare = createPrepare(createTestConfig({ validate: "auto" }), logger, createClock());
 * const found = await prepare({ digest: "", files: [file], changedWallMs: 0 }, new AbortController().signal);
 * assert.equal(found.kind === "invalid" && found.reason.split(":")[0], `"/etc/a.json" is no valid JSON`);
 * ```
 */
export function createPrepare(config: PrepareConfig, logger: Logger, clock: Clock): Prepare {
  const { configEnvsubstFile, outputDir } = config;
  /** Outputs that are this program's: written, or found to be just what it would have written. */
  const outputs = new Set<string>();
  /** Variables that were told to have no value. */
  const told = new Set<string>();
  /** Wall time at which outputs were last removed. */
  let removedWallMs = -Infinity;
  let cleaned = false;

  const tellUnset = (file: SnapshotFile, { unset, unsetCount }: Expanded) => {
    const fresh = [...new Set(unset)].filter((name) => !told.has(name)).slice(0, NAMES_TOLD_AT_ONCE);
    if (fresh.length === 0 || told.size >= NAMES_REMEMBERED_MAX) return;
    fresh.forEach((name) => told.add(name));
    const names = fresh.map((name) => `$(${name})`).join(", ");
    logger.warn(`Left as they are in "${file.path}", since no such variable is set: ${names}`, {
      path: file.path,
      variables: fresh,
      count: unsetCount,
    });
  };

  /** The bytes the app would read, validated; variables count only in what is `rendered`. */
  const convert = async (file: SnapshotFile, rendered: boolean, step: Step): Promise<Uint8Array> => {
    const { expandVariables, gunzip } = await import("./expand.ts");
    const input = file.bytes ?? await readAgain(file);
    let bytes = await gunzip(input, config.maxFileSizeBytes).catch((error: Error) => {
      throw new InvalidContent(`"${file.path}" is ${error.message}`);
    });
    if (rendered) {
      try {
        const expanded = expandVariables(bytes, (name) => Deno.env.get(name), config.maxFileSizeBytes);
        tellUnset(file, expanded);
        bytes = expanded.bytes;
      } catch (error) {
        throw new InvalidContent(`"${file.path}" is ${(error as Error).message}`);
      }
    }
    if (config.validate !== "none") {
      const { validateContent } = await import("./validate.ts");
      const problem = await validateContent(file.path, bytes, config.validate, step);
      if (problem !== null) throw new InvalidContent(`"${file.path}" is ${problem}`);
    }
    return bytes;
  };

  /** Converts all files and, where there is an output, writes each beside its place. */
  const stage = async (
    files: readonly SnapshotFile[],
    staged: Staged[],
    step: Step,
  ): Promise<void> => {
    const { planOutputs, removeLeftovers, stageOutput } = await import("./render.ts");
    const dir = outputDir ?? (configEnvsubstFile === null ? null : parentOf(configEnvsubstFile));
    if (dir !== null && !cleaned) await removeLeftovers(dir, clock.wallMs());
    cleaned = true;
    const plan = outputDir === null ? null : planOutputs(files, outputDir);
    for (const file of files) {
      await step();
      // Of several only `--config-file` goes there; the app reads what a `--watched-dir` has as it is.
      const path = plan?.get(file) ?? (file.path === config.configFiles[0] ? configEnvsubstFile : null);
      if (path === null && config.validate === "none") continue;
      const bytes = await convert(file, path !== null, step);
      if (path !== null && dir !== null) staged.push(await stageOutput(path, bytes, file.mode, dir));
    }
  };

  const run = async (
    files: readonly SnapshotFile[],
    signal: AbortSignal,
    step: Step,
  ): Promise<PrepareResult> => {
    const staged: Staged[] = [];
    const { placeOutputs, removeOutputs, settleOutputs } = await import("./render.ts");
    try {
      if (usesBytes(config)) await stage(files, staged, step);
      await placeOutputs(staged);
    } catch (error) {
      await settleOutputs(staged, false);
      const reason = error instanceof Error ? error.message : String(error);
      return { kind: error instanceof InvalidContent ? "invalid" : "failed", reason };
    }
    if (config.checkCommand !== null) {
      const { runCheckCommand } = await import("./check_command.ts");
      const result = await runCheckCommand(config.checkCommand, config.httpTimeoutMs, signal);
      if (result.kind !== "ok") {
        await settleOutputs(staged, false);
        return result;
      }
    }
    await settleOutputs(staged, true);
    const current = new Set(staged.map((file) => file.path));
    const gone = [...outputs].filter((path) => !current.has(path));
    if (outputDir !== null) await removeOutputs(gone, outputDir);
    if (gone.length > 0) removedWallMs = clock.wallMs();
    outputs.clear();
    for (const path of current) outputs.add(path);
    const written = gone.length > 0 || staged.some((file) => file.placed);
    const outputWallMs = staged.reduce((newest, file) => Math.max(newest, file.wallMs), removedWallMs);
    return outputWallMs === -Infinity ? { kind: "ok", written } : { kind: "ok", written, outputWallMs };
  };

  return (snapshot, signal, turned = () => {}) =>
    needsPreparing(config)
      ? run(snapshot.files, signal, createStep(clock, signal, turned))
      : Promise.resolve({ kind: "ok", written: false });
}

/** To be called now and then by what takes long: lets all others have a turn, and throws once there is no time left. */
type Step = () => Promise<void>;

function createStep(clock: Clock, signal: AbortSignal, turned: () => void): Step {
  let beganMs = clock.nowMs();
  return async () => {
    if (signal.aborted) throw new Error("stopped");
    if (clock.nowMs() - beganMs < TURN_MS) return;
    turned();
    // A timer, since a promise alone does not let go of the event loop.
    await clock.sleep(0);
    beganMs = clock.nowMs();
  };
}

/** The content itself is at fault, not the disk. */
class InvalidContent extends Error {}

/** Bytes that were not kept (there is too much of them): only the very content that was hashed will do. */
async function readAgain(file: SnapshotFile): Promise<Uint8Array> {
  const bytes = await Deno.readFile(file.path).catch((error) => {
    throw new Error(`Cannot read config file "${file.path}" again`, { cause: error });
  });
  if (await digestOf(bytes) === file.digest) return bytes;
  throw new Error(`Cannot use config file "${file.path}": it changed after it was read`);
}
