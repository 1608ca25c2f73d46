/**
 * Whether the watched paths can be read, what kind of mount each is on, and whether the kernel tells of changes. Reads
 * everything once as a running sidecar does; changes nothing.
 */

import { baseName, isWithin, parentOf } from "../../cli/paths.ts";
import type { Config } from "../../config.ts";
import type { FileState, Observation } from "../../model.ts";
import type { Clock, SnapshotReader } from "../../ports.ts";
import { type Mount, mountOf, parseMountinfo, staleReason } from "../../proc/mountinfo.ts";
import { isGlob, matchesParts, parseGlob } from "../../watch/glob.ts";
import { createSources } from "../../watch/scan.ts";
import { holdsFifo, planWatch } from "../../watch/watch_plan.ts";
import { type Finding, findingsIn } from "./finding.ts";
import { mountFix, readableFix, volumeFix } from "./fixes.ts";

/** A writer that is busy for so long will be looked at by the running sidecar, too. */
const SETTLE_MS_MAX = 3_000;

/** All findings about the disk. */
export async function checkDisk(config: Config, reader: SnapshotReader, clock: Clock): Promise<Finding[]> {
  return [...await checkPaths(config, reader, clock), await checkWatcher(config)];
}

async function checkPaths(config: Config, reader: SnapshotReader, clock: Clock): Promise<Finding[]> {
  const seen = await observe(reader, clock);
  if (seen.kind === "replaced") {
    return [{ area: "paths", level: "fault", code: "replaced", message: seen.message, fix: RESTART }];
  }
  if (seen.kind === "settling") {
    return [{
      area: "paths",
      level: "warn",
      code: "settling",
      message: "The content is being written at this moment; check again",
    }];
  }
  const files = seen.kind === "content" ? [...seen.snapshot.files, ...seen.skipped] : seen.files;
  const findings = files.filter((file) => file.error !== null).map(unreadable);
  const mounts = parseMountinfo(await Deno.readTextFile("/proc/self/mountinfo").catch(() => ""));
  for (const path of [...config.configFiles, ...config.watchedDirs]) {
    const found = await checkPath(path, files, mounts);
    // What cannot be read has been said; what kind of mount it is on counts only where that is the reason.
    if (found.level !== "ok" || !files.some((file) => file.path === path && file.error !== null)) {
      findings.push(found);
    }
  }
  if (seen.kind === "content") {
    const { digest, files: all } = seen.snapshot;
    const message = `${all.length} ${all.length === 1 ? "file" : "files"} in the content, hash ${
      digest.slice(0, 12)
    }`;
    findings.push({ area: "paths", level: "ok", code: "content", message });
  }
  return findings;
}

/** One look, or a few where the content is just being written. */
async function observe(reader: SnapshotReader, clock: Clock): Promise<Observation> {
  const signal = new AbortController().signal;
  const endMs = clock.nowMs() + SETTLE_MS_MAX;
  for (;;) {
    const seen = await reader.look({ signal });
    if (seen.kind !== "settling" || clock.nowMs() >= endMs) return seen;
    await clock.sleep(Math.max(1, seen.againAtMs - clock.nowMs()));
  }
}

function unreadable(file: FileState): Finding {
  const directory = parentOf(file.path);
  const missing = /no such|missing|not there|not found/i.test(file.error!);
  const denied = /permission/i.test(file.error!);
  return {
    area: "paths",
    level: "fault",
    code: missing ? "missing" : denied ? "unreadable" : "bad-file",
    message: `Cannot read "${file.path}": ${file.error}`,
    ...(missing && { fix: volumeFix(directory) }),
    ...(denied && { fix: readableFix(Deno.uid() ?? 65532) }),
  };
}

const RESTART = { say: "restart the pod: its running containers keep the old, empty volume for ever" };

/** What kind of place one path is, and how much was found there. */
async function checkPath(
  path: string,
  files: readonly FileState[],
  mounts: readonly Mount[],
): Promise<Finding> {
  const glob = isGlob(path) ? parseGlob(path) : null;
  const base = glob?.base ?? path;
  const real = await Deno.realPath(parentOf(base)).then((dir) => `${dir}/${baseName(base)}`, () => base);
  const mount = mountOf(mounts, real);
  const reason = mount && staleReason(mount);
  if (mount && reason) {
    const subpath = reason === "subpath";
    return {
      area: "paths",
      level: "fault",
      code: reason,
      message: subpath
        ? `"${path}" is on a subPath mount (${mount.mountPoint}), which never receives updates`
        : `"${path}" is on a volume that was taken down and made anew (${mount.mountPoint}): this container never sees it`,
      fix: subpath
        ? mountFix("mount the whole volume", "config-reloader", parentOf(mount.mountPoint))
        : RESTART,
    };
  }
  const isSwapped = await isAtomicVolume(base) || await isAtomicVolume(parentOf(base));
  const kind = isSwapped ? "a volume that is swapped as a whole" : "plain, settles before it counts";
  const counts = glob === null
    ? (file: string) => isWithin(file, path)
    : (file: string) => isWithin(file, base) && matchesParts(glob.parts, namesBelow(base, file));
  const below = files.filter((file) => file.error === null && counts(file.path));
  const bytes = below.reduce((sum, file) => sum + file.sizeBytes, 0);
  const count = below.length === 1 ? "" : `${below.length} files, `;
  return {
    area: "paths",
    level: "ok",
    code: isSwapped ? "swapped" : "plain",
    message: `${path}: ${count}${bytes} bytes, ${kind}`,
  };
}

async function isAtomicVolume(directory: string): Promise<boolean> {
  return await Deno.readLink(`${directory}/..data`).then(() => true, () => false);
}

/** Whether the kernel would tell of changes. Opens watches for a moment; where a FIFO lies that could block for ever. */
async function checkWatcher(config: Config): Promise<Finding> {
  const every = `a full re-check every ${config.intervalMs / 1000} s`;
  const say = findingsIn("watcher");
  if (config.watchMethod === "poll") return say("ok", "poll", `No kernel events, as configured; ${every}`);
  const { places, missing } = await planWatch(createSources(config.configFiles, config.watchedDirs));
  if (await holdsFifo(places)) {
    return say(
      "warn",
      "fifo",
      `A FIFO lies in a watched directory, so there are no kernel events; ${every} finds changes`,
    );
  }
  try {
    for (const { path, recursive } of places) Deno.watchFs(path, { recursive }).close();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const limit = /limit|os error 24|os error 28/.test(reason);
    return {
      ...say(
        "warn",
        limit ? "watch-limit" : "no-events",
        `The kernel gives no events (${reason}); ${every} finds changes`,
      ),
      ...(limit &&
        {
          fix: {
            say:
              "raise the node's limits, shared by all pods of one user: sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288",
          },
        }),
    };
  }
  const count = places.length === 1 ? "1 directory" : `${places.length} directories`;
  const wait = missing ? ", one of which is not there yet" : "";
  return say("ok", "inotify", `Kernel events for ${count}${wait}, and ${every}`);
}

/** The parts of a path below a directory. */
function namesBelow(directory: string, path: string): string[] {
  return path.slice(directory === "/" ? 1 : directory.length + 1).split("/");
}
