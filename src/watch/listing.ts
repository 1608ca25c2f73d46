/**
 * From the settings to the files: lists everything that `--config-file` paths, globs and `--watched-dir` mean at this
 * moment. Of a volume's directory it lists the payload in place of the links to it, which are wrong around a swap, and what
 * is mounted beside. Follows links, knows their loops and has an end. Reads directories, never files.
 */

import { type Config, rendersOutput } from "../config.ts";
import { type Glob, type GlobPart, isGlob, parseGlob } from "../glob.ts";
import type { FileState } from "../model.ts";
import { baseName, createOwnCheck, isWithin, joinPath, parentOf } from "../paths.ts";
import type { Clock } from "../ports.ts";
import { createDisk, type Disk, orNull } from "./disk.ts";
import {
  explain,
  fileError,
  type FileProblem,
  kernelDirOf,
  leadsOutside,
  leadsToKernel,
  problem,
  problemAt,
} from "./file_stat.ts";
import type { Names, Plan } from "./plan.ts";
import {
  below,
  createSurvey,
  follow,
  noteDir,
  payloadOf,
  type Place,
  placeAt,
  readVolume,
  type Survey,
  type Volumes,
} from "./volumes.ts";

/** More files than this are refused: a link to `/` must not fill the memory. */
const FILES_MAX = 50_000;
/** Files that one link to a directory may bring: a link to `/usr/lib` must not become the content. */
const LINKED_FILES_MAX = 5_000;
/** Their paths are kept several times over: 20,000 of 4,000 characters took 770 MiB. As much as 50,000 usual ones. */
const PATHS_LENGTH_MAX = 8 * 1024 * 1024;
const [DIRS_MAX, DEPTH_MAX] = [10_000, 32];
/** Where every file system of the ext family keeps what a check of it has found; only root can read it. */
const LOST_AND_FOUND = "lost+found";
/** Deno gives the change time in whole seconds: so long after a directory has changed another change has another time. */
const FIRM_MS = 2_000;
/** Stands for all that lies below a directory. */
const EVERYTHING = Symbol("everything");

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
  /** Where its bytes are at this moment. */
  readonly realPath: string;
  /** The payload directory that it lies beneath; null outside of volumes. */
  readonly payload: string | null;
  /** Name under which it is rendered: base name, or path relative to its `--watched-dir`. */
  readonly name: string;
  /** Named by itself, so its absence is an error; else it is simply not part of the content. */
  readonly named: boolean;
  /** Why it must not be read. */
  readonly problem: FileProblem | null;
}

/** All that was found. */
export interface Listing {
  /** One a path, in the order found. */
  readonly candidates: ReadonlyMap<string, Candidate>;
  readonly volumes: Volumes;
  readonly plan: Plan;
  readonly links: ReadonlyMap<string, string>;
  /** The times of each directory when it was listed; null: too young to stand for what it holds. */
  readonly stamps: ReadonlyMap<string, string | null>;
  /** What keeps the content from being complete, besides files. */
  readonly errors: readonly FileState[];
  /** Nothing is wrong, and directories, volumes and links were all there is to know: what is named lies in a volume. */
  readonly isPlain: boolean;
}

/** `torn`: a volume was swapped meanwhile. `replacedDir`: a volume was torn down under its mount. */
export type NoListing = "torn" | { readonly replacedDir: string };

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

/** Lists all sources; `before` itself where no directory, no link and no volume has changed. Throws nothing that the disk does. */
export async function listSources(
  config: SourceConfig,
  sources: readonly Source[],
  disk: Disk,
  before: Listing | null,
  wallMs: number,
): Promise<Listing | NoListing> {
  const survey = createSurvey(disk, wallMs, before?.volumes ?? new Map());
  const isKnown = before !== null && before.isPlain && await isAsListed(before, survey);
  const listing = isKnown ? before : await listAll(config, sources, survey);
  if (survey.replacedDir !== null) return { replacedDir: survey.replacedDir };
  return survey.torn ? "torn" : listing;
}

