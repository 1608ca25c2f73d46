/**
 * Understands `/proc/PID/mountinfo`, the sidecar's own or the app's: which mount a path is on, whether two mounts show
 * the same Kubernetes volume, and whether one can never change again. Text in, values out; never touches the disk.
 */

import { isWithin } from "../paths.ts";

/** One line of mountinfo, proc_pid_mountinfo(5). */
export interface Mount {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor`, the same for all mounts of one file system. */
  readonly device: string;
  /** Path inside its file system that is mounted here; ends in `//deleted` once that was unlinked. */
  readonly root: string;
  readonly mountPoint: string;
  readonly fsType: string;
  /** By the mount's options, or its file system's. */
  readonly isReadOnly: boolean;
}

/** What the kernel appends to the path of an unlinked root (dentry_path in fs/d_path.c). */
const DELETED = "//deleted";
/** A payload directory of kubelet's AtomicWriter, `..2026_11_24_08_16_55.1234567890`, as part of a path. */
const TIMESTAMPED = /\/\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.[^/]*/;
/** The directory of a volume below any kubelet's own directory: pod directory, kind, name of the volume. */
const VOLUME = /^(.*)\/volumes\/kubernetes\.io~[^/]+\/([^/]+)/;
/** kubelet's own bind mounts for `subPath`: pod directory, name of the volume, container, number. */
const SUBPATH_VOLUME = /^(.*)\/volume-subpaths\/([^/]+)\//;

/**
 * Parses the whole file; lines that are no mounts are left out, since a newer kernel may add things.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const [mount] = parseMountinfo("36 35 98:0 /data /mnt/my\\040app rw master:1 - ext4 /dev/root rw\n");
 * assert.equal(mount?.mountPoint, "/mnt/my app");
 * assert.equal(mount?.fsType, "ext4"); // what stands between the options and " - " varies in number
 * ```
 */
export function parseMountinfo(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    const separator = line.indexOf(" - ");
    if (separator < 0) continue;
    const before = line.slice(0, separator).split(" ");
    const after = line.slice(separator + 3).split(" ");
    const [id, parentId, device, root, mountPoint] = before;
    if (device === undefined || root === undefined || mountPoint === undefined) continue;
    mounts.push({
      id: Number(id),
      parentId: Number(parentId),
      device,
      root: unescapeOctal(root),
      mountPoint: unescapeOctal(mountPoint),
      fsType: after[0] ?? "",
      isReadOnly: [before[5], after[2]].some((options) => options?.split(",").includes("ro")),
    });
  }
  return mounts;
}

/** The kernel writes space, tab, newline, backslash and `#` as three octal digits (mangle in fs/proc_namespace.c). */
function unescapeOctal(text: string): string {
  return text.includes("\\")
    ? text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)))
    : text;
}

/**
 * Why the mount can never show new content, or null where it can.
 * `subpath`: it holds one payload of an atomically written volume, which kubelet replaces and never changes; so it is
 * also after that payload was removed (`//deleted`: an old file is still readable, a directory is empty).
 * `replaced`: kubelet tore the whole volume down and made a new one that running containers never see.
 * Both were seen with kubelet 1.34 and runc 1.1; the first is kubernetes#50345, by design.
 */
export function staleReason(mount: Mount): "subpath" | "replaced" | null {
  if (TIMESTAMPED.test(mount.root) || SUBPATH_VOLUME.test(mount.root)) return "subpath";
  return mount.root.endsWith(DELETED) ? "replaced" : null;
}

/**
 * True where both mounts show the same volume, if perhaps another part or generation of it. Each container has its own
 * bind mount, and the kubelet's directory may be anywhere, so ConfigMap volumes are recognised by pod directory and name
 * (unique in a pod); secret and projected volumes are a tmpfs each, so their device decides. Elsewhere, with
 * `docker run -v` or in tests, the directory must be the same.
 */
export function sameVolume(a: Mount, b: Mount): boolean {
  if (a.device !== b.device) return false;
  const [keyA, keyB] = [volumeKey(a.root), volumeKey(b.root)];
  if (keyA !== null || keyB !== null) return keyA === keyB;
  if (a.fsType === "tmpfs") return true;
  return plainRoot(a.root) === plainRoot(b.root);
}

/** Pod directory and volume name, null where the root is in no kubelet volume. */
function volumeKey(root: string): string | null {
  const match = VOLUME.exec(plainRoot(root)) ?? SUBPATH_VOLUME.exec(root);
  return match ? `${match[1]}\0${match[2]}` : null;
}

/** The root without payload directory and without the kernel's mark. */
function plainRoot(root: string): string {
  const whole = root.endsWith(DELETED) ? root.slice(0, -DELETED.length) : root;
  const payload = TIMESTAMPED.exec(whole);
  return payload ? whole.slice(0, payload.index) || "/" : whole || "/";
}

/**
 * The mount that `path` (absolute, without links) is on; null where the list is empty. Goes down from the root as the
 * kernel does, mount by mount, so that one that was mounted over is not taken for the visible one.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const mounts = parseMountinfo(`1 0 8:1 / / rw - ext4 /dev/sda1 rw
 * 2 1 8:2 / /etc/app rw - ext4 /dev/sdb1 rw
 * 3 1 8:3 / /etc rw - tmpfs tmpfs rw`);
 * assert.equal(mountOf(mounts, "/etc/app/x.yaml")?.id, 3); // it was mounted over /etc and hides 2
 * ```
 */
export function mountOf(mounts: readonly Mount[], path: string): Mount | null {
  const above = mounts.filter((mount) => isWithin(path, mount.mountPoint));
  const ids = new Set(above.map((mount) => mount.id));
  const shallowest = (among: readonly Mount[]): Mount | null =>
    among.reduce<Mount | null>(
      (best, mount) => best === null || mount.mountPoint.length < best.mountPoint.length ? mount : best,
      null,
    );
  let current = shallowest(above.filter((mount) => !ids.has(mount.parentId) || mount.parentId === mount.id));
  for (let depth = 0; current !== null && depth < above.length; depth++) {
    const parent: Mount = current;
    const next = shallowest(above.filter((mount) => mount.parentId === parent.id && mount !== parent));
    if (next === null) break;
    current = next;
  }
  return current;
}
