/**
 * What comes between the content and the trigger: unpack and expand, validate, write the output, run the check command.
 * The bytes that were hashed are the bytes that are rendered.
 *
 * The check command shall see what the app would read, and it is given nothing but its own arguments: so the output is
 * in its place when it runs. If it fails, the old output is put back, and an app that restarts finds the good one.
 * Validation looks at what would be written, before anything is.
 */

import { type Config, needsPreparing, rendersOutput, usesBytes } from "../config.ts";
import type { SnapshotFile } from "../model.ts";
import type { Clock, Logger, Prepare, PrepareResult } from "../ports.ts";
import { type ConvertConfig, createConverter, type Environment, InvalidContent } from "./convert.ts";
import { createOutputs, type OutputsConfig, type Step } from "./outputs.ts";
import { messageOf } from "../text.ts";

/** What of the configuration this needs. */
export type PrepareConfig =
  & ConvertConfig
  & OutputsConfig
  & Pick<Config, "checkCommand" | "httpTimeoutMs">;

/** After so much content the garbage that it made is collected at once: V8 would let tens of MiB of it lie. */
const COLLECTED_BYTES_MIN = 32 * 1024;
/** After so many milliseconds of work all others get a turn. */
const TURN_MS = 10;

/**
 * Makes the preparation that `config` asks for; with nothing asked for it is always `ok` and costs nothing. Where the
 * output directory is there already, it is the one to be written to from now on. `environment` is that of the start.
 */
export function createPrepare(
  config: PrepareConfig,
  logger: Logger,
  clock: Clock,
  environment: Environment,
): Prepare {
  const convert = createConverter(config, logger, environment);
  const outputs = rendersOutput(config) ? createOutputs(config, clock) : null;

  const run = async (files: readonly SnapshotFile[], signal: AbortSignal): Promise<PrepareResult> => {
    const step = createStep(clock, signal);
    if (outputs !== null) return await outputs.write(files, { step, convert, check: () => check(signal) });
    if (config.validate !== "none") {
      for (const file of files) {
        await step();
        await convert(file, false, () => Promise.resolve());
      }
    }
    return await check(signal) ?? { kind: "ok", written: false };
  };

  /** Null where the command has nothing against it. */
  const check = async (signal: AbortSignal): Promise<PrepareResult | null> => {
    if (config.checkCommand === null) return null;
    const { runCheckCommand } = await import("./check_command.ts");
    const result = await runCheckCommand(config.checkCommand, config.httpTimeoutMs, signal, environment);
    return result.kind === "ok" ? null : result;
  };

  return async (snapshot, signal) => {
    if (!needsPreparing(config)) return { kind: "ok", written: false };
    try {
      return await run(snapshot.files, signal);
    } catch (error) {
      const reason = messageOf(error);
      return { kind: error instanceof InvalidContent ? "invalid" : "failed", reason };
    } finally {
      if (usesBytes(config)) collect(snapshot.files);
    }
  };
}

function createStep(clock: Clock, signal: AbortSignal): Step {
  let beganMs = clock.nowMs();
  return async () => {
    if (signal.aborted) throw new Error("stopped");
    if (clock.nowMs() - beganMs < TURN_MS) return;
    // A timer, since a promise alone does not let go of the event loop.
    await clock.sleep(0);
    beganMs = clock.nowMs();
  };
}

/** Nothing where the engine does not offer it. */
function collect(files: readonly SnapshotFile[]): void {
  const bytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  if (bytes >= COLLECTED_BYTES_MIN) (globalThis as { gc?: () => void }).gc?.();
}
