/**
 * A volume laid out and updated as kubelet's AtomicWriter does it (kubernetes/pkg/volume/util/atomic_writer.go):
 * a timestamped directory with the payload, `..data` pointing to it, and one link a key. On the real file system.
 */

import { dirname, join } from "node:path";

/** Files by key; a key may have slashes. */
export type Payload = Readonly<Record<string, string | Uint8Array>>;

export interface KubeletVolume {
  readonly dir: string;
  /** Path of a key as the app sees it. */
  path(key: string): string;
  /** The directory that holds the payload now: what a subPath mount shows. */
  payload(): string;
  /** Publishes a payload in kubelet's order of steps; the swap itself is one rename. */
  swap(payload: Payload): void;
  /** As `swap`, but returns the moment just before the rename that swaps, in `performance.now` milliseconds. */
  timedSwap(payload: Payload): number;
  /** kubelet's tear-down: everything is gone and the directory is made anew (another inode). */
  replace(payload: Payload): void;
}

/** Where kubelet has the volumes of ConfigMaps, below a pod's directory: the mounts of those are known by it. */
export const VOLUMES = "volumes/kubernetes.io~configmap";

let counter = 0;

/** Creates the volume in `dir` (made if it is missing). */
export function createKubeletVolume(dir: string, payload: Payload): KubeletVolume {
  // What is no key of the payload is removed there: /dev, given by mistake, has lost its links in that way.
  if (dirname(dir) === "/") throw new Error(`"${dir}" is no directory for a volume`);
  Deno.mkdirSync(dir, { recursive: true });
  const timedSwap = (next: Payload): number => {
    const old = readLink(join(dir, "..data"));
    const stamp = new Date().toISOString().slice(0, 19).replace(/[-T:]/g, "_");
    const fresh = `..${stamp}.${String(++counter).padStart(10, "0")}`;
    Deno.mkdirSync(join(dir, fresh), { mode: 0o755 });
    for (const [key, bytes] of Object.entries(next)) {
      const path = join(dir, fresh, key);
      Deno.mkdirSync(dirname(path), { recursive: true });
      Deno.writeFileSync(path, typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
      Deno.chmodSync(path, 0o644);
    }
    Deno.symlinkSync(fresh, join(dir, "..data_tmp"));
    const swapped = performance.now();
    Deno.renameSync(join(dir, "..data_tmp"), join(dir, "..data"));
    const top = new Set(Object.keys(next).map((key) => key.split("/")[0]!));
    for (const name of top) {
      if (readLink(join(dir, name)) === null) Deno.symlinkSync(join("..data", name), join(dir, name));
    }
    for (const entry of [...Deno.readDirSync(dir)]) {
      if (!entry.name.startsWith("..") && !top.has(entry.name)) Deno.removeSync(join(dir, entry.name));
    }
    if (old !== null) Deno.removeSync(join(dir, old), { recursive: true });
    return swapped;
  };
  timedSwap(payload);
  return {
    dir,
    path: (key) => join(dir, key),
    payload: () => join(dir, Deno.readLinkSync(join(dir, "..data"))),
    swap: (next) => void timedSwap(next),
    timedSwap,
    replace: (next) => {
      Deno.removeSync(dir, { recursive: true });
      Deno.mkdirSync(dir);
      timedSwap(next);
    },
  };
}

function readLink(path: string): string | null {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return null;
  }
}
