/**
 * An output directory that its reader may write to as well, so nothing in it can be trusted to stay what it was a
 * moment ago. Owns every touch of such a directory: it is opened once a run, everything in it is reached through the
 * open descriptor (`/proc/self/fd/N/name`), links are never followed (`O_NOFOLLOW`), what could block is opened
 * without blocking. Must never write by a path of the directory itself.
 */

import type { constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { joinPath, OWN_PREFIX, parentOf } from "../paths.ts";
import { plainReason } from "../text.ts";

/** A directory, and whether its path is a link. */
export interface DirectoryIdentity {
  readonly dev: number;
  readonly ino: number;
  readonly isLink: boolean;
}

/** An open directory; disposing of it closes it. */
export interface OpenDirectory extends AsyncDisposable {
  /** The way to it that no rename and no link can change: `/proc/self/fd/N`. */
  readonly at: string;
  /** Its path for people. */
  readonly shown: string;
}

/** The directory that a file is in, and the file's name there. */
export interface Parent extends OpenDirectory {
  readonly name: string;
}

const PIECE_BYTES = 64 * 1024;

/** Node's `open`, since Deno's own has no flags: loaded with the first write (60 ms of CPU, 5 MB). */
async function open(path: string, ...flags: (keyof typeof constants & `O_${string}`)[]): Promise<FileHandle> {
  const { constants, open } = await import("node:fs/promises");
  return await open(path, flags.reduce((all, flag) => all | constants[flag], 0), 0o600);
}

/** Null where the path leads to no directory. */
async function identityOf(path: string): Promise<DirectoryIdentity | null> {
  try {
    const [info, link] = [await Deno.stat(path), await Deno.lstat(path)];
    return info.isDirectory ? { dev: info.dev, ino: info.ino ?? 0, isLink: link.isSymlink } : null;
  } catch {
    return null;
  }
}

/**
 * Makes the output directory where it is not there yet, and gives its identity.
 * @throws where a file is in its place, or the system says no
 */
export async function makeOutputDirectory(dir: string): Promise<DirectoryIdentity> {
  try {
    await Deno.mkdir(dir, { recursive: true });
  } catch (error) {
    throw new Error(`Cannot write to "${dir}": ${await explainMkdir(dir, error)}`, { cause: error });
  }
  return await identityOf(dir) ?? { dev: 0, ino: 0, isLink: false };
}

async function explainMkdir(dir: string, error: unknown): Promise<string> {
  for (let part = dir; part !== "/"; part = parentOf(part)) {
    const info = await Deno.lstat(part).catch(() => null);
    if (info === null || await identityOf(part) !== null) continue;
    return notADirectory(part, info.isSymlink ? "a link that leads to no directory" : "a file");
  }
  return reasonOf(error);
}

/** What is in the way, and the way out. */
function notADirectory(path: string, what: string): string {
  return `${what} is at "${path}", where a directory is to be made; remove it, or name another place for the output`;
}

/** What went wrong in words, without the path of the descriptor that Deno and Node append. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  if (error instanceof Deno.errors.NotFound || code === "ENOENT") return "no such directory";
  if (error instanceof Deno.errors.IsADirectory || code === "EISDIR") return "a directory is there";
  if (code === "EACCES" || code === "EPERM") {
    return `permission denied (this process is ${Deno.uid()}:${Deno.gid()}); ` +
      "let its user or group write there (securityContext.fsGroup in the pod)";
  }
  if (code === "ENOSPC") return "No space left on device";
  const node = /^E[A-Z]+: (.*?)(?:, \w+(?: '.*)?)?$/s.exec(message ?? "")?.[1];
  return node ?? plainReason(error);
}

/**
 * Opens the output directory.
 * @throws where it is not the very directory of `atStart`, by the same way: then nothing in it may be touched
 */
export async function openOutputDirectory(dir: string, atStart: DirectoryIdentity): Promise<OpenDirectory> {
  const now = await identityOf(dir);
  const handle = now && await open(dir, "O_RDONLY", "O_DIRECTORY").catch(() => null);
  const opened = await handle?.stat().catch(() => null);
  const isSame = [now, opened].every((found) => found?.dev === atStart.dev && found.ino === atStart.ino);
  if (handle && isSame && now.isLink === atStart.isLink) return directoryOf(handle, dir);
  await handle?.close();
  const what = now === null
    ? "it is gone"
    : handle === null
    ? "it cannot be opened"
    : now.isLink && !atStart.isLink
    ? "a link is in its place"
    : "another directory is in its place";
  throw new Error(
    `Cannot write to "${dir}": ${what} since the start, and nothing is written there; ` +
      "put the first one back, or restart this container",
  );
}

function directoryOf(handle: FileHandle, shown: string): OpenDirectory {
  return { at: `/proc/self/fd/${handle.fd}`, shown, [Symbol.asyncDispose]: () => handle.close() };
}

/**
 * Opens the directory that `path` below `root` is in; `make` makes what is missing.
 * @throws where a link or a file is on the way to it
 */
export async function openParent(root: OpenDirectory, path: string, make: boolean): Promise<Parent> {
  const parts = path.split("/");
  const name = parts.pop()!;
  // The root stays open.
  let parent: OpenDirectory = { ...root, [Symbol.asyncDispose]: () => Promise.resolve() };
  for (const part of parts) {
    await using above = parent;
    parent = await openBelow(above, part, make);
  }
  return { ...parent, name };
}

async function openBelow(parent: OpenDirectory, name: string, make: boolean): Promise<OpenDirectory> {
  const [at, shown] = [`${parent.at}/${name}`, joinPath(parent.shown, name)];
  try {
    if (make) {
      await Deno.mkdir(at).catch((error) => {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      });
    }
    return directoryOf(await open(at, "O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW"), shown);
  } catch (error) {
    const info = await Deno.lstat(at).catch(() => null);
    const reason = info === null || info.isDirectory ? reasonOf(error) : notADirectory(shown, kindOf(info));
    throw new Error(`Cannot write to "${shown}": ${reason}`, { cause: error });
  }
}

/**
 * The inode of what has the name already, null where nothing has; and when it was written where it has just these bytes
 * and this mode.
 * @throws where it is not a regular file: a link, a FIFO or a directory is neither opened nor replaced
 */
export async function readExisting(
  parent: Parent,
  bytes: Uint8Array,
  mode: number,
): Promise<{ readonly ino: number; readonly sinceWallMs: number | null } | null> {
  const at = `${parent.at}/${parent.name}`;
  const info = await Deno.lstat(at).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  if (info === null) return null;
  if (!info.isFile) throw new Error(`${kindOf(info)} is there; remove it`);
  const different = { ino: info.ino ?? 0, sinceWallMs: null };
  if (info.size !== bytes.length || ((info.mode ?? 0) & 0o7777) !== mode) return different;
  // A link or a FIFO may have come to its name meanwhile.
  const handle = await open(at, "O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK").catch(() => null);
  if (handle === null) return different;
  try {
    const { ino, mtimeMs } = await handle.stat();
    return ino === info.ino && await hasBytes(handle, bytes) ? { ino, sinceWallMs: mtimeMs } : different;
  } finally {
    await handle.close();
  }
}

async function hasBytes(handle: FileHandle, bytes: Uint8Array): Promise<boolean> {
  const piece = new Uint8Array(Math.min(PIECE_BYTES, bytes.length + 1));
  for (let at = 0;;) {
    const { bytesRead } = await handle.read(piece, 0, piece.length, at);
    if (bytesRead === 0) return at === bytes.length;
    if (at + bytesRead > bytes.length) return false;
    for (let i = 0; i < bytesRead; i++) if (piece[i] !== bytes[at + i]) return false;
    at += bytesRead;
  }
}

/** A name that nobody can know beforehand; the prefix is what `removeLeftovers` and the reader know. */
export function randomName(): string {
  return `${OWN_PREFIX}${crypto.randomUUID()}.tmp`;
}

/**
 * Writes a new file under a random name, synced and with `mode`; gives its name and inode.
 * @throws where that fails; nothing is left behind then
 */
export async function writeNew(
  directory: OpenDirectory,
  bytes: Uint8Array,
  mode: number,
): Promise<{ name: string; ino: number }> {
  const name = randomName();
  const at = `${directory.at}/${name}`;
  const handle = await open(at, "O_WRONLY", "O_CREAT", "O_EXCL", "O_NOFOLLOW");
  try {
    for (let from = 0; from < bytes.length;) {
      from += (await handle.write(bytes, from, bytes.length - from)).bytesWritten;
    }
    await handle.chmod(mode);
    await handle.sync();
    const { ino } = await handle.stat();
    return { name, ino };
  } catch (error) {
    await Deno.remove(at).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}

/** Inode of the regular file that has the name; null where there is none. */
export async function inodeOf(directory: OpenDirectory, name: string): Promise<number | null> {
  const info = await Deno.lstat(`${directory.at}/${name}`).catch(() => null);
  return info?.isFile ? info.ino ?? 0 : null;
}

function kindOf(info: Deno.FileInfo): string {
  if (info.isSymlink) return "a link";
  if (info.isDirectory) return "a directory";
  if (info.isFile) return "a file";
  return info.isFifo ? "a FIFO" : "something that is no regular file";
}
