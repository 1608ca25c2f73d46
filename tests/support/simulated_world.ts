/**
 * A disk and an application for simulations, on a fake clock: content that comes, goes and flaps; an app that is
 * honest, slow, lying, dying, hanging, restarting or rolling back. It knows the truth, so that a checker can hold
 * against it what the sidecar believes.
 */

import type { Observation, Resolution, Status, StatusReading, Target } from "../../src/model.ts";
import type {
  Clock,
  HttpTrigger,
  Prepare,
  SnapshotReader,
  StatusProbe,
  TargetPort,
} from "../../src/ports.ts";
import type { SeededRandom } from "./random.ts";
import { prometheus } from "./status.ts";

/** How the app behaves; every field is independent of the others. */
export interface AppTraits {
  /** Longest time from signal to the end of its reload. */
  readonly reloadMsMax: number;
  /** Its counter never moves, whatever it does. */
  readonly lies: boolean;
  /** Dies of the signal this often, in [0, 1]. */
  readonly diesOfSignal: number;
  /** Ends within 3 s of a content that it rejects this often: some do not go on with what they ran. */
  readonly diesOfRejecting: number;
  /** A request has no answer this often, be it on the way there or back. */
  readonly losesAnswers: number;
  /** Takes a good reload back after a moment this often. */
  readonly rollsBack: number;
  /** The status URL hangs for a while this often. */
  readonly hangs: number;
  /** Restarts by itself this often per event. */
  readonly restarts: number;
  /** How it is told: by a signal, a request, or not at all, since it watches by itself. */
  readonly trigger: "signal" | "http" | "none";
  /** How it tells of its reloads; `seconds`: Prometheus with whole seconds, `json`: a token that is new with each reload. */
  readonly format: "amp" | "prometheus" | "seconds" | "json";
  /** It reads what the sidecar has rendered, and not what is on disk. */
  readonly readsOutput: boolean;
  /** Longest time in which a file is being written, and is no content; 0 for swapped volumes. */
  readonly settleMsMax: number;
}

export interface World {
  readonly reader: SnapshotReader;
  readonly target: TargetPort;
  readonly probe: StatusProbe;
  readonly httpTrigger: HttpTrigger;
  readonly prepare: Prepare;
  /**
   * Publishes content; null removes it. Content starting with `bad` is rejected by the app, with `invalid` by the check
   * before it.
   */
  write(content: string | null): void;
  /** Ends the app; it is back after `downMs` and reads what is on disk then. */
  restartApp(downMs: number): void;
  /** For so long nobody may be signalled, and that does not pass by itself. */
  forbidTarget(ms: number): void;
  /** From now on the app behaves well. */
  heal(): void;
  disk(): string | null;
  /** When the content came to the disk. */
  changedAtMs(): number;
  /** What the app runs; null while it is down. */
  runs(): string | null;
  attempts(): number;
  /**
   * It was started while there was no content, nobody may look at its process, and its counter is 0 as that of an app that
   * has loaded nothing since it read the content at its start: nobody can tell them apart.
   */
  isBlank(): boolean;
  /**
   * Nobody triggered it, and what the app says cannot tell whether it loaded before the last change or after it: a time in
   * whole seconds in the second of the change, or a token that moved between two looks, `pollMs` apart, as did the disk.
   */
  isUntold(pollMs: number): boolean;
  /** Every signal that reached a process, with the disk's content at that moment. */
  readonly signals: { readonly atMs: number; readonly content: string | null; readonly starts: number }[];
  starts(): number;
  /** From the last signal to the end of the process that ended last. */
  diedAfterMs(): number;
  /** When the process of this start ended; Infinity while it lives. */
  endOf(start: number): number;
}

