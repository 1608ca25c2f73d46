/** Which directory a path leads to: what tells that an output directory is still the one of the start. */

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
