/**
 * Lists directories: of a volume's the payload in place of the links to it, which are wrong around a swap, and what is
 * mounted beside. Follows links, knows their loops and has an end. Reads directories, never files.
 */

import type { GlobPart } from "../glob.ts";
import type { FileState } from "../model.ts";
import { baseName, isWithin, joinPath } from "../paths.ts";
import { orNull } from "./disk.ts";
import { explain, type FileProblem, kernelProblem, leadsOutside, problem, problemAt } from "./file_stat.ts";
import type { Names } from "./plan.ts";
import {
  below,
  follow,
  isBeingSwapped,
  noteDir,
  payloadOf,
  type Place,
  placeAt,
  readVolume,
  type Survey,
} from "./volumes.ts";

/** Files that one link to a directory may bring: a link to `/usr/lib` must not become the content. */
const LINKED_FILES_MAX = 5_000;
/** The paths of files are kept several times over: 20,000 of 4,000 characters took 770 MiB. As much as 50,000 usual ones. */
const PATHS_LENGTH_MAX = 8 * 1024 * 1024;
const [DIRS_MAX, DEPTH_MAX] = [10_000, 32];
/** Where every file system of the ext family keeps what a check of it has found; only root can read it. */
const LOST_AND_FOUND = "lost+found";
/** Deno gives the change time in whole seconds: so long after a directory has changed another change has another time. */
const FIRM_MS = 2_000;
/** Stands for all that lies below a directory. */
export const EVERYTHING = Symbol("everything");

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

/** Files gathered up to a bound. */
export interface Files {
  readonly found: Map<string, Candidate>;
  readonly max: number;
  pathsLength: number;
}

/** Ends a walk that has found more than it may. */
export class TooMuch extends Error {
  constructor(readonly path: string, message: string, readonly files: Files | null = null) {
    super(message);
  }
}

/** A source while it is listed. */
export interface Selection {
  readonly files: Files;
  readonly nameOf: (path: string) => string;
  /** Directories that its files may lie in, where what is read is written elsewhere; null: any. */
  readonly roots: readonly string[] | null;
  /** Tells own output, which is never content. */
  readonly isOwn: (path: string) => boolean;
  matches: number;
}

/** A part of a path: of a pattern, or of a `--watched-dir`, where all that lies below counts and links are followed. */
type WalkPart = GlobPart | typeof EVERYTHING;

/** What walks need, and where they put what they find beside files. */
export interface WalkContext {
  readonly survey: Survey;
  readonly errors: FileState[];
  /** The times of each directory when it was listed; null: too young to stand for what it holds. */
  readonly stamps: Map<string, string | null>;
  dirs: number;
}

/** Adds a file, or what is no file, for which words are found when it is read. */
export function addFile(selection: Selection, place: Place, isThere: unknown, named = false): void {
  const { path, realPath } = place;
  const refused = kernelProblem(path, realPath);
  if (refused !== null && !named) return put(selection, place, named, refused);
  selection.matches++;
  const isOutside = isThere && selection.roots?.every((root) => !isWithin(realPath, root));
  if (isOutside) return put(selection, place, named, leadsOutside(realPath));
  // Of a named one the words say what it is.
  put(selection, refused === null ? place : { ...place, realPath: path }, named, null);
}

function put(selection: Selection, place: Place, named: boolean, problem: FileProblem | null): void {
  const { files, isOwn, nameOf } = selection;
  const { path, realPath, payload } = place;
  const before = files.found.get(path);
  if (isOwn(path) || before !== undefined && (before.named || !named)) return;
  files.found.set(path, { path, realPath, payload, name: nameOf(path), named, problem });
  files.pathsLength += path.length;
  if (files.found.size > files.max) throw new TooMuch(path, `more than ${files.max} files`, files);
  if (files.pathsLength > PATHS_LENGTH_MAX) {
    const text = `${files.found.size} files, and more than ${PATHS_LENGTH_MAX} characters in their paths`;
    throw new TooMuch(path, text);
  }
}

/**
 * Adds the files below `place` that match `parts`. `above` has one entry a directory above `place`: where it led for a link
 * that was followed, else an empty text.
 * @throws {TooMuch}
 */