/** Whether a walk would find what the last one has found: no directory, no link and no volume has changed since. */
async function isAsListed({ links, volumes, stamps }: Listing, survey: Survey): Promise<boolean> {
  const { disk } = survey;
  for (const [path, target] of links) {
    if (await orNull(disk.readLink(path)) !== target) return false;
  }
  for (const [dir, target] of volumes) {
    if (await readVolume(survey, dir) !== target) return false;
  }
  for (const [path, stamp] of stamps) {
    const info = stamp === null ? null : await orNull(disk.stat(path));
    if (info === null || stampOf(info) !== stamp) return false;
  }
  return true;
}

/** What changes whenever a name in the directory comes, goes or is replaced. */
function stampOf({ dev, ino, nlink, mtime, ctime }: Deno.FileInfo): string {
  return `${dev}:${ino}:${nlink}:${mtime?.getTime()}:${ctime?.getTime()}`;
}

/** What would be watched now: for who wants to know only that. */
export async function planPlaces(config: SourceConfig, clock: Clock): Promise<Plan> {
  const survey = createSurvey(createDisk(clock), clock.wallMs(), new Map());
  await listAll(config, createSources(config.configFiles, config.watchedDirs), survey);
  return survey.plan;
}

/** Files gathered up to a bound. */
interface Files {
  readonly found: Map<string, Candidate>;
  readonly max: number;
  pathsLength: number;
}

/** Ends a walk that has found more than it may. */
class TooMuch extends Error {
  constructor(readonly path: string, message: string, readonly files: Files | null = null) {
    super(message);
  }
}

/** A source while it is listed. */
interface Selection {
  readonly files: Files;
  readonly nameOf: (path: string) => string;
  /** Directories that its files may lie in, where what is read is written elsewhere; null: any. */
  readonly roots: readonly string[] | null;
  matches: number;
}

/** A part of a path: of a pattern, or of a `--watched-dir`, where all that lies below counts and links are followed. */
type WalkPart = GlobPart | typeof EVERYTHING;

async function listAll(config: SourceConfig, sources: readonly Source[], survey: Survey): Promise<Listing> {
  const { disk } = survey;
  const files: Files = { found: new Map(), max: FILES_MAX, pathsLength: 0 };
  const errors: FileState[] = [];
  const stamps = new Map<string, string | null>();
  const walk = createWalk({ survey, errors, stamps, isOwn: createOwnCheck(config, sources.map(baseOf)) });
  const watchedRoots = rendersOutput(config) ? await realDirs(disk, config.watchedDirs) : null;
  try {
    for (const source of sources) {
      // A file that exists by exactly that name is that file, whatever characters it has.
      const isNamed = source.kind === "file" || source.kind === "glob" && await isFile(disk, source.path);
      const base = isNamed ? source.path : baseOf(source);
      // A config file is to stay in its directory, a match below its glob's.
      const own = source.kind === "dir" ? [] : [isNamed ? parentOf(base) : base];
      const roots = watchedRoots && [...watchedRoots, ...await realDirs(disk, own)];
      const cut = source.kind !== "dir" || base === "/" ? 1 : base.length + 1;
      const nameOf = source.kind === "dir" ? (path: string) => path.slice(cut) : baseName;
      const selection = { files, nameOf, roots, matches: 0 };
      const end = await follow(survey, base);
      // A key that its volume does not have is missing there, and the next swap may bring it.
      const isKey = isNamed && end.payload !== null && isWithin(base, parentOf(end.payload));
      const place = isKey ? { ...end, path: base } : placeAt(base, base, end);
      if (isNamed) {
        if (end.info?.isDirectory && end.payload === null) {
          await noteDir(survey, parentOf(end.realPath), new Set([baseName(end.realPath)]));
        }
        walk.add(selection, place, end.info, true);
        continue;
      }
      const kernelDir = kernelDirOf(base, end.realPath);
      if (kernelDir !== null && end.info?.isDirectory) {
        errors.push(problemAt(base, problem("failed", leadsToKernel(kernelDir))));
        continue;
      }
      const told = errors.length;
      await walk.run(place, source.kind === "glob" ? source.glob.parts : [EVERYTHING], selection);
      if (source.kind === "glob" && selection.matches === 0 && errors.length === told) {
        errors.push(fileError(source.path, "no file matches", "missing"));
      }
    }
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error;
    // They are not even looked at: the answer is the same, and the memory is not.
    files.found.clear();
    errors.push(fileError(error.path, error.message));
  }
  const { volumes, plan, links } = survey;
  const isPlain = disk.isLocal && watchedRoots === null && errors.length === 0 &&
    files.found.values().every(({ named, payload }) => !named || payload !== null);
  return { candidates: files.found, volumes, plan, links, stamps, errors, isPlain };
}

