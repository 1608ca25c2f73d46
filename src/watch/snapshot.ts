/**
 * The snapshot reader: one look at the disk, consistent and hashed once. Lists (`scan.ts`), reads (`read_all.ts`), lets
 * changes settle (`settle.ts`) and tells what counts. Must never throw, hang, or call half a change a change.
 */

import type { Config } from "../config.ts";
import type { FileState, Observation, Snapshot, SnapshotFile } from "../model.ts";
import type { Clock, SnapshotReader } from "../ports.ts";
import { createGuard } from "./guard.ts";
import { comparePaths, digestOfListing } from "./listing.ts";
import { type Entry, hashAll, hasMoved, type ReadAllOptions, statAll } from "./read_all.ts";
import {
  type Candidate,
  createSources,
  fileError,
  type Scan,
  type ScanContext,
  scanSources,
} from "./scan.ts";
import { AUTO_DELAY_MS, decideSettling, type Settling } from "./settle.ts";
import { type MountView, readMounts, replacedMessage } from "./stale.ts";
import { OWN_PREFIX } from "./own_files.ts";

/** A volume that is swapped while it is read is read again so often in one look. */
const TRIES_MAX = 5;
/** Pause after a look that never saw a volume stand still. */
const TORN_RETRY_MS = 20;
/** However little has changed by size and times, everything is hashed at each so-many-th look. */
const FULL_EVERY_LOOKS = 12;
/** Changed files whose real place is looked up, to see whether a link leads into a volume. */
const LINKS_MAX = 100;
/** Directories whose own times are asked when names came or went. */
const CHANGED_DIRS_MAX = 20;

/** What of the configuration the reader needs. */
export type ReaderConfig = Pick<
  Config,
  | "configFiles"
  | "watchedDirs"
  | "delayIntervalMs"
  | "maxFileSizeBytes"
  | "validate"
  | "configEnvsubstFile"
  | "outputDir"
>;

/** All that a reader remembers from look to look. */
interface Memory {
  readonly entries: Map<string, Entry>;
  /** `..data` of each volume at the last content. */
  targets: Map<string, string>;
  settling: Settling | null;
  /** Digest and time of the last content; null before it. */
  last: { readonly digest: string; readonly changedWallMs: number } | null;
  /** What was wrong with directories and patterns: at the look before, and when it last counted. */
  errorsBefore: string;
  errorsCounted: string;
  /** Something has counted, be it an error. */
  started: boolean;
  lookNo: number;
  mounts: MountView | null;
}

