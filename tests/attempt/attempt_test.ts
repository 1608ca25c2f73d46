import assert from "node:assert/strict";
import { attemptReload } from "../../src/attempt/attempt.ts";
import type { Attempt, AttemptDeps } from "../../src/attempt/input.ts";
import { BASELINE_WAIT_MS } from "../../src/attempt/baseline.ts";
import type { Config } from "../../src/config.ts";
import type { Resolution, Result, Status, StatusReading, Target, TriggerResult } from "../../src/model.ts";
import type { Event, Job } from "../../src/reload/model.ts";
import { createTestConfig } from "../support/config.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { type Amp, amp as ampStatus, DOWN, prometheus as prometheusStatus } from "../support/status.ts";
import { test } from "../support/strict.ts";

const AMP = ampStatus();
const reading = (status: Status): StatusReading => ({ kind: "status", status });
const amp = (more: Partial<Amp>) => reading(ampStatus(more));

/** A bench with one attempt on it; the fields are what the fakes answer. */
function createBench(config: Partial<Config> = {}) {
  const clock = createFakeClock();
  const bench = {
    clock,
    target: targetOf(-60_000),
    resolution: null as Resolution | null,
    alive: true,
    blind: [] as string[],
    readings: [amp({})] as (StatusReading | "hangs")[],
    signals: 0,
    reads: 0,
    onSignal: () => {},
    refused: null as TriggerResult | null,
    prepared: { kind: "ok" } as Awaited<ReturnType<AttemptDeps["prepare"]>>,
    stopping: new AbortController(),
    aborted: new AbortController(),
    overtaken: new AbortController(),
    sent: [] as (Event & { kind: "sent" })[],
    /** Until when the loop has said that it may be silent. */
    silentUntilMs: { value: 0 },
    httpMs: 0,
  };
  const deps: AttemptDeps = {
    config: createTestConfig(config),
    clock,
    prepare: async () => {
      if (bench.httpMs > 0) await clock.sleep(bench.httpMs);
      return bench.prepared;
    },
    target: {
      resolve: () => bench.resolution ?? { kind: "target", target: bench.target },
      isAlive: () => bench.alive,
      send() {
        if (bench.refused) return bench.refused;
        bench.signals++;
        bench.onSignal();
        return { kind: "sent", atMs: clock.nowMs(), wallMs: clock.wallMs() };
      },
      staleMounts: () => ({
        stale: bench.blind.map((message) => ({
          container: "app",
          reason: "subpath",
          mountPoint: "/x",
          message,
        })),
        blind: bench.blind.length > 0,
      }),
      preflight: () => assert.fail("not a part of an attempt"),
    },
    httpTrigger: async () => {
      if (bench.httpMs > 0) await clock.sleep(bench.httpMs);
      return bench.refused ?? { kind: "sent", atMs: clock.nowMs(), wallMs: clock.wallMs() };
    },
    probe: {
      read: async (signal, timeoutMs = Infinity) => {
        bench.reads++;
        const next = bench.readings.length > 1 ? bench.readings.shift()! : bench.readings[0]!;
        const ms = next === "hangs" ? Infinity : bench.httpMs;
        if (ms > 0) await clock.sleep(Math.min(ms, timeoutMs), signal);
        if (next !== "hangs" && ms <= timeoutMs) return next;
        return { kind: "error", reason: "timed out" };
      },
    },
    beat: (mayTakeMs = 0) => bench.silentUntilMs.value = clock.nowMs() + mayTakeMs,
  };
  const input = (more: Partial<Job>, given: Partial<Attempt>): Attempt => ({
    ...deps,
    reload: {
      job: {
        digest: "b",
        oldDigest: "a",
        why: "change",
        attempt: 1,
        seenAtMs: 0,
        changedAtMs: 0,
        mayTrigger: true,
        ...more,
      },
      isContinued: false,
      snapshot: { digest: "b", files: [], changedWallMs: clock.wallMs() },
    },
    changed: () => [],
    begun: null,
    known: null,
    lastReading: null,
    provedToken: null,
    openTrigger: null,
    onSent: (event) => void bench.sent.push(event),
    failedOn: null,
    begunAtMs: 0,
    isOnDisk: () => Promise.resolve(true),
    overtaken: bench.overtaken.signal,
    ...given,
    stopping: bench.stopping.signal,
    aborted: bench.aborted.signal,
  });
  return {
    ...bench,
    set: (change: Partial<typeof bench>) => Object.assign(bench, change),
    signals: () => bench.signals,
    reads: () => bench.reads,
    sent: bench.sent,
    /** Starts the attempt; the result is there once enough time has passed. */
    start(more: Partial<Job> = {}, given: Partial<Attempt> = {}) {
      const run: { result: Result | null; done: () => boolean } = {
        result: null,
        done: () => run.result !== null,
      };
      attemptReload(input(more, given)).then((result) => run.result = result);
      return run;
    },
  };
}

