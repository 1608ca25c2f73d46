/**
 * Lists what is to be read: resolves `--config-file` paths, globs and `--watched-dir` to files, and finds the
 * atomically swapped volumes among their directories. Keys are listed from the payload directory that `..data` points
 * to at one moment, never from the links beside it, which are wrong around a swap. Reads directories, never files.
 */

import { type Glob, type GlobPart, isGlob, parseGlob } from "./glob.ts";
import type { Guard } from "./guard.ts";
import { explain } from "./read_file.ts";
import type { FileState } from "../model.ts";

/** More files than this are refused: a link to `/` must not fill the memory. */
const FILES_MAX = 50_000;
const DIRS_MAX = 10_000;
const DEPTH_MAX = 32;
/** kubelet tears a failed volume down within 2 ms; a directory that is without `..data` for so long is a plain one. */
const LOST_MS_MAX = 10_000;

/** One thing to watch. */
export type Source =
  | { readonly kind: "file"; readonly path: string; readonly name: string }
  | { readonly kind: "glob"; readonly path: string; readonly glob: Glob }
  | { readonly kind: "dir"; readonly path: string };

/** A volume as one look sees it. */
export interface Volume {
  /** The directory that holds `..data`. */
  readonly dir: string;
  /** What `..data` points to, as it stands there. */
  readonly target: string;
}

/** A file that should be read. */
export interface Candidate {
  /** As watched. */
  readonly path: string;
  /** Where its bytes are at this moment: for a volume beneath the payload directory. */
  readonly readPath: string;
  /** Name under which it is rendered. */
  readonly name: string;
  readonly volume: Volume | null;
  /** Named by itself, so its absence is an error; else it is simply not part of the content. */
  readonly literal: boolean;
}

export interface Scan {
  /** One a path, in the order found. */
  readonly candidates: Map<string, Candidate>;
  readonly volumes: Map<string, Volume>;
  /** What keeps the content from being complete. */
  readonly errors: FileState[];
  /** What is no part of the content although it lies there. */
  readonly skipped: FileState[];
  /** A directory without links: torn down under its mount. */
  replacedDir: string | null;
  /** A directory changed under the scan: scan again. */
  torn: boolean;
}

/** What a scanner remembers between looks. */
export interface ScanContext {
  readonly guard: Guard;
  /** Directories once seen with `..data`: without it they are an error and not empty. */
  readonly known: Map<string, { readonly ino: number; lostAtMs: number | null }>;
  /** Volume of each literal path that has one; a hint only, looked at afresh when it fails. */
  readonly homes: Map<string, string>;
  /** Own output, never part of the content. */
  isOwn(path: string): boolean;
  nowMs(): number;
}

/** Turns settings into sources; the same path twice is one. */
export function createSources(configFiles: readonly string[], watchedDirs: readonly string[]): Source[] {
  const files = [...new Set(configFiles)].map((path): Source =>
    isGlob(path)
      ? { kind: "glob", path, glob: parseGlob(path) }
      : { kind: "file", path, name: path.slice(path.lastIndexOf("/") + 1) }
  );
  const dirs = [...new Set(watchedDirs)].map((path): Source => ({ kind: "dir", path: trimSlash(path) }));
  return [...files, ...dirs];
}

function trimSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.replace(/\/+$/, "") || "/" : path;
}

/** Lists all sources. Never throws. */
export async function scanSources(sources: readonly Source[], context: ScanContext): Promise<Scan> {
  const scan: Scan = {
    candidates: new Map(),
    volumes: new Map(),
    errors: [],
    skipped: [],
    replacedDir: null,
    torn: false,
  };
  const walker = createWalker(scan, context);
  for (const source of sources) {
    if (source.kind === "file") await walker.file(source.path, source.name);
    else if (source.kind === "glob") await walker.glob(source.glob);
    else await walker.dir(source.path);
    if (scan.candidates.size > FILES_MAX) {
      scan.errors.push(fileError(source.path, `more than ${FILES_MAX} files`));
      break;
    }
  }
  return scan;
}

/** A file state that tells of an error. */
export function fileError(path: string, error: string, sizeBytes = 0): FileState {
  return { path, digest: null, sizeBytes, error };
}

type Visit = (path: string, readPath: string, volume: Volume | null) => void;
interface Place {
  /** The directory as watched. */
  readonly path: string;
  /** Where to list it. */
  readonly readPath: string;
  /** Set beneath a payload directory. */
  readonly volume: Volume | null;
}

