/**
 * The real loop on a fake clock between a disk, an app and triggers that a test sets by hand: for what happens where two
 * features meet. The simulation tries what nobody thinks of; this shows one case.
 */

import type { Config } from "../../src/config.ts";
import type { TargetCode } from "../../src/codes.ts";
import type {
  AppMounts,
  Observation,
  Proof,
  Resolution,
  StaleMount,
  StatusReading,
  Target,
  TargetView,
  TriggerResult,
} from "../../src/model.ts";
import type { EventSink, LogFields, PrepareResult, RolloutPort } from "../../src/ports.ts";
import { createRecorder } from "../../src/record/recorder.ts";
import { createLoop } from "../../src/loop/loop.ts";
import { createTestConfig } from "./config.ts";
import { createFakeClock } from "./fake_clock.ts";
import { amp } from "./status.ts";

/** An answer of an AMP that has counted `attempts`. */
export function ampStatus(attempts: number, status = "success"): StatusReading {
  return { kind: "status", status: amp({ attempts, status }) };
}

/** Makes the bench; its fields may be changed at any time, `start` begins the loop. */
export function createLoopBench(
  settings: Partial<Config> = {},
  fleet: { readonly rollout?: RolloutPort; readonly events?: EventSink } = {},
  clock = createFakeClock(),
) {
  const config = createTestConfig(settings);
  const log: string[] = [];
  const [stopping, aborted] = [new AbortController(), new AbortController()];
  const bench = {
    clock,
    log,
    /** What the next look finds; see `hold`. */
    disk: contentOf("a", clock.wallMs() - 60_000) as Observation,
    target: targetOf(clock.nowMs() - 120_000) as Target | null,
    /** Nobody gets an answer to a status request. */
    hangs: false,
    /** `config_reload_rollout_held`. */
    held: false,
    /** How often the app was asked. */
    reads: 0,
    /** In place of `target`. */
    resolution: null as Resolution | null,
    /** In place of what follows from `target`. */
    view: null as TargetView | null,
    /** The app's own mounts that never change again. */
    staleMounts: { stale: [], blind: false } as AppMounts,
    ownStaleMounts: [] as readonly StaleMount[],
    reading: ampStatus(1) as StatusReading,
    /** What a signal or a request does; by default the app counts a good reload. */
    onTrigger: () => {
      if (bench.reading.kind === "status" && bench.reading.status.format === "amp") {
        bench.reading = ampStatus(bench.reading.status.attempts + 1);
      }
    },
    /** Answer to the request of `--trigger http`; null: it succeeds. */
    refused: null as TriggerResult | null,
    /** Why requests that reach the app have no answer; null: they have one. */
    unanswered: null as string | null,
    prepare: (): Promise<PrepareResult> => Promise.resolve({ kind: "ok" }),
    random: 0,
    /** Monotonic times of signals and requests. */
    triggers: [] as number[],
    /** In milliseconds: from the change seen to the first trigger, as the metric has it. */
    triggerDelays: [] as number[],
    /** Attempts that were counted, ended or not. */
    started: 0,
    outcomes: [] as string[],
    /** Fields of the lines in `log`. */
    fields: [] as { readonly text: string; readonly fields: LogFields }[],
    proofs: [] as Proof[],
    targetReady: [] as (TargetCode | null)[],
    inSync: false,
    exitCode: null as number | null,
    write(digest: string): void {
      bench.disk = contentOf(digest, clock.wallMs());
      loop.hint("event");
    },
    stopping,
    aborted,
    start(): void {
      loop.run(stopping.signal, aborted.signal).then((code) => bench.exitCode = code);
      const tick = (): void =>
        void clock.sleep(config.intervalMs).then(() => {
          loop.hint("interval");
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
    return { kind: "sent", atMs, wallMs, ...(bench.unanswered && { unanswered: bench.unanswered }) };
  };
  const line = (level: string) => (text: string, fields: LogFields = {}) => {
    log.push(`${level} ${text}`);
    bench.fields.push({ text, fields });
  };
  const logger = { debug: line("DEBUG"), info: line("INFO"), warn: line("WARN"), error: line("ERROR") };
  const nothing = () => {};
  const recorder = createRecorder({
    config,
    clock,
    logger,
    metrics: {
      attemptStarted: () => void bench.started++,
      attemptEnded: (outcome) => void bench.outcomes.push(outcome),
      triggerSent: (delayMs) => void bench.triggerDelays.push(delayMs),
      setInSync: (value) => bench.inSync = value,
      setContent: nothing,
      setProof: (proof) => void bench.proofs.push(proof),
      setTargetReady: (code) => void bench.targetReady.push(code),
      setRolloutHeld: (value) => bench.held = value,
      kubernetesError: nothing,
      setRestartRequired: nothing,
      readError: nothing,
      scanned: nothing,
      setStaleMounts: nothing,
      render: () => Promise.resolve(""),
    },
    events: fleet.events,
  });
  const reader = { look: () => Promise.resolve(bench.disk), staleMounts: () => bench.ownStaleMounts };
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
    staleMounts: () => bench.staleMounts,
    preflight: (found?: Resolution) =>
      bench.view ?? ({
        ok: bench.target !== null && found?.kind !== "none",
        message: found?.kind === "none"
          ? found.message
          : bench.target
          ? `PID ${bench.target.pid}`
          : "no application",
        code: found?.kind === "none" ? found.code : bench.target ? "ready" as const : "not-there" as const,
        ...(found?.kind === "none" && found.names && { names: found.names }),
        pid: null,
        name: null,
        uid: null,
        handled: null,
        permitted: null,
      }),
  };
  const loop = createLoop({
    config,
    clock,
    reader,
    target,
    recorder,
    rollout: fleet.rollout,
    prepare: () => bench.prepare(),
    httpTrigger: () => Promise.resolve(trigger()),
    probe: {
      read: (signal, timeoutMs = Infinity) => {
        bench.reads++;
        return bench.hangs
          ? clock.sleep(Math.min(timeoutMs, config.httpTimeoutMs), signal).then(() => ({
            kind: "error",
            reason: "timed out",
          }))
          : Promise.resolve(bench.reading);
      },
    },
    random: () => bench.random,
    collectGarbage: nothing,
  });
  return Object.assign(bench, { loop, status: () => recorder.view(loop.model()) });
}

/** Complete content. */
export function contentOf(digest: string, changedWallMs: number): Observation {
  return { kind: "content", snapshot: { digest, files: [], changedWallMs }, skipped: [] };
}

/** A process that started at `startedAtMs`. */
export function targetOf(startedAtMs: number): Target {
  return {
    pid: 7,
    startTicks: startedAtMs,
    comm: "app",
    name: "app",
    uid: 65532,
    startedAtMs,
    reason: "",
    handled: true,
  };
}
