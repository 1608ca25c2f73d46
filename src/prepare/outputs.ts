/**
 * Writes what the app shall read to `--config-envsubst-file` or `--output-dir`. The order of one run: all new files
 * beside their places, each synced; the renames; the check; only then the end of the old ones. So an error leaves the
 * old outputs whole. Removes only what this program wrote. Must never copy a file, follow a link, or change the mode of
 * anything but its own new files: the app may write there as well.
 */

import type { Config } from "../config.ts";
import type { OutputTime, SnapshotFile } from "../model.ts";
import { baseName, joinPath, OWN_PREFIX, parentOf } from "../paths.ts";
import type { Clock, Logger, PrepareResult } from "../ports.ts";
import { messageOf } from "../text.ts";
import type { Convert } from "./convert.ts";
import {
  type DirectoryIdentity,
  inodeOf,
  makeOutputDirectory,
  type OpenDirectory,
  openOutputDirectory,
  openParent,
  randomName,
  readExisting,
  reasonOf,
  writeNew,
} from "./output_dir.ts";

/** One output on its way. */
export interface Staged {
  /** Its name, as a path below the output directory. */
  readonly name: string;
  /** The new file under its random name; null where the output is already as it should be. */
  readonly temporary: { readonly name: string; readonly ino: number } | null;
  /** The old output, and since when it is there where it stays (Unix milliseconds); null where there was none. */
  readonly old: { readonly ino: number; readonly sinceWallMs: number | null } | null;
  /** A second name of the old output, kept until the new one is good; null where none is kept. */
  backup: string | null;
  /** It has been renamed into place. */
  placed: boolean;
}

/** Lets all others have a turn now and then. @throws once there is no time left */
type Step = () => Promise<void>;

/** What outputs are made with, and what is remembered between two runs. */
interface Outputs {
  readonly config: Config;
  readonly convert: Convert;
  readonly clock: Clock;
  readonly logger: Pick<Logger, "warn">;
  readonly dir: string;
  /** The directory of the start; null where it could not be made then. */
  identity: Promise<DirectoryIdentity | null>;
  /** Names of the outputs that are there; null before the first run. */
  names: readonly string[] | null;
  /**
   * When one was last written or removed; null before this process has done so. Then their times on disk tell it, once, since a
   * step of the wall clock must not move it.
   */
  changed: OutputTime | null;
  /** The inputs of what is in place, with the outputs' names. */
  inPlace: ReadonlyMap<SnapshotFile, string>;
}

/** Makes the one way to the outputs, and their directory now: one that comes later may be somebody else's. */
export function createOutputs(deps: Pick<Outputs, "config" | "convert" | "clock" | "logger">) {
  const { config, logger } = deps;
  const dir = config.outputDir ?? parentOf(config.configEnvsubstFile!);
  const outputs: Outputs = {
    ...deps,
    dir,
    identity: makeOutputDirectory(dir).catch(() => null),
    names: null,
    changed: null,
    inPlace: new Map(),
  };
  /** A run and a look at what is missing never overlap. */
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const next = last.then(act);
    last = next.catch(() => {});
    return next;
  };
  let told = "";
  return {
    /**
     * Converts and writes all files; `step` lets all others have a turn, `check` runs the check command on what is in place,
     * and is null where it has nothing against it. @throws with path and reason; the old outputs stay then
     */
    write: (files: readonly SnapshotFile[], step: Step, check: () => Promise<PrepareResult | null>) =>
      inTurn(() => writeAll(outputs, files, step, check)),
    /** Writes again what somebody has removed since. Never throws. */
    restore: () =>
      inTurn(() => restoreMissing(outputs)).then(() => "", messageOf).then((problem) => {
        if (problem !== "" && problem !== told) logger.warn(`An output is gone: ${problem}`);
        told = problem;
      }),
  };
}

/** Opens the directory of the outputs. */
async function openRoot(outputs: Outputs): Promise<OpenDirectory> {
  // A link that comes after the start is somebody else's, also where there was no directory then.
  const known = await outputs.identity ?? { ...await makeOutputDirectory(outputs.dir), isLink: false };
  outputs.identity = Promise.resolve(known);
  return await openOutputDirectory(outputs.dir, known);
}

async function writeAll(
  outputs: Outputs,
  files: readonly SnapshotFile[],
  step: Step,
  check: () => Promise<PrepareResult | null>,
): Promise<PrepareResult> {
  const { config, clock } = outputs;
  await using root = await openRoot(outputs);
  outputs.inPlace = new Map();
  const plan = planOutputs(files, config);
  const wanted = new Set(plan.values());
  if (outputs.names === null) await removeLeftovers(root, wanted, clock.wallMs());
  outputs.names ??= [];
  await clearTheWay(root, outputs.names, wanted);
  const staged = await stageAll(outputs, root, files, plan, step);
  let isGood = false;
  try {
    await placeAll(outputs, root, staged);
    const refused = await check();
    if (refused !== null) return refused;
    isGood = true;
  } finally {
    await settle(root, staged, isGood);
  }
  outputs.inPlace = plan;
  await removeGone(outputs, root, wanted);
  outputs.changed ??= timeOnDisk(staged, clock);
  return { kind: "ok", ...(outputs.changed && { output: outputs.changed }) };
}