/** What walks need, and where they put what they find. */
interface WalkContext {
  readonly survey: Survey;
  readonly errors: FileState[];
  readonly stamps: Map<string, string | null>;
  readonly isOwn: (path: string) => boolean;
}

function createWalk(context: WalkContext) {
  const { survey, isOwn } = context;
  let dirs = 0;

  const put = ({ files }: Selection, candidate: Candidate) => {
    const { path, named } = candidate;
    const before = files.found.get(path);
    if (isOwn(path) || before !== undefined && (before.named || !named)) return;
    files.found.set(path, candidate);
    files.pathsLength += path.length;
    if (files.found.size > files.max) throw new TooMuch(path, `more than ${files.max} files`, files);
    if (files.pathsLength > PATHS_LENGTH_MAX) {
      const text = `${files.found.size} files, and more than ${PATHS_LENGTH_MAX} characters in their paths`;
      throw new TooMuch(path, text);
    }
  };

  const refuse = (
    selection: Selection,
    { path, realPath, payload }: Place,
    named: boolean,
    problem: FileProblem,
  ) => put(selection, { path, realPath, payload, name: selection.nameOf(path), named, problem });

  /** Takes a file, or what is no file, for which words are found when it is read. */
  const add = (selection: Selection, place: Place, isThere: unknown, named = false) => {
    const { path, realPath, payload } = place;
    const { roots, nameOf } = selection;
    const kernelDir = kernelDirOf(path, realPath);
    if (kernelDir !== null && !named) {
      return refuse(selection, place, named, problem("skip", leadsToKernel(kernelDir)));
    }
    selection.matches++;
    const isOutside = isThere && roots !== null && !roots.some((root) => isWithin(realPath, root));
    if (isOutside) return refuse(selection, place, named, leadsOutside(realPath));
    // Of a named one the words say what it is.
    const askedPath = kernelDir === null ? realPath : path;
    put(selection, { path, realPath: askedPath, payload, name: nameOf(path), named, problem: null });
  };

  /** `above`: one entry a directory above `place`; for a link that was followed where it led, else empty. */
  const run = async (
    place: Place,
    parts: readonly WalkPart[],
    selection: Selection,
    above: readonly string[] = [],
  ): Promise<void> => {
    const [part, ...rest] = parts;
    if (part === undefined || part === EVERYTHING && isOwn(place.path)) return;
    if (above.length > DEPTH_MAX) throw new TooMuch(place.path, `more than ${DEPTH_MAX} directories deep`);
    if (++dirs > DIRS_MAX) throw new TooMuch(place.path, `more than ${DIRS_MAX} directories`);
    const isLast = rest.length === 0;
    const isDeep = part === "**" || part === EVERYTHING;
    const deeper = isDeep ? parts : rest;
    // `**` is no directory, or any one directory followed by `**` again; as in bash it follows no links.
    if (part === "**" && !isLast) await run(place, rest, selection, [...above, ""]);
    for (const [dir, entry] of await entriesIn(context, place, isDeep ? null : part)) {
      if (part === "**" ? entry.name.startsWith(".") : part !== EVERYTHING && !part(entry.name)) continue;
      const found = below(dir, entry.name);
      if (entry.isDirectory) await run(found, deeper, selection, [...above, ""]);
      else if (entry.isSymlink && part !== "**") await runLink(dir, found, deeper, selection, above);
      else if (isLast) add(selection, found, true);
    }
  };

  /** Goes where a link leads; below a `--watched-dir` not twice to one place, and not to very many files. */
  const runLink = async (
    dir: Place,
    link: Place,
    parts: readonly WalkPart[],
    selection: Selection,
    above: readonly string[],
  ): Promise<void> => {
    const end = await follow(survey, baseName(link.path), dir);
    const place = placeAt(link.path, link.realPath, end);
    const isBounded = parts[0] === EVERYTHING;
    const isKernel = kernelDirOf(link.path, end.realPath) !== null;
    if (isKernel || !end.info?.isDirectory) {
      if (isKernel || isBounded || parts.length === 0) add(selection, place, end.info);
      return;
    }
    // It leads to a directory above itself, or to where this walk has come from.
    if (isWithin(dir.realPath, end.realPath) || isBounded && above.includes(end.realPath)) return;
    const way = [...above, end.realPath];
    if (!isBounded || selection.files.max === LINKED_FILES_MAX) {
      return await run(place, parts, selection, way);
    }
    const files: Files = { found: new Map(), max: LINKED_FILES_MAX, pathsLength: 0 };
    try {
      await run(place, parts, { ...selection, files }, way);
      for (const candidate of files.found.values()) put(selection, candidate);
    } catch (error) {
      if (!(error instanceof TooMuch) || error.files !== files) throw error;
      const text =
        `a link to "${end.realPath}", which holds more than ${LINKED_FILES_MAX} files: name it with ` +
        "--watched-dir instead";
      refuse(selection, link, false, problem("skip", text));
    }
  };

  return { add, run };
}

