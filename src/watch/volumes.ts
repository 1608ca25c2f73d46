/**
 * Goes along paths as the kernel does, link by link, and finds the atomically swapped volumes on the way: everything
 * beneath `..data` is pinned to the payload directory that it points to at one moment. Notes for the plan where something
 * on the way may change. Reads no file and lists no directory.
 */

import { isWithin, joinPath, parentOf } from "../paths.ts";
import { type Disk, orNull } from "./disk.ts";
import { identityOf, type Names, type Plan, planDir, type PlanDraft } from "./plan.ts";

/** As the kernel: more links in one path are a loop (path_resolution(7)). */
const LINKS_MAX = 40;
/** A directory that has been without `..data` for so long is a plain one; kubelet tears a failed volume down within 2 ms. */
const LOST_MS_MAX = 10_000;
/** And another one in its place sooner: kubelet fills what it makes anew at once. */
const NEW_MS_MAX = 1_000;

/** Atomically swapped volumes: what `..data` points to, by the directory that holds it. */
export type Volumes = ReadonlyMap<string, string>;

/** A directory that was a volume and has no `..data` now. */
interface Lost {
  /** That of the volume; another directory may be there now. */
  readonly identity: string;
  readonly sinceMs: number;
}

/** What one look finds beside files, and the next one needs. */
export interface Surveyed {
  readonly volumes: Volumes;
  /** Being torn down or made anew, by directory: what is there is not the content. */
  readonly lost: ReadonlyMap<string, Lost>;
  readonly plan: Plan;
}

/** What one look notes on its way. */
export interface Survey {
  readonly disk: Disk;
  readonly wallMs: number;
  /** What the look before has found. */
  readonly before: Surveyed | null;
  readonly volumes: Map<string, string>;
  readonly lost: Map<string, Lost>;
  readonly plan: PlanDraft;
  /** Where the links on the way lead, but for those that swap a volume. */
  readonly links: Map<string, string>;
  /** A volume is being swapped at this moment. */
  torn: boolean;
  /** A directory without links: a volume that was torn down under its mount. */
  replacedDir: string | null;
}

/** Nothing noted yet. */
export function createSurvey(disk: Disk, wallMs: number, before: Surveyed | null): Survey {
  return {
    disk,
    wallMs,
    before,
    volumes: new Map(),
    lost: new Map(),
    plan: { dirs: new Map(), missing: false },
    links: new Map(),
    torn: false,
    replacedDir: null,
  };
}

/** Where something is at this moment. */
export interface Place {
  /** As watched. */
  readonly path: string;
  /** Without links; in a volume beneath the payload directory. */
  readonly realPath: string;
  /** The payload directory that it lies beneath; null outside of volumes. */
  readonly payload: string | null;
}

/** Where a path ends. */
export interface PathEnd extends Omit<Place, "path"> {
  /** Null where nothing is there, or nobody can say what. */
  readonly info: Deno.FileInfo | null;
}

/** Where paths start that are not relative. */
export const ROOT: Place = { path: "/", realPath: "/", payload: null };

/** What `..data` in `dir` points to; null where it is no volume. The same answer all through one look. */
export async function readVolume(survey: Survey, dir: string): Promise<string | null> {
  const { disk, volumes } = survey;
  const target = volumes.get(dir) ?? await orNull(disk.readLink(joinPath(dir, "..data")));
  if (target !== null) volumes.set(dir, target);
  else await noteLost(survey, dir);
  return target;
}

/** Of a directory that was a volume: kubelet is at work there, has torn it down under its mount, or it is a plain one now. */
async function noteLost(survey: Survey, dir: string): Promise<void> {
  const { disk, before, lost, wallMs } = survey;
  const known = before?.lost.get(dir);
  if (before === null || known === undefined && !before.volumes.has(dir)) return;
  const info = await orNull(disk.stat(dir));
  if (info === null) return;
  if (info.nlink === 0) return void (survey.replacedDir = dir);
  const { identity, sinceMs } = known ??
    { identity: before.plan.dirs.get(dir)?.identity ?? "", sinceMs: info.mtime?.getTime() ?? 0 };
  const lostMsMax = identityOf(info) === identity ? LOST_MS_MAX : NEW_MS_MAX;
  if (Math.abs(wallMs - sinceMs) < lostMsMax) lost.set(dir, { identity, sinceMs });
}