/** `place`, remembered. */
async function placeAll(outputs: Outputs, root: OpenDirectory, staged: readonly Staged[]): Promise<void> {
  await place(root, staged).finally(() => {
    if (staged.some(({ placed }) => placed)) outputs.changed = timeNow(outputs.clock);
  });
}

function timeNow(clock: Clock): OutputTime {
  return { wallMs: clock.wallMs(), atMs: clock.nowMs() };
}

/** When the newest output came to its place, of those that were there before; null where none was. */
function timeOnDisk(staged: readonly Staged[], clock: Clock): OutputTime | null {
  const newest = staged.reduce(
    (newest, { old }) => Math.max(newest, old?.sinceWallMs ?? -Infinity),
    -Infinity,
  );
  const now = timeNow(clock);
  return newest === -Infinity ? null : { wallMs: newest, atMs: now.atMs - Math.max(0, now.wallMs - newest) };
}

/**
 * Removes outputs without an input any more where a directory is needed now, or whose directory's name is that of a file now.
 * These alone do not come back where the new content turns out to be bad: nothing could be written beside them.
 */
async function clearTheWay(
  root: OpenDirectory,
  before: readonly string[],
  wanted: ReadonlySet<string>,
): Promise<void> {
  const directories = new Set([...wanted].flatMap(directoriesOf));
  for (const name of before) {
    const isInTheWay = directories.has(name) ||
      directoriesOf(name).some((directory) => wanted.has(directory));
    if (isInTheWay) await removeOutput(root, name).catch(() => {});
  }
}

/** All directories that a name is in: `a` and `a/b` for `a/b/c`. */
function directoriesOf(name: string): string[] {
  const parts = name.split("/").slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join("/"));
}

/** Removes what has no input any more. */
async function removeGone(
  outputs: Outputs,
  root: OpenDirectory,
  wanted: ReadonlySet<string>,
): Promise<void> {
  const gone = outputs.names!.filter((name) => !wanted.has(name));
  outputs.names = [...wanted];
  for (const name of gone) await removeOutput(root, name).catch(() => {});
  if (gone.length > 0) outputs.changed = timeNow(outputs.clock);
}

async function restoreMissing(outputs: Outputs): Promise<void> {
  const { dir, inPlace, logger } = outputs;
  const plan = new Map<SnapshotFile, string>();
  for (const [file, name] of inPlace) if (await isMissing(joinPath(dir, name))) plan.set(file, name);
  if (plan.size === 0) return;
  await using root = await openRoot(outputs);
  const staged = await stageAll(outputs, root, [...plan.keys()], plan, () => Promise.resolve());
  await placeAll(outputs, root, staged).finally(() => settle(root, staged, true));
  const paths = [...plan.values()].map((name) => `"${joinPath(dir, name)}"`).join(", ");
  logger.warn(`Written again, since it was removed: ${paths}`);
}

async function isMissing(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => false, (error) => error instanceof Deno.errors.NotFound);
}

/**
 * The name of each output. Of several inputs only `--config-file` goes to `--config-envsubst-file`; the app reads what a
 * `--watched-dir` has as it is.
 * @throws where two inputs have one name, or a name leads out of the directory
 */
function planOutputs(files: readonly SnapshotFile[], config: Config): Map<SnapshotFile, string> {
  const { configFiles, configEnvsubstFile, outputDir } = config;
  if (outputDir === null) {
    const inputs = files.filter(({ path }) => path === configFiles[0]);
    return new Map(inputs.map((file) => [file, baseName(configEnvsubstFile!)]));
  }
  const inputs = new Map<string, string>();
  for (const { name, path } of files) {
    if (!isBelow(name)) {
      throw new Error(
        `Cannot write "${path}" to "${outputDir}": the name "${name}" would leave the directory`,
      );
    }
    const other = inputs.get(name);
    if (other !== undefined) {
      throw new Error(
        `Cannot write "${name}" to "${outputDir}": both "${other}" and "${path}" have that name`,
      );
    }
    inputs.set(name, path);
  }
  return new Map(files.map((file) => [file, file.name]));
}

const isBelow = (name: string) => !name.split("/").some((part) => ["", ".", ".."].includes(part));

/** Converts all files and writes each beside its place. @throws where one fails; nothing is left behind then */
async function stageAll(
  { config, convert }: Outputs,
  root: OpenDirectory,
  files: readonly SnapshotFile[],
  plan: ReadonlyMap<SnapshotFile, string>,
  step: Step,
): Promise<readonly Staged[]> {
  const staged: Staged[] = [];
  try {
    for (const file of files) {
      await step();
      const name = plan.get(file);
      if (name === undefined && config.validate === "none") continue;
      using content = await convert(file, name !== undefined);
      if (name !== undefined) staged.push(await stage(root, name, content.bytes, file.mode));
    }
    return staged;
  } catch (error) {
    await settle(root, staged, false);
    throw error;
  }
}

