/**
 * The snapshot reader: takes looks at the disk one after the other, as much of it as each needs, and says what they mean.
 * Must never throw, hang, or call half a change a change.
 */

import { momentOf } from "../clock.ts";
import { type Config, usesBytes } from "../config.ts";
import type { Observation } from "../model.ts";
import type { Clock, SnapshotReader } from "../ports.ts";
import { messageOf } from "../text.ts";
import { createDiskTimeout, fileError } from "./disk.ts";
import { lookAgain, type LookOptions, type LookResult, takeLook } from "./look.ts";
import { createOwnMounts } from "./mounts.ts";
import { isLikelyChange, judgeLook, NOTHING_YET, type Reading } from "./observe.ts";
import type { Places } from "./plan.ts";
import { compareLook } from "./settle.ts";
import { createSources, type SourceConfig } from "./sources.ts";

/** A volume that is swapped while it is read is read again so often in one look. */
const TRIES_MAX = 5;
/** Pause after a look that never saw a volume stand still. */
const TORN_RETRY_MS = 20;
/** However little has changed by size and times, everything is listed and hashed once in so long a time. */
const FULL_EVERY_MS = 60_000;

/** Longest stretch on the calling thread before others get their turn. */
const SLICE_MS_MAX = 10;
/** So many files that events have named are asked for by themselves. */
const NAMED_MAX = 100;

/** What of the configuration the reader needs. */
export type ReaderConfig = SourceConfig & Pick<Config, "delayIntervalMs" | "maxFileSizeBytes" | "validate">;

/** Takes the plan of what is to be watched, after each look that found it. */
export type TakePlaces = (places: Places) => void;

/** The reader, with what the watcher needs of it. */
export interface WatchedReader extends SnapshotReader {
  /** Calls `take` with the plan of each look from now on, and with the last one where there is one. */
  onPlaces(take: TakePlaces): void;
  /** Takes the paths of an event; none where events got lost. */
  noteEvent(paths: readonly string[]): void;
}

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
      // When the sidecar ends, nobody waits for a disk, and there is no next look: a date would be kept by a busy loop.
      const { promise: aborted, resolve } = Promise.withResolvers<Observation>();
      const abort = () => resolve({ kind: "settling", againAtMs: Infinity });
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
    noteEvent: reader.noteEvent,
  };
}

function createReader(config: ReaderConfig, clock: Clock, collect: (work: number) => void) {
  const { delayIntervalMs } = config;
  const sources = createSources(config.configFiles, config.watchedDirs);
  const limits = { sizeBytesMax: config.maxFileSizeBytes, keepBytes: usesBytes(config) };
  const always = { config, sources, limits, collect, pause: createPause(clock) };
  const timeout = createDiskTimeout(clock);
  const mounts = createOwnMounts(sources, timeout);
  const named = createNamedFiles();
  let reading = NOTHING_YET;
  let fullAtMs = -Infinity;
  let takePlaces: TakePlaces = () => {};

  const lookOnce = (
    paths: readonly string[] | null,
    onTimes: LookOptions["onTimes"],
  ): Promise<LookResult> => {
    const moment = momentOf(clock);
    const full = paths === null && moment.nowMs - fullAtMs >= FULL_EVERY_MS;
    if (full) fullAtMs = moment.nowMs;
    const options = { ...always, ...moment, disk: mounts.disk(), full, onTimes };
    const { last } = reading;
    return paths === null || last === null ? takeLook(last, options) : lookAgain(last, paths, options);
  };

  const lookAll = async (onLikelyChange: () => void): Promise<Observation> => {
    const { settling, waiting } = reading;
    // Hints come with every event of a busy writer; until the date there is nothing to learn.
    if (settling !== null && waiting !== null && clock.nowMs() < settling.againAtMs - 1) return waiting;
    await mounts.begin();
    let told = false;
    const onTimes: LookOptions["onTimes"] = (...found) => {
      if (told || !isLikelyChange(reading, delayIntervalMs, clock.nowMs(), ...found)) return;
      told = true;
      onLikelyChange();
    };
    let suspects = suspectsOf(reading, delayIntervalMs, named.take());
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const look = await lookOnce(suspects, onTimes);
      const isComplete = suspects === null;
      suspects = null;
      if (look === "torn") continue;
      if ("replacedDir" in look) {
        reading = { ...reading, settling: null, waiting: null };
        const path = look.replacedDir;
        return { kind: "replaced", path, message: await mounts.describeReplaced(path) };
      }
      const comparison = compareLook(look, reading);
      await mounts.check();
      const how = { delayIntervalMs, clock, disk: mounts.disk() };
      const [observation, next] = await judgeLook(reading, look, comparison, how);
      // What counts is always seen by a complete look.
      if (!isComplete && observation.kind !== "settling") continue;
      reading = next;
      takePlaces(look.places);
      return observation;
    }
    return { kind: "settling", againAtMs: clock.nowMs() + TORN_RETRY_MS };
  };

  return {
    staleMounts: mounts.stale,
    onPlaces: (take: TakePlaces) => {
      takePlaces = take;
      if (reading.last !== null) take(reading.last.places);
    },
    noteEvent: (paths: readonly string[]) => named.note(paths, reading.last?.candidates ?? new Map()),
    look: (onLikelyChange: () => void): Promise<Observation> =>
      lookAll(onLikelyChange).catch((error) => {
        // A fault of this program, or of the disk that nobody thought of: an error state, never a dead loop.
        return { kind: "unreadable", files: [fileError(sources[0]?.path ?? "", messageOf(error))] } as const;
      }).finally(timeout.rest),
  };
}

/** Lets others have their turn where the last was too long ago: probes are answered on this very thread. */
function createPause(clock: Clock): () => Promise<void> {
  let untilMs = clock.nowMs() + SLICE_MS_MAX;
  return async () => {
    if (clock.nowMs() < untilMs) return;
    await clock.sleep(0);
    untilMs = clock.nowMs() + SLICE_MS_MAX;
  };
}

/** What differs, or what events have named, is enough to see that something settles; null: everything is asked for. */
function suspectsOf(
  { settling, unsettled }: Reading,
  delayIntervalMs: ReaderConfig["delayIntervalMs"],
  named: readonly string[] | null,
): readonly string[] | null {
  if (settling === null) return delayIntervalMs === 0 ? null : named;
  return settling.firstReadAtMs === null ? unsettled : null;
}

/** The files that events have named since the last look; `take` gives null where they have named anything else, or nothing. */
function createNamedFiles() {
  let files: Set<string> | null = new Set();
  return {
    note: (paths: readonly string[], known: ReadonlyMap<string, unknown>) => {
      const isKnown = paths.length > 0 && paths.every((path) => known.has(path));
      files = isKnown && files !== null && files.size < NAMED_MAX ? files.union(new Set(paths)) : null;
    },
    take: (): readonly string[] | null => {
      const taken = files === null || files.size === 0 ? null : [...files];
      files = new Set();
      return taken;
    },
  };
}
