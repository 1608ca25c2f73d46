/**
 * Lists what is to be read: resolves `--config-file` paths, globs and `--watched-dir` to files. Reads directories, never
 * files, and decides nothing.
 */

import type { FileState } from "../model.ts";
import { type Glob, isGlob, parseGlob } from "./glob.ts";
import type { Guard } from "./guard.ts";
import { fileError } from "./read_file.ts";
import { createRecording, recallListing, type Reuse } from "./listings.ts";
import { baseName, isWithin } from "../paths.ts";
import {
  createVolumeFinder,
  pinPath,
  type Volume,
  type VolumeFindings,
  type VolumeMemory,
} from "./volumes.ts";
import { createWalker, type Visitor, type WalkFindings } from "./walk.ts";

/** More files than this are refused: a link to `/` must not fill the memory. */
const FILES_MAX = 50_000;

/** One thing to watch. */
export type Source =
  | { readonly kind: "file"; readonly path: string; readonly name: string }
  | { readonly kind: "glob"; readonly path: string; readonly glob: Glob }
  | { readonly kind: "dir"; readonly path: string };

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

/** What a scan found. `errors` keep the content from being complete. */
export interface Scan extends VolumeFindings, WalkFindings {
  /** One a path, in the order found. */
  readonly candidates: Map<string, Candidate>;
  readonly errors: FileState[];
  /** See `ScanContext`. */
  readonly local: boolean;
}

/** What a scan needs from outside. */
export interface ScanContext {
  readonly guard: Guard;
  readonly memory: VolumeMemory;
  readonly nowMs: number;
  /** The disk is not behind a network: links are read on the calling thread, 5 µs instead of 60. */
  readonly local: boolean;
  /** Missing: everything is listed, and nothing on the calling thread. */
  readonly reuse?: Reuse<Scan["candidates"]> | null;
  /** Own output, never part of the content. */
  isOwn(path: string): boolean;
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
    isGlob(path)
      ? { kind: "glob", path, glob: parseGlob(path) }
      : { kind: "file", path, name: baseName(path) }
  );
  const dirs = [...new Set(watchedDirs.map((path) => path.replace(/(.)\/+$/, "$1")))];
  return [...files, ...dirs.map((path): Source => ({ kind: "dir", path }))];
}

/** Whether a file is called just like the pattern. */
async function isFileNamed(path: string, kind: Source["kind"], { guard }: ScanContext): Promise<boolean> {
  if (kind !== "glob") return false;
  const info = await guard.run(path, () => Deno.stat(path).catch(() => null));
  return info !== null && !info.isDirectory;
}

/**
 * Lists all sources. Throws nothing that the disk does.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createKubeletVolume } from "../../tests/support/kubelet.ts";
 * import { createClock } from "../clock.ts";
 * import { createGuard } from "./guard.ts";
 * const dir = await Deno.makeTempDir();
 * createKubeletVolume(dir, { "a.yaml": "a: 1\n", "b.txt": "" });
 * const memory = { known: new Map(), homes: new Map() };
 * const guard = createGuard(createClock());
 * const context = { guard, memory, nowMs: 0, local: true, isOwn: () => false };
 * const { candidates } = await scanSources(createSources([`${dir}/*.yaml`], []), context);
 * assert.deepEqual([...candidates.keys()], [`${dir}/a.yaml`]);
 * const { readPath } = candidates.get(`${dir}/a.yaml`)!;
 * assert.match(readPath, /\/\.\.20[\d_]+\.\d+\/a\.yaml$/); // in the payload, not through ..data
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export async function scanSources(sources: readonly Source[], context: ScanContext): Promise<Scan> {
  const scan: Scan = {
    candidates: new Map(),
    volumes: new Map(),
    errors: [],
    skipped: [],
    replacedDir: null,
    torn: false,
    local: context.local,
  };
  const finder = createVolumeFinder(scan, context);
  const reuse = sources.some(({ kind }) => kind === "file") ? null : context.reuse ?? null;
  const same = reuse && await recallListing(reuse, finder);
  if (same !== null) return { ...scan, candidates: same };
  const listings = createRecording(reuse);
  const walker = createWalker(scan, finder, context.guard, listings);
  const add = (candidate: Candidate): boolean => {
    const before = scan.candidates.get(candidate.path);
    const isBetter = before === undefined || (candidate.literal && !before.literal);
    if (isBetter && !context.isOwn(candidate.path)) scan.candidates.set(candidate.path, candidate);
    if (scan.candidates.size <= FILES_MAX) return true;
    // They are not even looked at: the answer is the same, and the memory is not.
    scan.candidates.clear();
    scan.errors.push(fileError(candidate.path, `more than ${FILES_MAX} files`));
    return false;
  };
  const createVisitor = (nameOf: (path: string) => string): Visitor => ({
    add: (path, readPath, volume) => add({ path, readPath, name: nameOf(path), volume, literal: false }),
    dropBelow: (dir) => {
      for (const [path, { literal }] of scan.candidates) {
        if (!literal && isWithin(path, dir)) scan.candidates.delete(path);
      }
    },
    skips: context.isOwn,
  });
  for (const source of sources) {
    // A file that exists by exactly that name is that file, whatever characters it has.
    if (source.kind === "file" || await isFileNamed(source.path, source.kind, context)) {
      const { path } = source;
      const name = baseName(path);
      const volume = await finder.homeOf(path);
      if (volume === "lost") continue;
      add({ path, readPath: volume === null ? path : pinPath(path, volume), name, volume, literal: true });
    } else if (source.kind === "dir") {
      const cut = source.path === "/" ? 1 : source.path.length + 1;
      await walker.all(await finder.placeOf(source.path), createVisitor((path) => path.slice(cut)));
    } else await scanGlob(source.glob);
  }
  if (scan.errors.length === 0 && scan.replacedDir === null && !scan.torn) {
    listings.keep(scan.candidates, finder);
  }
  return scan;

  async function scanGlob(glob: Glob): Promise<void> {
    const errorsBefore = scan.errors.length;
    const visitor = createVisitor(baseName);
    let matches = 0;
    await walker.matching(await finder.placeOf(glob.base), glob.parts, {
      ...visitor,
      add: (...file) => {
        matches++;
        return visitor.add(...file);
      },
    });
    const isTold = scan.replacedDir !== null || scan.torn || scan.errors.length > errorsBefore;
    if (matches === 0 && !isTold) scan.errors.push(fileError(glob.pattern, "no file matches"));
  }
}
