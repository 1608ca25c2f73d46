/**
 * From the settings to the files: turns `--config-file` paths, globs and `--watched-dir` into sources, and lists all files
 * they mean at this moment. Reads directories, never files, and decides nothing.
 */

import { type Config, rendersOutput } from "../config.ts";
import { type Glob, isGlob, parseGlob } from "../glob.ts";
import type { FileState } from "../model.ts";
import { baseName, createOwnCheck, isWithin, parentOf } from "../paths.ts";
import type { Clock } from "../ports.ts";
import { createDisk, type Disk, orNull } from "./disk.ts";
import { kernelProblem, problem, problemAt } from "./file_stat.ts";
import type { Plan } from "./plan.ts";
import { createSurvey, follow, noteDir, placeAt, readVolume, type Survey, type Surveyed } from "./volumes.ts";
import {
  addFile,
  type Candidate,
  EVERYTHING,
  type Files,
  stampOf,
  TooMuch,
  walk,
  type WalkContext,
} from "./walk.ts";

/** More files than this are refused: a link to `/` must not fill the memory. */
const FILES_MAX = 50_000;

/** One thing to watch. */
export type Source =
  | { readonly kind: "file" | "dir"; readonly path: string }
  | { readonly kind: "glob"; readonly path: string; readonly glob: Glob };

/** What of the configuration names the content. */
export type SourceConfig = Pick<Config, "configFiles" | "watchedDirs" | "configEnvsubstFile" | "outputDir">;

/** All that was found. */
export interface Listing extends Surveyed {
  /** One a path, in the order found. */
  readonly candidates: ReadonlyMap<string, Candidate>;
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
  const survey = createSurvey(disk, wallMs, before);
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

/** What would be watched now: for who wants to know only that. */
export async function readPlan(config: SourceConfig, clock: Clock): Promise<Plan> {
  const survey = createSurvey(createDisk(clock), clock.wallMs(), null);
  await listAll(config, createSources(config.configFiles, config.watchedDirs), survey);
  return survey.plan;
}

async function listAll(config: SourceConfig, sources: readonly Source[], survey: Survey): Promise<Listing> {
  const { disk } = survey;
  const files: Files = { found: new Map(), max: FILES_MAX, pathsLength: 0 };
  const errors: FileState[] = [];
  const context: WalkContext = { survey, errors, stamps: new Map(), dirs: 0 };
  const isOwn = createOwnCheck(config, sources.map(baseOf));
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
      const selection = { files, nameOf, roots, isOwn, matches: 0 };
      const end = await follow(survey, base);
      // A key that its volume does not have is missing there, and the next swap may bring it.
      const isKey = isNamed && end.payload !== null && isWithin(base, parentOf(end.payload));
      const place = isKey ? { ...end, path: base } : placeAt(base, base, end);
      if (isNamed) {
        if (end.info?.isDirectory && end.payload === null) {
          await noteDir(survey, parentOf(end.realPath), new Set([baseName(end.realPath)]));
        }
        addFile(selection, place, end.info, true);
        continue;
      }
      const refused = kernelProblem(base, end.realPath);
      if (refused !== null && end.info?.isDirectory) {
        errors.push(problemAt(base, refused));
        continue;
      }
      const told = errors.length;
      await walk(context, place, source.kind === "glob" ? source.glob.parts : [EVERYTHING], selection);
      if (source.kind === "glob" && selection.matches === 0 && errors.length === told) {
        errors.push(problemAt(source.path, problem("missing", "no file matches", "missing")));
      }
    }
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error;
    // They are not even looked at: the answer is the same, and the memory is not.
    files.found.clear();
    errors.push(problemAt(error.path, problem("failed", error.message)));
  }
  const { volumes, lost, plan, links } = survey;
  const isPlain = disk.isLocal && watchedRoots === null && errors.length === 0 &&
    files.found.values().every(({ named, payload }) => !named || payload !== null);
  return { candidates: files.found, volumes, lost, plan, links, stamps: context.stamps, errors, isPlain };
}

async function realDirs(disk: Disk, dirs: readonly string[]): Promise<string[]> {
  const found = await Promise.all(dirs.map((dir) => orNull(disk.realPath(dir))));
  return found.filter((dir) => dir !== null);
}

async function isFile(disk: Disk, path: string): Promise<boolean> {
  const info = await orNull(disk.stat(path));
  return info !== null && !info.isDirectory;
}
