/**
 * Whether the application can see new content at all: each container has its own mount of a volume, and one made with
 * `subPath`, or left behind by a volume that was made anew, shows the old content for ever. Reads mountinfo, which
 * every user may; decides nothing about signals.
 */

import type { Config } from "../config.ts";
import { isPattern, parseGlob } from "../glob.ts";
import type { AppMounts, StaleMount } from "../model.ts";
import type { TargetPort } from "../ports.ts";
import { type Mount, mountOf, parseMountinfo, sameVolume, staleReason } from "../proc/mountinfo.ts";
import { baseName, joinPath, parentOf } from "../paths.ts";
import type { ProcReader } from "../proc/reader.ts";

/**
 * Makes the reader of the target's mounts of the watched volumes. It is on the way to the signal: reading a list takes 0.1 ms and
 * understanding two of them 0.3, so the last result is kept with the app's list that it was made from. A volume that is
 * made anew changes that one, too.
 */
export function createAppMountsReader(config: Config, reader: ProcReader): TargetPort["staleMounts"] {
  let last: {
    readonly target: string;
    readonly app: string;
    readonly own: readonly Mount[];
    readonly found: JudgedMounts;
  } | null = null;
  return ({ pid, name }, changed) => {
    const app = reader.mountinfo(pid) ?? "";
    const target = `${name} (PID ${pid})`;
    if (last?.target !== target || last.app !== app) {
      const own = parseMountinfo(reader.mountinfo(Deno.pid) ?? "");
      last = {
        target,
        app,
        own,
        found: judgeMounts(watchedMounts(config, own), parseMountinfo(app), target),
      };
    }
    const { own, found } = last;
    const { stale, blind, unseen } = found;
    if (changed === undefined || blind || unseen.length === 0) return found;
    // Of several volumes the app may see one and not the other.
    return { stale, blind: changed().some((path) => unseen.includes(mountOf(own, withoutLinks(path))!)) };
  };
}

/** What the app sees; `unseen`: of which of the watched volumes every mount that it has is stale. */
interface JudgedMounts extends AppMounts {
  readonly unseen: readonly Mount[];
}

/** Pure: the app's mounts of the volumes that `watched` (the sidecar's mounts) show. */
export function judgeMounts(
  watched: readonly Mount[],
  app: readonly Mount[],
  target: string,
): JudgedMounts {
  const shared = watched.map((own) => ({ own, theirs: app.filter((mount) => sameVolume(own, mount)) }))
    .filter(({ theirs }) => theirs.length > 0);
  const unseen = shared.filter(({ theirs }) => theirs.every((mount) => staleReason(mount) !== null));
  const stale = [...new Set(shared.flatMap(({ theirs }) => theirs))].flatMap((mount): StaleMount[] => {
    const reason = staleReason(mount);
    if (reason === null) return [];
    const { mountPoint } = mount;
    return [{ container: "app", reason, mountPoint, message: staleText(mount, reason, target) }];
  });
  const blind = shared.length > 0 && unseen.length === shared.length;
  return { stale, blind, unseen: unseen.map(({ own }) => own) };
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

/** A pattern stands for what is in its directory. */
const withoutPattern = (path: string) => isPattern(path) ? joinPath(parseGlob(path).base, "*") : path;

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
