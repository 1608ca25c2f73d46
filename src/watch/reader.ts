/**
 * The snapshot reader: takes looks at the disk one after the other, as much of it as each needs, and says what they mean.
 * Must never throw, hang, or call half a change a change.
 */

import { momentOf } from "../clock.ts";
import { type Config, rendersOutput, usesBytes } from "../config.ts";
import type { Observation } from "../model.ts";
import type { Clock, SnapshotReader } from "../ports.ts";
import { messageOf } from "../text.ts";
import { createDisk } from "./disk.ts";
import { problem, problemAt } from "./file_stat.ts";
import { isLikelyChange, judgeLook, NOTHING_YET, type Reading } from "./judge.ts";
import { createSources, type SourceConfig } from "./listing.ts";
import { type LookOptions, takeLook } from "./look.ts";
import { createOwnMounts, type OwnMounts } from "./mounts.ts";
import type { Plan } from "./plan.ts";

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

/** The reader, with what the watcher needs of it. */
export interface WatchedReader extends SnapshotReader {
  /** Calls `take` with the plan of each look from now on, and with the last one where there is one. */
  onPlan(take: (plan: Plan) => void): void;
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
  const limits = {
    sizeBytesMax: config.maxFileSizeBytes,
    keepBytes: usesBytes(config),
    inPlace: rendersOutput(config),
  };
  const disk = createDisk(clock);
  const mounts = createOwnMounts(sources, disk);
  const always = { config, sources, limits, collect, clock, disk, mounts, pause: createPause(clock) };
  let reading = NOTHING_YET;
  let named: Set<string> | null = new Set();
  let takePlan: (plan: Plan) => void = () => {};
  let running: Promise<unknown> = Promise.resolve();

  const look = async (onLikelyChange: () => void): Promise<Observation> => {
    const before = reading;
    const context = { ...always, named, onLikelyChange };
    named = new Set();
    try {
      const [observation, next] = await readDisk(before, context);
      reading = next;
      if (next.last !== null && next.last !== before.last) takePlan(next.last.plan);
      return observation;
    } catch (error) {
      // A fault of this program, or of the disk that nobody thought of: an error state, never a dead loop.
      return {
        kind: "unreadable",
        files: [problemAt(sources[0]?.path ?? "", problem("failed", messageOf(error)))],
      };
    }
  };

  return {
    look: ({ signal, onLikelyChange = () => {} }) => {
      const looking = running.then(() => look(onLikelyChange));
      running = looking;
      return unlessAborted(looking, signal);
    },
    staleMounts: mounts.stale,
    onPlan: (take) => {
      takePlan = take;
      if (reading.last !== null) take(reading.last.plan);
    },
    noteEvent: (paths) => {
      if (paths.length === 0 || named === null || named.size > NAMED_MAX) named = null;
      else for (const path of paths) named.add(path);
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
interface ReadContext extends Pick<LookOptions, "sources" | "limits" | "collect" | "pause" | "disk"> {
  readonly config: ReaderConfig;
  readonly clock: Clock;
  readonly mounts: OwnMounts;
  /** Paths that events have named since the look before; null: there were too many, or some got lost. */
  readonly named: ReadonlySet<string> | null;
  readonly onLikelyChange: () => void;
}

/** Looks until something can be said: what that is, and what is remembered then. */
async function readDisk(reading: Reading, context: ReadContext): Promise<[Observation, Reading]> {
  const { config: { delayIntervalMs }, clock, mounts } = context;
  const { waiting } = reading;
  // Hints come with every event of a busy writer; until the date there is nothing to learn.
  if (waiting !== null && clock.nowMs() < waiting.settling.againAtMs - 1) return [waiting.told, reading];
  await mounts.begin();
  const onTimes: LookOptions["onTimes"] = (...found) => {
    if (isLikelyChange(reading, delayIntervalMs, ...found)) context.onLikelyChange();
  };
  let suspects = suspectsOf(reading, delayIntervalMs, context.named);
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const isComplete = suspects === null;
    const moment = momentOf(clock);
    const full = isComplete && moment.nowMs - reading.fullAtMs >= FULL_EVERY_MS;
    const look = await takeLook(reading.last, suspects, { ...context, ...moment, full, onTimes });
    suspects = null;
    if (look === "torn") continue;
    if ("replacedDir" in look) {
      const path = look.replacedDir;
      const message = await mounts.describeReplaced(path);
      return [{ kind: "replaced", path, message }, { ...reading, waiting: null }];
    }
    await mounts.check();
    const before = full ? { ...reading, fullAtMs: moment.nowMs } : reading;
    const [observation, next] = await judgeLook(before, look, { delayIntervalMs, clock, disk: context.disk });
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