function targetOf(startedAtMs: number): Target {
  return {
    pid: 7,
    startTicks: 1,
    comm: "app",
    name: "app",
    uid: 65532,
    startedAtMs,
    reason: "",
    handled: true,
  };
}

test("a reload is proved by a higher count that is still good one poll later", async () => {
  const bench = createBench();
  bench.set({ readings: [amp({}), amp({}), amp({ attempts: 4 })] });
  const run = bench.start();
  await bench.clock.advance(100);
  assert.equal(bench.signals(), 1);
  assert.equal(run.done(), false, "not before it has settled");
  await bench.clock.advance(600);
  assert.equal(run.result?.outcome, "success");
  assert.equal(run.result.triggeredAtMs, 0);
});

test("a rollback after the first success is a rejection", async () => {
  const bench = createBench();
  bench.set({ readings: [amp({}), amp({ attempts: 4 }), amp({ attempts: 4, status: "rolled_back" })] });
  const run = bench.start();
  await bench.clock.advance(2_000);
  assert.equal(run.result?.outcome, "rejected");
  assert.match(run.result.reason, /rolled_back/);
});

test("what needs a restart is told with the success", async () => {
  const bench = createBench();
  bench.set({ readings: [amp({}), amp({ attempts: 4, restartRequired: ["W600"] })] });
  const run = bench.start();
  await bench.clock.advance(2_000);
  assert.deepEqual(run.result?.status?.format === "amp" && run.result.status.restartRequired, ["W600"]);
});

test("a baseline that does not come in time does not hold up the signal", async () => {
  const bench = createBench();
  bench.set({
    readings: ["hangs", DOWN],
  });
  bench.start();
  await bench.clock.advance(BASELINE_WAIT_MS - 1);
  assert.equal(bench.signals(), 0);
  await bench.clock.advance(1);
  assert.equal(bench.signals(), 1);
});

test("without a baseline the first answer becomes one and the trigger goes out once more, and only once", async () => {
  const bench = createBench();
  bench.set({ readings: [DOWN, DOWN, amp({ attempts: 9 }), amp({ attempts: 9 }), amp({ attempts: 10 })] });
  const run = bench.start();
  await bench.clock.advance(1_500);
  assert.equal(bench.signals(), 2);
  assert.equal(run.result?.outcome, "success");
  assert.deepEqual(bench.sent.map(({ how }) => how), ["first", "again"]);
});

test("an app that is starting is waited for, then signalled", async () => {
  const bench = createBench();
  bench.set({ resolution: { kind: "starting", target: bench.target, message: "it has no handler yet" } });
  bench.start();
  await bench.clock.advance(3_000);
  assert.equal(bench.signals(), 0);
  bench.set({ resolution: null });
  await bench.clock.advance(100);
  assert.equal(bench.signals(), 1);
});

