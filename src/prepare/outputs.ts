/**
 * The outputs of this process: which directory they are in, which of them are its own, and the order of one run: all
 * new files beside their places, the renames, the check, and only then the end of the old ones.
 */

import type { Config } from "../config.ts";
import type { SnapshotFile } from "../model.ts";
import { baseName, parentOf } from "../paths.ts";
import type { Clock, PrepareResult } from "../ports.ts";
import type { Convert } from "./convert.ts";
import { type DirectoryIdentity, makeOutputDirectory } from "./identity.ts";
import type { OpenDirectory } from "./output_dir.ts";
import type { Staged } from "./render.ts";

/** What of the configuration this needs. */
export type OutputsConfig = Pick<
  Config,
  "configFiles" | "validate" | "checkCommand" | "configEnvsubstFile" | "outputDir"
>;

/** Lets all others have a turn now and then. @throws once there is no time left */
export type Step = () => Promise<void>;

/** What one run needs besides its files. */
export interface WriteSteps {
  readonly step: Step;
  readonly convert: Convert;
  /** Runs the check command on what is in place; null where it has nothing against it. */
  readonly check: () => Promise<PrepareResult | null>;
}

/** What is remembered between two runs. */
interface Memory {
  /** The directory of the start; null where it could not be made then. */
  identity: Promise<DirectoryIdentity | null>;
  /** Names below it that are this program's: written, or found to be just what it would have written. */
  names: readonly string[];
  /** Wall time at which outputs were last removed. */
  removedWallMs: number;
  /** Leftovers of a killed predecessor were looked for. */
  cleaned: boolean;
}

/** The one way to the outputs. */
export interface Outputs {
  /** Converts and writes all files. @throws with path and reason; the old outputs stay then */
  write(files: readonly SnapshotFile[], steps: WriteSteps): Promise<PrepareResult>;
}

/** Makes the one way to the outputs, and their directory: one that comes later may be somebody else's. */
export function createOutputs(config: OutputsConfig, clock: Clock): Outputs {
  const dir = config.outputDir ?? parentOf(config.configEnvsubstFile!);
  const memory: Memory = {
    identity: makeOutputDirectory(dir).catch(() => null),
    names: [],
    removedWallMs: -Infinity,
    cleaned: false,
  };
  return {
    write: async (files, steps) => {
      // A link that comes after the start is somebody else's, also where there was no directory then.
      const known = await memory.identity ?? { ...await makeOutputDirectory(dir), isLink: false };
      memory.identity = Promise.resolve(known);
      const { openOutputDirectory } = await import("./output_dir.ts");
      const { removeLeftovers } = await import("./render.ts");
      const root = await openOutputDirectory(dir, known);
      try {
        if (!memory.cleaned) await removeLeftovers(root, clock.wallMs());
        memory.cleaned = true;
        const staged = await stageAll(config, root, files, steps);
        const result = await replaceAll(config, root, staged, steps);
        return result ?? await finish(config, root, staged, memory, clock);
      } finally {
        await root.close();
      }
    },
  };
}

/** Converts all files and writes each beside its place. @throws where one fails; nothing is left behind then */
async function stageAll(
  config: OutputsConfig,
  root: OpenDirectory,
  files: readonly SnapshotFile[],
  { step, convert }: WriteSteps,
): Promise<readonly Staged[]> {
  const { planOutputs, settle, stage } = await import("./render.ts");
  const { configEnvsubstFile, outputDir } = config;
  const plan = outputDir === null ? null : planOutputs(files, outputDir);
  // Of several only `--config-file` goes to `--config-envsubst-file`; the app reads what a `--watched-dir` has as it is.
  const nameOf = (file: SnapshotFile) =>
    plan?.get(file) ?? (file.path === config.configFiles[0] ? baseName(configEnvsubstFile!) : null);
  const staged: Staged[] = [];
  try {
    for (const file of files) {
      await step();
      const name = nameOf(file);
      if (name === null && config.validate === "none") continue;
      await convert(file, name !== null, async (bytes) => {
        if (name !== null) staged.push(await stage(root, name, bytes, file.mode));
      });
    }
    return staged;
  } catch (error) {
    await settle(root, staged, false);
    throw error;
  }
}

/** Puts all into place and checks; what is not good is taken back, and the result says why. */
async function replaceAll(
  config: OutputsConfig,
  root: OpenDirectory,
  staged: readonly Staged[],
  { check }: WriteSteps,
): Promise<PrepareResult | null> {
  const { place, settle } = await import("./render.ts");
  let good = false;
  try {
    await place(root, staged, config.checkCommand !== null);
    const problem = await check();
    good = problem === null;
    return problem;
  } finally {
    await settle(root, staged, good);
  }
}

/** Removes what has no input any more, and says what the new outputs mean for the time of the whole. */
async function finish(
  config: OutputsConfig,
  root: OpenDirectory,
  staged: readonly Staged[],
  memory: Memory,
  clock: Clock,
): Promise<PrepareResult> {
  const { remove } = await import("./render.ts");
  const names = new Set(staged.map(({ name }) => name));
  const gone = config.outputDir === null ? [] : memory.names.filter((name) => !names.has(name));
  await remove(root, gone);
  if (gone.length > 0) memory.removedWallMs = clock.wallMs();
  memory.names = [...names];
  const written = gone.length > 0 || staged.some(({ placed }) => placed);
  const outputWallMs = staged.reduce((newest, { wallMs }) => Math.max(newest, wallMs), memory.removedWallMs);
  return outputWallMs === -Infinity ? { kind: "ok", written } : { kind: "ok", written, outputWallMs };
}
