/**
 * The sidecar's own mounts of what is watched: which can never change again, which are single files, and whether a network
 * is behind them. Reads `/proc/self/mountinfo`, but never on the way of an ordinary look.
 */

import type { StaleMount } from "../model.ts";
import { isWithin, parentOf } from "../paths.ts";
import { type Mount, mountOf, parseMountinfo, staleReason } from "../proc/mountinfo.ts";
import { type Disk, orNull } from "./disk.ts";
import { baseOf, type Source } from "./listing.ts";

/** File systems whose times come from elsewhere, and whose stat(2) may take as long as the network does. */
const NETWORK = /^(nfs|cifs|smb|9p|ceph|fuse|glusterfs|lustre|afs|virtiofs|gfs2|ocfs2|beegfs|prl_fs|vboxsf)/;

/** What the sidecar's own mounts mean for the watched paths. */
interface MountView {
  readonly stale: readonly StaleMount[];
  /** No watched path is on a network file system. */
  readonly isLocal: boolean;
  /** Mounts of one file each, no directory: where that is moved or replaced, they keep the old one for ever. */
  readonly fileMounts: readonly Mount[];
}

/**
 * Looks at the mounts of all sources; `before` is what an earlier look at them has found. Never throws: without mountinfo
 * nothing is stale.
 */
async function readMounts(
  sources: readonly Source[],
  before: MountView | null = null,
): Promise<MountView> {
  const text = await Deno.readTextFile("/proc/self/mountinfo").catch(() => "");
  const mounts = parseMountinfo(text);
  const concerned = new Set<Mount>();
  for (const source of sources) {
    const real = await realPathOf(baseOf(source));
    const mount = mountOf(mounts, real);
    if (mount !== null) concerned.add(mount);
    // Files may be mounted one by one into a watched directory.
    if (source.kind === "file") continue;
    for (const inner of mounts) {
      if (inner.mountPoint !== real && isWithin(inner.mountPoint, real)) concerned.add(inner);
    }
  }
  const fileMounts: Mount[] = [];
  const stale: StaleMount[] = [];
  for (const mount of concerned) {
    const isFile = await isFileAt(mount.mountPoint);
    const first = before?.fileMounts.find(({ id, mountPoint }) =>
      id === mount.id && mountPoint === mount.mountPoint
    );
    if (isFile) fileMounts.push(first ?? mount);
    const isMoved = first !== undefined && first.root !== mount.root;
    const reason = staleReason(mount) ?? (isMoved ? "replaced" : null);
    if (reason !== null) stale.push(describeStale(mount, reason, isFile));
  }
  return { stale, isLocal: ![...concerned].some((mount) => NETWORK.test(mount.fsType)), fileMounts };
}

async function isFileAt(path: string): Promise<boolean> {
  const info = await Deno.stat(path).catch(() => null);
  return info !== null && !info.isDirectory;
}

/** The path without links; of a missing one that of the nearest directory above it. */
async function realPathOf(path: string): Promise<string> {
  for (let rest = path; rest.length > 1; rest = parentOf(rest)) {
    const real = await Deno.realPath(rest).catch(() => null);
    if (real !== null) return real + path.slice(rest.length);
  }
  return path;
}

function describeStale(mount: Mount, reason: StaleMount["reason"], isFile: boolean): StaleMount {
  const message = reason === "subpath"
    ? `"${mount.mountPoint}" is a subPath mount, and such a mount never receives updates: mount the whole volume at a ` +
      "directory, without subPath"
    : isFile
    ? `"${mount.mountPoint}" is mounted as a single file, and that file was moved away or replaced: such a mount keeps ` +
      "the old file for ever; restart the containers, and mount the file's directory instead"
    : replacedMessage(mount.mountPoint);
  return { container: "sidecar", reason, mountPoint: mount.mountPoint, message };
}

/** The own mounts as they were read last. */
export interface OwnMounts {
  stale(): readonly StaleMount[];
  /** Reads them if that was never done. */
  begin(): Promise<void>;
  /** After a look. */
  check(): Promise<void>;
  /** The sentence for the volume at `path`, which was torn down under its mount. */
  describeReplaced(path: string): Promise<string>;
}

/** Knows none yet. What it finds also tells `disk` whether it is local. */
export function createOwnMounts(sources: readonly Source[], disk: Disk): OwnMounts {
  let view: MountView | null = null;
  const refresh = async () => {
    view = await orNull(disk.ask("/proc/self/mountinfo", () => readMounts(sources, view))) ?? view;
    disk.isLocal = view?.isLocal ?? false;
  };
  return {
    stale: () => view?.stale ?? [],
    begin: async () => {
      if (view === null) await refresh();
    },
    check: async () => {
      // Of what is mounted as a single file only the mount tells that it was moved or replaced.
      if (view?.stale.length === 0 && view.fileMounts.length > 0) await refresh();
    },
    describeReplaced: async (path) => {
      await refresh();
      return view?.stale.find(({ mountPoint }) => path === mountPoint)?.message ?? replacedMessage(path);
    },
  };
}

/** The sentence for a volume that was torn down under its mount (kubelet, after an error while it wrote). */
function replacedMessage(path: string): string {
  return `the volume at "${path}" was replaced under its mount (link count 0): the pod's containers must be restarted ` +
    "to see the new volume";
}
