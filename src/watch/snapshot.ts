/**
 * The snapshot reader: takes looks at the disk one after the other, lets changes settle and says what counts. Must never
 * throw, hang, or call half a change a change.
 */

import { type Config, usesBytes } from "../config.ts";
import type { Observation, StaleMount } from "../model.ts";
import type { Clock, SnapshotReader } from "../ports.ts";
import { createDiskTimeout, type Disk, fileError, orNull } from "./disk.ts";
import { type Look, type LookOptions, takeLook } from "./look.ts";
import { type MountView, readMounts, replacedMessage } from "./mounts.ts";
import {
  areInVolumes,
  compareLook,
  describeContent,
  describeErrors,
  describeSettling,
  type Earlier,
  isFresh,
} from "./observe.ts";
import type { Places } from "./places.ts";
import { AUTO_DELAY_MS, decideSettling, type Settling } from "./settle.ts";
import { createSources, type SourceConfig } from "./sources.ts";
import { messageOf } from "../text.ts";

/** A volume that is swapped while it is read is read again so often in one look. */
const TRIES_MAX = 5;
/** Pause after a look that never saw a volume stand still. */
const TORN_RETRY_MS = 20;
/** However little has changed by size and times, everything is listed and hashed once in so long a time. */
const FULL_EVERY_MS = 60_000;

/** What of the configuration the reader needs. */
export type ReaderConfig = SourceConfig & Pick<Config, "delayIntervalMs" | "maxFileSizeBytes" | "validate">;

/** Takes the plan of what is to be watched, after each look that found it. */
export type TakePlaces = (places: Places) => void;

/** The reader, with what the watcher needs of it. */
export interface WatchedReader extends SnapshotReader {
  /** Calls `take` with the plan of each look from now on, and with the last one where there is one. */
  onPlaces(take: TakePlaces): void;
}

/** All that is remembered from one look to the next. */
interface Reading extends Earlier {
  readonly settling: Settling | null;
  /** What was told while something settles: told again until it is time for another look. */
  readonly waiting: Observation | null;
}

const NOTHING_YET: Reading = { last: null, settled: null, content: null, settling: null, waiting: null };

/**
 * Makes the reader of what `config` names.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createKubeletVolume } from "../../tests/support/kubelet.ts";
 * import { createTestConfig } from "../../tests/support/config.ts";
 * import { createClock } from "../clock.ts";
 * import { digestOf } from "./digest.ts";
 * const dir = await Deno.makeTempDir();
 * createKubeletVolume(dir, { "app.yaml": "a: 1\n" });
 * const reader = createSnapshotReader(createTestConfig({ configFiles: [`${dir}/app.yaml`] }), createClock());
 * const found = await reader.look({ signal: new AbortController().signal });
 * assert.ok(found.kind === "content");
 * assert.equal(found.snapshot.digest, await digestOf(new TextEncoder().encode("a: 1\n")));
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export function createSnapshotReader(
  config: ReaderConfig,
  clock: Clock,
  collect: (work: number) => void = () => {},
): WatchedReader {
  const reader = createReader(config, clock, collect);
  let running: Promise<unknown> = Promise.resolve();
  return {
    look: async ({ signal, onLikelyChange }) => {
      const looking = running.then(() => reader.look(onLikelyChange ?? (() => {})));
      running = looking;
      // When the sidecar ends, nobody waits for a disk.
      const { promise: aborted, resolve } = Promise.withResolvers<Observation>();
      const abort = () => resolve({ kind: "settling", againAtMs: clock.nowMs() });
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort, { once: true });
      try {
        return await Promise.race([looking, aborted]);
      } finally {
        signal.removeEventListener("abort", abort);
      }
    },
    staleMounts: reader.staleMounts,
    onPlaces: reader.onPlaces,
  };
}

/** Before anything is hashed: will this look, as far as links and times tell, decide about a change? */
function isLikelyChange(
  { settling, content }: Reading,
  delayIntervalMs: ReaderConfig["delayIntervalMs"],
  nowMs: number,
  volumes: Look["volumes"],
  plainMoved: boolean,
): boolean {
  if (content === null) return false;
  if (settling !== null) {
    const { firstReadAtMs, againAtMs } = settling;
    return firstReadAtMs !== null && nowMs >= againAtMs - 1 && !plainMoved;
  }
  const isSwapped = volumes.values().some(({ dir, target }) =>
    content.look.volumes.get(dir)?.target !== target
  );
  return delayIntervalMs === "auto" && isSwapped || plainMoved && delayIntervalMs === 0;
}