/** Writes `bytes` beside its place. @throws with path and reason; nothing is left behind then */
export async function stage(
  root: OpenDirectory,
  name: string,
  bytes: Uint8Array,
  inputMode: number,
): Promise<Staged> {
  // Whoever may write the input must not get a program with this process's rights out of it.
  const mode = inputMode & 0o777;
  await using parent = await openParent(root, name, true);
  try {
    const old = await readExisting(parent, bytes, mode);
    const isThere = old !== null && old.sinceWallMs !== null;
    const temporary = isThere ? null : await writeNew(parent, bytes, mode);
    return { name, temporary, old, backup: null, placed: false };
  } catch (error) {
    const path = joinPath(parent.shown, parent.name);
    throw new Error(`Cannot write "${path}": ${reasonOf(error)}`, { cause: error });
  }
}

/**
 * Renames all into place, and keeps the old outputs until `settle`.
 * @throws with path and reason; `settle` undoes what was placed until then
 */
export async function place(root: OpenDirectory, staged: readonly Staged[]): Promise<void> {
  for (const file of staged) {
    const { temporary, old } = file;
    if (temporary === null) continue;
    await using parent = await openParent(root, file.name, false);
    const { at, name } = parent;
    try {
      if (old !== null) {
        // A hard link is never a copy; where the file system has none, or forbids it, the old output is lost.
        const backup = randomName();
        await Deno.link(`${at}/${name}`, `${at}/${backup}`).then(() => file.backup = backup, () => {});
      }
      await Deno.rename(`${at}/${temporary.name}`, `${at}/${name}`);
      file.placed = true;
    } catch (error) {
      const path = joinPath(parent.shown, name);
      throw new Error(`Cannot replace "${path}": ${reasonOf(error)}`, { cause: error });
    }
  }
}

/** Ends it: drops the old outputs where the new ones are `good`, else puts them back. Never throws. */
export async function settle(root: OpenDirectory, staged: readonly Staged[], good: boolean): Promise<void> {
  for (const file of staged) await settleFile(root, file, good).catch(() => {});
}

async function settleFile(root: OpenDirectory, file: Staged, good: boolean): Promise<void> {
  const { temporary, old, backup, placed } = file;
  if (temporary === null) return;
  await using parent = await openParent(root, file.name, false);
  const { at, name } = parent;
  const remove = (name: string) => Deno.remove(`${at}/${name}`).catch(() => {});
  file.backup = null;
  if (!placed) await remove(temporary.name);
  const isToRestore = placed && !good;
  // Only what was written: somebody else's file stays.
  if (isToRestore && old === null && await inodeOf(parent, name) === temporary.ino) await remove(name);
  if (backup === null) return;
  // Another file may have come to its name, or had the output's name when the link was made.
  if (isToRestore && await inodeOf(parent, backup) === old?.ino) {
    await Deno.rename(`${at}/${backup}`, `${at}/${name}`).catch(() => {});
  } else await remove(backup);
}

/** Removes an output, and the directories that are empty then. @throws where it is gone already */
async function removeOutput(root: OpenDirectory, name: string): Promise<void> {
  for (const path of [name, ...directoriesOf(name).reverse()]) {
    await using parent = await openParent(root, path, false);
    // Not recursive: a directory that holds anything stays.
    await Deno.remove(`${parent.at}/${parent.name}`);
  }
}

/** A directory of so many bytes has tens of thousands of names, none of them by this program: listing takes memory. */
const LISTED_BYTES_MAX = 1024 * 1024;

/** Removes new files, a minute old, that a killed process left where it would have renamed them. Never throws. */
async function removeLeftovers(
  root: OpenDirectory,
  wanted: ReadonlySet<string>,
  wallMs: number,
): Promise<void> {
  const directories = [...wanted].flatMap(directoriesOf).map((directory) => `${directory}/`);
  for (const place of new Set(["", ...directories])) {
    // What is not there yet, or is no directory, holds none; and somebody else may be faster.
    await removeLeftoversIn(root, place, wallMs).catch(() => {});
  }
}

async function removeLeftoversIn(root: OpenDirectory, place: string, wallMs: number): Promise<void> {
  await using directory = await openParent(root, place, false);
  const { at } = directory;
  if ((await Deno.stat(at)).size > LISTED_BYTES_MAX) return;
  for (const { name, isFile } of await Array.fromAsync(Deno.readDir(at))) {
    if (!isFile || !name.startsWith(OWN_PREFIX) || !name.endsWith(".tmp")) continue;
    const { mtime } = await Deno.lstat(`${at}/${name}`);
    if (wallMs - (mtime?.getTime() ?? wallMs) > 60_000) await Deno.remove(`${at}/${name}`);
  }
}
