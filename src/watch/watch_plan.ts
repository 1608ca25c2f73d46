/**
 * Which directories to watch so that no change of the sources goes unseen: always directories, never files, since a
 * watch on a file or a link is deaf after the first rename over it. Looks at the disk, changes nothing.
 */

import { joinPath, parentOf } from "../paths.ts";
import type { Source } from "./scan.ts";

/** One directory to watch. */
export interface WatchPlace {
  readonly path: string;
  readonly recursive: boolean;
}

/** Which directories to watch. */
export interface WatchPlan {
  /** Sorted, one a path. */
  readonly places: readonly WatchPlace[];
  /** Directories as they were named, where links lead to a place: another directory there makes the plan void. */
  readonly anchors: readonly string[];
  /** A directory is not there yet: its nearest parent is watched in its stead. */
  readonly missing: boolean;
}

/** As the kernel: more links in one path are a loop (path_resolution(7)). */
const LINKS_MAX = 40;
/** Entries looked at in search of a FIFO; beyond it the thread itself must tell. */
const FIFO_ENTRIES_MAX = 20_000;

/**
 * Makes the plan. Never throws.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSources } from "./scan.ts";
 * const dir = await Deno.realPath(await Deno.makeTempDir());
 * await Deno.writeTextFile(`${dir}/x.yaml`, "");
 * const { places } = await planWatch(createSources([`${dir}/x.yaml`], []));
 * assert.deepEqual(places, [{ path: dir, recursive: false }]); // never the file itself
 * const { missing } = await planWatch(createSources([`${dir}/no/such/y.yaml`], []));
 * assert.equal(missing, true);
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export async function planWatch(sources: readonly Source[]): Promise<WatchPlan> {
  const places = new Map<string, boolean>();
  const anchors = new Set<string>();
  let missing = false;
  const add = (path: string, recursive = false) => places.set(path, recursive || (places.get(path) ?? false));
  for (const source of sources) {
    const path = source.kind === "glob" ? source.glob.base : source.path;
    const way = await followPath(path);
    way.parents.forEach((parent) => add(parent));
    anchors.add(source.kind === "file" ? parentOf(path) : path);
    // A named file may be absent while its directory is there; that is nothing to wait for with a watch elsewhere.
    if (way.end === null) missing ||= source.kind !== "file" || way.missingParent;
    else if (source.kind === "file") add(parentOf(way.end));
    else add(way.end, await isRecursive(source, way.end));
  }
  const sorted = [...places].map(([path, recursive]) => ({ path, recursive }));
  return {
    places: sorted.sort((a, b) => a.path < b.path ? -1 : 1),
    anchors: [...anchors].filter((path) => !places.has(path)),
    missing,
  };
}

/** A volume changes by one rename in its top directory; the root directory is too much for anybody. */
async function isRecursive(source: Source, path: string): Promise<boolean> {
  if (path === "/" || (source.kind === "glob" && source.glob.parts.length === 1)) return false;
  return await Deno.readLink(`${path}/..data`).catch(() => null) === null;
}

interface Way {
  /** Directories in which a part of the path could be replaced: those of links, and the last one of a missing path. */
  readonly parents: readonly string[];
  /** Where the path leads, without links; null where it ends in nothing or in a volume's payload. */
  readonly end: string | null;
  /** Not only the last part is missing. */
  readonly missingParent: boolean;
}

/** Goes along a path part by part, through its links, and notes where they lie. */
async function followPath(path: string): Promise<Way> {
  const parents = new Set<string>();
  let rest = path.split("/").filter((part) => part !== "");
  let current = "/";
  for (let links = 0; rest.length > 0;) {
    const [part, ...after] = rest;
    if (part === "." || part === "..") {
      if (part === "..") current = parentOf(current);
      rest = after;
      continue;
    }
    const next = joinPath(current, part!);
    const info = await Deno.lstat(next).catch(() => null);
    if (info === null) {
      parents.add(current);
      return { parents: [...parents], end: null, missingParent: after.length > 0 };
    }
    rest = after;
    if (!info.isSymlink) {
      current = next;
      continue;
    }
    parents.add(current);
    // What is beneath `..data` never changes and soon goes away.
    if (part === "..data" || ++links > LINKS_MAX) break;
    const target = await Deno.readLink(next).catch(() => "");
    if (target.startsWith("/")) current = "/";
    rest = [...target.split("/").filter((name) => name !== ""), ...rest];
  }
  return { parents: [...parents], end: rest.length > 0 ? null : current, missingParent: false };
}

/**
 * True where a FIFO lies in one of the places: see `notify_thread.ts` for why that matters.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const dir = await Deno.makeTempDir();
 * const place = { path: dir, recursive: true };
 * assert.equal(await holdsFifo([place]), false);
 * await new Deno.Command("mkfifo", { args: [`${dir}/fifo`] }).output();
 * assert.equal(await holdsFifo([place]), true);
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export async function holdsFifo(places: readonly WatchPlace[]): Promise<boolean> {
  let left = FIFO_ENTRIES_MAX;
  const search = async (dir: string, recursive: boolean): Promise<boolean> => {
    try {
      for (const entry of await Array.fromAsync(Deno.readDir(dir))) {
        if (--left < 0) return false;
        const path = `${dir}/${entry.name}`;
        if (entry.isDirectory && recursive && await search(path, true)) return true;
        if (entry.isFile || entry.isDirectory || entry.isSymlink) continue;
        if ((await Deno.lstat(path).catch(() => null))?.isFifo) return true;
      }
    } catch {
      return false;
    }
    return false;
  };
  for (const { path, recursive } of places) if (await search(path, recursive)) return true;
  return false;
}