test("one that never finishes starting fails when the reload timeout is over", async () => {
  const bench = createBench({ reloadTimeoutMs: 3_000 });
  bench.set({ resolution: { kind: "starting", target: bench.target, message: "it has no handler yet" } });
  const run = bench.start();
  await bench.clock.advance(3_100);
  assert.equal(run.result?.outcome, "failed");
  assert.equal(run.result.code, "starting");
  assert.equal(bench.signals(), 0);
});

test("a target that comes back by itself is waited for; one that does not is a failure at once", async () => {
  const bench = createBench();
  bench.set({
    resolution: { kind: "none", code: "pid-file", message: "the pid file is empty", again: true },
  });
  bench.start();
  await bench.clock.advance(1_000);
  bench.set({ resolution: null });
  await bench.clock.advance(100);
  assert.equal(bench.signals(), 1);
  const other = createBench();
  other.set({ resolution: { kind: "none", code: "ambiguous", message: "there are two" } });
  const run = other.start();
  await other.clock.advance(0);
  assert.deepEqual([run.result?.outcome, run.result?.code], ["failed", "ambiguous"]);
});

test("with an output the app must have started after that, not only after the change behind it", async () => {
  const cases = [[-1_000, "signalled"], [9, "signalled"], [10, "verified"], [1_000, "verified"]] as const;
  for (const [startedLaterMs, what] of cases) {
    const bench = createBench({ outputDir: "/out" });
    const output = { wallMs: bench.clock.wallMs() - 5_000, atMs: bench.clock.nowMs() - 5_000 };
    bench.set({
      prepared: { kind: "ok", output },
      target: { ...bench.target, startedAtMs: bench.clock.nowMs() - 5_000 + startedLaterMs },
      readings: [amp({}), amp({ attempts: AMP.attempts + 1 })],
    });
    // The change is older than all of this.
    const run = bench.start({ changedAtMs: bench.clock.nowMs() - 60_000 });
    await bench.clock.advance(2_000);
    assert.equal(run.result?.outcome, "success");
    assert.equal(
      bench.signals(),
      what === "signalled" ? 1 : 0,
      `started ${startedLaterMs} ms after the output`,
    );
  }
});

test("an app that started after the change is verified, not signalled; its first status is proof", async () => {
  const bench = createBench();
  bench.set({ target: targetOf(500), readings: [amp({ attempts: 0, status: "initial" })] });
  await bench.clock.advance(1_000);
  const run = bench.start({ mayTrigger: false });
  await bench.clock.advance(2_000);
  assert.equal(run.result?.outcome, "success");
  assert.equal(bench.signals(), 0);
  assert.equal(run.result.triggeredAtMs, null);
});

test("one that came at once in the place of the app that died of this content has read it, however its start is stamped", async () => {
  for (const [startedLaterMs, outcome] of [[-20, "success"], [5, "success"], [-100, "failed"]] as const) {
    const bench = createBench();
    bench.set({ target: targetOf(500 + startedLaterMs) });
    await bench.clock.advance(1_000);
    const run = bench.start({ mayTrigger: false, changedAtMs: 500 });
    await bench.clock.advance(2_000);
    assert.deepEqual([run.result?.outcome, bench.signals()], [outcome, 0], `${startedLaterMs} ms`);
  }
});

test("content whose signal ended the app before is not signalled", async () => {
  const bench = createBench();
  const run = bench.start({ mayTrigger: false });
  await bench.clock.advance(0);
  assert.deepEqual([run.result?.code, bench.signals()], ["killed-before", 0]);
});

test("an app that cannot see the content is not signalled, and the text says which mount", async () => {
  const bench = createBench();
  bench.set({ blind: ["/etc/app/config.yaml is a subPath mount"] });
  const run = bench.start();
  await bench.clock.advance(0);
  assert.deepEqual([run.result?.outcome, run.result?.code, bench.signals()], ["failed", "stale-mount", 0]);
  assert.match(run.result!.reason, /subPath/);
});

