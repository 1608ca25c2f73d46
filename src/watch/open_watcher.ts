/** The few calls around `Deno.watchFs`: open, close, which limit was reached, and which directory it really is. */

import type { WatchPlace, WatchPlan } from "./watch_plan.ts";

/**
 * Opens a watch, or says why there is none.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const watcher = openWatcher({ path: "/no/such/directory", recursive: false });
 * assert.ok(watcher instanceof Deno.errors.NotFound);
 * ```
 */
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

/**
 * The name of the limit behind an error; Deno gives no code for either.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.match(limitOf(new Error("Too many open files (os error 24)")) ?? "", /max_user_instances/);
 * assert.equal(limitOf(new Error("No such file or directory (os error 2)")), null);
 * ```
 */
export function limitOf(error: Error): string | null {
  if (/file watch limit|os error 28/i.test(error.message)) {
    return "the kernel's limit of watches (fs.inotify.max_user_watches)";
  }
  if (/os error 24/.test(error.message)) {
    return "the kernel's limit of inotify instances (fs.inotify.max_user_instances)";
  }
  return null;
}

/**
 * Device, inode and birth of each place and anchor, in order; empty for one that cannot be looked at.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const plan = { places: [{ path: "/", recursive: false }], anchors: ["/no/such"], missing: false };
 * const [root, none] = await readIdentities(plan);
 * assert.match(root!, /^\d+:\d+:/);
 * assert.equal(none, "");
 * ```
 */
export function readIdentities({ places, anchors }: WatchPlan): Promise<string[]> {
  const paths = [...places.map((place) => place.path), ...anchors];
  return Promise.all(paths.map(async (path) => {
    const info = await Deno.stat(path).catch(() => null);
    return info === null ? "" : `${info.dev}:${info.ino}:${info.birthtime?.getTime()}`;
  }));
}

/**
 * Whether two lists of identities are the same.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(sameTexts(["1:2:3"], ["1:2:3"]), true);
 * assert.equal(sameTexts(["1:2:3"], ["1:2:3", ""]), false);
 * ```
 */
export function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
