/**
 * What comes between the content and the trigger: unpack and expand, validate, write the output, run the check command.
 * Never repeats content in a message, and never uses other bytes than those that were hashed. Loaded with its flags.
 *
 * The check command shall see what the app would read, and it is given nothing but its own arguments: so the output is
 * in its place when it runs. If it fails, the old output is put back, and an app that restarts finds the good one.
 * Validation looks at what would be written, before anything is.
 */

import { type Config, rendersOutput, usesBytes } from "../config.ts";
import type { SnapshotFile } from "../model.ts";
import type { Clock, Logger, Prepare, PrepareResult } from "../ports.ts";
import { messageOf } from "../text.ts";
import { runCheckCommand } from "./check_command.ts";
import { expandVariables, gunzip, release } from "./expand.ts";
import { type Convert, createOutputs } from "./outputs.ts";
import { validateContent } from "./validate.ts";

/** Variables by name, as `Deno.env.toObject()` gives them. */
type Environment = Readonly<Record<string, string>>;

/** The content itself is at fault, not the disk. */
class InvalidContent extends Error {}

/** Names of variables that one line of the log has, and that are told at all: the content decides how many there are. */
const NAMES_A_LINE = 20;
const NAMES_TOLD_MAX = 200;
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

/** Makes the conversion; it remembers which variables without a value were told. */
export function createConvert(
  config: Config,
  logger: Pick<Logger, "warn">,
  environment: Environment,
): Convert {
  const values = new Map(
    Object.entries(environment).map(([name, value]) => [name, new TextEncoder().encode(value)]),
  );
  const told = new Set<string>();

  function tellUnset(path: string, unset: ReadonlySet<string>): void {
    const variables = [...unset].filter((name) => !told.has(name)).slice(0, NAMES_A_LINE);
    if (variables.length === 0 || told.size >= NAMES_TOLD_MAX) return;
    variables.forEach((name) => told.add(name));
    const names = variables.map((name) => `$(${name})`).join(", ");
    logger.warn(`Left as they are in "${path}", since no such variable is set: ${names}`, {
      path,
      variables,
    });
  }

  return async ({ path, bytes: input }, rendered) => {
    // The reader keeps them wherever they are converted: nothing is read a second time.
    if (input === null) throw new Error(`Cannot use config file "${path}": its bytes were not kept`);
    const made = new Set<Uint8Array>();
    // The author of the content decides how much there is of it: it is not left to the collector.
    const dispose = () => made.forEach((bytes) => bytes !== input && release(bytes));
    try {
      let bytes = await gunzip(input, config);
      made.add(bytes);
      if (rendered) {
        const expanded = expandVariables(bytes, values, config, bytes !== input);
        bytes = expanded.bytes;
        made.add(bytes);
        tellUnset(path, expanded.unset);
      }
      const problem = await validateContent(path, bytes, config.validate);
      if (problem !== null) throw new Error(problem);
      return { bytes, [Symbol.dispose]: dispose };
    } catch (error) {
      dispose();
      throw new InvalidContent(`"${path}" is ${messageOf(error)}`);
    }
  };
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
