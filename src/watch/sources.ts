/**
 * From the settings to the files: turns `--config-file` paths, globs and `--watched-dir` into sources, and lists all files
 * they mean at this moment. Reads directories, never files, and decides nothing.
 */

import { type Config, rendersOutput } from "../config.ts";
import type { FileState } from "../model.ts";
import { baseName, createOwnCheck, isWithin, joinPath, parentOf } from "../paths.ts";
import type { Clock } from "../ports.ts";
import { createDiskTimeout, type Disk, orNull } from "./disk.ts";
import { fileError } from "./file_stat.ts";
import { type Glob, isGlob, parseGlob } from "../glob.ts";
import { createPlaceNotes, followFile, followPath, type Places } from "./plan.ts";
import { createVolumeFinder, type KnownVolume, pinPath, type Place, type Volume } from "./volumes.ts";
import { createWalk, EVERYTHING, isAsListed, type Visitor, type WalkContext, type Walked } from "./walk.ts";

/** More files than this are refused: a link to `/` must not fill the memory. */
const FILES_MAX = 50_000;
/** Their paths are kept several times over: 20,000 of 4,000 characters took 770 MiB. As much as 50,000 usual ones. */
const PATHS_LENGTH_MAX = 8 * 1024 * 1024;

/** One thing to watch. */
export type Source =
  | { readonly kind: "file" | "dir"; readonly path: string }
  | { readonly kind: "glob"; readonly path: string; readonly glob: Glob };

/** What of the configuration names the content. */
export type SourceConfig = Pick<Config, "configFiles" | "watchedDirs" | "configEnvsubstFile" | "outputDir">;

/** A file that should be read. */
export interface Candidate {
  /** As watched. */
  readonly path: string;
  /** Where its bytes are at this moment: for a volume beneath the payload directory. */
  readonly readPath: string;
  /** Name under which it is rendered: base name, or path relative to its `--watched-dir`. */
  readonly name: string;
  readonly volume: Volume | null;
  /** Named by itself, so its absence is an error; else it is simply not part of the content. */
  readonly named: boolean;
  /** Directories that its path may lead to, where what is read is written elsewhere; null: any. */
  readonly roots: readonly string[] | null;
}

/** What is carried from one listing to the next. */
export interface ListingMemory extends Walked {
  readonly known: ReadonlyMap<string, KnownVolume>;
  /** One a path, in the order found. */
  readonly candidates: ReadonlyMap<string, Candidate>;
  /** Links that are not followed, with the reason: they are no part of the content. */
  readonly skipped: readonly FileState[];
  /** Nothing is wrong, and directories, volumes and links were all there is to know: what is named lies in a volume. */
  readonly isPlain: boolean;
}

/** All that was found. `errors` keep the content from being complete. */
export interface Found extends ListingMemory {
  readonly errors: readonly FileState[];
  /** A volume that was torn down under its mount. */
  readonly replacedDir: string | null;
  /** A volume was swapped meanwhile. */
  readonly torn: boolean;
}

/**
 * Turns settings into sources; the same path twice is one.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const sources = createSources(["/etc/app/*.yaml", "/etc/app/x.yaml", "/etc/app/x.yaml"], ["/etc/conf.d/"]);
 * assert.deepEqual(sources.map(({ kind, path }) => `${kind} ${path}`), [
 *   "glob /etc/app/*.yaml",
 *   "file /etc/app/x.yaml",
 *   "dir /etc/conf.d",
 * ]);
 * ```
 */
export function createSources(configFiles: readonly string[], watchedDirs: readonly string[]): Source[] {
  const files = [...new Set(configFiles)].map((path): Source =>
    isGlob(path) ? { kind: "glob", path, glob: parseGlob(path) } : { kind: "file", path }
  );
  const dirs = [...new Set(watchedDirs.map((path) => path.replace(/(.)\/+$/, "$1")))];
  return [...files, ...dirs.map((path): Source => ({ kind: "dir", path }))];
}

/** The path of a source, or the directory above the first wildcard. */
export function baseOf(source: Source): string {
  return source.kind === "glob" ? source.glob.base : source.path;
}

/** Lists all sources. Throws nothing that the disk does. `time` is that of the look. */
export async function listSources(
  config: SourceConfig,
  sources: readonly Source[],
  disk: Disk,
  before: ListingMemory | null,
  time: { readonly nowMs: number; readonly wallMs: number },
): Promise<Found> {
  const finder = createVolumeFinder(disk, before?.known ?? new Map(), time.nowMs);
  const context: WalkContext = {
    disk,
    finder,
    places: createPlaceNotes(),
    wallMs: time.wallMs,
    listed: new Map(),
    errors: [],
    skipped: [],
    torn: false,
  };
  if (before?.isPlain && await isAsListed(before, disk, finder)) {
    return { ...before, errors: [], replacedDir: null, torn: false };
  }
  const list = createList(config, context);
  const watchedRoots = rendersOutput(config) ? await realDirs(disk, config.watchedDirs) : null;
  for (const source of sources) {
    // A file that exists by exactly that name is that file, whatever characters it has.
    const isNamed = source.kind === "file" || source.kind === "glob" && await isFile(disk, source.path);
    const base = isNamed ? source.path : baseOf(source);
    const follow = isNamed ? followFile : followPath;
    const end = await follow(disk, context.places, base);
    // A config file is to stay in its directory, a match below its glob's.
    const own = source.kind === "dir" ? [] : [isNamed ? parentOf(base) : base];
    const roots = watchedRoots && [...watchedRoots, ...await realDirs(disk, own)];
    if (isNamed) await list.file(source.path, roots);
    else {
      const place = await placeOf(base, end, context);
      await (source.kind === "glob" ? list.glob(source.glob, place, roots) : list.directory(place, roots));
    }
  }
  const errors = [...context.errors, ...finder.errors];
  const isPlain = disk.local && watchedRoots === null && errors.length === 0 &&
    finder.replacedDir === null &&
    list.candidates.values().every(({ named, volume }) => !named || volume !== null);
  return {
    candidates: list.candidates,
    volumes: finder.volumes,
    places: context.places,
    isPlain,
    errors,
    skipped: context.skipped,
    replacedDir: finder.replacedDir,
    torn: context.torn,
    known: finder.known,
    listed: context.listed,
  };
}

