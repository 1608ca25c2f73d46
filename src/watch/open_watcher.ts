/** The few calls around `Deno.watchFs`: open, close, which limit was reached, and which directory it really is. */

import type { WatchPlace, WatchPlan } from "./watch_plan.ts";

/** Opens a watch, or says why there is none. */
export function openWatcher({ path, recursive }: WatchPlace): Deno.FsWatcher | Error {
  try {
    return Deno.watchFs(path, { recursive });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Ends a watch, whatever state it is in. */
export function closeWatcher(watcher: Deno.FsWatcher): void {
  try {
    watcher.close();
  } catch {
    // It ended by itself.
  }
}

/** The name of the limit behind an error; Deno gives no code for either. */
export function limitOf(error: Error): string | null {
  if (/file watch limit|os error 28/i.test(error.message)) {
    return "the kernel's limit of watches (fs.inotify.max_user_watches)";
  }
  if (/os error 24/.test(error.message)) {
    return "the kernel's limit of inotify instances (fs.inotify.max_user_instances)";
  }
  return null;
}

/** Device, inode and birth of each place and anchor, in order; empty for one that cannot be looked at. */
export function readIdentities({ places, anchors }: WatchPlan): Promise<string[]> {
  const paths = [...places.map((place) => place.path), ...anchors];
  return Promise.all(paths.map(async (path) => {
    const info = await Deno.stat(path).catch(() => null);
    return info === null ? "" : `${info.dev}:${info.ino}:${info.birthtime?.getTime()}`;
  }));
}

/** Whether two lists of identities are the same. */
export function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
