/**
 * The plan of what is watched: the directories in which something can happen that changes the content, and the names in
 * them that matter. Always directories, never files, since a watch on a file or a link is deaf after the first rename over
 * it. A look makes the plan as it goes along its paths, so it is new whenever a link leads elsewhere. Opens no watch.
 */

import { isInPayload } from "../proc/mountinfo.ts";
import { baseName, joinPath, parentOf } from "../paths.ts";
import { type Disk, orNull } from "./disk.ts";

/** As the kernel: more links in one path are a loop (path_resolution(7)). */
const LINKS_MAX = 40;
/** Directories watched at most; beyond it the interval finds what changes. */
const PLACES_MAX = 10_000;

/** Which names in a directory matter: these, those of a pattern, or all (null). */
export type Names = Set<string> | ((name: string) => boolean) | null;

/** What is to be watched. */
export interface Places {
  /** By directory, without links in its path. */
  readonly dirs: ReadonlyMap<string, Names>;
  /** A directory is not there yet: its nearest parent is watched in its stead. */
  readonly missing: boolean;
  /** Where the links on the way lead, but for those that swap a volume. */
  readonly links: ReadonlyMap<string, string>;
}

/** Notes places during one look. */
export interface PlaceNotes extends Places {
  readonly dirs: Map<string, Names>;
  readonly links: Map<string, string>;
  missing: boolean;
}

/** Empty notes. */
export function createPlaceNotes(): PlaceNotes {
  return { dirs: new Map(), missing: false, links: new Map() };
}

/**
 * Notes that `names` in `dir` matter, besides those noted before. Never watched are what is beneath `..data`, which never
 * changes and soon goes away, and the kernel's own: for each event there Deno would open a device.
 */
export function notePlace({ dirs }: PlaceNotes, dir: string, names: Names): void {
  const before = dirs.get(dir);
  if (before === undefined) {
    const isWatchable = !isInPayload(`${dir}/`) && !/^\/(proc|sys|dev(?!\/shm))(\/|$)/.test(dir);
    if (isWatchable && dirs.size < PLACES_MAX) dirs.set(dir, names);
  } else if (before instanceof Set && names instanceof Set) dirs.set(dir, before.union(names));
  else if (before !== names) dirs.set(dir, null);
}

/**
 * Goes along a path part by part, through its links, and notes where they lie and where it ends. Returns the path without
 * links; null where it ends in nothing, or beneath `..data`. `from`: a directory without links that a relative `path`
 * starts in.
 */
export async function followPath(
  disk: Disk,
  notes: PlaceNotes,
  path: string,
  from = "/",
): Promise<string | null> {
  let rest = path.split("/").filter((part) => part !== "");
  let current = from;
  for (let links = 0; rest.length > 0;) {
    const [part, ...after] = rest;
    if (part === "." || part === "..") {
      if (part === "..") current = parentOf(current);
      rest = after;
      continue;
    }
    const next = joinPath(current, part!);
    const info = await orNull(disk.lstat(next));
    if (info === null) {
      notePlace(notes, current, new Set([part!]));
      notes.missing ||= after.length > 0;
      return null;
    }
    rest = after;
    if (!info.isSymlink) {
      current = next;
      continue;
    }
    notePlace(notes, current, new Set([part!]));
    if (part === "..data" || ++links > LINKS_MAX) return null;
    const target = await orNull(disk.readLink(next)) ?? "";
    notes.links.set(next, target);
    if (target.startsWith("/")) current = "/";
    rest = [...target.split("/").filter((name) => name !== ""), ...rest];
  }
  return current;
}

/** As `followPath`, for a path that is meant to be a file: the directory it ends in is watched for its name. */
export async function followFile(
  disk: Disk,
  notes: PlaceNotes,
  path: string,
  from = "/",
): Promise<string | null> {
  const end = await followPath(disk, notes, path, from);
  if (end !== null) notePlace(notes, parentOf(end), new Set([baseName(end)]));
  return end;
}

/**
 * Whether a kernel event can be about the content. What is nobody's path, such as a log beside a config file, needs no
 * look; of a volume's internals only `..data` does.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const places = { dirs: new Map([["/etc/app", new Set(["app.yaml"])]]), missing: false, links: new Map() };
 * assert.equal(isRelevant(places, ["/etc/app/app.yaml"]), true);
 * assert.equal(isRelevant(places, ["/etc/app/..data"]), true);
 * assert.equal(isRelevant(places, ["/etc/app/app.log"]), false);
 * assert.equal(isRelevant(places, []), true); // events got lost
 * ```
 */
export function isRelevant({ dirs }: Places, paths: readonly string[]): boolean {
  return paths.length === 0 || paths.some((path) => {
    if (dirs.has(path)) return true;
    const name = baseName(path);
    if (name.startsWith("..")) return name === "..data";
    const names = dirs.get(parentOf(path));
    return names !== undefined && (names === null || (names instanceof Set ? names.has(name) : names(name)));
  });
}

/** Whether kubelet (or who works like it) has begun to write a volume: the swap follows 1 to 2 ms later. */
export function beginsUpdate(
  { dirs }: Places,
  kind: Deno.FsEvent["kind"],
  paths: readonly string[],
): boolean {
  return kind === "create" &&
    paths.some((path) => /^\.\.\d/.test(baseName(path)) && dirs.has(parentOf(path)));
}

/** Whether an event is about a planned directory or a name in one; one without paths is about lost events. */
export function isInPlaces({ dirs }: Places, paths: readonly string[]): boolean {
  return paths.length === 0 || paths.some((path) => dirs.has(path) || dirs.has(parentOf(path)));
}

/** Whether two plans are the same. */
export function isSamePlaces(a: Places | undefined, b: Places): boolean {
  if (a === b) return true;
  if (a === undefined || a.missing !== b.missing || a.dirs.size !== b.dirs.size) return false;
  return a.dirs.entries().every(([dir, names]) => {
    const others = b.dirs.get(dir);
    return names === others ||
      names instanceof Set && others instanceof Set && names.symmetricDifference(others).size === 0;
  });
}