/** Makes the reader of what `config` names. */
export function createSnapshotReader(config: ReaderConfig, clock: Clock): SnapshotReader {
  const sources = createSources(config.configFiles, config.watchedDirs);
  const single = sources.length === 1 && sources[0]!.kind === "file";
  const delayMs = config.delayIntervalMs === "auto" ? AUTO_DELAY_MS : config.delayIntervalMs;
  const guard = createGuard();
  const memory: Memory = {
    entries: new Map(),
    targets: new Map(),
    settling: null,
    last: null,
    errorsBefore: "",
    errorsCounted: "",
    started: false,
    lookNo: 0,
    mounts: null,
  };
  const context: ScanContext = {
    guard,
    known: new Map(),
    homes: new Map(),
    isOwn: createOwnCheck(config),
    nowMs: () => clock.nowMs(),
  };
  const keepBytes = config.validate !== "none" || config.configEnvsubstFile !== null ||
    config.outputDir !== null;

  const refreshMounts = async () => {
    memory.mounts = await guard.run("/proc/self/mountinfo", () => readMounts(sources)) ?? memory.mounts;
  };

  const lookOnce = async (onLikelyChange: () => void): Promise<Look | "torn" | { replacedDir: string }> => {
    memory.lookNo++;
    const scan = await scanSources(sources, context);
    if (scan.replacedDir !== null) return { replacedDir: scan.replacedDir };
    if (scan.torn) return "torn";
    const volumeSwapped = [...scan.volumes].some(([dir, { target }]) => memory.targets.get(dir) !== target);
    if (
      volumeSwapped && memory.last !== null && memory.settling === null && config.delayIntervalMs === "auto"
    ) {
      onLikelyChange();
    }
    const entries = takeEntries(memory, scan);
    const options: ReadAllOptions = {
      guard,
      limits: { sizeBytesMax: config.maxFileSizeBytes, keepBytes },
      wallMs: clock.wallMs(),
      full: memory.lookNo % FULL_EVERY_LOOKS === 0,
      local: memory.mounts?.local ?? false,
    };
    const small = await statAll(entries, options);
    if (memory.last !== null && seemsSettled(memory, entries, delayMs, clock.nowMs())) onLikelyChange();
    await hashAll(entries, small, options);
    if (await isTorn(entries, scan)) return "torn";
    const beside = await findBeside(entries);
    if (beside.length > 0) {
      await statAll(beside, options);
      await hashAll(beside, small, options);
    }
    return { scan, entries };
  };

  const look: SnapshotReader["look"] = async ({ onLikelyChange }) => {
    const { settling } = memory;
    if (settling !== null && clock.nowMs() < settling.againAtMs - 1) {
      return { kind: "settling", againAtMs: settling.againAtMs };
    }
    if (memory.mounts === null) await refreshMounts();
    let told = false;
    const tell = () => {
      if (!told) onLikelyChange?.();
      told = true;
    };
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const found = await lookOnce(tell);
      if (found === "torn") continue;
      if ("replacedDir" in found) return await observeReplaced(found.replacedDir);
      return await observe(found);
    }
    return { kind: "settling", againAtMs: clock.nowMs() + TORN_RETRY_MS };
  };

  const observeReplaced = async (path: string): Promise<Observation> => {
    memory.settling = null;
    await refreshMounts();
    const known = memory.mounts?.stale.find((stale) => path === stale.mountPoint);
    return { kind: "replaced", path, message: known?.message ?? replacedMessage(path) };
  };

  const observe = async (found: Look): Promise<Observation> => {
    const judged = judge(memory, found);
    if (found.entries.some((entry) => entry.stat?.nlink === 0) && memory.mounts?.stale.length === 0) {
      await refreshMounts();
    }
    memory.settling = decideSettling(memory.settling, {
      nowMs: clock.nowMs(),
      delayMs: judged.atStart && !await isFresh(found.entries, clock.wallMs(), delayMs) ? 0 : delayMs,
      differs: judged.plainDiffers || (config.delayIntervalMs !== "auto" && judged.volumeDiffers),
      sameAsBefore: !judged.moved,
      stable: found.entries.every((entry) => entry.stable),
      atomic: !judged.plainDiffers,
    });
    if (
      memory.settling !== null && config.delayIntervalMs === "auto" && await areInVolumes(judged.differing)
    ) {
      memory.settling = null;
    }
    finishLook(memory, found.scan);
    if (memory.settling === null) memory.started = true;
    const observation: Observation = memory.settling !== null
      ? { kind: "settling", againAtMs: memory.settling.againAtMs }
      : judged.errors.length > 0
      ? countErrors(judged, found.entries)
      : await countContent(memory, found, judged, single);
    for (const entry of found.entries) entry.bytes = null;
    return observation;
  };

  let running: Promise<unknown> = Promise.resolve();
  return {
    look: ({ onLikelyChange, signal }) => {
      const run = async (): Promise<Observation> => {
        try {
          return await look(onLikelyChange === undefined ? { signal } : { onLikelyChange, signal });
        } catch (error) {
          // A fault of this program or of the disk that nobody thought of: an error state, never a dead loop.
          const path = sources[0]?.path ?? "";
          const text = error instanceof Error ? error.message : String(error);
          return { kind: "unreadable", files: [fileError(path, text)] };
        }
      };
      const result = orAborted(running.then(run), signal, clock);
      running = result;
      return result;
    },
    staleMounts: () => memory.mounts?.stale ?? [],
  };
}

interface Look {
  readonly scan: Scan;
  /** Sorted by path. */
  readonly entries: readonly Entry[];
}

interface Judged {
  readonly plainDiffers: boolean;
  readonly volumeDiffers: boolean;
  /** Something is other than at the look before. */
  readonly moved: boolean;
  /** Nothing has counted yet. */
  readonly atStart: boolean;
  readonly differing: readonly Entry[];
  /** Counted once, and no more there. */
  readonly gone: readonly Entry[];
  /** What keeps the content from being complete. */
  readonly errors: readonly FileState[];
  readonly skipped: readonly FileState[];
}

/** An answer in time: when the sidecar ends, nobody waits for a disk. */
function orAborted(look: Promise<Observation>, signal: AbortSignal, clock: Clock): Promise<Observation> {
  return new Promise((resolve) => {
    const abort = () => resolve({ kind: "settling", againAtMs: clock.nowMs() });
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    look.then((observation) => {
      signal.removeEventListener("abort", abort);
      resolve(observation);
    });
  });
}

function createOwnCheck(config: ReaderConfig): (path: string) => boolean {
  const { configEnvsubstFile, outputDir } = config;
  if (configEnvsubstFile === null && outputDir === null) return () => false;
  return (path) =>
    path === configEnvsubstFile || path === outputDir ||
    (outputDir !== null && path.startsWith(`${outputDir}/`)) ||
    path.slice(path.lastIndexOf("/") + 1).startsWith(OWN_PREFIX);
}

