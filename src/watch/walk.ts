/**
 * Lists directories: of a volume the payload in place of the links to it, which are wrong around a swap, and what is
 * mounted beside. Knows loops of links and has an end. Reads directories, never files.
 */

import type { FileState } from "../model.ts";
import type { GlobPart } from "./glob.ts";
import type { Guard } from "./guard.ts";
import type { Recording } from "./listings.ts";
import { isWithin, joinPath } from "../paths.ts";
import { explain, fileError, KERNEL_DIRS, leadsToKernel } from "./read_file.ts";
import { pinPath, type Place, type Volume, type VolumeFinder } from "./volumes.ts";

const DIRS_MAX = 10_000;
const DEPTH_MAX = 32;
/** Files that one link to a directory may bring: a link to `/usr/lib` must not become the content. */
const LINKED_FILES_MAX = 5_000;
/** Where every file system of the ext family keeps what a check of it has found; only root can read it. */
const LOST_AND_FOUND = "lost+found";

/** Takes what a walk finds. */
export interface Visitor {
  /** Each file found; `path` as watched, `readPath` where it is now. False ends the walk. */
  add(path: string, readPath: string, volume: Volume | null): boolean;
  /** Takes back all files below `path` that were added. */
  dropBelow(path: string): void;
  /** Directories that are not entered. */
  skips(path: string): boolean;
}

/** What a walk finds besides files. */
export interface WalkFindings {
  readonly errors: FileState[];
  /** Links that are not followed, with the reason: they are left out of the content. */
  readonly skipped: FileState[];
  /** A payload directory went away under the walk. */
  torn: boolean;
}

/** Walks during one look. */
export interface Walker {
  /** All files below `place`. */
  all(place: Place, visitor: Visitor): Promise<void>;
  /** The files below `place` that match `parts`. */
  matching(place: Place, parts: readonly GlobPart[], visitor: Visitor): Promise<void>;
}

/** Entries of one directory that lie in one place. */
interface Group {
  readonly place: Place;
  readonly entries: readonly Deno.DirEntry[];
}

/** Makes the walker of one look. */
export function createWalker(
  found: WalkFindings,
  finder: VolumeFinder,
  guard: Guard,
  listings: Recording<unknown>,
): Walker {
  const lister = createLister(found, finder, guard, listings);
  let going = true;
  /** Files that the link being followed may still bring. */
  let linkedLeft = Infinity;
  const tell = (visitor: Visitor, place: Place, name: string) => {
    const path = joinPath(place.path, name);
    const readPath = place.path === place.readPath ? path : joinPath(place.readPath, name);
    linkedLeft--;
    going = visitor.add(path, readPath, place.volume);
  };

  const all = async (place: Place, visitor: Visitor, followed: readonly string[]): Promise<void> => {
    if (!going || followed.length > DEPTH_MAX || visitor.skips(place.path)) return;
    for (const group of await lister.groups(place)) {
      for (const entry of group.entries) {
        if (!going || linkedLeft < 0) return;
        // Without a wait for each: ten thousand of them take their time.
        if (!entry.isDirectory && !entry.isSymlink) tell(visitor, group.place, entry.name);
        else if (entry.isDirectory) await all(below(group.place, entry.name), visitor, [...followed, ""]);
        else await follow(group.place, entry.name, visitor, followed);
      }
    }
  };

  const follow = async (
    place: Place,
    name: string,
    visitor: Visitor,
    followed: readonly string[],
  ): Promise<void> => {
    const link = await lister.readLink(place, name);
    if (link === "refused") return;
    if (link === "file") return tell(visitor, place, name);
    if (followed.includes(link.real)) return;
    const target = below(place, name);
    const isOutermost = linkedLeft === Infinity;
    if (isOutermost) linkedLeft = LINKED_FILES_MAX;
    await all(target, visitor, [...followed, link.real]);
    if (!isOutermost) return;
    if (linkedLeft < 0) {
      visitor.dropBelow(target.path);
      found.skipped.push(fileError(
        target.path,
        `a link to "${link.real}", which holds more than ${LINKED_FILES_MAX} files: name it with --watched-dir instead`,
      ));
    }
    linkedLeft = Infinity;
  };

  return {
    all: (place, visitor) => all(place, visitor, []),
    matching: createMatching(lister, tell, () => going),
  };
}