/** What a look means after those before it, and what is remembered then. */
async function judgeLook(
  reading: Reading,
  look: Look,
  delayIntervalMs: ReaderConfig["delayIntervalMs"],
  clock: Clock,
  disk: Disk,
): Promise<[Observation, Reading]> {
  const comparison = compareLook(look, reading);
  const isAuto = delayIntervalMs === "auto";
  const delayMs = isAuto ? AUTO_DELAY_MS : delayIntervalMs;
  const isQuiet = reading.settled === null && !isFresh(look, clock.wallMs(), delayMs);
  let settling = decideSettling(reading.settling, {
    nowMs: clock.nowMs(),
    delayMs: isQuiet ? 0 : delayMs,
    differs: comparison.plainDiffers || (!isAuto && comparison.volumeDiffers),
    sameAsBefore: !comparison.moved,
    stable: look.files.values().every((file) => file.stable),
    atomic: !comparison.plainDiffers,
  });
  if (settling !== null && isAuto && await areInVolumes(comparison, disk)) settling = null;
  if (settling !== null) {
    const waiting = await describeSettling(look, comparison, settling.againAtMs);
    return [waiting, { ...reading, last: look, settling, waiting }];
  }
  const counted = { last: look, settled: look, settling: null, waiting: null };
  if (comparison.errors.length > 0) return [describeErrors(look, comparison), { ...reading, ...counted }];
  const snapshot = await describeContent(look, comparison, reading.content, disk);
  const observation: Observation = { kind: "content", snapshot, skipped: comparison.skipped };
  return [observation, { ...counted, content: { look, snapshot } }];
}

function createReader(config: ReaderConfig, clock: Clock, collect: (work: number) => void) {
  const sources = createSources(config.configFiles, config.watchedDirs);
  const limits = { sizeBytesMax: config.maxFileSizeBytes, keepBytes: usesBytes(config) };
  const timeout = createDiskTimeout(clock);
  let reading = NOTHING_YET;
  let mounts: MountView | null = null;
  let fullAtMs = -Infinity;
  let takePlaces: TakePlaces = () => {};

  const diskNow = () => timeout.on(mounts?.local ?? false);
  const refreshMounts = async () => {
    const asked = diskNow().ask("/proc/self/mountinfo", () => readMounts(sources, mounts));
    mounts = await orNull(asked) ?? mounts;
  };

  const optionsNow = (onTimes: LookOptions["onTimes"]): LookOptions => {
    const [nowMs, wallMs] = [clock.nowMs(), clock.wallMs()];
    const full = nowMs - fullAtMs >= FULL_EVERY_MS;
    if (full) fullAtMs = nowMs;
    const pause = () => clock.sleep(0);
    return { config, sources, disk: diskNow(), limits, nowMs, wallMs, full, collect, pause, onTimes };
  };

  const observeReplaced = async (path: string): Promise<Observation> => {
    reading = { ...reading, settling: null, waiting: null };
    await refreshMounts();
    const known = mounts?.stale.find((stale) => path === stale.mountPoint);
    return { kind: "replaced", path, message: known?.message ?? replacedMessage(path) };
  };

  const observe = async (look: Look): Promise<Observation> => {
    // A file that is mounted by itself may be moved or replaced where it came from: only the mount tells.
    const isUnlinked = () => look.files.values().some(({ stat }) => stat?.nlink === 0);
    if (mounts?.stale.length === 0 && (mounts.fileMounts.length > 0 || isUnlinked())) await refreshMounts();
    const [observation, next] = await judgeLook(reading, look, config.delayIntervalMs, clock, diskNow());
    reading = next;
    return observation;
  };

  const lookAll = async (onLikelyChange: () => void): Promise<Observation> => {
    const { settling, waiting } = reading;
    // Hints come with every event of a busy writer; until the date there is nothing to learn.
    if (settling !== null && waiting !== null && clock.nowMs() < settling.againAtMs - 1) return waiting;
    if (mounts === null) await refreshMounts();
    let told = false;
    const onTimes: LookOptions["onTimes"] = (...found) => {
      if (told || !isLikelyChange(reading, config.delayIntervalMs, clock.nowMs(), ...found)) return;
      told = true;
      onLikelyChange();
    };
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const found = await takeLook(reading.last, optionsNow(onTimes));
      if (found === "torn") continue;
      if ("replacedDir" in found) return await observeReplaced(found.replacedDir);
      const observation = await observe(found);
      takePlaces(found.places);
      return observation;
    }
    return { kind: "settling", againAtMs: clock.nowMs() + TORN_RETRY_MS };
  };

  return {
    staleMounts: (): readonly StaleMount[] => mounts?.stale ?? [],
    onPlaces: (take: TakePlaces) => {
      takePlaces = take;
      if (reading.last !== null) take(reading.last.places);
    },
    look: async (onLikelyChange: () => void): Promise<Observation> => {
      try {
        return await lookAll(onLikelyChange);
      } catch (error) {
        // A fault of this program, or of the disk that nobody thought of: an error state, never a dead loop.
        const text = messageOf(error);
        return { kind: "unreadable", files: [fileError(sources[0]?.path ?? "", text)] };
      } finally {
        timeout.rest();
      }
    },
  };
}