/** Whether a payload that is gone is another one by now; else `..data` leads to nothing, for nobody knows how long. */
export async function isBeingSwapped({ disk, volumes, wallMs }: Survey, payload: string): Promise<boolean> {
  const volume = volumes.entries().find(([dir, target]) => payloadOf(dir, target) === payload);
  if (volume === undefined) return true;
  const data = joinPath(volume[0], "..data");
  if (await orNull(disk.readLink(data)) !== volume[1]) return true;
  const swappedMs = (await orNull(disk.lstat(data)))?.mtime?.getTime() ?? 0;
  return Math.abs(wallMs - swappedMs) < NEW_MS_MAX;
}

/** The payload directory; kubelet's target is a bare name, others may use an absolute path. */
export function payloadOf(dir: string, target: string): string {
  return target.startsWith("/") ? target : joinPath(dir, target);
}

/** Goes along `path` to its end, through all links. A relative one starts in `from`, which has no links in it. */
export async function follow(
  survey: Survey,
  path: string,
  from: Omit<Place, "path"> = ROOT,
): Promise<PathEnd> {
  const { disk, links } = survey;
  let rest = partsOf(path);
  let { realPath, payload } = from;
  /** Of `realPath`, where it is known. */
  let info: Deno.FileInfo | null = null;
  for (let count = 0; rest.length > 0;) {
    const [part, ...after] = rest;
    rest = after;
    if (part === "..") {
      [realPath, info] = [parentOf(realPath), null];
      continue;
    }
    const isPinned = payload !== null && isWithin(realPath, payload);
    const note = (names: Names) => isPinned ? undefined : noteDir(survey, realPath, names, info);
    const next = joinPath(realPath, part!);
    const found = await orNull(disk.lstat(next));
    // A key's link comes and goes after the swap: what the payload says counts.
    const volume = !isPinned && (found === null || part === "..data")
      ? await readVolume(survey, realPath)
      : null;
    const target = volume !== null
      ? part === "..data" ? volume : `${volume}/${part}`
      : found?.isSymlink
      ? await orNull(disk.readLink(next))
      : null;
    const isMissing = target === null && (found === null || found.isSymlink);
    // A file is watched by its name, and so are links and what is not there yet.
    if (isMissing || target !== null || rest.length === 0 && !found!.isDirectory) {
      await note(new Set([part!]));
    }
    if (isMissing) {
      survey.plan.missing ||= rest.length > 0;
      return { realPath: [next, ...rest].join("/"), payload: isPinned ? payload : null, info: null };
    }
    if (target === null) {
      [realPath, info] = [next, found];
      continue;
    }
    if (++count > LINKS_MAX) return { realPath: next, payload: null, info: null };
    if (volume !== null) payload = payloadOf(realPath, volume);
    else if (!isPinned) links.set(next, target);
    if (target.startsWith("/")) [realPath, info] = ["/", null];
    rest = [...partsOf(target), ...rest];
  }
  info ??= await orNull(disk.lstat(realPath));
  return { realPath, payload: payload !== null && isWithin(realPath, payload) ? payload : null, info };
}

/** Notes that names in a directory matter. */
export async function noteDir(
  survey: Survey,
  dir: string,
  names: Names,
  info: Deno.FileInfo | null = null,
): Promise<void> {
  const isNew = info === null && !survey.plan.dirs.has(dir);
  planDir(survey.plan, dir, names, isNew ? await orNull(survey.disk.stat(dir)) : info);
}

/** The place where a path ends; as `given` where it ends in nothing, so that the words for that can be found. */
export function placeAt(path: string, given: string, { realPath, payload, info }: PathEnd): Place {
  return info === null ? { path, realPath: given, payload: null } : { path, realPath, payload };
}

/** A name below a place. */
export function below({ path, realPath, payload }: Place, name: string): Place {
  return { path: joinPath(path, name), realPath: joinPath(realPath, name), payload };
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}