test("a process that ends within 2 s of the signal was killed by it", async () => {
  const bench = createBench();
  bench.set({ readings: [amp({}), DOWN], onSignal: () => bench.set({ alive: false }) });
  const run = bench.start();
  await bench.clock.advance(100);
  assert.deepEqual([run.result?.outcome, run.result?.code], ["failed", "killed"]);
  assert.match(run.result!.reason, /the signal killed it/);
});

test("one that restarts later counts as reloaded once its status is good again", async () => {
  const bench = createBench();
  bench.set({ readings: [amp({}), amp({})] });
  const run = bench.start();
  await bench.clock.advance(3_000);
  bench.set({ alive: false, readings: [DOWN] });
  await bench.clock.advance(3_000);
  assert.equal(run.done(), false);
  bench.set({ readings: [amp({ attempts: 0, status: "initial" })] });
  await bench.clock.advance(3_000);
  assert.equal(run.result?.outcome, "success");
});

test("a restart counts also where nothing that the app reports moves, and not while it is the same process", async () => {
  const token = reading({ format: "json", ok: true, token: '"v1"' });
  for (const restarts of [true, false]) {
    const bench = createBench({ verify: "json", verifyToken: "/v" });
    bench.set({ readings: [token] });
    const run = bench.start();
    await bench.clock.advance(3_000);
    if (restarts) bench.set({ alive: false });
    await bench.clock.advance(28_000);
    assert.deepEqual(
      [run.result?.outcome, run.result?.proof],
      restarts ? ["success", "restarted"] : ["timeout", null],
    );
  }
});

test("a status that never proves anything is a timeout that says what was seen last", async () => {
  const bench = createBench();
  const run = bench.start();
  await bench.clock.advance(29_000);
  assert.equal(run.done(), false);
  await bench.clock.advance(1_000);
  assert.equal(run.result?.outcome, "timeout");
  assert.match(run.result.reason, /^reload verification timeout after 30s: .*attempts is still 3/);
});

test("--verify none: a delivered signal is the end of it, and no status is read", async () => {
  const bench = createBench({ verify: "none" });
  const run = bench.start();
  await bench.clock.advance(0);
  assert.equal(run.result?.outcome, "success");
  assert.equal(bench.reads(), 0);
});

test("content that is invalid, or cannot be written, sends nothing", async () => {
  const reason = "line 3";
  for (
    const [prepared, code] of [
      [{ kind: "invalid", reason }, "invalid"],
      [{ kind: "failed", reason }, "failed"],
      // A check command may pass later: this code is retried.
      [{ kind: "invalid", reason, retry: true }, "check-command"],
    ] as const
  ) {
    const bench = createBench({ validate: "auto" });
    bench.set({ prepared });
    const run = bench.start();
    await bench.clock.advance(0);
    const { outcome, code: found } = run.result ?? {};
    assert.deepEqual([outcome, found, bench.signals()], [prepared.kind, code, 0]);
  }
});

test("a signal that cannot be sent is a failure with its code", async () => {
  const bench = createBench();
  bench.set({ refused: { kind: "not-sent", code: "permission", message: "user 1 may not signal user 2" } });
  const run = bench.start();
  await bench.clock.advance(0);
  assert.deepEqual([run.result?.outcome, run.result?.code], ["failed", "permission"]);
});

test("--trigger http: an app that says no has rejected; one that is away has not", async () => {
  for (const [code, outcome] of [["trigger-refused", "rejected"], ["trigger-failed", "failed"]] as const) {
    const bench = createBench({ trigger: "http" });
    bench.set({ refused: { kind: "not-sent", code, message: "HTTP 500" } });
    const run = bench.start();
    await bench.clock.advance(0);
    assert.equal(run.result?.outcome, outcome);
  }
});

test("a shutdown ends it when the app is gone, and at the latest when the time is over", async () => {
  const bench = createBench();
  const run = bench.start();
  await bench.clock.advance(1_000);
  bench.stopping.abort();
  await bench.clock.advance(100);
  assert.equal(run.done(), false, "the app lives: its reload is finished");
  bench.set({ alive: false });
  await bench.clock.advance(100);
  assert.equal(run.result?.code, "stopped");
  const other = createBench();
  const late = other.start();
  await other.clock.advance(1_000);
  other.aborted.abort();
  other.stopping.abort();
  await other.clock.advance(600);
  assert.equal(late.result?.code, "stopped");
});

