/**
 * Whether the watched paths can be read, what kind of mount each is on, and whether the kernel reports changes. Reads
 * everything once as a running sidecar does; changes nothing.
 */

import { baseName, isWithin, joinPath, parentOf } from "../../paths.ts";
import type { Config } from "../../config.ts";
import type { FileState, Observation, Snapshot, StaleMount } from "../../model.ts";
import type { Clock, SnapshotReader } from "../../ports.ts";
import { mountOf, parseMountinfo } from "../../proc/mountinfo.ts";
import { isPattern, matchesParts, parseGlob } from "../../glob.ts";
import { holdsFifo } from "../../watch/kernel_watch.ts";
import { readPlan } from "../../watch/listing.ts";
import { messageOf, plural, shortHash } from "../../text.ts";
import { type Finding, findingsIn, type Fix } from "./finding.ts";
import { argsFix, fileFix, mountFix, RESTART, staleFix, volumeFix } from "./fixes.ts";

const say = findingsIn("paths");
const sayWatcher = findingsIn("watcher");

/** A writer that is busy for so long will be looked at by the running sidecar, too. */
const SETTLE_MS_MAX = 3_000;

/** All findings about the disk, and the content; null where it is not whole. */
export async function checkDisk(
  config: Config,
  reader: SnapshotReader,
  clock: Clock,
): Promise<{ findings: Finding[]; snapshot: Snapshot | null }> {
  const seen = await observe(reader, clock);
  return {
    findings: [...await checkPaths(config, seen, reader.staleMounts()), await checkWatcher(config, clock)],
    snapshot: seen.kind === "content" ? seen.snapshot : null,
  };
}

