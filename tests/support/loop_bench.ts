/**
 * The real loop on a fake clock between a disk, an app and triggers that a test sets by hand: for what happens where two
 * features meet. The simulation tries what nobody thinks of; this shows one case.
 */

import type { Config } from "../../src/config.ts";
import type { Observation, Resolution, StatusReading, Target, TriggerResult } from "../../src/model.ts";
import type { PrepareResult } from "../../src/ports.ts";
import { createRecorder } from "../../src/loop/recorder.ts";
import { createReloader } from "../../src/loop/reloader.ts";
import { createTargetWatch } from "../../src/loop/target_watch.ts";
import { createTestConfig } from "./config.ts";
import { createFakeClock } from "./fake_clock.ts";
import { amp } from "./status.ts";

/** An answer of an AMP that has counted `attempts`. */
export function ampStatus(attempts: number, status = "success"): StatusReading {
  return { kind: "status", status: amp({ attempts, status }) };
}

/** Makes the bench; its fields may be changed at any time, `start` begins the loop. */
export function createLoopBench(settings: Partial<Config> = {}) {
  const clock = createFakeClock();
  const config = createTestConfig(settings);
  const log: string[] = [];
  const [stopping, aborted] = [new AbortController(), new AbortController()];
  const bench = {
    clock,
    log,
    /** What the next look finds; see `hold`. */
    disk: contentOf("a", clock.wallMs() - 60_000) as Observation,
    target: targetOf(clock.wallMs() - 120_000) as Target | null,
    /** The disk holds swapped volumes alone, and none has been swapped since the last look. */
    unswapped: false,
    /** How often the app was asked. */
    reads: 0,
    /** In place of `target`. */
    resolution: null as Resolution | null,
    reading: ampStatus(1) as StatusReading,
    /** What a signal or a request does; by default the app counts a good reload. */
    onTrigger: () => {
      if (bench.reading.kind === "status" && bench.reading.status.format === "amp") {
        bench.reading = ampStatus(bench.reading.status.attempts + 1);
      }
    },
    /** Answer to the request of `--trigger http`; null: it succeeds. */
    refused: null as TriggerResult | null,
    prepare: (): Promise<PrepareResult> => Promise.resolve({ kind: "ok", written: false }),
    random: 0,
    /** Monotonic times of signals and requests. */
    triggers: [] as number[],
    /** In milliseconds: from the change seen to the first trigger, as the metric has it. */
    triggerDelays: [] as number[],
    outcomes: [] as string[],
    inSync: false,
    exitCode: null as number | null,
    write(digest: string): void {
      bench.disk = contentOf(digest, clock.wallMs());
      reloader.hint("event");
    },
    stopping,
    aborted,
    start(): void {
      reloader.run(stopping.signal, aborted.signal).then((code) => bench.exitCode = code);
      const tick = (): void =>
        void clock.sleep(config.intervalMs).then(() => {
          reloader.hint("interval");
          if (bench.exitCode === null) tick();
        });
      tick();
    },
    logged: (text: string) => log.some((line) => line.includes(text)),
  };
  const trigger = (): TriggerResult => {
    const [atMs, wallMs] = [clock.nowMs(), clock.wallMs()];
    bench.triggers.push(atMs);
    if (bench.refused) return bench.refused;
    bench.onTrigger();
    return { kind: "sent", atMs, wallMs };
  };
  const line = (level: string) => (text: string) => void log.push(`${level} ${text}`);
  const logger = { debug: line("DEBUG"), info: line("INFO"), warn: line("WARN"), error: line("ERROR") };
  const nothing = () => {};
  const recorder = createRecorder({
    config,
    clock,
    logger,
    metrics: {
      attemptStarted: nothing,
      attemptEnded: (outcome) => void bench.outcomes.push(outcome),
      triggerSent: (delayMs) => void bench.triggerDelays.push(delayMs),
      setInSync: (value) => bench.inSync = value,
      setContent: nothing,
      setProof: nothing,
      setTargetReady: nothing,
      setRolloutHeld: nothing,
      kubernetesError: nothing,
      setRestartRequired: nothing,
      setWatcher: nothing,
      readError: nothing,
      scanned: nothing,
      setStaleMounts: nothing,
      render: () => Promise.resolve(""),
    },
  });
  const reader = {
    look: () => Promise.resolve(bench.disk),
    isUnswapped: () => Promise.resolve(bench.unswapped),
    staleMounts: () => [],
  };
  const isThere = (target: Target) => target.startTicks === bench.target?.startTicks;
  const target = {
    resolve: (): Resolution =>
      bench.resolution ??
        (bench.target
          ? { kind: "target", target: bench.target }
          : { kind: "none", code: "not-there", message: "no application", again: true }),
    isAlive: isThere,
    send: (to: Target): TriggerResult =>
      isThere(to) ? trigger() : { kind: "not-sent", code: "not-there", message: "not-there" },
    staleMounts: () => ({ stale: [], blind: false }),
    youngestPid: () => null,
    preflight: () => ({
      ok: bench.target !== null,
      message: bench.target ? `PID ${bench.target.pid}` : "no application",
      code: "ready" as const,
      pid: null,
      name: null,
      uid: null,
      handled: null,
      permitted: null,
    }),
  };
  const reloader = createReloader({
    config,
    clock,
    logger,
    reader,
    target,
    recorder,
    prepare: () => bench.prepare(),
    httpTrigger: () => Promise.resolve(trigger()),
    probe: {
      read: () => {
        bench.reads++;
        return Promise.resolve(bench.reading);
      },
    },
    random: () => bench.random,
    collect: nothing,
    targetWatch: createTargetWatch({ config, clock, logger, target, reader, onStaleMounts: nothing }),
  });
  return Object.assign(bench, { reloader, status: recorder.view });
}

/** Complete content. */
export function contentOf(digest: string, changedWallMs: number): Observation {
  return { kind: "content", snapshot: { digest, files: [], changedWallMs }, skipped: [] };
}

/** A process that started at `startedWallMs`. */
export function targetOf(startedWallMs: number): Target {
  return {
    pid: 7,
    startTicks: startedWallMs,
    comm: "app",
    name: "app",
    uid: 65532,
    startedWallMs,
    reason: "",
    handled: true,
  };
}
