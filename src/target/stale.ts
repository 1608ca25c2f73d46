/**
 * Whether the application can see new content at all: each container has its own mount of a volume, and one made with
 * `subPath`, or left behind by a volume that was made anew, shows the old content for ever. Reads mountinfo, which
 * every user may; decides nothing about signals.
 */

import type { Config } from "../config.ts";
import type { AppMounts, StaleMount, Target } from "../model.ts";
import { type Mount, mountOf, parseMountinfo, sameVolume, staleReason } from "../proc/mountinfo.ts";
import type { ProcReader } from "../proc/reader.ts";

/**
 * Makes the check. It stands on the way from change to signal, so the lists are parsed again only when the text of the
 * application's mountinfo has changed: reading it takes 40 µs.
 */
export function createStaleCheck(config: Config, reader: ProcReader): (target: Target) => AppMounts {
  let last: { pid: number; startTicks: number; text: string; found: AppMounts } | null = null;
  return (target) => {
    const text = reader.mountinfo(target.pid) ?? "";
    if (last && last.pid === target.pid && last.startTicks === target.startTicks && last.text === text) {
      return last.found;
    }
    const own = parseMountinfo(reader.mountinfo(Deno.pid) ?? "");
    const found = judgeMounts(watchedMounts(config, own), parseMountinfo(text), target);
    last = { pid: target.pid, startTicks: target.startTicks, text, found };
    return found;
  };
}

/**
 * Pure: the app's mounts of the volumes that `watched` (the sidecar's mounts) show.
 */
export function judgeMounts(watched: readonly Mount[], app: readonly Mount[], target: Target): AppMounts {
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

/**
 * The sidecar's own mounts that the watched paths are on.
 */
export function watchedMounts(config: Config, own: readonly Mount[]): Mount[] {
  const found = new Set<Mount>();
  for (const path of [...config.configFiles, ...config.watchedDirs]) {
    const mount = mountOf(own, withoutLinks(path));
    if (mount) found.add(mount);
  }
  return [...found];
}

/** The path with its directory's links followed; the last part stays, since a key is a link into the volume. */
function withoutLinks(path: string): string {
  const wild = path.search(/[*?[]/);
  const whole = wild < 0 ? path : path.slice(0, wild) + "*";
  const slash = whole.lastIndexOf("/");
  const directory = whole.slice(0, slash) || "/";
  try {
    const real = Deno.realPathSync(directory);
    return (real === "/" ? "" : real) + whole.slice(slash);
  } catch {
    return whole;
  }
}

function staleText(mount: Mount, reason: "subpath" | "replaced", target: Target): string {
  const who = `${target.name} (PID ${target.pid})`;
  return reason === "subpath"
    ? `${who} cannot see new content: its mount ${mount.mountPoint} was made with subPath, which never changes; ` +
      "mount the whole volume instead (volumeMounts without subPath)"
    : `${who} cannot see new content: its mount ${mount.mountPoint} is of a volume that was taken down and made anew; ` +
      "restart the pod's containers";
}
