/**
 * The directory that outputs go to: made where it is not there, and told apart from any other that comes to its place.
 * Loaded at every start with an output, so it must never need what only writing needs.
 */

import { parentOf } from "../paths.ts";
import { plainReason } from "../text.ts";

/** A directory, and the link that led to it. */
export interface DirectoryIdentity {
  readonly dev: number;
  readonly ino: number;
  /** The path itself is a link. */
  readonly isLink: boolean;
}

/** Null where the path leads to no directory. Never throws. */
export async function identityOf(path: string): Promise<DirectoryIdentity | null> {
  try {
    const [info, link] = [await Deno.stat(path), await Deno.lstat(path)];
    return info.isDirectory ? { dev: info.dev, ino: info.ino ?? 0, isLink: link.isSymlink } : null;
  } catch {
    return null;
  }
}

/** True where all three are one directory, and no link has come into its place. */
export function isSameDirectory(
  now: DirectoryIdentity,
  atStart: DirectoryIdentity,
  opened: { readonly dev: number; readonly ino: number },
): boolean {
  return now.isLink === atStart.isLink && now.dev === atStart.dev && now.ino === atStart.ino &&
    opened.dev === atStart.dev && opened.ino === atStart.ino;
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
    if (info === null || await Deno.stat(part).then((real) => real.isDirectory, () => false)) continue;
    return notADirectory(part, info.isSymlink ? "a link that leads to no directory" : "a file");
  }
  return reasonOf(error);
}

/** What is in the way, and the way out. */
export function notADirectory(path: string, what: string): string {
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