/** Makes a world whose app has read the first content at its start. */
export function createWorld(clock: Clock, random: SeededRandom, traits: AppTraits, first: string): World {
  let content: string | null = first;
  let changedWallMs = clock.wallMs() - 60_000;
  let changedAtMs = clock.nowMs() - 60_000;
  let lastDigest: string | null = null;
  let healed = false;
  let downUntilMs = 0;
  let pid = 7;
  let startedAtMs = clock.nowMs() - 50_000;
  let diedAtMs = -Infinity;
  const ends = new Map<number, number>();
  let handlesFromMs = startedAtMs;
  let starts = 1;
  let runs: string | null = first;
  let attempts = 0;
  let status = "initial";
  let hangsUntilMs = 0;
  let forbiddenUntilMs = 0;
  let settledAtMs = 0;
  let reloadedWallMs: number | null = null;
  let successWallMs = clock.wallMs() - 50_000;
  let output: string | null = traits.readsOutput ? null : first;
  let outputWallMs = -Infinity;
  let outputAtMs = -Infinity;
  const signals: { atMs: number; content: string | null; starts: number }[] = [];
  const is = (p: number) => !healed && random.chance(p);

  const up = () => runs !== null && clock.nowMs() >= downUntilMs;
  /** What the app finds where it reads. */
  const readable = () => traits.readsOutput ? output : content;

  function start(): void {
    starts++;
    pid++;
    startedAtMs = clock.nowMs();
    handlesFromMs = startedAtMs + random.int(0, 300);
    attempts = 0;
    status = "initial";
    reloadedWallMs = null;
    successWallMs = clock.wallMs();
    runs = readable() ?? "built-in";
    // An app cannot start with a configuration it rejects: it ends, and is started again.
    if (runs.startsWith("bad")) restartApp(random.int(500, 2_000));
  }

  function restartApp(downMs: number): void {
    if (runs !== null) ends.set(starts, diedAtMs = clock.nowMs());
    runs = null;
    const untilMs = downUntilMs = clock.nowMs() + downMs;
    clock.sleep(downMs).then(() => {
      // Ended once more while it was down, it starts at the later end alone.
      if (runs === null && untilMs === downUntilMs) start();
    });
  }

  async function reloadApp(): Promise<void> {
    const generation = starts;
    await clock.sleep(random.int(0, healed ? 50 : traits.reloadMsMax));
    if (generation !== starts || runs === null) return;
    if (!traits.lies || healed) {
      attempts++;
      reloadedWallMs = clock.wallMs();
    }
    const next = readable();
    if (next === null || /^(bad|invalid)/.test(next)) {
      status = "validation_failed";
      // Nothing is drawn where it never does, so that the seeds that are kept show what they showed.
      if (traits.diesOfRejecting === 0 || !is(traits.diesOfRejecting)) return;
      await clock.sleep(random.int(0, 3_000));
      if (generation === starts && runs !== null) restartApp(random.int(200, 4_000));
      return;
    }
    const before = runs;
    status = runs === next ? "no_changes" : "success";
    runs = next;
    if (!traits.lies || healed) successWallMs = clock.wallMs();
    if (is(traits.rollsBack)) {
      // The second look at a success comes after 100 ms: what rolls back later is not seen.
      await clock.sleep(random.int(1, 95));
      if (generation !== starts || runs === null) return;
      status = "rolled_back";
      runs = before;
    }
  }

  /** An app that watches by itself finds out. */
  function notice(): void {
    if (traits.trigger === "none" && up()) reloadApp();
  }

  const targetNow = (): Target => ({
    pid,
    startTicks: Math.floor(startedAtMs / 10),
    comm: "app",
    name: "app",
    uid: 65532,
    startedAtMs,
    reason: "the only application container in the pod",
    handled: clock.nowMs() >= handlesFromMs,
  });
  const isAlive = (target: Target) =>
    up() && target.pid === pid && target.startTicks === Math.floor(startedAtMs / 10);

  const target: TargetPort = {
    resolve(): Resolution {
      if (clock.nowMs() < forbiddenUntilMs) {
        return { kind: "none", code: "ambiguous", message: "2 processes match" };
      }
      if (!up()) return { kind: "none", code: "not-there", message: "no application process" };
      const found = targetNow();
      return found.handled
        ? { kind: "target", target: found }
        : { kind: "starting", target: found, message: "starting" };
    },
    isAlive,
    send(to) {
      if (!isAlive(to)) return { kind: "not-sent", code: "not-there", message: "the process is gone" };
      signals.push({ atMs: clock.nowMs(), content, starts });
      if (is(traits.diesOfSignal)) {
        clock.sleep(random.int(0, 100)).then(() => restartApp(random.int(200, 4_000)));
      } else reloadApp();
      return { kind: "sent", atMs: clock.nowMs(), wallMs: clock.wallMs() };
    },
    staleMounts: () => ({ stale: [], blind: false }),
    preflight: () => ({
      ok: up(),
      message: up() ? `PID ${pid}` : "no application process",
      code: up() ? "ready" : "not-there",
      pid: up() ? pid : null,
      name: "app",
      uid: 65532,
      handled: true,
      permitted: true,
    }),
  };

  const probe: StatusProbe = {
    async read(signal, timeoutMs = Infinity): Promise<StatusReading> {
      if (is(traits.hangs)) hangsUntilMs = clock.nowMs() + random.int(100, 8_000);
      await clock.sleep(random.int(0, 3), signal);
      if (clock.nowMs() < hangsUntilMs) {
        const silentMs = Math.min(timeoutMs, 5_000);
        await clock.sleep(silentMs, signal);
        return { kind: "error", reason: `timed out after ${silentMs / 1_000}s` };
      }
      if (signal.aborted) return { kind: "error", reason: "aborted" };
      if (!up()) return { kind: "error", reason: "connection refused" };
      return { kind: "status", status: tell() };
    },
  };

  function tell(): Status {
    // An app that lies must not tell by this flag either: that it went from 0 to 1 would be a proof.
    const liesOfFlag = traits.lies && !healed && traits.trigger !== "none" && traits.format !== "amp";
    const healthy = liesOfFlag || !/failed|rolled/.test(status);
    switch (traits.format) {
      case "amp":
        return {
          format: "amp",
          status,
          attempts,
          splitState: false,
          restartRequired: [],
          // Only an app that is not triggered is believed by its time.
          lastReloadWallMs: traits.trigger === "none" ? reloadedWallMs : null,
        };
      case "prometheus":
        return prometheus(healthy, successWallMs);
      case "seconds": {
        const seconds = Math.floor(successWallMs / 1_000) * 1_000;
        return prometheus(healthy, seconds);
      }
      case "json":
        return { format: "json", ok: healthy, token: `${starts}.${attempts}` };
    }
  }

  const httpTrigger: HttpTrigger = async (signal) => {
    const [atMs, wallMs] = [clock.nowMs(), clock.wallMs()];
    if (!up()) return { kind: "not-sent", code: "trigger-failed", message: "connection refused" };
    // Nothing is drawn where none is ever lost, so that the seeds that are kept show what they showed.
    const isLost = traits.losesAnswers > 0 && is(traits.losesAnswers);
    const hasArrived = !isLost || random.chance(0.7);
    const waitMs = isLost ? random.int(0, 5_000) : 0;
    if (hasArrived) {
      signals.push({ atMs, content, starts });
      if (readable()?.startsWith("bad")) {
        if (!traits.lies || healed) attempts++;
        status = "validation_failed";
        if (!isLost) return { kind: "not-sent", code: "trigger-refused", message: "HTTP 500", atMs };
      } else reloadApp();
    }
    if (!isLost) return { kind: "sent", atMs, wallMs };
    await clock.sleep(waitMs, signal);
    return { kind: "sent", atMs, wallMs, unanswered: "Cannot POST: timed out after 5s" };
  };

  const render: Prepare = async (snapshot, signal) => {
    await clock.sleep(random.int(0, 30), signal);
    if (snapshot.digest.startsWith("invalid")) return { kind: "invalid", reason: "the check says no" };
    const written = output !== snapshot.digest;
    if (written) [outputWallMs, outputAtMs] = [clock.wallMs(), clock.nowMs()];
    output = snapshot.digest;
    if (written) notice();
    return { kind: "ok", output: { wallMs: outputWallMs, atMs: outputAtMs } };
  };

  const prepare: Prepare = (snapshot, signal) =>
    traits.readsOutput ? render(snapshot, signal) : Promise.resolve({ kind: "ok" });

  const reader: SnapshotReader = {
    async look({ onLikelyChange, signal }): Promise<Observation> {
      if (clock.nowMs() < settledAtMs) return { kind: "settling", againAtMs: settledAtMs };
      const [seen, seenWallMs] = [content, changedWallMs];
      if (seen !== null && seen !== lastDigest) onLikelyChange?.();
      await clock.sleep(random.int(0, 2), signal);
      if (seen === null) {
        return {
          kind: "unreadable",
          files: [{ path: "/c", digest: null, sizeBytes: 0, error: "/c is missing" }],
        };
      }
      lastDigest = seen;
      return {
        kind: "content",
        snapshot: { digest: seen, files: [], changedWallMs: seenWallMs },
        skipped: [],
      };
    },
    staleMounts: () => [],
  };

  return {
    reader,
    target,
    probe,
    httpTrigger,
    prepare,
    write(next) {
      const isChange = next !== content;
      if (isChange) {
        changedWallMs = clock.wallMs();
        changedAtMs = clock.nowMs();
        if (traits.settleMsMax > 0) settledAtMs = clock.nowMs() + random.int(0, traits.settleMsMax);
      }
      content = next;
      if (isChange && !traits.readsOutput) notice();
    },
    restartApp,
    forbidTarget: (ms) => forbiddenUntilMs = clock.nowMs() + ms,
    heal() {
      healed = true;
      hangsUntilMs = forbiddenUntilMs = 0;
    },
    disk: () => content,
    changedAtMs: () => changedAtMs,
    runs: () => up() ? runs : null,
    attempts: () => attempts,
    isBlank: () =>
      traits.trigger !== "signal" && runs === "built-in" && traits.format === "amp" && attempts === 0,
    isUntold(pollMs) {
      if (traits.trigger !== "none") return false;
      const second = (wallMs: number) => Math.floor(wallMs / 1_000);
      const changes = [changedWallMs, outputWallMs];
      if (traits.format === "seconds") {
        return changes.some((wallMs) => second(wallMs) === second(successWallMs));
      }
      const sinceMs = changes.map((wallMs) => (reloadedWallMs ?? -Infinity) - wallMs);
      return traits.format === "json" && sinceMs.some((ms) => ms >= 0 && ms <= pollMs);
    },
    signals,
    starts: () => starts,
    endOf: (start) => ends.get(start) ?? Infinity,
    diedAfterMs: () => diedAtMs - (signals.findLast(({ atMs }) => atMs <= diedAtMs)?.atMs ?? -Infinity),
  };
}
