/**
 * The sidecar's own config mounts that can never change again, and which disks are behind a network. Reads
 * `/proc/self/mountinfo`, but never on the way of an ordinary look.
 */

import type { StaleMount } from "../model.ts";
import { type Mount, mountOf, parseMountinfo, staleReason } from "../proc/mountinfo.ts";
import type { Source } from "./scan.ts";

/** File systems whose times come from elsewhere, and whose stat(2) may take as long as the network does. */
const NETWORK = /^(nfs|cifs|smb|9p|ceph|fuse|glusterfs|lustre|afs|virtiofs|gfs2|ocfs2|beegfs|prl_fs|vboxsf)/;

/** What the sidecar's own mounts mean for the watched paths. */
export interface MountView {
  readonly stale: readonly StaleMount[];
  /** No watched path is on a network file system. */
  readonly local: boolean;
  /** Mounts of one file each, no directory: where that is moved or replaced, they keep the old one for ever. */
  readonly fileMounts: readonly Mount[];
}

/**
 * Looks at the mounts of all sources; `before` is what the first such look has found. Never throws: without mountinfo
 * nothing is stale.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { stale, local } = await readMounts([{ kind: "file", path: "/proc/version", name: "version" }]);
 * assert.deepEqual({ stale, local }, { stale: [], local: true });
 * ```
 */
export async function readMounts(
  sources: readonly Source[],
  before: MountView | null = null,
): Promise<MountView> {
  const text = await Deno.readTextFile("/proc/self/mountinfo").catch(() => "");
  const mounts = parseMountinfo(text);
  const concerned = new Set<Mount>();
  for (const source of sources) {
    const path = source.kind === "glob" ? source.glob.base : source.path;
    const real = await realPathOf(path);
    const mount = mountOf(mounts, real);
    if (mount !== null) concerned.add(mount);
    // Files may be mounted one by one into a watched directory.
    if (source.kind === "file") continue;
    for (const inner of mounts) if (inner.mountPoint.startsWith(`${real}/`)) concerned.add(inner);
  }
  const fileMounts: Mount[] = [];
  const stale: StaleMount[] = [];
  for (const mount of concerned) {
    const isFile = await isFileAt(mount.mountPoint);
    if (isFile) fileMounts.push(mount);
    const first = before?.fileMounts.find(({ id, mountPoint }) =>
      id === mount.id && mountPoint === mount.mountPoint
    );
    const reason = staleReason(mount) ??
      (first !== undefined && first.root !== mount.root ? "replaced" : null);
    if (reason !== null) stale.push(describeStale(mount, reason, isFile));
  }
  return {
    stale,
    local: ![...concerned].some((mount) => NETWORK.test(mount.fsType)),
    fileMounts: before?.fileMounts ?? fileMounts,
  };
}

async function isFileAt(path: string): Promise<boolean> {
  const info = await Deno.stat(path).catch(() => null);
  return info !== null && !info.isDirectory;
}

/** The path without links; of a missing one that of the nearest directory above it. */
async function realPathOf(path: string): Promise<string> {
  for (let rest = path; rest.length > 1; rest = rest.slice(0, rest.lastIndexOf("/"))) {
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

/**
 * The sentence for a volume that was torn down under its mount (kubelet, after an error while it wrote).
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.match(replacedMessage("/etc/app"), /^the volume at "\/etc\/app" was replaced .*must be restarted/);
 * ```
 */
export function replacedMessage(path: string): string {
  return `the volume at "${path}" was replaced under its mount (link count 0): the pod's containers must be restarted ` +
    "to see the new volume";
}