/** Walks along a pattern, part by part. */
function createMatching(
  lister: ReturnType<typeof createLister>,
  tell: (visitor: Visitor, place: Place, name: string) => void,
  isGoing: () => boolean,
): Walker["matching"] {
  const matching = async (
    place: Place,
    parts: readonly GlobPart[],
    visitor: Visitor,
    depth: number,
  ): Promise<void> => {
    const [part, ...rest] = parts;
    if (!isGoing() || part === undefined || depth > DEPTH_MAX) return;
    const isLast = rest.length === 0;
    // `**` is no directory, or any one directory followed by `**` again; as in bash it follows no links.
    if (part === "**" && !isLast) await matching(place, rest, visitor, depth + 1);
    for (const group of await lister.groups(place)) {
      for (const entry of group.entries) {
        if (part === "**" ? entry.name.startsWith(".") : !part(entry.name)) continue;
        const link = part !== "**" && entry.isSymlink
          ? await lister.readLink(group.place, entry.name)
          : "file";
        if (link === "refused") continue;
        if (!entry.isDirectory && link === "file") {
          if (isLast) tell(visitor, group.place, entry.name);
        } else if (part === "**") await matching(below(group.place, entry.name), parts, visitor, depth + 1);
        else if (!isLast) await matching(below(group.place, entry.name), rest, visitor, depth + 1);
      }
    }
  };
  return (place, parts, visitor) => matching(place, parts, visitor, 0);
}

function createLister(found: WalkFindings, finder: VolumeFinder, guard: Guard, listings: Recording<unknown>) {
  let dirs = 0;
  const tellError = (path: string, error: string) =>
    found.errors.push({ path, digest: null, sizeBytes: 0, error });

  const list = async (place: Place): Promise<Deno.DirEntry[]> => {
    const isQuick = listings.begin(place.readPath);
    const entries = await guard.run(place.readPath, async () => {
      try {
        if (isQuick) return Array.from(Deno.readDirSync(place.readPath));
        return await Array.fromAsync(Deno.readDir(place.readPath));
      } catch (error) {
        if (error instanceof Deno.errors.NotFound && place.volume !== null) return "torn";
        return await explain(place.readPath, error);
      }
    });
    if (Array.isArray(entries)) {
      listings.end(place.readPath, entries.length);
      return entries;
    }
    if (entries === "torn") found.torn = true;
    else tellError(place.path, entries === null ? "the disk does not answer" : entries.error);
    return [];
  };

  const isKeyLink = async (path: string): Promise<boolean> => {
    listings.spoil();
    const target = await guard.run(path, () => Deno.readLink(path).catch(() => ""));
    return target === null || target === "" || target.startsWith("..data/");
  };

  return {
    groups: async (place: Place): Promise<Group[]> => {
      if (++dirs > DIRS_MAX) {
        if (dirs === DIRS_MAX + 1) tellError(place.path, `more than ${DIRS_MAX} directories`);
        return [];
      }
      const volume = place.volume === null ? await finder.volumeAt(place.path) : null;
      const entries = await list(place);
      if (entries.length === 0 && place.volume === null) await finder.checkLinks(place.path);
      const own = entries.filter(({ name }) => !name.startsWith("..") && name !== LOST_AND_FOUND);
      if (volume === null) return [{ place, entries: own }];
      const payloadPlace = { path: place.path, readPath: pinPath(place.path, volume), volume };
      const payload = await list(payloadPlace);
      const keys = new Set(payload.map((entry) => entry.name));
      const beside: Deno.DirEntry[] = [];
      for (const entry of own) {
        if (keys.has(entry.name)) continue;
        if (!entry.isSymlink || !await isKeyLink(joinPath(place.path, entry.name))) beside.push(entry);
      }
      return [{ place: payloadPlace, entries: payload }, { place, entries: beside }];
    },
    /** Where a link leads: to a directory, to no directory (the reader finds the words for it), or where none may. */
    readLink: async (place: Place, name: string): Promise<{ readonly real: string } | "file" | "refused"> => {
      listings.spoil();
      const path = joinPath(place.readPath, name);
      const real = await guard.run(path, () => Deno.realPath(path).catch(() => null));
      if (real === null) return "file";
      const kernel = KERNEL_DIRS.find((dir) => isWithin(real, dir));
      if (kernel !== undefined) {
        found.skipped.push(fileError(joinPath(place.path, name), leadsToKernel(kernel)));
        return "refused";
      }
      const info = await guard.run(path, () => Deno.stat(real).catch(() => null));
      if (!info?.isDirectory) return "file";
      const above = await guard.run(place.readPath, () => Deno.realPath(place.readPath).catch(() => null));
      // It leads to a directory above itself.
      return above === null || isWithin(above, real) ? "refused" : { real };
    },
  };
}

function below(place: Place, name: string): Place {
  return { path: joinPath(place.path, name), readPath: joinPath(place.readPath, name), volume: place.volume };
}