/** The entries of all listed files, sorted; new ones are made, the state of the look before is set aside. */
function takeEntries(memory: Memory, scan: Scan): Entry[] {
  const entries: Entry[] = [];
  for (const candidate of scan.candidates.values()) {
    let entry = memory.entries.get(candidate.path);
    if (entry === undefined) memory.entries.set(candidate.path, entry = createEntry(candidate));
    if (entry.candidate.readPath !== candidate.readPath) entry.trusted = false;
    entry.candidate = candidate;
    entry.lookNo = memory.lookNo;
    entry.bytes = null;
    entry.stable = true;
    entries.push(entry);
  }
  return entries.sort((a, b) => comparePaths(a.path, b.path));
}

function createEntry(candidate: Candidate): Entry {
  return {
    path: candidate.path,
    candidate,
    lookNo: 0,
    stat: null,
    digest: null,
    problem: null,
    bytes: null,
    stable: true,
    trusted: false,
    before: null,
    counted: null,
  };
}

/** Before anything is hashed: will this look, as far as sizes and times tell, decide about a change? */
function seemsSettled(memory: Memory, entries: readonly Entry[], delayMs: number, nowMs: number): boolean {
  const { settling } = memory;
  const unlike = (entry: Entry) =>
    entry.candidate.volume === null &&
    (entry.before?.stat?.mtimeMs !== entry.stat?.mtimeMs || entry.before?.stat?.ino !== entry.stat?.ino ||
      entry.before?.stat?.sizeBytes !== entry.stat?.sizeBytes);
  if (settling === null) return delayMs === 0 && entries.some(unlike);
  if (settling.firstReadAtMs === null || nowMs - settling.firstReadAtMs + 1 < delayMs) return false;
  return !entries.some(unlike);
}

/**
 * True where a volume was swapped while it was read. A single file is whole whatever happened: it was opened once, and
 * payload files never change. Around a swap the old payload is being removed, so several files may be a mixture.
 */
async function isTorn(entries: readonly Entry[], scan: Scan): Promise<boolean> {
  if (scan.volumes.size === 0) return false;
  if (entries.length === 1 && entries[0]!.candidate.literal && entries[0]!.problem === null) return false;
  for (const { dir, target } of scan.volumes.values()) {
    if (await Deno.readLink(`${dir}/..data`).catch(() => null) !== target) return true;
  }
  return entries.some(({ candidate, problem }) =>
    candidate.volume !== null && !candidate.literal && problem?.kind === "missing"
  );
}

/** A file that is mounted by itself into a volume's directory is no key of the volume: it is read where it is. */
async function findBeside(entries: readonly Entry[]): Promise<Entry[]> {
  const beside: Entry[] = [];
  for (const entry of entries) {
    if (entry.candidate.volume === null || entry.problem?.kind !== "missing") continue;
    const info = await Deno.lstat(entry.path).catch(() => null);
    if (info === null || info.isSymlink) continue;
    entry.candidate = { ...entry.candidate, readPath: entry.path, volume: null };
    beside.push(entry);
  }
  return beside;
}

/** Compares what was found with the look before and with what counted last. */
function judge(memory: Memory, { scan, entries }: Look): Judged {
  const errors = [...scan.errors];
  const skipped = [...scan.skipped];
  const differing: Entry[] = [];
  const scanErrors = errorsKey(scan);
  let moved = scanErrors !== memory.errorsBefore;
  for (const entry of entries) {
    const { candidate, problem, counted, stat } = entry;
    if (candidate.volume === null && hasMoved(entry)) moved = true;
    const wasContent = (counted?.digest ?? null) !== null;
    // What vanished between the listing and the read is as if it had not been listed.
    if (problem?.kind === "missing" && !candidate.literal) continue;
    if (problem !== null) {
      const state = fileError(entry.path, problem.error, problem.sizeBytes || (stat?.sizeBytes ?? 0));
      if (problem.kind === "skip" && !candidate.literal && !wasContent) {
        skipped.push(state);
        continue;
      }
      errors.push(state);
      if (counted?.error !== problem.error) differing.push(entry);
    } else if (counted?.digest !== entry.digest) differing.push(entry);
  }
  const gone: Entry[] = [];
  for (const entry of memory.entries.values()) {
    const absent = entry.lookNo !== memory.lookNo ||
      (entry.problem?.kind === "missing" && !entry.candidate.literal);
    if (!absent) continue;
    if ((entry.counted?.digest ?? null) !== null) gone.push(entry);
    if (entry.before !== null && entry.candidate.volume === null) moved = true;
  }
  const all = [...differing, ...gone];
  return {
    plainDiffers: scanErrors !== memory.errorsCounted || all.some((entry) => entry.candidate.volume === null),
    volumeDiffers: all.some((entry) => entry.candidate.volume !== null),
    moved,
    atStart: !memory.started,
    differing: all,
    gone,
    errors,
    skipped,
  };
}

