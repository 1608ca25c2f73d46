/**
 * Writes what the app shall read to `--config-envsubst-file` or `--output-dir`: all new files first, each synced, then
 * the renames; so an error leaves the old output whole. Removes only what this process wrote. Must never copy a file,
 * follow a link, or change the mode or time of anything but its own new files: the app may write there as well.
 */

import type { SnapshotFile } from "../model.ts";
import { joinPath, OWN_PREFIX } from "../paths.ts";
import { reasonOf } from "./identity.ts";
import {
  inDirectory,
  inodeOf,
  type OpenDirectory,
  randomName,
  readExisting,
  touch,
  writeNew,
} from "./output_dir.ts";

/** One output on its way. */
export interface Staged {
  /** Its name, as a path below the output directory. */
  readonly name: string;
  /** The new file under its random name; null where the output is already as it should be. */
  readonly temporary: { readonly name: string; readonly ino: number } | null;
  /** The old output; null where there was none. */
  readonly old: { readonly ino: number } | null;
  /** A second name of the old output, kept until the new one is good; null where none is kept. */
  backup: string | null;
  /** It has been renamed into place. */
  placed: boolean;
  /** Wall time at which it came to its place, in milliseconds; `Infinity` before that. */
  wallMs: number;
}

/**
 * Where each file goes in `dir`: its name.
 * @throws where two inputs have one name, or a name leads out of `dir`
 */
export function planOutputs(files: readonly SnapshotFile[], dir: string): Map<SnapshotFile, string> {
  const plan = new Map<SnapshotFile, string>();
  const inputs = new Map<string, string>();
  for (const file of files) {
    const parts = file.name.split("/");
    if (file.name === "" || parts.some((part) => part === "" || part === "." || part === "..")) {
      throw new Error(
        `Cannot write "${file.path}" to "${dir}": the name "${file.name}" would leave the directory`,
      );
    }
    const other = inputs.get(file.name);
    if (other !== undefined) {
      throw new Error(
        `Cannot write "${file.name}" to "${dir}": both "${other}" and "${file.path}" have that name`,
      );
    }
    inputs.set(file.name, file.path);
    plan.set(file, file.name);
  }
  return plan;
}

/** Runs `act` in the directory that an output is in, with the output's own name there; `make` makes what is missing. */
function inParent<T>(
  root: OpenDirectory,
  name: string,
  make: boolean,
  act: (parent: OpenDirectory, base: string) => Promise<T>,
): Promise<T> {
  const parts = name.split("/");
  const base = parts.pop()!;
  return inDirectory(root, parts, make, (parent) => act(parent, base));
}

/** Writes `bytes` beside its place. @throws with path and reason; nothing is left behind then */
export function stage(
  root: OpenDirectory,
  name: string,
  bytes: Uint8Array,
  inputMode: number,
): Promise<Staged> {
  // Whoever may write the input must not get a program with this process's rights out of it.
  const mode = inputMode & 0o777;
  return inParent(root, name, true, async (parent, base) => {
    try {
      const old = await readExisting(parent, base, bytes, mode);
      const since = old?.sinceWallMs ?? null;
      const temporary = since === null ? await writeNew(parent, bytes, mode) : null;
      return { name, temporary, old, backup: null, placed: false, wallMs: since ?? Infinity };
    } catch (error) {
      throw new Error(`Cannot write "${joinPath(parent.shown, base)}": ${reasonOf(error)}`, { cause: error });
    }
  });
}

/**
 * Renames all into place; `keepOld` keeps the old outputs until `settle`.
 * @throws with path and reason; `settle` undoes what was placed until then, as far as the old ones were kept
 */
export async function place(root: OpenDirectory, staged: readonly Staged[], keepOld: boolean): Promise<void> {
  for (const file of staged) {
    const { temporary, old } = file;
    if (temporary === null) continue;
    await inParent(root, file.name, false, async (parent, base) => {
      try {
        if (keepOld && old !== null) {
          // A hard link is never a copy; where the file system has none, or forbids it, the old output is lost.
          const name = randomName();
          await Deno.link(`${parent.at}/${base}`, `${parent.at}/${name}`).then(
            () => file.backup = name,
            () => {},
          );
        }
        // Its time shall be that of the rename, also for the next process: writing the others may have taken long.
        await touch(parent, temporary.name, temporary.ino);
        await Deno.rename(`${parent.at}/${temporary.name}`, `${parent.at}/${base}`);
        file.placed = true;
        file.wallMs = Date.now();
      } catch (error) {
        throw new Error(`Cannot replace "${joinPath(parent.shown, base)}": ${reasonOf(error)}`, {
          cause: error,
        });
      }
    });
  }
}

/** Ends it: drops the old outputs where the new ones are `good`, else puts them back. Never throws. */
export async function settle(root: OpenDirectory, staged: readonly Staged[], good: boolean): Promise<void> {
  for (const file of staged) {
    await inParent(root, file.name, false, (parent, base) => settleFile(parent, base, file, good))
      .catch(() => {});
  }
}

async function settleFile(parent: OpenDirectory, base: string, file: Staged, good: boolean): Promise<void> {
  const { temporary, old, backup } = file;
  if (temporary === null) return;
  const remove = (name: string) => Deno.remove(`${parent.at}/${name}`).catch(() => {});
  file.backup = null;
  if (!file.placed) await remove(temporary.name);
  if (good || !file.placed) {
    if (backup !== null) await remove(backup);
  } else if (old === null) {
    // Only what was written: somebody else's file stays.
    if (await inodeOf(parent, base) === temporary.ino) await remove(base);
  } else if (backup !== null) {
    // Another file may have come to its name, or had the output's name when the link was made.
    if (await inodeOf(parent, backup) === old.ino) {
      await Deno.rename(`${parent.at}/${backup}`, `${parent.at}/${base}`).catch(() => {});
    } else await remove(backup);
  }
}

/** Removes outputs whose inputs are gone, and directories that are empty then. Never throws. */
export async function remove(root: OpenDirectory, names: Iterable<string>): Promise<void> {
  for (const name of names) await removeFile(root, name).catch(() => {});
}

async function removeFile(root: OpenDirectory, name: string): Promise<void> {
  const parts = name.split("/");
  for (let last = parts.pop(); last !== undefined; last = parts.pop()) {
    const entry = last;
    // Not recursive: a directory that holds anything stays.
    await inDirectory(root, parts, false, (parent) => Deno.remove(`${parent.at}/${entry}`));
  }
}

/** A directory of so many bytes has tens of thousands of names, none of them by this program: listing takes memory. */
const LISTED_BYTES_MAX = 1024 * 1024;

/** Removes new files that a killed process left behind, a minute old. Never throws. */
export async function removeLeftovers(root: OpenDirectory, wallMs: number): Promise<void> {
  try {
    if ((await Deno.stat(root.at)).size > LISTED_BYTES_MAX) return;
    for (const { name, isFile } of await Array.fromAsync(Deno.readDir(root.at))) {
      if (!isFile || !name.startsWith(OWN_PREFIX)) continue;
      const { mtime } = await Deno.lstat(`${root.at}/${name}`);
      if (wallMs - (mtime?.getTime() ?? wallMs) > 60_000) await Deno.remove(`${root.at}/${name}`);
    }
  } catch {
    // Somebody else was faster.
  }
}
