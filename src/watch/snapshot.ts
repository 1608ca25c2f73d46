/**
 * The snapshot reader: looks at the disk (`look.ts`), compares (`compare.ts`), lets changes settle (`settle.ts`) and says
 * what counts (`content.ts`). Must never throw, hang, or call half a change a change.
 */

import { type Config, usesBytes } from "../config.ts";
import type { Observation, StaleMount } from "../model.ts";
import type { Clock, SnapshotReader } from "../ports.ts";
import { areInVolumes, compareLook, isFresh, type Look } from "./compare.ts";
import { countContent, countErrors, describeSettling } from "./content.ts";
import { closeLook, createMemory, entriesToClose, type Memory } from "./entries.ts";
import { createGuard } from "./guard.ts";
import type { ListingMemory } from "./listings.ts";
import { lookOnce, type LookOptions } from "./look.ts";
import { OWN_PREFIX } from "./own_files.ts";
import { baseName } from "../paths.ts";
import { fileError } from "./read_file.ts";
import { createSources, type Scan } from "./scan.ts";
import { AUTO_DELAY_MS, decideSettling } from "./settle.ts";
import { type MountView, readMounts, replacedMessage } from "./stale.ts";
import { createStill } from "./still.ts";
import type { VolumeMemory } from "./volumes.ts";

/** A volume that is swapped while it is read is read again so often in one look. */
const TRIES_MAX = 5;
/** Pause after a look that never saw a volume stand still. */
const TORN_RETRY_MS = 20;
/** However little has changed by size and times, everything is hashed at each so-many-th look; a quiet one counts more. */
const FULL_EVERY_LOOKS = 60;
const QUIET_COUNTS = 5;

const NO_MOUNTS: readonly StaleMount[] = [];

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

/**
 * Makes the reader of what `config` names.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createKubeletVolume } from "../../tests/support/kubelet.ts";
 * import { createTestConfig } from "../../tests/support/config.ts";
 * import { createClock } from "../clock.ts";
 * import { digestOf } from "./read_file.ts";
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
): SnapshotReader & { close(): void; isUnswapped(): Promise<boolean> } {
  const reader = createReader(config, clock);
  let running: Promise<unknown> = Promise.resolve();
  /** The callers that wait, and the signals that are listened to: mostly one, the same each time. */
  const waiting = new Map<(observation: Observation) => void, AbortSignal>();
  const listened = new WeakSet<AbortSignal>();
  // When the sidecar ends, nobody waits for a disk.
  const abort = (signal: AbortSignal) => {
    for (const [resolve, own] of waiting) {
      if (own === signal) resolve({ kind: "settling", againAtMs: clock.nowMs() });
    }
  };
  return {
    look: (wish) => {
      const { signal } = wish;
      const same = wish.quiet && waiting.size === 0 && !signal.aborted ? reader.again() : null;
      if (same !== null) return Promise.resolve(same);
      return new Promise((resolve) => {
        waiting.set(resolve, signal);
        if (signal.aborted) abort(signal);
        else if (!listened.has(signal)) {
          listened.add(signal);
          signal.addEventListener("abort", () => abort(signal), { once: true });
        }
        running = running.then(async () => {
          resolve(await reader.look(wish));
          waiting.delete(resolve);
        });
      });
    },
    isUnswapped: reader.isUnswapped,
    staleMounts: () => reader.mounts()?.stale ?? NO_MOUNTS,
    close: reader.close,
  };
}

type LookWish = Parameters<SnapshotReader["look"]>[0];