function errorsKey(scan: Scan): string {
  return scan.errors.map((error) => `${error.path}: ${error.error}`).join("\n");
}

/** Sets this look's state aside for the next one, and forgets what neither counts nor is there. */
function finishLook(memory: Memory, scan: Scan): void {
  memory.errorsBefore = errorsKey(scan);
  if (memory.settling === null) memory.errorsCounted = memory.errorsBefore;
  for (const [path, entry] of memory.entries) {
    if (entry.lookNo === memory.lookNo) {
      const { stat, digest, problem } = entry;
      entry.before = { stat, digest, error: problem?.error ?? null };
    } else if (entry.counted === null) memory.entries.delete(path);
    else entry.before = null;
  }
}

/** At the start nothing tells how long the files have been quiet but their times. */
function isFresh(entries: readonly Entry[], wallMs: number, delayMs: number): boolean {
  return entries.some(({ candidate, stat }) =>
    candidate.volume === null && stat !== null && Math.abs(wallMs - stat.ctimeMs) < delayMs
  );
}

/** True where all of them are links into atomically swapped volumes elsewhere. */
async function areInVolumes(entries: readonly Entry[]): Promise<boolean> {
  if (entries.length > LINKS_MAX) return false;
  for (const { path, candidate, stat } of entries) {
    if (candidate.volume !== null) continue;
    if (stat === null) return false;
    const real = await Deno.realPath(path).catch(() => "");
    if (!/\/\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\./.test(real)) return false;
  }
  return true;
}

function countErrors(judged: Judged, entries: readonly Entry[]): Observation {
  const files: FileState[] = [...judged.errors];
  const told = new Set(files.map((file) => file.path));
  for (const entry of entries) {
    if (entry.problem !== null) {
      entry.counted = { digest: entry.counted?.digest ?? null, error: entry.problem.error };
    } else if (!told.has(entry.path)) {
      files.push({
        path: entry.path,
        digest: entry.digest,
        sizeBytes: entry.stat?.sizeBytes ?? 0,
        error: null,
      });
    }
  }
  return { kind: "unreadable", files: files.sort((a, b) => comparePaths(a.path, b.path)) };
}

async function countContent(
  memory: Memory,
  found: Look,
  judged: Judged,
  single: boolean,
): Promise<Observation> {
  const files: SnapshotFile[] = [];
  for (const { path, digest, stat, bytes, candidate } of found.entries) {
    if (digest === null || stat === null) continue;
    const { sizeBytes, mode } = stat;
    files.push({ path, digest, sizeBytes, mode, bytes, name: candidate.name, error: null });
  }
  const only = files[0];
  const digest = single && only !== undefined ? only.digest : await digestOfListing(files);
  const changedWallMs = memory.last !== null && memory.last.digest === digest
    ? memory.last.changedWallMs
    : await changeTime(memory, found, judged);
  memory.last = { digest, changedWallMs };
  for (const entry of found.entries) {
    entry.counted = entry.digest === null ? null : { digest: entry.digest, error: null };
  }
  for (const entry of judged.gone) memory.entries.delete(entry.path);
  memory.targets = new Map([...found.scan.volumes].map(([dir, { target }]) => [dir, target]));
  const snapshot: Snapshot = { digest, files, changedWallMs };
  return { kind: "content", snapshot, skipped: judged.skipped };
}

/**
 * When the content changed as the disk tells: the time of the swap for a volume (`..data` is made just before it), the
 * newest change time of the differing files, and that of directories whose names changed.
 */
async function changeTime(memory: Memory, { scan }: Look, { differing, gone }: Judged): Promise<number> {
  const times = [0];
  const dirs = new Set<string>();
  for (const entry of differing) {
    const { candidate, stat, path, before } = entry;
    if (candidate.volume !== null) continue;
    if (stat !== null && !gone.includes(entry)) times.push(stat.ctimeMs);
    if ((before === null || gone.includes(entry)) && dirs.size < CHANGED_DIRS_MAX) {
      dirs.add(path.slice(0, path.lastIndexOf("/")) || "/");
    }
  }
  for (const dir of dirs) times.push((await Deno.stat(dir).catch(() => null))?.mtime?.getTime() ?? 0);
  if (differing.some((entry) => entry.candidate.volume !== null)) {
    for (const { dir, target } of scan.volumes.values()) {
      if (memory.targets.get(dir) === target) continue;
      times.push((await Deno.lstat(`${dir}/..data`).catch(() => null))?.mtime?.getTime() ?? 0);
    }
  }
  return Math.max(...times);
}
