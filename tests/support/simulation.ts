/**
 * One seeded run of the whole loop against a simulated world on a fake clock, with the invariants of the product held
 * against the truth while it runs. The same seed gives the same run; `deno task fuzz --seed N` repeats one.
 */

import assert from "node:assert/strict";
import type { Config } from "../../src/config.ts";
import type { Outcome } from "../../src/model.ts";
import type { Metrics } from "../../src/observe/metrics.ts";
import type { Logger } from "../../src/ports.ts";
import { type Effect, type Event, type Model, reloadOf } from "../../src/reload/model.ts";
import { createRecorder } from "../../src/record/recorder.ts";
import { createLoop, type Loop } from "../../src/loop/loop.ts";
import { createTestConfig } from "./config.ts";
import { createFakeClock } from "./fake_clock.ts";
import { createRandom, type SeededRandom } from "./random.ts";
import { type AppTraits, createWorld, type World } from "./simulated_world.ts";

/** What one run came to; for the summary of a fuzz run. */
export interface RunSummary {
  readonly seed: number;
  readonly traits: AppTraits;
  readonly attempts: number;
  readonly signals: number;
  readonly outcomes: Readonly<Record<Outcome, number>>;
}

/**
 * What the simulation knew at a time, so that seeds of then still show what they showed: signals alone; AMP alone, but also
 * requests, apps that watch by themselves, outputs, files that are written; the other formats, but of apps that watch by
 * themselves those with a time alone; those, too; newer content that overtakes a pending proof, and requests without an answer.
 */
const ERAS = ["signals", "amp", "formats", "tokens", "now"] as const;
export type Era = typeof ERAS[number];
/** Whether it knew in `era` what came in `first`. */
const knows = (era: Era, first: Era) => ERAS.indexOf(era) >= ERAS.indexOf(first);

const CONTENTS = ["a", "b", "c", "bad1", "bad2", null];
const MORE_CONTENTS = [...CONTENTS, "invalid"];
/** Longest time in which everything must have come right once app and disk are quiet: the longest retry pause here,
 * a verification, an interval and the slowest restart. */
const QUIET_MS = 60_000 + 30_000 + 5_000 + 5_000 + 10_000;

/**
 * Runs the simulation of `seed`, as it was in `era`.
 * `trace` gets a line for each step of the loop, and each line of the log.
 * @throws AssertionError naming the seed where an invariant does not hold.
 */
export async function simulate(
  seed: number,
  era: Era = "now",
  trace: ((line: string) => void) | null = null,
): Promise<RunSummary> {
  const random = createRandom(seed);
  const known = createTraits(random, era);
  // Of streams of their own: the seeds that are kept show what they showed.
  const isFrail = knows(era, "tokens") && known.trigger === "signal" && createRandom(seed + 1e9).chance(0.2);
  const isLossy = knows(era, "now") && known.trigger === "http" && createRandom(seed + 2e9).chance(0.5);
  const traits = { ...known, diesOfRejecting: isFrail ? 0.5 : 0, losesAnswers: isLossy ? 0.3 : 0 };
  const run = createRun(random, traits, era === "signals", trace);
  try {
    await run.start();
    const steps = random.int(5, 25);
    for (let i = 0; i < steps; i++) await run.step();
    await run.comeToRest();
    await run.stop();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new Error(`seed ${seed}: ${text}\n${JSON.stringify(traits)}\n${run.log.slice(-60).join("\n")}`, {
      cause: error,
    });
  }
  return { seed, traits, ...run.summary() };
}

function createTraits(random: SeededRandom, era: Era): AppTraits {
  const sometimes = (p: number) => random.chance(0.3) ? p : 0;
  const traits: AppTraits = {
    reloadMsMax: random.pick([5, 200, 3_000, 40_000]),
    lies: random.chance(0.1),
    diesOfSignal: sometimes(0.4),
    diesOfRejecting: 0,
    losesAnswers: 0,
    rollsBack: sometimes(0.4),
    hangs: sometimes(0.1),
    restarts: sometimes(0.5),
    trigger: "signal",
    format: "amp",
    readsOutput: false,
    settleMsMax: 0,
  };
  if (era === "signals") return traits;
  const trigger = random.pick(["signal", "signal", "signal", "http", "none"] as const);
  const known = ["amp", "amp", "amp", "prometheus"] as const;
  const isOld = era === "formats" && trigger === "none";
  const format = era === "amp" ? "amp" : random.pick(isOld ? known : [...known, "seconds", "json"] as const);
  return {
    ...traits,
    trigger,
    readsOutput: random.chance(0.2),
    settleMsMax: random.pick([0, 0, 1_500]),
    format,
    // Left to itself, an app that has rolled back stays so; and only AMP tells of it after it has told a success.
    rollsBack: trigger === "none" || format !== "amp" ? 0 : traits.rollsBack,
  };
}