test("a second trigger that the app refuses is a rejection, too, and counts as one", async () => {
  const bench = createBench({ trigger: "http", triggerUrls: ["http://app/-/reload"] });
  bench.set({ readings: [DOWN, DOWN, amp({})] });
  const run = bench.start();
  await bench.clock.advance(0);
  const refused = { kind: "not-sent", code: "trigger-refused", message: "HTTP 500", atMs: 3 } as const;
  bench.set({ refused });
  await bench.clock.advance(1_000);
  assert.deepEqual([run.result?.outcome, run.result?.reason], ["rejected", "HTTP 500"]);
  assert.deepEqual([run.result?.triggeredAtMs, run.result?.lastTriggeredAtMs], [0, 3]);
});

test("without a baseline, an app that tells whole seconds is triggered again in the next second, and proved", async () => {
  const bench = createBench();
  const seconds = (wallMs: number) => Math.floor(wallMs / 1000) * 1000;
  const prometheus = (successWallMs: number) => reading(prometheusStatus(true, successWallMs));
  const first = bench.clock.wallMs() + 300;
  await bench.clock.advance(300);
  bench.set({ readings: [DOWN, prometheus(seconds(first))] });
  const run = bench.start();
  await bench.clock.advance(600);
  assert.equal(bench.signals(), 1, "not again within the same second");
  await bench.clock.advance(200);
  assert.equal(bench.signals(), 2);
  bench.set({ readings: [prometheus(seconds(bench.clock.wallMs()))] });
  await bench.clock.advance(600);
  assert.equal(run.result?.outcome, "success");
});

test("SIGTERM does not hurry a trigger that waits for the next whole second: it could not be proved", async () => {
  const bench = createBench();
  const prometheus = (successWallMs: number) => reading(prometheusStatus(true, successWallMs));
  const second = bench.clock.wallMs();
  await bench.clock.advance(300);
  bench.set({ readings: [prometheus(second)] });
  const run = bench.start();
  await bench.clock.advance(100);
  bench.stopping.abort();
  await bench.clock.advance(100);
  assert.equal(bench.signals(), 0);
  bench.set({ readings: [prometheus(second + 1_000)] });
  await bench.clock.advance(1_000);
  assert.equal(run.result?.outcome, "success");
});

test("slow steps with a deadline of their own are no silence of the loop; a step past its deadline is", async () => {
  const slow = { httpTimeoutMs: 60_000, checkCommand: ["check"], triggerUrls: ["http://a/", "http://b/"] };
  const bench = createBench({ ...slow, trigger: "http", pollIntervalMs: 50_000, reloadTimeoutMs: 300_000 });
  bench.set({ httpMs: 59_000, readings: [amp({}), amp({}), amp({}), amp({ attempts: 4 })] });
  const run = bench.start();
  for (let ms = 0; ms < 600_000 && !run.done(); ms += 1_000) {
    await bench.clock.advance(1_000);
    const silentMs = bench.clock.nowMs() - bench.silentUntilMs.value;
    assert.ok(run.done() || silentMs <= 1_000, `silent for ${silentMs} ms after ${ms} ms`);
  }
  assert.equal(run.result?.outcome, "success");

  const stuck = createBench({ outputDir: "/out" });
  stuck.set({ httpMs: Infinity });
  stuck.start();
  await stuck.clock.advance(31_000);
  assert.equal(stuck.silentUntilMs.value, 0, "a disk that does not answer is not excused");
});

