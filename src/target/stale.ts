/**
 * Whether the application can see new content at all: each container has its own mount of a volume, and one made with
 * `subPath`, or left behind by a volume that was made anew, shows the old content for ever. Reads mountinfo, which
 * every user may; decides nothing about signals.
 */

import type { Config } from "../config.ts";
import type { AppMounts, StaleMount, Target } from "../model.ts";
import { type Mount, mountOf, parseMountinfo, sameVolume, staleReason } from "../proc/mountinfo.ts";
import { baseName, joinPath, parentOf } from "../paths.ts";
import type { ProcReader } from "../proc/reader.ts";

/**
 * Makes the reader of the target's mounts of the watched volumes. It is on the way to the signal: reading a list takes 0.1 ms and
 * understanding two of them 0.3, so the last result is kept with the app's list that it was made from. A volume that is
 * made anew changes that one, too.
 */
export function createAppMountsReader(config: Config, reader: ProcReader): (target: Target) => AppMounts {
  let last: { readonly target: string; readonly app: string; readonly found: AppMounts } | null = null;
  return ({ pid, name }) => {
    const app = reader.mountinfo(pid) ?? "";
    const target = `${name} (PID ${pid})`;
    if (last?.target !== target || last.app !== app) {
      const own = parseMountinfo(reader.mountinfo(Deno.pid) ?? "");
      last = { target, app, found: judgeMounts(watchedMounts(config, own), parseMountinfo(app), target) };
    }
    return last.found;
  };
}

/** Pure: the app's mounts of the volumes that `watched` (the sidecar's mounts) show. */
export function judgeMounts(watched: readonly Mount[], app: readonly Mount[], target: string): AppMounts {
  const same = app.filter((mount) => watched.some((own) => sameVolume(own, mount)));
  const stale: StaleMount[] = [];
  for (const mount of same) {
    const reason = staleReason(mount);
    if (reason === null) continue;
    stale.push({
      container: "app",
      reason,
      mountPoint: mount.mountPoint,
      message: staleText(mount, reason, target),
    });
  }
  return { stale, blind: same.length > 0 && stale.length === same.length };
}

/** The sidecar's own mounts that the watched paths are on. */
export function watchedMounts(config: Config, own: readonly Mount[]): Mount[] {
  const found = new Set<Mount>();
  const paths = [...config.configFiles.map(withoutPattern), ...config.watchedDirs];
  for (const path of paths) {
    const mount = mountOf(own, withoutLinks(path));
    if (mount) found.add(mount);
  }
  return [...found];
}

/** A file that is there is what it is, whatever characters it has; else a pattern stands for what is in its directory. */
function withoutPattern(path: string): string {
  const wild = path.search(/[*?[]/);
  return wild < 0 || exists(path) ? path : `${path.slice(0, path.lastIndexOf("/", wild))}/*`;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The path with its directory's links followed; the last part stays, since a key is a link into the volume. */
function withoutLinks(path: string): string {
  try {
    return joinPath(Deno.realPathSync(parentOf(path)), baseName(path));
  } catch {
    return path;
  }
}

function staleText(mount: Mount, reason: "subpath" | "replaced", who: string): string {
  return reason === "subpath"
    ? `${who} cannot see new content: its mount ${mount.mountPoint} was made with subPath, which never changes; ` +
      "mount the whole volume instead (volumeMounts without subPath)"
    : `${who} cannot see new content: its mount ${mount.mountPoint} is of a volume that was taken down and made anew; ` +
      "restart the pod's containers";
}
