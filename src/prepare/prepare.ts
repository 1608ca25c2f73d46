/**
 * What comes between the content and the trigger: unpack and expand, validate, write the output, run the check command.
 * Never repeats content in a message, and never uses other bytes than those that were hashed. Loaded with its flags.
 *
 * The check command shall see what the app would read, and it is given nothing but its own arguments: so the output is
 * in its place when it runs. If it fails, the old output is put back, and an app that restarts finds the good one.
 * Validation looks at what would be written, before anything is.
 */

import { type Config, type Environment, rendersOutput, usesBytes } from "../config.ts";
import type { SnapshotFile } from "../model.ts";
import type { Clock, Logger, Prepare, PrepareResult } from "../ports.ts";
import { messageOf } from "../text.ts";
import { runCheckCommand } from "./check_command.ts";
import { createConvert, InvalidContent } from "./convert.ts";
import { createOutputs } from "./outputs.ts";

/** After so much content the garbage that it made is collected at once: V8 would let tens of MiB of it lie. */
const COLLECTED_BYTES_MIN = 32 * 1024;
/** After so many milliseconds of work all others get a turn. */
const TURN_MS = 10;

/**
 * Makes the preparation that `config` asks for. Where the output directory is there already, it is the one to be written
 * to from now on. `environment` is that of the start.
 */
export function createPreparation(
  config: Config,
  logger: Logger,
  clock: Clock,
  environment: Environment,
) {
  const convert = createConvert(config, logger, environment);
  const outputs = rendersOutput(config) ? createOutputs({ config, convert, clock, logger }) : null;

  async function run(files: readonly SnapshotFile[], signal: AbortSignal): Promise<PrepareResult> {
    const step = createStep(clock, signal);
    if (outputs !== null) return await outputs.write(files, step, () => check(signal));
    if (config.validate !== "none") {
      for (const file of files) {
        await step();
        using _ = await convert(file, false);
      }
    }
    return await check(signal) ?? { kind: "ok" };
  }

  /** Null where the command has nothing against it. */
  async function check(signal: AbortSignal): Promise<PrepareResult | null> {
    if (config.checkCommand === null) return null;
    const result = await runCheckCommand(config.checkCommand, config.httpTimeoutMs, signal, environment);
    return result.kind === "ok" ? null : result;
  }

  const prepare: Prepare = async ({ files }, signal) => {
    try {
      return await run(files, signal);
    } catch (error) {
      return { kind: error instanceof InvalidContent ? "invalid" : "failed", reason: messageOf(error) };
    } finally {
      const bytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
      // Nothing where the engine does not offer it.
      if (usesBytes(config) && bytes >= COLLECTED_BYTES_MIN) (globalThis as { gc?: () => void }).gc?.();
    }
  };
  /** Writes outputs again that somebody has removed. Never throws. */
  const restore = async () => await outputs?.restore();
  return { prepare, restore };
}

function createStep(clock: Clock, signal: AbortSignal): () => Promise<void> {
  let beganMs = clock.nowMs();
  return async () => {
    if (signal.aborted) throw new Error("stopped");
    if (clock.nowMs() - beganMs < TURN_MS) return;
    // A timer, since a promise alone does not let go of the event loop.
    await clock.sleep(0);
    beganMs = clock.nowMs();
  };
}