test("long pauses between two reads, and a long wait for the target, are no silence of the loop", async () => {
  const slow = createBench({ pollIntervalMs: 120_000, reloadTimeoutMs: 600_000 });
  const away = createBench({ reloadTimeoutMs: 600_000 });
  away.set({ resolution: { kind: "none", code: "not-there", message: "nobody", again: true } });
  for (const bench of [slow, away]) {
    const run = bench.start();
    for (let ms = 0; ms < 500_000; ms += 1_000) {
      await bench.clock.advance(1_000);
      const silentMs = bench.clock.nowMs() - bench.silentUntilMs.value;
      assert.ok(silentMs <= 1_000, `silent for ${silentMs} ms after ${ms} ms`);
    }
    assert.equal(run.done(), false);
  }
});

test("a shutdown after the app has restarted: the reload of the new process is finished", async () => {
  const bench = createBench();
  const run = bench.start();
  await bench.clock.advance(3_000);
  bench.set({ alive: false, readings: [DOWN] });
  await bench.clock.advance(1_000);
  bench.stopping.abort();
  await bench.clock.advance(1_000);
  assert.equal(run.done(), false, "the process that was signalled went before");
  bench.set({ readings: [amp({ attempts: 0, status: "initial" })] });
  await bench.clock.advance(2_000);
  assert.deepEqual([run.result?.outcome, run.result?.proof], ["success", "restarted"]);
});

test("a baseline from before a long check, or a wait, is read again: what the app did meanwhile proves nothing", async () => {
  for (const [checkMs, outcome] of [[100, "success"], [101, "timeout"], [1_000, "timeout"]] as const) {
    const bench = createBench();
    const answer = amp({ attempts: 3 });
    const atMs = bench.clock.nowMs();
    // The fourth reload was another's.
    bench.set({ readings: [amp({ attempts: 4 })] });
    await bench.clock.advance(checkMs);
    const run = bench.start({}, { begun: { answer: Promise.resolve(answer), atMs } });
    await bench.clock.advance(31_000);
    assert.equal(run.result?.outcome, outcome);
  }
});

test("a trigger that waits for the next whole second is not early where a sleep is", async () => {
  for (const trigger of ["signal", "http"] as const) {
    // The first trigger waits; or the second one, where there was no baseline at first.
    for (const first of [[], [DOWN]]) {
      const bench = createBench({ trigger, triggerUrls: trigger === "http" ? ["http://app/-/reload"] : [] });
      const sleep = bench.clock.sleep;
      bench.clock.sleep = (ms, signal) => sleep(ms > 1 ? ms * 0.99 : ms, signal);
      const successWallMs = bench.clock.wallMs();
      const now = reading(prometheusStatus(true, successWallMs));
      bench.set({ readings: [...first, now] });
      const run = bench.start();
      await bench.clock.advance(35_000);
      const atMs = run.result?.lastTriggeredAtMs ?? 0;
      assert.ok(atMs > 1_000, `${trigger}: ${atMs}`);
    }
  }
});

test("a good status just before the deadline gets its second look in time", async () => {
  const bench = createBench({ reloadTimeoutMs: 10_000 });
  bench.set({ readings: [amp({ attempts: 3 })] });
  const run = bench.start();
  await bench.clock.advance(9_400);
  bench.set({ readings: [amp({ attempts: 4 })] });
  await bench.clock.advance(700);
  assert.equal(run.result?.outcome, "success");
});

test("SIGTERM without a process to look at: polls go on as before, and end when nobody listens", async () => {
  for (const trigger of ["http", "none"] as const) {
    const bench = createBench({ trigger, triggerUrls: trigger === "http" ? ["http://app/-/reload"] : [] });
    bench.set({ readings: [amp({ attempts: 3 })] });
    const run = bench.start();
    await bench.clock.advance(5_000);
    const before = bench.reads();
    bench.stopping.abort();
    await bench.clock.advance(2_000);
    const reads = bench.reads() - before;
    assert.ok(reads >= 3 && reads < 6, `${reads} reads in 2 s`);
    assert.equal(run.done(), false);
    bench.set({ readings: [DOWN] });
    await bench.clock.advance(1_000);
    assert.equal(run.result?.code, "stopped");
  }
});
