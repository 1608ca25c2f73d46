/**
 * Writes what the app shall read to `--config-envsubst-file` or `--output-dir`: all temporary files first, each synced,
 * then the renames; so an error leaves the old output whole. Removes only files it wrote itself, and never writes
 * outside of its directory.
 */

import type { SnapshotFile } from "../model.ts";
import { OWN_PREFIX } from "../watch/own_files.ts";
import { parentOf } from "../paths.ts";
import { plainReason } from "../text.ts";

/** One file on its way: written beside its place, not yet seen by the app. */
export interface Staged {
  readonly path: string;
  /** Null where the output is already as it should be. */
  readonly temporary: string | null;
  /** The old output under another name, kept until the new one is good; null where there was none. */
  backup: string | null;
  /** It has been renamed into place. */
  placed: boolean;
  /** Wall time at which it came to its place, in milliseconds; `Infinity` before that. */
  wallMs: number;
}

let counter = 0;

function temporaryBeside(path: string): string {
  return `${parentOf(path)}/${OWN_PREFIX}${Deno.pid}-${++counter}.tmp`;
}

/**
 * Where each file goes in `dir`.
 * @throws where two inputs have one name, or a name leads out of `dir`
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const file = { digest: "", sizeBytes: 0, mode: 0o644, bytes: null, error: null };
 * const a = { ...file, path: "/in/a/app.yaml", name: "app.yaml" };
 * assert.equal(planOutputs([a], "/out").get(a), "/out/app.yaml");
 * const b = { ...a, path: "/in/b/app.yaml" };
 * assert.throws(() => planOutputs([a, b], "/out"), /both "\/in\/a\/app.yaml" and "\/in\/b\/app.yaml"/);
 * assert.throws(() => planOutputs([{ ...a, name: "../app.yaml" }], "/out"), /would leave the directory/);
 * ```
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
    plan.set(file, `${dir}/${file.name}`);
  }
  return plan;
}

/**
 * Writes `bytes` beside `path`, synced and with `mode`, unless `path` has just that already. `dir` is the output
 * directory; links in it must not lead out of it.
 * @throws where that fails; nothing is left behind then
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const dir = await Deno.makeTempDir();
 * const bytes = new TextEncoder().encode("a: 1\n");
 * const staged = await stageOutput(`${dir}/app.yaml`, bytes, 0o644, dir);
 * assert.equal(await Deno.readTextFile(staged.temporary!), "a: 1\n");
 * await assert.rejects(Deno.stat(`${dir}/app.yaml`), Deno.errors.NotFound); // not yet seen by the app
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export async function stageOutput(
  path: string,
  bytes: Uint8Array,
  mode: number,
  dir: string,
): Promise<Staged> {
  const parent = parentOf(path);
  // Whoever may write the input must not get a program with this process's rights out of it.
  mode &= 0o777;
  await makeInside(parent, dir);
  const wallMs = await upToDateSince(path, bytes);
  if (wallMs !== null) {
    await Deno.chmod(path, mode).catch(() => {});
    return { path, temporary: null, backup: null, placed: false, wallMs };
  }
  const temporary = temporaryBeside(path);
  try {
    using file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o600 });
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
    await Deno.chmod(temporary, mode);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw new Error(`Cannot write "${path}": ${reasonOf(error)}`, { cause: error });
  }
  return { path, temporary, backup: null, placed: false, wallMs: Infinity };
}

async function makeInside(parent: string, dir: string): Promise<void> {
  try {
    await makeDirectory(dir);
    const root = await Deno.realPath(dir);
    // Part by part: a link that leads out must be found before anything is made behind it.
    let current = dir;
    for (const part of parent.slice(dir.length).split("/").filter((name) => name !== "")) {
      current += `/${part}`;
      await makeDirectory(current);
      const real = await Deno.realPath(current);
      if (!real.startsWith(`${root}/`)) throw new Error(`it leads to "${real}", outside of "${dir}"`);
    }
  } catch (error) {
    throw new Error(`Cannot write to "${parent}": ${reasonOf(error)}`, { cause: error });
  }
}

/** Makes a directory and those above it. @throws where a file is in its place, or the system says no */
async function makeDirectory(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    for (let part = path; part !== "/"; part = parentOf(part)) {
      const info = await Deno.lstat(part).catch(() => null);
      if (info === null || await Deno.stat(part).then((real) => real.isDirectory, () => false)) continue;
      const what = info.isSymlink ? "a link that leads to no directory" : "a file";
      const reason = `${what} stands at "${part}", where a directory is to be made; ` +
        "remove it, or name another place for the output";
      throw new Error(reason, { cause: error });
    }
    throw error;
  }
}

/** Since when the output is as it should be, by its own time; null where it is not. */
async function upToDateSince(path: string, bytes: Uint8Array): Promise<number | null> {
  const info = await Deno.lstat(path).catch(() => null);
  if (info === null || !info.isFile || info.size !== bytes.length) return null;
  const old = await Deno.readFile(path).catch(() => null);
  const isSame = old !== null && old.length === bytes.length && old.every((byte, i) => byte === bytes[i]);
  return isSame ? info.mtime?.getTime() ?? Infinity : null;
}