export async function walk(
  context: WalkContext,
  place: Place,
  parts: readonly WalkPart[],
  selection: Selection,
  above: readonly string[] = [],
): Promise<void> {
  const [part, ...rest] = parts;
  if (part === undefined || part === EVERYTHING && selection.isOwn(place.path)) return;
  if (above.length > DEPTH_MAX) throw new TooMuch(place.path, `more than ${DEPTH_MAX} directories deep`);
  if (++context.dirs > DIRS_MAX) throw new TooMuch(place.path, `more than ${DIRS_MAX} directories`);
  const isLast = rest.length === 0;
  const isDeep = part === "**" || part === EVERYTHING;
  const deeper = isDeep ? parts : rest;
  // `**` is no directory, or any one directory followed by `**` again; as in bash it follows no links.
  if (part === "**" && !isLast) await walk(context, place, rest, selection, [...above, ""]);
  for (const [dir, entry] of await entriesIn(context, place, isDeep ? null : part)) {
    if (part === "**" ? entry.name.startsWith(".") : part !== EVERYTHING && !part(entry.name)) continue;
    const found = below(dir, entry.name);
    if (entry.isDirectory) await walk(context, found, deeper, selection, [...above, ""]);
    else if (entry.isSymlink && part !== "**") await walkLink(context, dir, found, deeper, selection, above);
    else if (isLast) addFile(selection, found, true);
  }
}

/** Goes where a link leads; below a `--watched-dir` not twice to one place, and not to very many files. */
async function walkLink(
  context: WalkContext,
  dir: Place,
  link: Place,
  parts: readonly WalkPart[],
  selection: Selection,
  above: readonly string[],
): Promise<void> {
  const end = await follow(context.survey, baseName(link.path), dir);
  const place = placeAt(link.path, link.realPath, end);
  const isBounded = parts[0] === EVERYTHING;
  const isKernel = kernelProblem(link.path, end.realPath) !== null;
  if (isKernel || !end.info?.isDirectory) {
    if (isKernel || isBounded || parts.length === 0) addFile(selection, place, end.info);
    return;
  }
  // It leads to a directory above itself, or to where this walk has come from.
  if (isWithin(dir.realPath, end.realPath) || isBounded && above.includes(end.realPath)) return;
  const way = [...above, end.realPath];
  if (!isBounded || selection.files.max === LINKED_FILES_MAX) {
    return await walk(context, place, parts, selection, way);
  }
  const files: Files = { found: new Map(), max: LINKED_FILES_MAX, pathsLength: 0 };
  try {
    await walk(context, place, parts, { ...selection, files }, way);
    for (const found of files.found.values()) put(selection, found, false, found.problem);
  } catch (error) {
    if (!(error instanceof TooMuch) || error.files !== files) throw error;
    const text =
      `a link to "${end.realPath}", which holds more than ${LINKED_FILES_MAX} files: name it with ` +
      "--watched-dir instead";
    put(selection, link, false, problem("skip", text));
  }
}

/** The entries of a directory that may be content, each with the place that it is in; of a volume's its payload's first. */
async function entriesIn(
  context: WalkContext,
  place: Place,
  names: Names,
): Promise<readonly (readonly [Place, Deno.DirEntry])[]> {
  const { survey } = context;
  const target = place.payload === null ? await readVolume(survey, place.realPath) : null;
  if (target === null && survey.lost.has(place.realPath)) {
    const text = "the volume has no ..data: it is being replaced";
    context.errors.push(problemAt(place.path, problem("failed", text)));
  }
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
    const link = entry.isSymlink
      ? await orNull(survey.disk.readLink(joinPath(place.realPath, entry.name)))
      : null;
    const isKey = entry.isSymlink && (known.has(entry.name) || link === null || link.startsWith("..data/"));
    if (!isKey) beside.set(entry.name, entry);
  }
  return [
    ...keys.flatMap((entry) => beside.has(entry.name) ? [] : [[payloadPlace, entry] as const]),
    ...beside.values().map((entry) => [place, entry] as const),
  ];
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
    const isGone = error instanceof Deno.errors.NotFound && payload !== null;
    if (isGone && await isBeingSwapped(survey, payload)) survey.torn = true;
    else if (realPath === payload && isGone) {
      errors.push(
        problemAt(path, problem("failed", `..data leads to "${payload}", which is not there`, "missing")),
      );
    } else errors.push(problemAt(path, await explain(realPath, error)));
    return [];
  }
}

/** What changes whenever a name in the directory comes, goes or is replaced. */
export function stampOf({ dev, ino, nlink, mtime, ctime }: Deno.FileInfo): string {
  return `${dev}:${ino}:${nlink}:${mtime?.getTime()}:${ctime?.getTime()}`;
}