/** What it does after a signal goes unnoticed without a proof. */
function isFickle({ rollsBack, lies }: AppTraits): boolean {
  return rollsBack > 0 || lies;
}

function createRun(
  random: SeededRandom,
  traits: AppTraits,
  plain: boolean,
  trace: ((line: string) => void) | null,
) {
  const clock = createFakeClock();
  const contents = plain ? CONTENTS : MORE_CONTENTS;
  const world = createWorld(clock, random, traits, "a");
  const log: string[] = [];
  if (trace !== null) log.push = (...lines) => (lines.forEach((line) => trace(line)), 0);
  const config = createTestConfig({
    maxBackoffMs: 60_000,
    jitterMs: random.pick([0, 0, 2_000]),
    minReloadIntervalMs: random.pick(plain ? [0, 1_000] : [0, 1_000, 10_000]),
    trigger: traits.trigger,
    triggerUrls: ["http://app/-/reload"],
    configEnvsubstFile: traits.readsOutput ? "/out" : null,
    // Without a proof no more can be held than that the last content was sent.
    verify: !plain && random.chance(0.15) && !isFickle(traits) ? "none" : "auto",
    reloadOnStart: plain ? "auto" : random.pick(["auto", "auto", "always"]),
  });
  const truth = createTruth(world, config, traits, log, () => clock.nowMs());
  const stepsClock = random.chance(0.3);
  const restartsSidecar = !stepsClock && random.chance(0.3);
  /** What ended the loop: an invariant that does not hold, most often. */
  let crash: unknown = null;
  let sidecar: {
    loop: Loop;
    stopping: AbortController;
    aborted: AbortController;
    done: Promise<number>;
  };

  function startSidecar(): void {
    truth.sidecarStarts();
    const logger = createCapture(log, () => clock.nowMs(), truth.failureLine, truth.line);
    const recorder = createRecorder({ config, clock, logger, metrics: truth.metrics });
    const loop = createLoop({
      config,
      clock,
      prepare: world.prepare,
      target: world.target,
      httpTrigger: world.httpTrigger,
      probe: world.probe,
      reader: world.reader,
      random: random.next,
      collectGarbage: () => {},
      recorder,
      trace: (before, event, after, effect) =>
        trace?.(`${clock.nowMs()} ${stepText(before, event, after, effect)}`),
    });
    const [stopping, aborted] = [new AbortController(), new AbortController()];
    const done = loop.run(stopping.signal, aborted.signal);
    done.catch((error) => crash = error);
    sidecar = { loop, stopping, aborted, done };
    interval(sidecar);
  }

  function interval(of: typeof sidecar): void {
    clock.sleep(config.intervalMs, of.stopping.signal).then(() => {
      if (of.stopping.signal.aborted) return;
      of.loop.hint("interval");
      interval(of);
    });
  }

  /** SIGTERM: the sidecar must end within its shutdown time (I7). */
  async function stop(): Promise<void> {
    const { done, stopping, aborted } = sidecar;
    let ended = false;
    done.then(() => ended = true);
    stopping.abort();
    clock.sleep(config.shutdownTimeoutMs).then(() => aborted.abort());
    await clock.advance(config.shutdownTimeoutMs + 1);
    assert.ok(ended, "I7: the loop did not end within the shutdown time");
    truth.sidecarStops();
  }

  async function advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 1_000) {
      await clock.advance(Math.min(1_000, left));
      if (crash !== null) throw crash;
      assert.deepEqual(sidecar.loop.health(), { ok: true }, "I5: not healthy");
      assert.ok(clock.pending() < 60, `I6: ${clock.pending()} timers`);
      truth.check();
      checkOvertaking();
    }
  }

  /** A proof that is pending does not hold up newer content for longer than it may (contract: on a change, 5). */
  function checkOvertaking(): void {
    const model = sidecar.loop.model();
    const reload = reloadOf(model);
    if (reload === null || reload.sentAtMs === null || world.disk() === null) return;
    // A trigger that went out once more, and was refused, counts for the gap.
    const again = model.phase.is === "concluding" ? model.phase.result.lastTriggeredAtMs : null;
    if (reload.job.digest === world.disk() || sidecar.stopping.signal.aborted) return;
    const fromMs = Math.max(
      Math.max(reload.sentAtMs, again ?? -Infinity) + Math.max(2_000, config.minReloadIntervalMs),
      // Found at the interval at the latest, written for a while, spread by jitter.
      world.changedAtMs() + config.intervalMs + traits.settleMsMax + config.jitterMs,
    );
    const lateMs = clock.nowMs() - fromMs;
    // A request on its way is not taken back; there may be two of them.
    const requestMs = traits.losesAnswers > 0 ? 2 * config.httpTimeoutMs : 0;
    assert.ok(
      lateMs < 2_000 + requestMs,
      `newer content has waited ${lateMs} ms too long for a pending proof`,
    );
  }

  async function step(): Promise<void> {
    const what = random.next();
    if (what < 0.65) {
      const next = random.pick(contents);
      log.push(`${clock.nowMs()} disk: ${next}`);
      world.write(next);
      // The kernel's event may be lost: then only the interval tells.
      if (random.chance(0.8)) sidecar.loop.hint("event");
    } else if (what < 0.75 && random.chance(traits.restarts)) {
      log.push(`${clock.nowMs()} app restarts by itself`);
      world.restartApp(random.int(10, 4_000));
    } else if (what < 0.8 && stepsClock) {
      clock.stepWall(random.pick([-3_600_000, -1_500, 1_500, 3_600_000]));
    } else if (what < 0.85 && restartsSidecar) {
      await stop();
      if (random.chance(0.5)) world.write(random.pick(contents));
      await clock.advance(random.int(0, 3_000));
      startSidecar();
    } else if (!plain && what < 0.88) world.forbidTarget(random.int(1_000, 20_000));
    else sidecar.loop.hint(random.pick(["event", "signal"]));
    await advance(random.pick([1, 30, 300, 2_000, 10_000, 45_000]));
  }

  /** After writes stop, what is applied is what is on disk, or a metric says that it is not (I1, I10). */
  async function comeToRest(): Promise<void> {
    world.heal();
    // An app that is not triggered loads nothing for content that it runs already; and without a proof nobody sees what
    // it has read while content went and came back.
    const isNew = traits.trigger === "none" || config.verify === "none";
    const last = isNew ? "last" : random.pick(["a", "b", "c", "bad1"]);
    log.push(`${clock.nowMs()} disk: ${last} (the last)`);
    world.write(last);
    await advance(QUIET_MS + traits.reloadMsMax);
    // What a dying app did not read it reads at its next start; an operator restarts it.
    if (!truth.inSync() && !last.startsWith("bad") && traits.trigger !== "none") {
      world.restartApp(10);
      await advance(QUIET_MS);
    }
    // Whether an app that was started while it was away has read it cannot be known without a process; the next is.
    if (
      traits.trigger === "none" && !truth.inSync() ||
      world.isBlank()
    ) {
      world.write("next");
      await advance(QUIET_MS);
    }
    if (world.disk()?.startsWith("bad")) {
      if (config.verify !== "none") {
        assert.equal(truth.inSync(), false, "I1: rejected content counts as in sync");
      }
      world.write("a");
      await advance(QUIET_MS);
      if (!truth.inSync()) {
        world.restartApp(10);
        await advance(QUIET_MS);
      }
    }
    if (!world.isUntold(config.pollIntervalMs)) {
      assert.equal(truth.inSync(), true, "I1: not in sync although app and disk are at rest");
    }
    assert.equal(world.runs(), world.disk(), "I1: believed in sync, but the app runs something else");
  }

  return { log, start: () => (startSidecar(), advance(100)), step, comeToRest, stop, summary: truth.summary };
}