function createWalker(scan: Scan, context: ScanContext) {
  const { guard } = context;
  const asked = new Map<string, Volume | null>();
  let dirs = 0;

  /** The volume in `dir`, null where it is none. Asked once a look. */
  const volumeAt = async (dir: string): Promise<Volume | null> => {
    const before = asked.get(dir);
    if (before !== undefined) return before;
    const target = await guard.run(`${dir}/..data`, () => Deno.readLink(`${dir}/..data`).catch(() => null));
    const volume = target === null ? null : { dir, target };
    asked.set(dir, volume);
    if (volume === null) {
      if (context.known.has(dir)) await lostVolume(dir);
      return null;
    }
    scan.volumes.set(dir, volume);
    const known = context.known.get(dir);
    if (known !== undefined) known.lostAtMs = null;
    else context.known.set(dir, { ino: (await statOf(dir))?.ino ?? 0, lostAtMs: null });
    return volume;
  };

  const statOf = (path: string) => guard.run(path, () => Deno.stat(path).catch(() => null));

  /** `..data` was there and is not: torn down under the mount, about to be made anew, or a plain directory now. */
  const lostVolume = async (dir: string): Promise<void> => {
    const info = await statOf(dir);
    const known = context.known.get(dir);
    if (info === null || known === undefined) return;
    known.lostAtMs ??= context.nowMs();
    if (info.nlink === 0) scan.replacedDir = dir;
    else if (info.ino !== known.ino || context.nowMs() - known.lostAtMs > LOST_MS_MAX) {
      context.known.delete(dir);
    } else scan.errors.push(fileError(dir, "the volume has no ..data: it is being replaced"));
  };

  const add = (
    path: string,
    readPath: string,
    name: string,
    volume: Volume | null,
    literal: boolean,
  ): void => {
    if (context.isOwn(path)) return;
    const before = scan.candidates.get(path);
    if (before === undefined || (literal && !before.literal)) {
      scan.candidates.set(path, { path, readPath, name, volume, literal });
    }
  };

  const list = async (place: Place): Promise<Deno.DirEntry[] | null> => {
    const entries = await guard.run(place.readPath, async () => {
      try {
        return await Array.fromAsync(Deno.readDir(place.readPath));
      } catch (error) {
        return error instanceof Deno.errors.NotFound && place.volume !== null
          ? "torn"
          : await explain(place.readPath, error);
      }
    });
    if (Array.isArray(entries)) return entries;
    if (entries === "torn") scan.torn = true;
    else {scan.errors.push(
        fileError(place.path, entries === null ? "the disk does not answer" : entries.error),
      );}
    return null;
  };

  /** Lists a directory and, where it is a volume, its payload in place of the links to it. */
  const children = async (place: Place): Promise<{ entry: Deno.DirEntry; at: Place }[]> => {
    if (++dirs > DIRS_MAX) {
      if (dirs === DIRS_MAX + 1) scan.errors.push(fileError(place.path, `more than ${DIRS_MAX} directories`));
      return [];
    }
    const volume = place.volume === null ? await volumeAt(place.path) : null;
    const entries = await list(place);
    if (entries === null) return [];
    if (entries.length === 0 && place.volume === null) await checkLinks(place.path);
    const own = entries.filter((entry) => !entry.name.startsWith(".."));
    if (volume === null) return own.map((entry) => ({ entry, at: below(place, entry.name) }));
    const payloadPlace = { path: place.path, readPath: joinTarget(place.path, volume.target), volume };
    const payload = await list(payloadPlace) ?? [];
    const keys = new Set(payload.map((entry) => entry.name));
    const others: Deno.DirEntry[] = [];
    for (const entry of own) {
      if (!keys.has(entry.name) && !(entry.isSymlink && await pointsToData(`${place.path}/${entry.name}`))) {
        others.push(entry);
      }
    }
    return [
      ...payload.map((entry) => ({ entry, at: below(payloadPlace, entry.name) })),
      ...others.map((entry) => ({ entry, at: below(place, entry.name) })),
    ];
  };

  const pointsToData = async (path: string): Promise<boolean> => {
    const target = await guard.run(path, () => Deno.readLink(path).catch(() => ""));
    return target === null || target === "" || target.startsWith("..data/");
  };

  const checkLinks = async (dir: string): Promise<void> => {
    if ((await statOf(dir))?.nlink === 0) scan.replacedDir = dir;
  };

  /** What a link leads to; a dangling one counts as a file, so that the reader finds the words for it. */
  const isDirectory = async (entry: Deno.DirEntry, at: Place): Promise<boolean> => {
    if (!entry.isSymlink) return entry.isDirectory;
    return (await statOf(at.readPath))?.isDirectory ?? false;
  };

  /** Everything below `place`; `seen` holds the real directories above, against loops of links. */
  const walk = async (place: Place, visit: Visit, seen: readonly string[]): Promise<void> => {
    if (seen.length > DEPTH_MAX || scan.candidates.size > FILES_MAX || context.isOwn(place.path)) return;
    for (const { entry, at } of await children(place)) {
      if (!await isDirectory(entry, at)) visit(at.path, at.readPath, at.volume);
      else if (!entry.isSymlink) await walk(at, visit, [...seen, ""]);
      else {
        const real = await guard.run(at.readPath, () => Deno.realPath(at.readPath).catch(() => ""));
        const above = `${await Deno.realPath(place.readPath).catch(() => "")}/`;
        if (real && !above.startsWith(`${real}/`) && !seen.includes(real)) {
          await walk(at, visit, [...seen, real]);
        }
      }
    }
  };

  const matchParts = async (place: Place, parts: readonly GlobPart[], visit: Visit): Promise<void> => {
    const [part, ...rest] = parts;
    if (part === undefined || parts.length > DEPTH_MAX) return;
    // `**` is no directory or any one directory followed by `**` again; as in bash it follows no links.
    if (part === "**" && rest.length > 0) await matchParts(place, rest, visit);
    for (const { entry, at } of await children(place)) {
      if (part === "**") {
        if (entry.name.startsWith(".")) continue;
        if (entry.isDirectory) await matchParts(at, parts, visit);
        else if (rest.length === 0) visit(at.path, at.readPath, at.volume);
      } else if (part(entry.name)) {
        if (rest.length === 0) {
          if (!await isDirectory(entry, at)) visit(at.path, at.readPath, at.volume);
        } else if (await isDirectory(entry, at)) await matchParts(at, rest, visit);
      }
    }
  };

  /** Where to list a directory that may itself be inside a volume: `/etc/app/conf.d` may be a key's parent. */
  const placeOf = async (dir: string): Promise<Place> => {
    const plain = { path: dir, readPath: dir, volume: null };
    const home = await findHome(dir, volumeAt);
    if (home === null) return plain;
    const readPath = pinned(dir, home);
    return await statOf(readPath) === null ? plain : { path: dir, readPath, volume: home };
  };

  return {
    file: async (path: string, name: string): Promise<void> => {
      const home = context.homes.get(path);
      const found = (home === undefined ? null : await volumeAt(home)) ?? await findHome(path, volumeAt);
      if (found === null) {
        const lost = home !== undefined && context.known.has(home);
        if (!lost) context.homes.delete(path);
        // A volume that went away has told its own error already.
        if (lost && (scan.replacedDir !== null || scan.errors.some((error) => error.path === home))) return;
        return add(path, path, name, null, true);
      }
      context.homes.set(path, found.dir);
      add(path, pinned(path, found), name, found, true);
    },
    glob: async (glob: Glob): Promise<void> => {
      const before = scan.candidates.size + scan.errors.length + scan.skipped.length;
      let matched = false;
      await matchParts(
        { path: glob.base, readPath: glob.base, volume: null },
        glob.parts,
        (path, readPath, volume) => {
          matched = true;
          add(path, readPath, path.slice(path.lastIndexOf("/") + 1), volume, false);
        },
      );
      const told = scan.replacedDir !== null ||
        scan.candidates.size + scan.errors.length + scan.skipped.length > before;
      if (!matched && !told) scan.errors.push(fileError(glob.pattern, "no file matches"));
    },
    dir: async (dir: string): Promise<void> => {
      const prefix = dir === "/" ? 1 : dir.length + 1;
      await walk(await placeOf(dir), (path, readPath, volume) => {
        add(path, readPath, path.slice(prefix), volume, false);
      }, []);
    },
  };
}

/** The nearest directory above `path` that is a volume: `items` may put a key into sub-directories. */
async function findHome(
  path: string,
  volumeAt: (dir: string) => Promise<Volume | null>,
): Promise<Volume | null> {
  for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
    const volume = await volumeAt(path.slice(0, slash));
    if (volume !== null) return volume;
  }
  return null;
}

function below(place: Place, name: string): Place {
  const join = (dir: string) => dir === "/" ? `/${name}` : `${dir}/${name}`;
  return { path: join(place.path), readPath: join(place.readPath), volume: place.volume };
}

/** The path beneath the payload directory; also for a path that was itself given through `..data`. */
function pinned(path: string, volume: Volume): string {
  const inside = path.slice(volume.dir.length);
  const key = inside === "/..data" || inside.startsWith("/..data/") ? inside.slice("/..data".length) : inside;
  return joinTarget(volume.dir, volume.target) + key;
}

/** kubelet's target is a bare name; others may use an absolute path. */
function joinTarget(dir: string, target: string): string {
  return target.startsWith("/") ? target : `${dir}/${target}`;
}