function createReader(config: ReaderConfig, clock: Clock) {
  const sources = createSources(config.configFiles, config.watchedDirs);
  // No glob, or a file that is called just like one.
  const isSingle = ({ entries }: Look) =>
    sources.length === 1 && config.configFiles.length === 1 && entries.length === 1 &&
    entries[0]!.candidate.literal;
  const isAuto = config.delayIntervalMs === "auto";
  const delayMs = config.delayIntervalMs === "auto" ? AUTO_DELAY_MS : config.delayIntervalMs;
  const memory = createMemory();
  const volumes: VolumeMemory = { known: new Map(), homes: new Map() };
  const listings: ListingMemory<Scan["candidates"]> = { last: null, counts: new Map() };
  const guard = createGuard(clock);
  const still = createStill(guard);
  const isOwn = createOwnCheck(config);
  const limits = {
    sizeBytesMax: config.maxFileSizeBytes,
    keepBytes: usesBytes(config),
  };
  let mounts: MountView | null = null;
  let sinceFull = 0;

  const refreshMounts = async () => {
    mounts = await guard.run("/proc/self/mountinfo", () => readMounts(sources, mounts)) ?? mounts;
  };

  const optionsNow = ({ quiet = false }: LookWish): LookOptions => {
    const [nowMs, wallMs, local] = [clock.nowMs(), clock.wallMs(), mounts?.local ?? false];
    sinceFull += quiet ? QUIET_COUNTS : 1;
    const full = sinceFull >= FULL_EVERY_LOOKS;
    if (full) sinceFull = 0;
    const reuse = local ? { memory: listings, wallMs, full, brief: memory.settling !== null } : null;
    return {
      sources,
      scan: { guard, memory: volumes, nowMs, local, reuse, isOwn },
      read: { guard, limits, nowMs, wallMs, full, local, pause: () => clock.sleep(0) },
      swapsAreFinal: isAuto,
      delayMs,
    };
  };

  const observeReplaced = async (path: string): Promise<Observation> => {
    memory.settling = null;
    await refreshMounts();
    const known = mounts?.stale.find((stale) => path === stale.mountPoint);
    return { kind: "replaced", path, message: known?.message ?? replacedMessage(path) };
  };

  const observe = async (look: Look): Promise<Observation> => {
    const comparison = compareLook(memory, look);
    // A file that is mounted by itself may be moved or replaced where it came from: only the mount tells.
    if (
      mounts?.stale.length === 0 &&
      (mounts.fileMounts.length > 0 || look.entries.some((entry) => entry.stat?.nlink === 0))
    ) {
      await refreshMounts();
    }
    const isQuiet = !memory.started && !isFresh(look.entries, clock.wallMs(), delayMs);
    memory.settling = decideSettling(memory.settling, {
      nowMs: clock.nowMs(),
      delayMs: isQuiet ? 0 : delayMs,
      differs: comparison.plainDiffers || (!isAuto && comparison.volumeDiffers),
      sameAsBefore: !comparison.moved,
      stable: look.entries.every((entry) => entry.stable),
      atomic: !comparison.plainDiffers,
    });
    if (memory.settling !== null && isAuto && await areInVolumes(comparison)) memory.settling = null;
    const observation: Observation = memory.settling !== null
      ? await describeSettling(look, comparison, memory.settling.againAtMs, isSingle(look))
      : comparison.errors.length > 0
      ? countErrors(look, comparison)
      : await countContent(memory, look, comparison, isSingle(look));
    memory.waiting = observation.kind === "settling" ? observation : null;
    closeLook(memory, entriesToClose(memory, look), comparison.scanErrors);
    for (const entry of look.entries) entry.bytes = null;
    return observation;
  };

  const lookAll = async (tell: () => void, wish: LookWish): Promise<Observation> => {
    const { settling } = memory;
    // Hints come with every event of a busy writer; until the date there is nothing to learn.
    if (settling !== null && clock.nowMs() < settling.againAtMs - 1) {
      return memory.waiting ?? { kind: "settling", againAtMs: settling.againAtMs };
    }
    if (mounts === null) await refreshMounts();
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const found = await lookOnce(memory, optionsNow(wish), tell);
      if (found === "torn") continue;
      return "replacedDir" in found ? await observeReplaced(found.replacedDir) : await observe(found);
    }
    return { kind: "settling", againAtMs: clock.nowMs() + TORN_RETRY_MS };
  };

  return {
    mounts: () => mounts,
    isUnswapped: () => isUnswapped(memory, mounts?.local ?? false),
    again: () => mounts?.local ? still.again(memory) : null,
    close: still.close,
    look: async (wish: LookWish): Promise<Observation> => {
      const before = memory.last;
      let told = false;
      const tell = () => {
        if (!told) wish.onLikelyChange?.();
        told = true;
      };
      try {
        const found = await lookAll(tell, wish);
        const isKept = wish.quiet && !limits.keepBytes && memory.last?.digest === before?.digest;
        if (isKept && mounts?.local) await still.keep(memory, memory.sorted, found);
        return found;
      } catch (error) {
        // A fault of this program, or of the disk that nobody thought of: an error state, never a dead loop.
        const text = error instanceof Error ? error.message : String(error);
        return { kind: "unreadable", files: [fileError(sources[0]?.path ?? "", text)] };
      } finally {
        guard.rest();
      }
    },
  };
}

/** The links are read on the calling thread where no network is behind them: just touched, 5 µs instead of 60. */
async function isUnswapped(memory: Memory, local: boolean): Promise<boolean> {
  const { entries, last, settling, targets } = memory;
  if (last === null || settling !== null || memory.errorsCounted !== "" || targets.size === 0) return false;
  for (const { candidate, counted, digest, problem } of entries.values()) {
    if (candidate.volume === null || problem !== null || counted?.digest !== digest) return false;
  }
  try {
    for (const [dir, target] of targets) {
      const link = `${dir}/..data`;
      if ((local ? Deno.readLinkSync(link) : await Deno.readLink(link)) !== target) return false;
    }
    return true;
  } catch {
    return false;
  }
}

function createOwnCheck(config: ReaderConfig): (path: string) => boolean {
  const { configEnvsubstFile, outputDir } = config;
  if (configEnvsubstFile === null && outputDir === null) return () => false;
  return (path) =>
    path === configEnvsubstFile || path === outputDir ||
    (outputDir !== null && path.startsWith(`${outputDir}/`)) ||
    baseName(path).startsWith(OWN_PREFIX);
}
