/**
 * The snapshot reader: takes looks at the disk one after the other, as much of it as each needs, and says what they mean.
 * Must never throw, hang, or call half a change a change.
 */

import { momentOf } from "../clock.ts";
import { type Config, usesBytes } from "../config.ts";
import type { Observation } from "../model.ts";
import type { Clock, SnapshotReader } from "../ports.ts";
import { messageOf } from "../text.ts";
import { compareLook } from "./comparison.ts";
import { createDiskTimeout } from "./disk.ts";
import { fileError } from "./file_stat.ts";
import { lookAgain, type LookOptions, takeLook } from "./look.ts";
import { createOwnMounts, type OwnMounts } from "./mounts.ts";
import { isLikelyChange, judgeLook, NOTHING_YET, type Reading } from "./observation.ts";
import type { Places } from "./plan.ts";
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
  const sources = createSources(config.configFiles, config.watchedDirs);
  const limits = { sizeBytesMax: config.maxFileSizeBytes, keepBytes: usesBytes(config) };
  const timeout = createDiskTimeout(clock);
  const mounts = createOwnMounts(sources, timeout);
  const always = { config, sources, limits, collect, clock, mounts, pause: createPause(clock) };
  let reading = NOTHING_YET;
  let events: Set<string> | null = new Set();
  let takePlaces: TakePlaces = () => {};
  let running: Promise<unknown> = Promise.resolve();

  const look = async (onLikelyChange: () => void): Promise<Observation> => {
    const before = reading;
    const named = events;
    events = new Set();
    try {
      const [observation, next] = await readDisk(before, { ...always, named, onLikelyChange });
      reading = next;
      if (next.last !== null && next.last !== before.last) takePlaces(next.last.places);
      return observation;
    } catch (error) {
      // A fault of this program, or of the disk that nobody thought of: an error state, never a dead loop.
      return { kind: "unreadable", files: [fileError(sources[0]?.path ?? "", messageOf(error))] };
    } finally {
      timeout.rest();
    }
  };

  return {
    look: ({ signal, onLikelyChange = () => {} }) => {
      const looking = running.then(() => look(onLikelyChange));
      running = looking;
      return unlessAborted(looking, signal);
    },
    staleMounts: mounts.stale,
    onPlaces: (take) => {
      takePlaces = take;
      if (reading.last !== null) take(reading.last.places);
    },
    noteEvent: (paths) => {
      if (paths.length === 0 || events === null || events.size > NAMED_MAX) events = null;
      else for (const path of paths) events.add(path);
    },
  };
}

/** When the sidecar ends, nobody waits for a disk, and there is no next look: a date would be kept by a busy loop. */
async function unlessAborted(looking: Promise<Observation>, signal: AbortSignal): Promise<Observation> {
  const { promise: aborted, resolve } = Promise.withResolvers<Observation>();
  const abort = () => resolve({ kind: "settling", againAtMs: Infinity });
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([looking, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** What is needed for a look beside what is remembered. */
interface ReadContext extends Pick<LookOptions, "sources" | "limits" | "collect" | "pause"> {
  readonly config: ReaderConfig;
  readonly clock: Clock;
  readonly mounts: OwnMounts;
  /** Paths that events have named since the look before; null: there were too many, or some got lost. */
  readonly named: ReadonlySet<string> | null;
  readonly onLikelyChange: () => void;
}

/** Looks until something can be said: what that is, and what is remembered then. */
async function readDisk(reading: Reading, context: ReadContext): Promise<[Observation, Reading]> {
  const { config, clock, mounts, onLikelyChange } = context;
  const { delayIntervalMs } = config;
  const { waiting } = reading;
  // Hints come with every event of a busy writer; until the date there is nothing to learn.
  if (waiting !== null && clock.nowMs() < waiting.settling.againAtMs - 1) return [waiting.told, reading];
  await mounts.begin();
  let told = false;
  const onTimes: LookOptions["onTimes"] = (...found) => {
    if (told || !isLikelyChange(reading, delayIntervalMs, clock.nowMs(), ...found)) return;
    told = true;
    onLikelyChange();
  };
  let suspects = suspectsOf(reading, delayIntervalMs, context.named);
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const isComplete = suspects === null;
    const moment = momentOf(clock);
    const full = isComplete && moment.nowMs - reading.fullAtMs >= FULL_EVERY_MS;
    const options = { ...context, ...moment, disk: mounts.disk(), full, onTimes };
    const look = suspects === null || reading.last === null
      ? await takeLook(reading.last, options)
      : await lookAgain(reading.last, suspects, options);
    suspects = null;
    if (look === "torn") continue;
    if ("replacedDir" in look) {
      const path = look.replacedDir;
      const message = await mounts.describeReplaced(path);
      return [{ kind: "replaced", path, message }, { ...reading, waiting: null }];
    }
    const comparison = compareLook(look, reading);
    await mounts.check();
    const before = full ? { ...reading, fullAtMs: moment.nowMs } : reading;
    const how = { delayIntervalMs, clock, disk: mounts.disk() };
    const [observation, next] = await judgeLook(before, look, comparison, how);
    // What counts is always seen by a complete look.
    if (isComplete || observation.kind === "settling") return [observation, next];
  }
  return [{ kind: "settling", againAtMs: clock.nowMs() + TORN_RETRY_MS }, reading];
}

/** What differs, or what events have named, is enough to see that something settles; null: everything is asked for. */
function suspectsOf(
  { waiting, last }: Reading,
  delayIntervalMs: ReaderConfig["delayIntervalMs"],
  named: ReadonlySet<string> | null,
): readonly string[] | null {
  if (waiting !== null) return waiting.settling.firstReadAtMs === null ? waiting.unsettled : null;
  if (delayIntervalMs === 0 || named === null || named.size === 0) return null;
  const paths = [...named];
  return paths.every((path) => last?.candidates.has(path)) ? paths : null;
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
