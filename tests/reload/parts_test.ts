import assert from "node:assert/strict";
import fc from "fast-check";
import type { Status } from "../../src/model.ts";
import { nextRetryDelayMs } from "../../src/reload/look.ts";
import { isSameProcess, START_MARGIN_MS } from "../../src/reload/process.ts";
import { decideStart } from "../../src/reload/start.ts";
import { formatMs, shortHash } from "../../src/text.ts";
import { amp, prometheus } from "../support/status.ts";
import { test } from "../support/strict.ts";
import { targetOf } from "../target/fake_table.ts";

test("retry pauses double and never pass the longest", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 5_000 }),
    fc.integer({ min: 1, max: 60_000 }),
    fc.integer({ min: 1, max: 600_000 }),
    (failures, retryMs, maxMs) => {
      const delay = nextRetryDelayMs(failures, retryMs, maxMs);
      assert.ok(delay > 0 && delay <= maxMs);
      assert.ok(nextRetryDelayMs(failures + 1, retryMs, maxMs) >= delay);
      if (delay < maxMs) assert.equal(delay, retryMs * 2 ** (failures - 1));
    },
  ));
});

const PROMETHEUS = prometheus(true, 2_000);
const AMP = amp({ status: "initial", attempts: 0 });

/** What is known of an app that is asked about content that came at 1,000 ms of both clocks. It is 5,000 now. */
interface StartFacts {
  readonly trigger?: "http" | "none";
  /** Missing where there is no process to be seen. */
  readonly targetStartedAtMs?: number;
  readonly goneSinceAtMs?: number;
  readonly otherSeen?: true;
  /** `--verify none`. */
  readonly isAsked?: false;
  readonly status?: Status;
  /** What it said when it was last asked. */
  readonly before?: Status;
}