/**
 * Renames all files into place; the old outputs stay under other names until `settleOutputs`.
 * @throws where that fails; `settleOutputs` puts back what was placed until then
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const dir = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${dir}/app.yaml`, "a: 1\n");
 * const staged = await stageOutput(`${dir}/app.yaml`, new TextEncoder().encode("a: 2\n"), 0o644, dir);
 * await placeOutputs([staged]);
 * assert.equal(await Deno.readTextFile(`${dir}/app.yaml`), "a: 2\n");
 * assert.equal(await Deno.readTextFile(staged.backup!), "a: 1\n");
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export async function placeOutputs(staged: readonly Staged[]): Promise<void> {
  try {
    for (const file of staged) {
      if (file.temporary === null) continue;
      file.backup = await keepOld(file.path);
      // Its time shall be that of the rename, also for the next process: syncing may have taken long.
      await Deno.utime(file.temporary, new Date(), new Date()).catch(() => {});
      await Deno.rename(file.temporary, file.path);
      file.placed = true;
      file.wallMs = Date.now();
    }
  } catch (error) {
    throw new Error(`Cannot replace the output: ${reasonOf(error)}`, { cause: error });
  }
}

/** Null where there is no old output. */
async function keepOld(path: string): Promise<string | null> {
  const backup = temporaryBeside(path);
  const info = await Deno.lstat(path).catch(() => null);
  if (info === null) return null;
  if (info.isDirectory) throw new Error("a directory is there");
  // Some file systems have no hard links.
  await Deno.link(path, backup).catch(() => Deno.copyFile(path, backup));
  return backup;
}

/**
 * Ends it: drops the old outputs where the new ones are `good`, else puts them back. To be called once. Never throws.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const dir = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${dir}/app.yaml`, "a: 1\n");
 * const staged = await stageOutput(`${dir}/app.yaml`, new TextEncoder().encode("a: 2\n"), 0o644, dir);
 * await placeOutputs([staged]);
 * await settleOutputs([staged], false); // the check command said no
 * assert.equal(await Deno.readTextFile(`${dir}/app.yaml`), "a: 1\n");
 * assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["app.yaml"]);
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export async function settleOutputs(staged: readonly Staged[], good: boolean): Promise<void> {
  for (const file of staged) {
    if (file.temporary === null) continue;
    if (!file.placed) await Deno.remove(file.temporary).catch(() => {});
    if (good || !file.placed) {
      if (file.backup !== null) await Deno.remove(file.backup).catch(() => {});
    } else if (file.backup !== null) await Deno.rename(file.backup, file.path).catch(() => {});
    else await Deno.remove(file.path).catch(() => {});
    file.backup = null;
  }
}

/**
 * Removes outputs of inputs that are gone, and directories that are empty then. A directory that has become a link out
 * of `dir` since is left alone, with what is behind it. Never throws.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const dir = await Deno.makeTempDir();
 * await Deno.mkdir(`${dir}/conf.d`);
 * await Deno.writeTextFile(`${dir}/conf.d/gone.yaml`, "");
 * await removeOutputs([`${dir}/conf.d/gone.yaml`], dir);
 * assert.deepEqual([...Deno.readDirSync(dir)], []); // nor its empty directory
 * await Deno.remove(dir);
 * ```
 */
export async function removeOutputs(paths: Iterable<string>, dir: string): Promise<void> {
  const root = await Deno.realPath(dir).catch(() => null);
  for (const path of paths) {
    const parent = await Deno.realPath(parentOf(path)).catch(() => null);
    if (root === null || parent === null || !`${parent}/`.startsWith(`${root}/`)) continue;
    await Deno.remove(path).catch(() => {});
    for (let parent = parentOf(path); parent.startsWith(`${dir}/`); parent = parentOf(parent)) {
      try {
        await Deno.remove(parent);
      } catch {
        break;
      }
    }
  }
}

/**
 * Removes what a process that was killed left behind in `dir`: its temporary files, once they are a minute old.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const dir = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${dir}/.config-reloader-7-1.tmp`, "");
 * await Deno.writeTextFile(`${dir}/app.yaml`, "");
 * await removeLeftovers(dir, Date.now()); // it may be another process's, at work
 * await removeLeftovers(dir, Date.now() + 61_000);
 * assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["app.yaml"]);
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export async function removeLeftovers(dir: string, wallMs: number): Promise<void> {
  try {
    for (const { name, isFile } of await Array.fromAsync(Deno.readDir(dir))) {
      if (!isFile || !name.startsWith(OWN_PREFIX)) continue;
      const path = `${dir}/${name}`;
      const { mtime } = await Deno.lstat(path);
      if (wallMs - (mtime?.getTime() ?? wallMs) > 60_000) await Deno.remove(path);
    }
  } catch {
    // The directory is not there yet, or somebody else was faster.
  }
}

/**
 * What went wrong, without the path that Deno appends.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const error = await Deno.writeTextFile("/no/such/file", "").catch((error) => error);
 * assert.equal(reasonOf(error), "no such directory");
 * assert.equal(reasonOf(new Error("No space left (os error 28): writefile '/out/x'")), "No space left");
 * ```
 */
export function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such directory";
  if (error instanceof Deno.errors.IsADirectory) return "a directory is there";
  return plainReason(error);
}