async function checkPaths(
  config: Config,
  seen: Observation,
  stale: readonly StaleMount[],
): Promise<Finding[]> {
  if (seen.kind === "replaced") return [say.fault("replaced", seen.message, RESTART)];
  if (seen.kind === "settling") {
    return [say.warn("settling", "The content is being written at this moment; check again")];
  }
  const files = seen.kind === "content" ? seen.snapshot.files : seen.files;
  const broken = files.filter((file) => file.error !== null);
  const findings = await Promise.all(broken.map((file) => unreadable(file, config)));
  // What lies in a directory and is no content does not keep the rest from being read.
  for (const { path, error } of seen.kind === "content" ? seen.skipped : []) {
    findings.push(say.warn("bad-file", `Left "${path}" out of the content: ${error}`));
  }
  findings.push(...stale.map((mount) => say.fault(mount.reason, mount.message, staleFix(mount))));
  const mounts = parseMountinfo(await Deno.readTextFile("/proc/self/mountinfo").catch(() => ""));
  for (const path of [...config.configFiles, ...config.watchedDirs]) {
    const base = isPattern(path) ? parseGlob(path).base : path;
    const real = await Deno.realPath(parentOf(base)).then((dir) => joinPath(dir, baseName(base)), () => base);
    // What never changes, or cannot be read, has a finding already.
    const isTold = stale.some(({ mountPoint }) => isWithin(real, mountPoint)) ||
      broken.some((file) => file.path === path || file.path === directoryOf(path));
    if (isTold) continue;
    const isFileMount = mountOf(mounts, real)?.mountPoint === real && base === path &&
      files.some((file) => file.path === path);
    findings.push(isFileMount ? fileMount(path) : await kindOf(path, base, files));
  }
  if (seen.kind === "content") {
    const { digest, files: all } = seen.snapshot;
    findings.push(
      say.ok("content", `${plural(all.length, "file")} in the content, hash ${shortHash(digest)}`),
    );
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

async function unreadable(file: FileState, config: Config): Promise<Finding> {
  const { path, error, fault } = file;
  const message = `Cannot read "${path}": ${error}`;
  const fix = fileFix(file);
  if (fix === null) return say.fault("missing", message, await missingFix(path, config));
  return say.fault(fault === "denied" ? "unreadable" : "bad-file", message, fix);
}

/** Names that are shown of what a volume has. */
const NAMES_SHOWN_MAX = 10;

/** Nothing is mounted there; or it is, and has other keys. */
async function missingFix(path: string, { configFiles, watchedDirs }: Config): Promise<Fix> {
  const directories = [...watchedDirs, ...configFiles.filter(isPattern).map(directoryOf)];
  const mountPath = directories.includes(path) ? path : directoryOf(path);
  // The container's own root is no volume.
  if (mountPath === "/") return argsFix("name a file of a volume", "--config-file=/PATH/OF/A/FILE");
  const entries = await Array.fromAsync(Deno.readDir(mountPath)).catch(() => []);
  const keys = entries.filter((entry) => !entry.isDirectory && !entry.name.startsWith(".."))
    .map(({ name }) => name).sort();
  if (keys.length === 0 || watchedDirs.includes(path)) return volumeFix(mountPath);
  const shown = keys.slice(0, NAMES_SHOWN_MAX).join(", ") + (keys.length > NAMES_SHOWN_MAX ? ", …" : "");
  return argsFix(
    isPattern(path)
      ? `the volume has ${shown}, which the pattern does not match`
      : `the volume has ${shown}: name one of them, or put the key "${baseName(path)}" into the ConfigMap`,
    `--config-file=${mountPath}/${keys[0]}`,
  );
}

/** The directory that a file or the files of a glob are in. */
function directoryOf(path: string): string {
  return isPattern(path) ? parseGlob(path).base : parentOf(path);
}

function fileMount(path: string): Finding {
  const message =
    `"${path}" is mounted as a single file: once it is moved away or replaced outside, this container keeps the old one`;
  const fix = mountFix("mount its directory", "config-reloader", parentOf(path));
  return say.warn("file-mount", message, fix);
}

/** What kind of place one path is, and how much was found there. */
async function kindOf(path: string, base: string, files: readonly FileState[]): Promise<Finding> {
  const isSwapped = await isAtomicVolume(base) || await isAtomicVolume(parentOf(base));
  const kind = isSwapped ? "a volume that is swapped as a whole" : "plain, settles before it counts";
  const parts = isPattern(path) ? parseGlob(path).parts : null;
  const below = files.filter((file) =>
    file.error === null && isWithin(file.path, base) &&
    (parts === null || matchesParts(parts, namesBelow(base, file.path)))
  );
  const bytes = below.reduce((sum, file) => sum + file.sizeBytes, 0);
  const count = below.length === 1 ? "" : `${below.length} files, `;
  return say.ok(isSwapped ? "swapped" : "plain", `${path}: ${count}${bytes} bytes, ${kind}`);
}

async function isAtomicVolume(directory: string): Promise<boolean> {
  return await Deno.readLink(`${directory}/..data`).then(() => true, () => false);
}

const WATCH_LIMIT_FIX: Fix = {
  say: "raise the node's limits, shared by all pods of one user",
  command: "sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288",
};

/** Whether the kernel would tell of changes. Opens watches for a moment; where a FIFO lies that could block for ever. */
async function checkWatcher(config: Config, clock: Clock): Promise<Finding> {
  const every = `a full re-check every ${config.intervalMs / 1000} s`;
  if (config.watchMethod === "poll") {
    return sayWatcher.ok("poll", `No kernel events, as configured; ${every}`);
  }
  const { dirs, missing } = await readPlan(config, clock);
  if (await holdsFifo(dirs.keys())) {
    const message =
      `A FIFO lies in a watched directory, so there are no kernel events; ${every} finds changes`;
    return sayWatcher.warn("fifo", message);
  }
  try {
    Deno.watchFs([...dirs.keys()], { recursive: false }).close();
  } catch (error) {
    const reason = messageOf(error);
    const message = `The kernel gives no events (${reason}); ${every} finds changes`;
    return /limit|os error 24|os error 28/.test(reason)
      ? sayWatcher.warn("watch-limit", message, WATCH_LIMIT_FIX)
      : sayWatcher.warn("no-events", message);
  }
  const count = plural(dirs.size, "directory", "directories");
  const wait = missing ? " (what is to be watched is not all there yet)" : "";
  return sayWatcher.ok("inotify", `Kernel events for ${count}${wait}, and ${every}`);
}

/** The parts of a path below a directory. */
function namesBelow(directory: string, path: string): string[] {
  return path.slice(directory === "/" ? 1 : directory.length + 1).split("/");
}
