/**
 * Lists directories: of a volume the payload in place of the links to it, which are wrong around a swap, and what is
 * mounted beside. Follows links, knows their loops and has an end. Reads directories, never files.
 */

import type { FileState } from "../model.ts";
import { isWithin, joinPath } from "../paths.ts";
import { isInPayload } from "../proc/mountinfo.ts";
import { type Disk, orNull } from "./disk.ts";
import { explain, fileError, KERNEL_DIRS, leadsToKernel, problemAt } from "./file_stat.ts";
import type { GlobPart } from "../glob.ts";
import { followFile, type Names, notePlace, type PlaceNotes, type Places } from "./plan.ts";
import { pinPath, type Place, type Volume, type VolumeFinder } from "./volumes.ts";

const [DIRS_MAX, DEPTH_MAX] = [10_000, 32];
/** Stands for all that lies below a directory. */
export const EVERYTHING = Symbol("everything");
/** Files that one link to a directory may bring: a link to `/usr/lib` must not become the content. */
const LINKED_FILES_MAX = 5_000;
/** Where every file system of the ext family keeps what a check of it has found; only root can read it. */
const LOST_AND_FOUND = "lost+found";
/** Deno gives the change time in whole seconds: so long after a directory has changed another change has another time. */
const FIRM_MS = 2_000;

/** Where the walks of a look have gone along. */
export interface Walked {
  /** The times of each directory when it was listed; null: too young to stand for what it holds. */
  readonly listed: ReadonlyMap<string, string | null>;
  readonly places: Places;
  readonly volumes: ReadonlyMap<string, Volume>;
}

/** What a walk needs, and where it puts what it finds. */
export interface WalkContext {
  readonly disk: Disk;
  readonly finder: VolumeFinder;
  readonly places: PlaceNotes;
  readonly wallMs: number;
  /** As in `Walked`. */
  readonly listed: Map<string, string | null>;
  readonly errors: FileState[];
  /** Links that are not followed, with the reason: they are left out of the content. */
  readonly skipped: FileState[];
  /** A payload directory went away under the walk. */
  torn: boolean;
}

/** Takes what a walk finds. */
export interface Visitor {
  /** Each file found. False ends the walk. */
  add(place: Place, name: string): boolean;
  /** Takes back all files below `path`. */
  dropBelow(path: string): void;
  /** Directories that are not entered. */
  skips(path: string): boolean;
}

/** A part of a path: of a pattern, or of a `--watched-dir`, where all that lies below counts and links are followed. */
export type WalkPart = GlobPart | typeof EVERYTHING;

/** Gives `visitor` the files below `place` that match `parts`. A walk that was ended goes nowhere any more. */
export type Walk = (place: Place, parts: readonly WalkPart[], visitor: Visitor) => Promise<void>;

/** Makes the walk of one look. */
export function createWalk(context: WalkContext): Walk {
  const lister = createLister(context);
  let going = true;
  /** Files that the link being followed may still bring. */
  let linkedLeft = Infinity;
  const add = (visitor: Visitor, place: Place, name: string) => {
    linkedLeft--;
    going = visitor.add(place, name);
  };

  /** `above`: one entry a directory above `place`; for a link that was followed where it led, else empty. */
  const walk = async (
    place: Place,
    parts: readonly WalkPart[],
    visitor: Visitor,
    above: readonly string[],
  ): Promise<void> => {
    const [part, ...rest] = parts;
    if (!going || part === undefined) return;
    if (above.length > DEPTH_MAX) {
      context.errors.push(fileError(place.path, `more than ${DEPTH_MAX} directories deep`));
      return;
    }
    if (part === EVERYTHING && visitor.skips(place.path)) return;
    const isLast = rest.length === 0;
    const isDeep = part === "**" || part === EVERYTHING;
    const deeper = isDeep ? parts : rest;
    // `**` is no directory, or any one directory followed by `**` again; as in bash it follows no links.
    if (part === "**" && !isLast) await walk(place, rest, visitor, [...above, ""]);
    for (const group of await lister.groups(place, isDeep ? null : part)) {
      for (const entry of group.entries) {
        // Without a wait for each: ten thousand of them take their time.
        if (!going || linkedLeft < 0) return;
        if (part === "**" ? entry.name.startsWith(".") : part !== EVERYTHING && !part(entry.name)) continue;
        if (entry.isDirectory) {
          await walk(below(group.place, entry.name), deeper, visitor, [...above, ""]);
          continue;
        }
        const link = entry.isSymlink && part !== "**"
          ? await lister.readLink(group.place, entry.name)
          : "file";
        if (link === "refused") continue;
        if (link !== "file") await follow(link, deeper, visitor, above);
        else if (isLast) add(visitor, group.place, entry.name);
      }
    }
  };

  /** Goes where a link leads; below a `--watched-dir` not twice to one place, and not to very many files. */
  const follow = async (
    link: Place,
    parts: readonly WalkPart[],
    visitor: Visitor,
    above: readonly string[],
  ): Promise<void> => {
    const isBounded = parts[0] === EVERYTHING;
    if (isBounded && above.includes(link.readPath)) return;
    const isOutermost = isBounded && linkedLeft === Infinity;
    if (isOutermost) linkedLeft = LINKED_FILES_MAX;
    await walk(link, parts, visitor, [...above, link.readPath]);
    if (!isOutermost) return;
    if (linkedLeft < 0) {
      visitor.dropBelow(link.path);
      const error =
        `a link to "${link.readPath}", which holds more than ${LINKED_FILES_MAX} files: name it with ` +
        "--watched-dir instead";
      context.skipped.push(fileError(link.path, error));
    }
    linkedLeft = Infinity;
  };

  return (place, parts, visitor) => walk(place, parts, visitor, []);
}

