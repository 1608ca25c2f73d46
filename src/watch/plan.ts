/**
 * The plan of what is watched: the directories in which something can happen that changes the content, and the names in
 * them that matter. Always directories, never files, since a watch on a file or a link is deaf after the first rename over
 * it. A look makes the plan as it goes along its paths, so it is new whenever a link leads elsewhere. Opens no watch.
 */

import { baseName, parentOf } from "../paths.ts";

/** Directories watched at most; beyond it the interval finds what changes. */
const DIRS_MAX = 10_000;

/** Which names in a directory matter: these, those of a pattern, or all (null). */
export type Names = ReadonlySet<string> | ((name: string) => boolean) | null;

/** A directory that is to be watched. */
interface PlannedDir {
  readonly names: Names;
  /** Device, inode and birth as the look found them: another directory may be in its place later, which no event may tell. */
  readonly identity: string;
}

/** What is to be watched. */
export interface Plan {
  /** By directory, without links in its path. */
  readonly dirs: ReadonlyMap<string, PlannedDir>;
  /** A directory is not there yet: its nearest parent is watched in its stead. */
  readonly missing: boolean;
}

/** A plan while a look makes it. */
export interface PlanDraft extends Plan {
  readonly dirs: Map<string, PlannedDir>;
  missing: boolean;
}

/**
 * Plans that `names` in `dir` matter, besides those planned before. What is the kernel's own is never watched: for each
 * event there Deno would open a device.
 */
export function planDir({ dirs }: PlanDraft, dir: string, names: Names, info: Deno.FileInfo | null): void {
  const before = dirs.get(dir);
  if (before !== undefined) {
    dirs.set(dir, { ...before, names: bothOf(before.names, names) });
  } else if (dirs.size < DIRS_MAX && !/^\/(proc|sys|dev(?!\/shm))(\/|$)/.test(dir)) {
    dirs.set(dir, { names, identity: info === null ? "" : identityOf(info) });
  }
}

/** The same for as long as it is the same directory. */
export function identityOf({ dev, ino, birthtime }: Deno.FileInfo): string {
  return `${dev}:${ino}:${birthtime?.getTime()}`;
}

function bothOf(a: Names, b: Names): Names {
  if (a instanceof Set && b instanceof Set) return a.union(b);
  return a === b ? a : null;
}

/** Whether a watch that was set for `a` does for `b`. */
export function isSamePlan(a: Plan, b: Plan): boolean {
  if (a === b) return true;
  return a.missing === b.missing && a.dirs.size === b.dirs.size &&
    a.dirs.entries().every(([dir, planned]) => {
      const other = b.dirs.get(dir);
      return other !== undefined && planned.identity === other.identity &&
        isSameNames(planned.names, other.names);
    });
}

function isSameNames(a: Names, b: Names): boolean {
  return a === b || a instanceof Set && b instanceof Set && a.symmetricDifference(b).size === 0;
}

/**
 * What a kernel event is about: another watcher's directory; something beside the content, such as a log, which needs no
 * look; the beginning of a volume's update, whose swap follows 1 to 2 ms later; or perhaps the content.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const dirs = new Map([["/etc/app", { names: new Set(["app.yaml"]), identity: "" }]]);
 * const about = (path: string) => subjectOf({ dirs, missing: false }, { kind: "create", paths: [path] });
 * assert.equal(about("/etc/app/app.yaml"), "content");
 * assert.equal(about("/etc/app/..data"), "content");
 * assert.equal(about("/etc/app/..2026_11_24_08_16_55.1234567890"), "update");
 * assert.equal(about("/etc/app/app.log"), "beside");
 * assert.equal(about("/etc/other/app.yaml"), "elsewhere");
 * ```
 */
export function subjectOf(
  { dirs }: Plan,
  { kind, paths }: Pick<Deno.FsEvent, "kind" | "paths">,
): "elsewhere" | "beside" | "update" | "content" {
  // Events got lost.
  if (paths.length === 0) return "content";
  let subject: ReturnType<typeof subjectOf> = "elsewhere";
  for (const path of paths) {
    if (dirs.has(path)) return "content";
    const planned = dirs.get(parentOf(path));
    if (planned === undefined) continue;
    const name = baseName(path);
    // Of a volume's internals only `..data` matters.
    if (name.startsWith("..") ? name === "..data" : matters(planned.names, name)) return "content";
    if (kind === "create" && /^\.\.\d/.test(name)) subject = "update";
    else if (subject === "elsewhere") subject = "beside";
  }
  return subject;
}

function matters(names: Names, name: string): boolean {
  return names === null || (typeof names === "function" ? names(name) : names.has(name));
}
