/**
 * An output directory that its reader may write to as well, so nothing in it can be trusted to stay what it was a
 * moment ago. Owns every touch of such a directory: it is opened once a run, everything in it is reached through the
 * open descriptor (`/proc/self/fd/N/name`), links are never followed (`O_NOFOLLOW`), what could block is opened
 * without blocking. Must never use a path of the directory by itself.
 *
 * Needs `node:fs`, since Deno's own `open` has no flags: loaded only where there is an output (60 ms of CPU, 5 MB).
 */

import { joinPath, OWN_PREFIX } from "../paths.ts";
import { type DirectoryIdentity, identityOf, isSameDirectory, notADirectory, reasonOf } from "./identity.ts";

const { constants } = await import("node:fs");
const { open } = await import("node:fs/promises");
type FileHandle = Awaited<ReturnType<typeof open>>;

/** An open directory. */
export interface OpenDirectory {
  /** The way to it that no rename and no link can change: `/proc/self/fd/N`. */
  readonly at: string;
  /** Its path for people. */
  readonly shown: string;
  close(): Promise<void>;
}

/** A file that is there already. */
export interface ExistingFile {
  readonly ino: number;
  /** Null where it has not just these bytes and mode, or cannot be read; else the time of its last write. */
  readonly sinceWallMs: number | null;
}

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = constants;
const PIECE_BYTES = 64 * 1024;

/**
 * Opens the output directory.
 * @throws where it is not the very directory that `identity` names: then nothing in it may be touched
 */
export async function openOutputDirectory(dir: string, identity: DirectoryIdentity): Promise<OpenDirectory> {
  const now = await identityOf(dir);
  const handle = now === null ? null : await open(dir, O_RDONLY | O_DIRECTORY).catch(() => null);
  try {
    const { dev, ino } = handle === null ? { dev: 0, ino: 0 } : await handle.stat();
    if (now !== null && handle !== null && isSameDirectory(now, identity, { dev, ino })) {
      return opened(handle, dir);
    }
  } catch (error) {
    await handle?.close();
    throw error;
  }
  await handle?.close();
  const what = now === null
    ? "it is gone"
    : handle === null
    ? "it cannot be opened"
    : now.isLink && !identity.isLink
    ? "a link is in its place"
    : "another directory is in its place";
  throw new Error(
    `Cannot write to "${dir}": ${what} since the start, and nothing is written there; ` +
      "put the first one back, or restart this container",
  );
}

function opened(handle: FileHandle, shown: string): OpenDirectory {
  return { at: `/proc/self/fd/${handle.fd}`, shown, close: () => handle.close() };
}

/**
 * Runs `act` in the directory `parts` below `root`; `make` makes what is missing.
 * @throws where one of the parts is a link or a file
 */
export async function inDirectory<T>(
  root: OpenDirectory,
  parts: readonly string[],
  make: boolean,
  act: (directory: OpenDirectory) => Promise<T>,
): Promise<T> {
  let current = root;
  try {
    for (const part of parts) {
      const next = await openBelow(current, part, make);
      if (current !== root) await current.close();
      current = next;
    }
    return await act(current);
  } finally {
    if (current !== root) await current.close();
  }
}

async function openBelow(parent: OpenDirectory, name: string, make: boolean): Promise<OpenDirectory> {
  const [at, shown] = [`${parent.at}/${name}`, joinPath(parent.shown, name)];
  try {
    if (make) {
      await Deno.mkdir(at).catch((error) => {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      });
    }
    return opened(await open(at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), shown);
  } catch (error) {
    const info = await Deno.lstat(at).catch(() => null);
    if (info === null || info.isDirectory) {
      throw new Error(`Cannot write to "${shown}": ${reasonOf(error)}`, { cause: error });
    }
    throw new Error(`Cannot write to "${shown}": ${notADirectory(shown, kindOf(info))}`, { cause: error });
  }
}

/**
 * Looks at what has the name already; null where nothing has.
 * @throws where it is not a regular file: a link, a FIFO or a directory is neither opened nor replaced
 */
export async function readExisting(
  directory: OpenDirectory,
  name: string,
  bytes: Uint8Array,
  mode: number,
): Promise<ExistingFile | null> {
  const at = `${directory.at}/${name}`;
  const info = await Deno.lstat(at).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  });
  if (info === null) return null;
  if (!info.isFile) throw new Error(`${kindOf(info)} is there; remove it`);
  const different = { ino: info.ino ?? 0, sinceWallMs: null };
  if (info.size !== bytes.length || ((info.mode ?? 0) & 0o7777) !== mode) return different;
  // A link or a FIFO may have come since: the flags make them errors, and what cannot be read is written anew.
  const handle = await open(at, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(() => null);
  if (handle === null) return different;
  try {
    const now = await handle.stat();
    const isSame = now.isFile() && now.ino === info.ino && await hasBytes(handle, bytes);
    return isSame ? { ino: now.ino, sinceWallMs: now.mtimeMs } : different;
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
  const handle = await open(at, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
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

/** Sets the time of a file of our own to now. Never throws: where that fails its time is that of its last byte. */
export async function touch(directory: OpenDirectory, name: string, ino: number): Promise<void> {
  const handle = await open(`${directory.at}/${name}`, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(() => null);
  if (handle === null) return;
  try {
    const info = await handle.stat();
    const now = new Date();
    if (info.isFile() && info.ino === ino) await handle.utimes(now, now);
  } catch {
    // Its time is a little too early then.
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