/** Entries of one directory that lie in one place. */
type Group = { readonly place: Place; readonly entries: readonly Deno.DirEntry[] };

function createLister(context: WalkContext) {
  const { disk, finder, places } = context;
  let dirs = 0;

  /** Null where it cannot be listed, which has been told then. */
  const list = async (place: Place): Promise<readonly Deno.DirEntry[] | null> => {
    try {
      return await listAt(context, place.readPath);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound && place.volume !== null) context.torn = true;
      else context.errors.push(problemAt(place.path, await explain(place.readPath, error)));
      return null;
    }
  };

  const isKeyLink = async (path: string): Promise<boolean> => {
    const target = await orNull(disk.readLink(path));
    return target === null || target.startsWith("..data/");
  };

  return {
    /** `names`: those that matter. */
    groups: async (place: Place, names: Names): Promise<Group[]> => {
      if (++dirs > DIRS_MAX) {
        const error = `more than ${DIRS_MAX} directories`;
        if (dirs === DIRS_MAX + 1) context.errors.push(fileError(place.path, error));
        return [];
      }
      const volume = place.volume === null ? await finder.at(place.path) : null;
      const entries = await list(place);
      if (entries === null) return [];
      if (place.volume === null) notePlace(places, place.readPath, names);
      if (entries.length === 0 && place.volume === null) await finder.checkLinks(place.path);
      const own = entries.filter(({ name }) => !name.startsWith("..") && name !== LOST_AND_FOUND);
      if (volume === null) return [{ place, entries: own }];
      const payloadPath = pinPath(place.readPath, { dir: place.readPath, target: volume.target });
      const payloadPlace = { path: place.path, readPath: payloadPath, volume };
      const payload = await list(payloadPlace) ?? [];
      // Also a file where kubelet's link was, as editors leave it.
      const beside = new Map(own.flatMap((entry) => entry.isSymlink ? [] : [[entry.name, entry]]));
      const keys = payload.filter(({ name }) => !beside.has(name));
      const known = new Set(keys.map(({ name }) => name));
      for (const entry of own) {
        if (known.has(entry.name) || beside.has(entry.name)) continue;
        if (!await isKeyLink(joinPath(place.path, entry.name))) beside.set(entry.name, entry);
      }
      return [{ place: payloadPlace, entries: keys }, { place, entries: [...beside.values()] }];
    },
    /** Where a link leads: to a directory, to no directory (the reader finds the words for it), or where none may. */
    readLink: async (place: Place, name: string): Promise<Place | "file" | "refused"> => {
      const path = joinPath(place.path, name);
      const end = await followFile(disk, places, name, place.readPath);
      const real = end ?? await orNull(disk.realPath(joinPath(place.readPath, name)));
      if (real === null) return "file";
      const kernel = KERNEL_DIRS.find((dir) => isWithin(real, dir));
      if (kernel !== undefined) {
        context.skipped.push(fileError(path, leadsToKernel(kernel)));
        return "refused";
      }
      if (!(await orNull(disk.stat(real)))?.isDirectory) return "file";
      // It leads to a directory above itself.
      if (isWithin(place.readPath, real)) return "refused";
      return { path, readPath: real, volume: isInPayload(`${real}/`) ? place.volume : null };
    },
  };
}

/** The entries of a directory, whose times are asked before: a name that comes meanwhile makes them others. */
async function listAt(
  { disk, wallMs, listed }: WalkContext,
  path: string,
): Promise<readonly Deno.DirEntry[]> {
  if (disk.local) {
    const info = await disk.stat(path);
    const changedMs = Math.max(info.mtime?.getTime() ?? Infinity, info.ctime?.getTime() ?? Infinity);
    listed.set(path, wallMs - changedMs > FIRM_MS ? stampOf(info) : null);
  }
  return await disk.list(path);
}

/** Whether a walk would find what the last one has found: no directory, no link and no volume has changed since. */
export async function isAsListed(
  before: Walked,
  disk: Disk,
  finder: VolumeFinder,
): Promise<boolean> {
  for (const [path, target] of before.places.links) {
    if (await orNull(disk.readLink(path)) !== target) return false;
  }
  for (const { dir, target } of before.volumes.values()) {
    if ((await finder.at(dir))?.target !== target) return false;
  }
  for (const [path, stamp] of before.listed) {
    const info = stamp === null ? null : await orNull(disk.stat(path));
    if (info === null || stampOf(info) !== stamp) return false;
  }
  return true;
}

/** What changes whenever a name in the directory comes, goes or is replaced. */
function stampOf({ dev, ino, nlink, mtime, ctime }: Deno.FileInfo): string {
  return `${dev}:${ino}:${nlink}:${mtime?.getTime()}:${ctime?.getTime()}`;
}

function below(place: Place, name: string): Place {
  return { path: joinPath(place.path, name), readPath: joinPath(place.readPath, name), volume: place.volume };
}