/** What would be watched now: for who wants to know only that. */
export async function planPlaces(config: SourceConfig, clock: Clock): Promise<Places> {
  const sources = createSources(config.configFiles, config.watchedDirs);
  const timeout = createDiskTimeout(clock);
  const time = { nowMs: clock.nowMs(), wallMs: clock.wallMs() };
  const found = await listSources(config, sources, timeout.on(false), null, time);
  timeout.rest();
  return found.places;
}

/** Gathers the files of one look. */
function createList(config: SourceConfig, context: WalkContext) {
  const { finder } = context;
  const walk = createWalk(context);
  const candidates = new Map<string, Candidate>();
  const isOwn = createOwnCheck(config, createSources(config.configFiles, config.watchedDirs).map(baseOf));
  let pathsLength = 0;
  const add = (candidate: Candidate): boolean => {
    const before = candidates.get(candidate.path);
    const isBetter = before === undefined || (candidate.named && !before.named);
    if (isBetter && !isOwn(candidate.path)) {
      candidates.set(candidate.path, candidate);
      pathsLength += candidate.path.length;
    }
    const tooMany = candidates.size > FILES_MAX
      ? `more than ${FILES_MAX} files`
      : pathsLength > PATHS_LENGTH_MAX
      ? `${candidates.size} files, and more than ${PATHS_LENGTH_MAX} characters in their paths`
      : null;
    if (tooMany === null) return true;
    // They are not even looked at: the answer is the same, and the memory is not.
    candidates.clear();
    context.errors.push(fileError(candidate.path, tooMany));
    return false;
  };
  const createVisitor = (nameOf: (path: string) => string, roots: readonly string[] | null): Visitor => ({
    add: (place, name) => {
      const path = joinPath(place.path, name);
      const readPath = joinPath(place.readPath, name);
      return add({ path, readPath, name: nameOf(path), volume: place.volume, named: false, roots });
    },
    dropBelow: (dir) => {
      for (const [path, { named }] of candidates) if (!named && isWithin(path, dir)) candidates.delete(path);
    },
    skips: isOwn,
  });
  return {
    candidates,
    file: async (path: string, roots: readonly string[] | null): Promise<void> => {
      const [above, info] = await Promise.all([finder.above(path), orNull(context.disk.lstat(path))]);
      if (above === "lost") return;
      // A file of its own where kubelet's link was, as editors leave it.
      const isOwnFile = above?.dir === parentOf(path) && info?.isFile;
      const volume = isOwnFile ? null : above;
      const readPath = volume === null ? path : pinPath(path, volume);
      add({ path, readPath, name: baseName(path), volume, named: true, roots });
    },
    glob: async (glob: Glob, place: Place, roots: readonly string[] | null): Promise<void> => {
      const errorsBefore = context.errors.length + finder.errors.length;
      const visitor = createVisitor(baseName, roots);
      let matches = 0;
      const counted: Visitor = { ...visitor, add: (...file) => (matches++, visitor.add(...file)) };
      await walk(place, glob.parts, counted);
      const isTold = finder.replacedDir !== null || context.torn ||
        context.errors.length + finder.errors.length > errorsBefore;
      if (matches === 0 && !isTold) {
        context.errors.push(fileError(glob.pattern, "no file matches", "missing"));
      }
    },
    directory: (place: Place, roots: readonly string[] | null): Promise<void> => {
      const cut = place.path === "/" ? 1 : place.path.length + 1;
      return walk(place, [EVERYTHING], createVisitor((path) => path.slice(cut), roots));
    },
  };
}

/** Where to list a directory that may itself be inside a volume: `/etc/app/conf.d` may be the parent of a key. */
async function placeOf(dir: string, end: string | null, { disk, finder }: WalkContext): Promise<Place> {
  const volume = await finder.above(dir);
  const pinned = volume === null || volume === "lost"
    ? null
    : await orNull(disk.realPath(pinPath(dir, volume)));
  return pinned === null || volume === "lost"
    ? { path: dir, readPath: end ?? dir, volume: null }
    : { path: dir, readPath: pinned, volume };
}

async function realDirs(disk: Disk, dirs: readonly string[]): Promise<string[]> {
  const found = await Promise.all(dirs.map((dir) => orNull(disk.realPath(dir))));
  return found.filter((dir) => dir !== null);
}

async function isFile(disk: Disk, path: string): Promise<boolean> {
  const info = await orNull(disk.stat(path));
  return info !== null && !info.isDirectory;
}