function verdictOn(facts: StartFacts): string {
  const { trigger = "signal", targetStartedAtMs, goneSinceAtMs = null, otherSeen, status, before } = facts;
  const target = targetStartedAtMs === undefined ? null : targetOf(7, { startedAtMs: targetStartedAtMs });
  const readingOf = (told?: Status) => told === undefined ? null : { kind: "status", status: told } as const;
  return decideStart(
    { changedAtMs: 1_000, reading: readingOf(before) },
    {
      question: { digest: "a", goneSinceAtMs, ...(otherSeen && { otherSeen }) },
      snapshot: { digest: "a", files: [], changedWallMs: 1_000 },
    },
    {
      prepared: { kind: "ok" },
      resolution: target && { kind: "target", target },
      reading: readingOf(status),
    },
    { wallMs: 5_000 },
    { trigger, verify: facts.isAsked === false ? "none" : "auto" },
  );
}
const START_CASES: [string, StartFacts, string][] = [
  ["app started after the change", { targetStartedAtMs: 1_000 + START_MARGIN_MS }, "adopt"],
  ["app started before it", { targetStartedAtMs: 900 }, "reload"],
  ["app started too close to tell", { targetStartedAtMs: 1_000 + START_MARGIN_MS - 1 }, "reload"],
  [
    "app older, but reports a reload after the change",
    { targetStartedAtMs: 900, status: PROMETHEUS },
    "adopt",
  ],
  ["app older, reports a reload in the future: the clock was set back", {
    targetStartedAtMs: 900,
    status: { ...PROMETHEUS, successWallMs: 3_600_000 },
  }, "reload"],
  ["app older, reports an earlier reload", {
    targetStartedAtMs: 900,
    status: { ...PROMETHEUS, successWallMs: 999 },
  }, "reload"],
  ["app older, reports a rejected one", {
    targetStartedAtMs: 900,
    status: { ...PROMETHEUS, successful: false },
  }, "reload"],
  [
    "app older and tells no time",
    { targetStartedAtMs: 900, status: { format: "http", code: 200 } },
    "reload",
  ],
  ["no app yet", {}, "later"],
  ["http trigger, app does not answer yet", { trigger: "http" }, "later"],
  ["http trigger, nobody asks the app", { trigger: "http", isAsked: false }, "reload"],
  ["http trigger, app tells no time", { trigger: "http", status: { format: "http", code: 200 } }, "reload"],
  ["http trigger, app tells a later reload", { trigger: "http", status: PROMETHEUS }, "adopt"],
  ["content back, app has been there all the time", { goneSinceAtMs: 500, targetStartedAtMs: 100 }, "adopt"],
  ["content back, app started without it", { goneSinceAtMs: 500, targetStartedAtMs: 700 }, "reload"],
  ["content back, app started after that", { goneSinceAtMs: 500, targetStartedAtMs: 1_500 }, "adopt"],
  ["content back, app away", { goneSinceAtMs: 500 }, "later"],
  ["content back after other content, no process to see", {
    goneSinceAtMs: 500,
    otherSeen: true,
    trigger: "http",
  }, "reload"],
  ["content back after other content, app has been there all the time", {
    goneSinceAtMs: 500,
    otherSeen: true,
    targetStartedAtMs: 100,
  }, "adopt"],
  ["content back, app counts anew since", {
    goneSinceAtMs: 500,
    trigger: "http",
    status: AMP,
    before: { ...AMP, attempts: 1 },
  }, "reload"],
  ["content back, app has loaded something since", {
    goneSinceAtMs: 500,
    trigger: "http",
    status: { ...PROMETHEUS, successWallMs: 900 },
    before: { ...PROMETHEUS, successWallMs: 800 },
  }, "reload"],
  ["content back, app has another token", {
    goneSinceAtMs: 500,
    trigger: "http",
    status: { format: "json", ok: true, token: "2" },
    before: { format: "json", ok: true, token: "1" },
  }, "reload"],
  ["content back, app says what it said", {
    goneSinceAtMs: 500,
    trigger: "http",
    status: { ...PROMETHEUS, successWallMs: 900 },
    before: { ...PROMETHEUS, successWallMs: 900 },
  }, "adopt"],
  ["content back, no process to see", { goneSinceAtMs: 500, trigger: "http" }, "adopt"],
  ["nothing to trigger, app is well", { trigger: "none", status: PROMETHEUS }, "adopt"],
  ["nothing to trigger, app has loaded nothing since its start", { trigger: "none", status: AMP }, "adopt"],
  ["nothing to trigger, app could not load it", {
    trigger: "none",
    status: { ...AMP, status: "validation_failed" },
  }, "reload"],
  ["nothing to trigger, split state", { trigger: "none", status: { ...AMP, splitState: true } }, "reload"],
  ["nothing to trigger, not successful", {
    trigger: "none",
    status: { ...PROMETHEUS, successful: false },
  }, "reload"],
  ["nothing to trigger, not as --verify-ok wants it", {
    trigger: "none",
    status: { format: "json", ok: false, token: null },
  }, "reload"],
  ["nothing to trigger, any answer", { trigger: "none", status: { format: "http", code: 503 } }, "adopt"],
  ["nothing to trigger, app does not answer yet", { trigger: "none" }, "later"],
  ["nothing to trigger, content back, no answer", { trigger: "none", goneSinceAtMs: 500 }, "adopt"],
  ["nothing to trigger, nobody asks the app", { trigger: "none", isAsked: false }, "adopt"],
];
for (const [name, facts, verdict] of START_CASES) {
  test(`at the start: ${name}: ${verdict}`, () => assert.equal(verdictOn(facts), verdict));
}

test("a process is the same by its number and its start", () => {
  const process = targetOf(7);
  assert.ok(isSameProcess(process, { ...process, name: "another", handled: false }));
  for (const other of [targetOf(8), { ...process, startTicks: 1 }, { ...process, pid: 8 }, null]) {
    assert.ok(!isSameProcess(process, other));
  }
});

test("durations and hashes as people read them", () => {
  const cases: [number, string][] = [
    [0, "0ms"],
    [0.4, "0ms"],
    [8.2, "8ms"],
    [994.4, "994ms"],
    [999.4, "1s"],
    [1_500, "1.5s"],
    [10_000, "10s"],
    [59_400, "59s"],
    [59_600, "1m"],
    [90_000, "1m30s"],
    [3_600_000, "1h"],
    [7_500_000, "2h5m"],
    [360_000_000, "4d"],
  ];
  for (const [ms, text] of cases) assert.equal(formatMs(ms), text);
  assert.equal(shortHash("0123456789abcdef"), "0123456789ab");
  assert.equal(shortHash(null), "none");
});