/** The entries of a directory that may be content, each with the place that it is in; of a volume's its payload's first. */
async function entriesIn(
  context: WalkContext,
  place: Place,
  names: Names,
): Promise<readonly (readonly [Place, Deno.DirEntry])[]> {
  const { survey } = context;
  const target = place.payload === null ? await readVolume(survey, place.realPath) : null;
  const entries = await list(context, place, names);
  const own = entries.filter(({ name }) => !name.startsWith("..") && name !== LOST_AND_FOUND);
  if (target === null) return own.map((entry) => [place, entry]);
  const payload = payloadOf(place.realPath, target);
  const payloadPlace = { path: place.path, realPath: payload, payload };
  const keys = await list(context, payloadPlace, null);
  const known = new Set(keys.map(({ name }) => name));
  const beside = new Map<string, Deno.DirEntry>();
  for (const entry of own) {
    // Also a file where kubelet's link was, as editors leave it.
    const isKey = entry.isSymlink &&
      (known.has(entry.name) || await isKeyLink(survey.disk, joinPath(place.realPath, entry.name)));
    if (!isKey) beside.set(entry.name, entry);
  }
  return [
    ...keys.flatMap((entry) => beside.has(entry.name) ? [] : [[payloadPlace, entry] as const]),
    ...beside.values().map((entry) => [place, entry] as const),
  ];
}

async function isKeyLink(disk: Disk, path: string): Promise<boolean> {
  return (await orNull(disk.readLink(path)))?.startsWith("..data/") ?? true;
}

/** Empty where it cannot be listed, which has been told then. */
async function list(
  { survey, errors, stamps }: WalkContext,
  { path, realPath, payload }: Place,
  names: Names,
): Promise<readonly Deno.DirEntry[]> {
  const { disk } = survey;
  try {
    // Before the names: one that comes meanwhile makes the times others.
    const info = await disk.stat(realPath);
    const changedMs = Math.max(info.mtime?.getTime() ?? Infinity, info.ctime?.getTime() ?? Infinity);
    stamps.set(realPath, survey.wallMs - changedMs > FIRM_MS ? stampOf(info) : null);
    const entries = await disk.list(realPath);
    if (payload !== null) return entries;
    await noteDir(survey, realPath, names, info);
    // An empty directory without links was torn down under its mount.
    if (entries.length === 0 && (await orNull(disk.stat(realPath)))?.nlink === 0) survey.replacedDir = path;
    return entries;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound && payload !== null) survey.torn = true;
    else errors.push(problemAt(path, await explain(realPath, error)));
    return [];
  }
}

async function realDirs(disk: Disk, dirs: readonly string[]): Promise<string[]> {
  const found = await Promise.all(dirs.map((dir) => orNull(disk.realPath(dir))));
  return found.filter((dir) => dir !== null);
}

async function isFile(disk: Disk, path: string): Promise<boolean> {
  const info = await orNull(disk.stat(path));
  return info !== null && !info.isDirectory;
}
