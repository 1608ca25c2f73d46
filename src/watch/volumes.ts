/**
 * Finds the atomically swapped volumes around watched paths and pins them: everything beneath `..data` is read through
 * the payload directory it points to at one moment. Remembers which directories are volumes, so that one that is torn
 * down is an error and not an empty directory.
 */

import type { FileState } from "../model.ts";
import type { Guard } from "./guard.ts";

/** kubelet tears a failed volume down within 2 ms; a directory that is without `..data` for so long is a plain one. */
const LOST_MS_MAX = 10_000;

/** A volume as one look sees it. */
export interface Volume {
  /** The directory that holds `..data`. */
  readonly dir: string;
  /** What `..data` points to, as it stands there. */
  readonly target: string;
}

/** A directory as watched, and where to list it at this moment. */
export interface Place {
  readonly path: string;
  readonly readPath: string;
  /** Set beneath a payload directory. */
  readonly volume: Volume | null;
}

/** What is remembered from look to look. */
export interface VolumeMemory {
  /** Directories once seen with `..data`. */
  readonly known: Map<string, { readonly ino: number; lostAtMs: number | null }>;
  /** Volume of each named file that has one; a hint only, looked at afresh when it fails. */
  readonly homes: Map<string, string>;
}

/** What a look finds of volumes. */
export interface VolumeFindings {
  readonly volumes: Map<string, Volume>;
  readonly errors: FileState[];
  /** A directory without links: torn down under its mount. */
  replacedDir: string | null;
}

/** Finds volumes during one look. */
export interface VolumeFinder {
  /** Where a volume was looked for so far, and what was there. */
  readonly asked: ReadonlyMap<string, Volume | null>;
  /** The volume in `dir`, null where it is none. Asked once a look. */
  volumeAt(dir: string): Promise<Volume | null>;
  /** The nearest volume at or above the directory of `path`; `"lost"` where it had one that has told its own error. */
  homeOf(path: string): Promise<Volume | null | "lost">;
  /** Where to list a directory that may itself be inside a volume: `/etc/app/conf.d` may be a key's parent. */
  placeOf(dir: string): Promise<Place>;
  /** An empty directory: none at all, if it was torn down under its mount. */
  checkLinks(dir: string): Promise<void>;
}

/** Makes the finder of one look. */
export function createVolumeFinder(
  found: VolumeFindings,
  { memory, guard, nowMs, local }: {
    readonly memory: VolumeMemory;
    readonly guard: Guard;
    readonly nowMs: number;
    readonly local: boolean;
  },
): VolumeFinder {
  const asked = new Map<string, Volume | null>();
  const { known, homes } = memory;
  const statOf = (path: string) => guard.run(path, () => Deno.stat(path).catch(() => null));

  const volumeAt = async (dir: string): Promise<Volume | null> => {
    const before = asked.get(dir);
    if (before !== undefined) return before;
    const link = `${dir}/..data`;
    const target = local
      ? readLinkSync(link)
      : await guard.run(link, () => Deno.readLink(link).catch(() => null));
    const volume = target === null ? null : { dir, target };
    asked.set(dir, volume);
    const memo = known.get(dir);
    if (volume === null) {
      if (memo !== undefined) await lose(dir, memo);
      return null;
    }
    found.volumes.set(dir, volume);
    if (memo !== undefined) memo.lostAtMs = null;
    else known.set(dir, { ino: (await statOf(dir))?.ino ?? 0, lostAtMs: null });
    return volume;
  };

  /** `..data` was there and is not: torn down under the mount, about to be made anew, or a plain directory now. */
  const lose = async (
    dir: string,
    memo: { readonly ino: number; lostAtMs: number | null },
  ): Promise<void> => {
    const info = await statOf(dir);
    if (info === null) return;
    memo.lostAtMs ??= nowMs;
    if (info.nlink === 0) found.replacedDir = dir;
    else if (info.ino !== memo.ino || nowMs - memo.lostAtMs > LOST_MS_MAX) known.delete(dir);
    else {
      const error = "the volume has no ..data: it is being replaced";
      found.errors.push({ path: dir, digest: null, sizeBytes: 0, error });
    }
  };

  const nearest = async (path: string): Promise<Volume | null> => {
    for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
      const volume = await volumeAt(path.slice(0, slash));
      if (volume !== null) return volume;
    }
    return null;
  };

  return {
    asked,
    volumeAt,
    homeOf: async (path) => {
      const home = homes.get(path);
      const volume = (home === undefined ? null : await volumeAt(home)) ?? await nearest(path);
      if (volume !== null) {
        if (volume.dir !== home) homes.set(path, volume.dir);
        return volume;
      }
      if (home === undefined || !known.has(home)) {
        homes.delete(path);
        return null;
      }
      return found.replacedDir !== null || found.errors.some((error) => error.path === home) ? "lost" : null;
    },
    placeOf: async (dir) => {
      const plain = { path: dir, readPath: dir, volume: null };
      const volume = await nearest(dir);
      if (volume === null) return plain;
      const readPath = pinPath(dir, volume);
      return await statOf(readPath) === null ? plain : { path: dir, readPath, volume };
    },
    checkLinks: async (dir) => {
      if ((await statOf(dir))?.nlink === 0) found.replacedDir = dir;
    },
  };
}

function readLinkSync(path: string): string | null {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return null;
  }
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
