/**
 * Lists directories: of a volume the payload in place of the links to it, which are wrong around a swap, and what is
 * mounted beside. Knows loops of links and has an end. Reads directories, never files.
 */

import type { FileState } from "../model.ts";
import type { GlobPart } from "./glob.ts";
import type { Guard } from "./guard.ts";
import type { Recording } from "./listings.ts";
import { joinPath } from "../paths.ts";
import { explain } from "./read_file.ts";
import { pinPath, type Place, type Volume, type VolumeFinder } from "./volumes.ts";

const DIRS_MAX = 10_000;
const DEPTH_MAX = 32;

/** Is called with each file found; `path` as watched, `readPath` where it is now. False ends the walk. */
export type Visit = (path: string, readPath: string, volume: Volume | null) => boolean;

/** What a walk finds besides files. */
export interface WalkFindings {
  readonly errors: FileState[];
  /** A payload directory went away under the walk. */
  torn: boolean;
}

/** Walks during one look. */
export interface Walker {
  /** All files below `place`. `skip` tells of directories that are not entered. */
  all(place: Place, visit: Visit, skip: (path: string) => boolean): Promise<void>;
  /** The files below `place` that match `parts`. */
  matching(place: Place, parts: readonly GlobPart[], visit: Visit): Promise<void>;
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
  const tell = (visit: Visit, place: Place, name: string) => {
    const path = joinPath(place.path, name);
    going = visit(path, place.path === place.readPath ? path : joinPath(place.readPath, name), place.volume);
  };

  const all = async (
    place: Place,
    visit: Visit,
    skip: (path: string) => boolean,
    followed: readonly string[],
  ): Promise<void> => {
    if (!going || followed.length > DEPTH_MAX || skip(place.path)) return;
    for (const group of await lister.groups(place)) {
      for (const entry of group.entries) {
        if (!going) return;
        // Without a wait for each: ten thousand of them take their time.
        if (!entry.isDirectory && !entry.isSymlink) tell(visit, group.place, entry.name);
        else if (entry.isDirectory) await all(below(group.place, entry.name), visit, skip, [...followed, ""]);
        else if (!await lister.leadsToDirectory(group.place, entry)) tell(visit, group.place, entry.name);
        else {
          const real = await lister.realOutside(group.place, entry.name);
          if (real === null || followed.includes(real)) continue;
          await all(below(group.place, entry.name), visit, skip, [...followed, real]);
        }
      }
    }
  };

  const matching = async (
    place: Place,
    parts: readonly GlobPart[],
    visit: Visit,
    depth: number,
  ): Promise<void> => {
    const [part, ...rest] = parts;
    if (!going || part === undefined || depth > DEPTH_MAX) return;
    const isLast = rest.length === 0;
    // `**` is no directory, or any one directory followed by `**` again; as in bash it follows no links.
    if (part === "**" && !isLast) await matching(place, rest, visit, depth + 1);
    for (const group of await lister.groups(place)) {
      for (const entry of group.entries) {
        if (part === "**" ? entry.name.startsWith(".") : !part(entry.name)) continue;
        const isDirectory = entry.isDirectory ||
          (part !== "**" && entry.isSymlink && await lister.leadsToDirectory(group.place, entry));
        if (!isDirectory) {
          if (isLast) tell(visit, group.place, entry.name);
        } else if (part === "**") await matching(below(group.place, entry.name), parts, visit, depth + 1);
        else if (!isLast) await matching(below(group.place, entry.name), rest, visit, depth + 1);
      }
    }
  };

  return {
    all: (place, visit, skip) => all(place, visit, skip, []),
    matching: (place, parts, visit) => matching(place, parts, visit, 0),
  };
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
      const own = entries.filter((entry) => !entry.name.startsWith(".."));
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
    /** A dangling link leads to none, so that the reader finds the words for it. */
    leadsToDirectory: async (place: Place, entry: Deno.DirEntry): Promise<boolean> => {
      listings.spoil();
      const path = joinPath(place.readPath, entry.name);
      return (await guard.run(path, () => Deno.stat(path).catch(() => null)))?.isDirectory ?? false;
    },
    /** The real directory behind a link, null where that is one of those above the link. */
    realOutside: async (place: Place, name: string): Promise<string | null> => {
      const path = joinPath(place.readPath, name);
      const real = await guard.run(path, () => Deno.realPath(path).catch(() => null));
      const above = await guard.run(place.readPath, () => Deno.realPath(place.readPath).catch(() => null));
      return real === null || above === null || `${above}/`.startsWith(`${real}/`) || real === "/"
        ? null
        : real;
    },
  };
}

function below(place: Place, name: string): Place {
  return { path: joinPath(place.path, name), readPath: joinPath(place.readPath, name), volume: place.volume };
}