/** One step as a line: phase, event, next phase, effect. */
function stepText(before: Model, event: Event, after: Model, effect: Effect): string {
  const what = event.kind === "hinted"
    ? `hinted(${event.hint.causes})`
    : event.kind === "looked"
    ? `looked(${
      event.observation.kind === "content" ? event.observation.snapshot.digest : event.observation.kind
    })`
    : event.kind === "ended"
    ? `ended(${event.result.outcome} ${event.result.code})`
    : event.kind;
  const until = effect.do === "wait" && effect.untilMs !== Infinity ? ` until ${effect.untilMs}` : "";
  return `  [${before.phase.is}] ${what} -> [${after.phase.is}] ${effect.do}${until}`;
}

/** Collects log lines; counts those that tell a failure. */
function createCapture(
  log: string[],
  nowMs: () => number,
  onFailure: (text: string) => void,
  onLine: (text: string) => void,
): Logger {
  const line = (level: string) => (message: string) => {
    log.push(`${nowMs()} ${level} ${message}`);
    if (level === "error") onFailure(message);
    onLine(message);
  };
  return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
}

/** Stands in for the metrics and holds every count against the truth of the world. */
function createTruth(
  world: World,
  config: Config,
  { format }: AppTraits,
  log: string[],
  nowMs: () => number,
) {
  const outcomes: Record<Outcome, number> = { success: 0, rejected: 0, failed: 0, timeout: 0, invalid: 0 };
  let attempts = 0;
  let running = 0;
  let inSync = false;
  let signalsBefore = 0;
  let countAtStart = 0;
  let startsAtStart = 0;
  let signalsAtSidecarStart = 0;
  /** The content last proved, while nothing has failed since: a signal for it is one too many (I2). */
  let proved: string | null = null;
  let failures = 0;
  let failureLines = 0;
  let broken: string | null = null;
  /** What is being sent, what was sent last, and what ended the app within 2 s of its signal. */
  let sending = "";
  let sent: { readonly content: string; readonly atMs: number; readonly start: number } | null = null;
  const deadly = new Set<string>();
  let quietSinceMs = 0;
  let lastSeen = "";
  /** The line of a change whose reload has not ended. */
  let changeLine = "";
  const metrics: Metrics = {
    attemptStarted() {
      attempts++;
      running++;
      assert.equal(running, 1, "I9: two reloads in flight");
      signalsBefore = world.signals.length;
      countAtStart = world.attempts();
      startsAtStart = world.starts();
      assert.ok(
        proved === null || proved !== world.disk() || world.disk() === null,
        `I2: reload of ${proved} without a change`,
      );
    },
    attemptEnded(outcome) {
      running--;
      changeLine = "";
      const [before, first] = [world.signals[signalsBefore - 1], world.signals[signalsBefore]];
      if (before !== undefined && first !== undefined && signalsBefore > signalsAtSidecarStart) {
        assert.ok(
          first.atMs - before.atMs >= config.minReloadIntervalMs,
          `triggers ${first.atMs - before.atMs} ms apart`,
        );
      }
      outcomes[outcome]++;
      const signalled = world.signals.length > signalsBefore;
      if (outcome === "success") {
        // A token may be that with which this very content was proved before: the app has never left it then.
        const isExempt = !signalled || config.verify === "none" || format === "json";
        const moved = world.attempts() > countAtStart || world.starts() > startsAtStart || isExempt;
        assert.ok(moved, "I4: success although the app's counter has not moved");
        proved = world.disk();
      } else {
        failures++;
        proved = null;
      }
    },
    triggerSent() {},
    setInSync(value) {
      inSync = value;
      if (!value) proved = null;
    },
    setProof() {},
    setTargetReady() {},
    setRolloutHeld() {},
    kubernetesError() {},
    setContent() {},
    setRestartRequired() {},
    readError() {},
    scanned() {},
    setStaleMounts() {},
    render: () => Promise.resolve(""),
  };
  return {
    metrics,
    line(text: string) {
      if (text.startsWith("Config change detected")) {
        // Content that came back is another change.
        const line = `${text} at ${world.changedAtMs()}`;
        if (line === changeLine) broken ??= `said twice for one change: ${text}`;
        changeLine = line;
      }
      sending = /\(hash: (?:\w+ -> )?(\w+)/.exec(text)?.[1] ?? sending;
      if (!text.startsWith("Sending SIGHUP")) return;
      if (sent !== null && world.endOf(sent.start) - sent.atMs < 1_900) deadly.add(sent.content);
      if (deadly.has(sending)) broken ??= `${sending} has ended the app and is sent again`;
      sent = { content: sending, atMs: nowMs(), start: world.starts() };
    },
    failureLine(text: string) {
      failureLines++;
      // It dies within 2 s; an answer that hangs meanwhile may put off that it is seen.
      const isBlamed = text.includes("the signal killed it");
      assert.ok(!isBlamed || world.diedAfterMs() < 7_500, `a signal blamed after ${world.diedAfterMs()} ms`);
    },
    inSync: () => inSync,
    sidecarStarts() {
      running = 0;
      changeLine = "";
      sent = null;
      deadly.clear();
      signalsAtSidecarStart = world.signals.length;
      proved = null;
    },
    sidecarStops() {
      attempts -= running;
      running = 0;
    },
    /** Holds at every moment: what is believed for longer than a look takes is true. */
    check() {
      assert.equal(
        attempts,
        outcomes.success + failures + running,
        "attempts = successes + failures + in progress",
      );
      assert.ok(broken === null, broken ?? "");
      assert.ok(failureLines >= failures, "I8: a failure without a log line");
      const seen = `${world.disk()} ${world.runs()} ${world.starts()}`;
      if (seen !== lastSeen) quietSinceMs = nowMs();
      lastSeen = seen;
      // An interval, plus the time a reload may be on its way inside a slow app.
      const isProved = inSync && config.verify !== "none" && !world.isBlank();
      if (isProved && world.runs() !== null && nowMs() - quietSinceMs > 60_000) {
        assert.equal(
          world.runs(),
          world.disk(),
          `I1: believed in sync for long, but it is not: ${log.at(-1)}`,
        );
      }
    },
    summary: () => ({ attempts, signals: world.signals.length, outcomes }),
  };
}
