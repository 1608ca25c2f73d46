/**
 * Finds the atomically swapped volumes around watched paths and pins them: everything beneath `..data` is read through
 * the payload directory it points to at one moment. Knows which directories were volumes at the last look, so that one
 * that is torn down is an error and not an empty directory.
 */

import type { FileState } from "../model.ts";
import { type Disk, orNull } from "./disk.ts";
import { fileError } from "./file_stat.ts";

/** kubelet tears a failed volume down within 2 ms; a directory that is without `..data` for so long is a plain one. */
const LOST_MS_MAX = 10_000;

/** A volume as one look sees it. */
export interface Volume {
  /** The directory that holds `..data`. */
  readonly dir: string;
  /** What `..data` points to, as it stands there. */
  readonly target: string;
}

/** A directory as watched, and where it is at this moment. */
export interface Place {
  readonly path: string;
  /** Without links in it; for a directory of a volume beneath the payload directory. */
  readonly readPath: string;
  /** Set beneath a payload directory. */
  readonly volume: Volume | null;
}

/** A directory once seen with `..data`: its inode, and since when it is without. */
export interface KnownVolume {
  readonly ino: number;
  readonly lostAtMs: number | null;
}

/** Finds volumes during one look, and gathers what it finds. */
export interface VolumeFinder {
  readonly volumes: Map<string, Volume>;
  /** For the next look. */
  readonly known: Map<string, KnownVolume>;
  readonly errors: FileState[];
  /** A directory without links: torn down under its mount. */
  replacedDir: string | null;
  /** The volume in `dir`, null where it is none. Asked once a look. */
  at(dir: string): Promise<Volume | null>;
  /** The nearest volume in a directory above `path`; `"lost"` where that is one that has its own error now. */
  above(path: string): Promise<Volume | null | "lost">;
  /** To be called for an empty directory: none at all, if it was torn down under its mount. */
  checkLinks(dir: string): Promise<void>;
}

/** Makes the finder of one look; `before` is what the look before has known. */
export function createVolumeFinder(
  disk: Disk,
  before: ReadonlyMap<string, KnownVolume>,
  nowMs: number,
): VolumeFinder {
  const asked = new Map<string, Volume | null>();
  const lost = new Set<string>();

  /** `..data` was there and is not: torn down under the mount, about to be made anew, or a plain directory now. */
  const lose = async (dir: string, volume: KnownVolume): Promise<void> => {
    const info = await orNull(disk.stat(dir));
    if (info === null) return;
    const lostAtMs = volume.lostAtMs ?? nowMs;
    if (info.nlink === 0) finder.replacedDir = dir;
    else if (info.ino !== volume.ino || nowMs - lostAtMs > LOST_MS_MAX) return void finder.known.delete(dir);
    else finder.errors.push(fileError(dir, "the volume has no ..data: it is being replaced"));
    finder.known.set(dir, { ...volume, lostAtMs });
    lost.add(dir);
  };

  const at = async (dir: string): Promise<Volume | null> => {
    const found = asked.get(dir);
    if (found !== undefined) return found;
    const target = await orNull(disk.readLink(`${dir}/..data`));
    const volume = target === null ? null : { dir, target };
    asked.set(dir, volume);
    const known = finder.known.get(dir);
    if (volume === null) {
      if (known !== undefined) await lose(dir, known);
      return null;
    }
    finder.volumes.set(dir, volume);
    const ino = known?.ino ?? (await orNull(disk.stat(dir)))?.ino ?? 0;
    finder.known.set(dir, { ino, lostAtMs: null });
    return volume;
  };

  const finder: VolumeFinder = {
    volumes: new Map(),
    known: new Map(before),
    errors: [],
    replacedDir: null,
    at,
    above: async (path) => {
      let isLost = false;
      for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
        const dir = path.slice(0, slash);
        const volume = await at(dir);
        if (volume !== null) return volume;
        isLost ||= lost.has(dir);
      }
      return isLost ? "lost" : null;
    },
    checkLinks: async (dir) => {
      if ((await orNull(disk.stat(dir)))?.nlink === 0) finder.replacedDir = dir;
    },
  };
  return finder;
}

/**
 * The path beneath the payload directory; also of a path that was itself given through `..data`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const volume = { dir: "/etc/app", target: "..2026_11_24_08_16_55.1234567890" };
 * assert.equal(pinPath("/etc/app/x.yaml", volume), "/etc/app/..2026_11_24_08_16_55.1234567890/x.yaml");
 * assert.equal(pinPath("/etc/app/..data/x.yaml", volume), pinPath("/etc/app/x.yaml", volume));
 * ```
 */
export function pinPath(path: string, { dir, target }: Volume): string {
  const inside = path.slice(dir.length);
  const key = inside === "/..data" || inside.startsWith("/..data/") ? inside.slice("/..data".length) : inside;
  // kubelet's target is a bare name; others may use an absolute path.
  return (target.startsWith("/") ? target : `${dir}/${target}`) + key;
}
