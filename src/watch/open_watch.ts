/**
 * One `Deno.watchFs` on the directories of a plan: opens it, tells whether other directories have taken their places, closes
 * it. Must be called only where nothing can freeze the process (`notify_thread.ts`). Reads no events.
 */

import { commonParent } from "../paths.ts";
import { messageOf } from "../text.ts";
import { type Disk, orNull } from "./disk.ts";
import type { Places } from "./plan.ts";

/** What is watched. */
export interface OpenWatch {
  readonly watcher: Deno.FsWatcher;
  readonly places: Places;
  /** Device, inode and birth of each directory as they were when the watch was set. */
  readonly identities: readonly string[];
}

/** Why nothing is: a limit of the kernel, or all directories went away after the look. */
export interface NoWatch {
  readonly why: "limit" | "gone" | "refused";
  readonly reason: string;
}

/** Opens a watch on what is there of `places`. `onError` takes what the kernel does not want, with the directory it is about. */
export async function openWatch(
  disk: Disk,
  places: Places,
  onError: (error: string, path: string) => void,
): Promise<OpenWatch | NoWatch> {
  const identities = await readIdentities(disk, places);
  const paths = new Set(watchedPaths(places));
  let reason = "nothing is there that could be watched";
  let isGone = paths.size > 0;
  while (places.dirs.keys().some((dir) => paths.has(dir))) {
    try {
      return { watcher: Deno.watchFs([...paths], { recursive: false }), places, identities };
    } catch (error) {
      reason = messageOf(error);
      // It went away, or may not be read: the others are watched without it.
      const bad = [...paths].find((path) => reason.includes(JSON.stringify(path)));
      onError(reason, bad ?? "");
      const limit = limitOf(reason);
      if (limit !== null) {
        return {
          why: "limit",
          reason: `${limit} is used up; all processes of this user on the node share it`,
        };
      }
      isGone &&= error instanceof Deno.errors.NotFound && bad !== undefined;
      if (bad === undefined) break;
      paths.delete(bad);
    }
  }
  return isGone
    ? { why: "gone", reason: "a directory went away" }
    : { why: "refused", reason: `no directory can be watched: ${reason}` };
}

/** Whether other directories are where those were on which the watch was set, which no event may tell. */
export async function isReplaced(disk: Disk, { places, identities }: OpenWatch): Promise<boolean> {
  const now = await readIdentities(disk, places);
  return now.some((identity, i) => identity !== identities[i]);
}

/**
 * The planned directories, and before them what lies above all of them. Deno passes an event on only if its path, links
 * resolved, lies below a path of the watcher: so none for a link that leads to where nothing is watched yet. And it compares
 * an event with the paths in their order.
 */
export function watchedPaths({ dirs }: Places): string[] {
  const planned = [...dirs.keys()];
  return [...new Set([commonParent(planned), ...planned])];
}

async function readIdentities(disk: Disk, places: Places): Promise<string[]> {
  return await Promise.all([...places.dirs.keys()].map(async (dir) => {
    const info = await orNull(disk.stat(dir));
    return info === null ? "" : `${info.dev}:${info.ino}:${info.birthtime?.getTime()}`;
  }));
}

/** The name of the limit behind an error; Deno gives no code for either. */
function limitOf(message: string): string | null {
  if (/file watch limit|os error 28/i.test(message)) {
    return "the kernel's limit of watches (fs.inotify.max_user_watches)";
  }
  if (/os error 24/.test(message)) {
    return "the kernel's limit of inotify instances (fs.inotify.max_user_instances)";
  }
  return null;
}
