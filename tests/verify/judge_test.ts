/** The judge: the contract's table row by row, and that nothing unchanged is ever called a success. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { type Proof, PROOFS, type ReloadFamily, type Status, type Verdict } from "../../src/model.ts";
import { judge } from "../../src/verify/judge.ts";
import { earliestTriggerWallMs, STILL_FAILED_MS } from "../../src/verify/prometheus.ts";
import type { JudgeContext } from "../../src/verify/verdict.ts";
import { type Amp, amp as ampStatus, prometheus as prom } from "../support/status.ts";
import { test } from "../support/strict.ts";

type Of<F extends Status["format"]> = Extract<Status, { format: F }>;

const amp = (attempts: number, status = "success", more: Partial<Amp> = {}): Status =>
  ampStatus({ attempts, status, ...more });
/** A page of metrics with one family, or several. */
const page = (...families: Partial<ReloadFamily>[]): Status => {
  const whole = families.map((family, index) => ({
    prefix: `family${index}`,
    successful: true,
    successWallMs: null,
    reloads: null,
    errors: null,
    ...family,
  }));
  return { ...prom(whole.every(({ successful }) => successful), null), families: whole } as Status;
};
const json = (ok: boolean | null, token: string | null): Status => ({ format: "json", ok, token });
const http = (code: number): Status => ({ format: "http", code });

/** The trigger of all rows, half a second into a second. */
const T = 1_700_000_000_500;

/** vmalert after seven reloads, two of them failed; it tells whole seconds. */
const VM_FAMILY = { successWallMs: T - 9_500, reloads: 7, errors: 2 };
const VM = page(VM_FAMILY);

type Row = readonly [
  what: string,
  context: Partial<JudgeContext>,
  status: Status,
  /** A success with its proof: `success by time`. */
  verdict: Exclude<Verdict["kind"], "success"> | `success by ${Proof}`,
  reason?: RegExp,
];

const ROWS: readonly Row[] = [
  // AMP
  ["counted, success: settles", { baseline: amp(3) }, amp(4), "settling"],
  ["still good one poll later", { baseline: amp(3), settled: true }, amp(4), "success by counter"],
  ["no_changes is good", { baseline: amp(3), settled: true }, amp(4, "no_changes"), "success by counter"],
  [
    "rolled back after a first success",
    { baseline: amp(3), settled: true },
    amp(4, "rolled_back"),
    "rejected",
    /^rolled_back$/,
  ],
  [
    "no baseline, a time in the future: the clock was set back, so it proves nothing",
    { baseline: null, sinceTriggerMs: 100 },
    prom(true, T + 3_600_000),
    "baseline",
  ],
  [
    "nothing triggered, told later than the change",
    { baseline: amp(4), untriggered: true, settled: true },
    amp(4, "success", { lastReloadWallMs: T }),
    "success by time",
  ],
  [
    "nothing triggered, no baseline, told later",
    { untriggered: true, settled: true },
    amp(4, "success", { lastReloadWallMs: T }),
    "success by time",
  ],
  [
    "nothing triggered, told later and bad",
    { baseline: amp(4), untriggered: true },
    amp(4, "load_failed", { lastReloadWallMs: T }),
    "rejected",
  ],
  [
    "nothing triggered, counted, but told earlier",
    { baseline: amp(3), untriggered: true },
    amp(4, "success", { lastReloadWallMs: T - 1 }),
    "pending",
  ],
  [
    "nothing triggered, not counted, a time in the future: the clock was set back",
    { baseline: amp(4), untriggered: true },
    amp(4, "success", { lastReloadWallMs: T + 3_600_000 }),
    "pending",
  ],
  [
    "nothing triggered, not counted since this content was proved: the app never left it",
    { baseline: amp(4), untriggered: true, provedToken: "4" },
    amp(4),
    "success by counter",
  ],
  ["nothing triggered, counted, no time told", { baseline: amp(3), untriggered: true }, amp(4), "settling"],
  [
    "nothing triggered, not counted, a time in the future: the clock was set back",
    { baseline: amp(4), untriggered: true },
    amp(4, "success", { lastReloadWallMs: T + 3_600_000 }),
    "pending",
  ],
  [
    "nothing triggered, counter begun anew, perhaps before the change",
    { baseline: amp(4), untriggered: true },
    amp(0, "initial"),
    "baseline",
  ],
  [
    "nothing triggered, counter begun anew after the change",
    { baseline: amp(4), untriggered: true, startWouldShow: true },
    amp(0, "initial"),
    "settling",
  ],
  [
    "triggered, not counted: a time is no proof",
    { baseline: amp(4) },
    amp(4, "success", { lastReloadWallMs: T + 1 }),
    "pending",
  ],
  [
    "nothing triggered, the same time as before, later than the change",
    { baseline: prom(true, T + 1), untriggered: true },
    prom(true, T + 1),
    "success by time",
  ],
  [
    "nothing triggered, a newer time, but earlier than the change",
    { baseline: prom(true, T - 5_000), untriggered: true },
    prom(true, T - 1_000),
    "pending",
  ],
  ...[T, T - 0.9].flatMap((wallMs): Row[] => [
    [
      `nothing triggered, AMP's time ${wallMs - T} ms from the change: the same one`,
      { baseline: amp(4), untriggered: true },
      amp(4, "success", { lastReloadWallMs: wallMs }),
      "settling",
    ],
    [
      `nothing triggered, Prometheus's time ${wallMs - T} ms from the change: the same one`,
      { baseline: prom(true, wallMs), untriggered: true },
      prom(true, wallMs),
      "success by time",
    ],
  ]),
  [
    "nothing triggered, a whole second that is the time of the change",
    { baseline: prom(true, T - 500), untriggered: true, triggeredWallMs: T - 500 },
    prom(true, T - 500),
    "pending",
  ],
  [
    "nothing triggered, a millisecond earlier than the change",
    { baseline: prom(true, T - 1), untriggered: true },
    prom(true, T - 1),
    "pending",
  ],
  ["triggered in the very millisecond of an old reload", {}, prom(true, T), "pending"],
  ["back to uncounted after settling", { baseline: amp(3), settled: true }, amp(3), "pending"],
  ["not counted", { baseline: amp(3) }, amp(3), "pending", /attempts is still 3/],
  [
    "not counted and failed before",
    { baseline: amp(3, "load_failed") },
    amp(3, "load_failed"),
    "pending",
    /load_failed/,
  ],
  ["rejected", { baseline: amp(3) }, amp(4, "validation_failed"), "rejected", /^validation_failed$/],
  ["rejected again", { baseline: amp(3, "load_failed") }, amp(4, "load_failed"), "rejected", /^load_failed$/],
  ["an unknown status", { baseline: amp(3) }, amp(4, "strange"), "rejected", /^strange$/],
  ["initial is no success without a restart", { baseline: amp(0, "initial") }, amp(1, "initial"), "rejected"],
  [
    "initial and not counted",
    { baseline: amp(0, "initial") },
    amp(0, "initial"),
    "pending",
    /no reload since the app started/,
  ],
  ["split state", { baseline: amp(3) }, amp(4, "success", { splitState: true }), "rejected", /^split_state$/],
  [
    "split and failed",
    { baseline: amp(3) },
    amp(4, "apply_failed", { splitState: true }),
    "rejected",
    /^apply_failed, split_state$/,
  ],
  ["split before, not counted", { baseline: amp(3) }, amp(3, "success", { splitState: true }), "pending"],
  [
    "restart_required is no failure",
    { baseline: amp(3), settled: true },
    amp(4, "success", { restartRequired: ["W600"] }),
    "success by counter",
  ],
  ["no baseline", {}, amp(4), "baseline"],
  ["baseline of another format", { baseline: http(200) }, amp(4), "baseline"],
  ["restarted, initial: settles", { restarted: true, baseline: amp(3) }, amp(0, "initial"), "settling"],
  [
    "restarted, initial, still so",
    { restarted: true, baseline: amp(3), settled: true },
    amp(0, "initial"),
    "success by restarted",
  ],
  [
    "restarted without a baseline",
    { restarted: true, settled: true },
    amp(0, "initial"),
    "success by restarted",
  ],
  [
    "restarted and reloaded since",
    { restarted: true, baseline: amp(3), settled: true },
    amp(1),
    "success by restarted",
  ],
  ["restarted and rejected since", { restarted: true, baseline: amp(3) }, amp(1, "load_failed"), "rejected"],
  ["restarted and bad from the start", { restarted: true }, amp(0, "load_failed"), "pending", /restarted/],
  ["restarted in split state", { restarted: true }, amp(0, "initial", { splitState: true }), "pending"],
  [
    "counter below the baseline: a restart nobody saw",
    { baseline: amp(3), settled: true },
    amp(0, "initial"),
    "success by restarted",
  ],
  ["counter below the baseline and failed", { baseline: amp(3) }, amp(1, "load_failed"), "rejected"],
  // Prometheus
  ["newer", { baseline: prom(true, T - 9000) }, prom(true, T + 20), "success by time"],
  ["newer than a rejected one", { baseline: prom(false, T - 9000) }, prom(true, T + 20), "success by time"],
  ["first success ever", { baseline: prom(false, null) }, prom(true, T + 20), "success by time"],
  ["not newer", { baseline: prom(true, T - 9000) }, prom(true, T - 9000), "pending", /has not changed/],
  [
    "good again at the same time",
    { baseline: prom(false, T - 9000) },
    prom(true, T - 9000),
    "success by counter",
  ],
  [
    "went from 1 to 0",
    { baseline: prom(true, T - 9000) },
    prom(false, T - 9000),
    "rejected",
    /not successful/,
  ],
  [
    "0 before, still 0",
    { baseline: prom(false, 5), sinceTriggerMs: 4_999 },
    prom(false, 5),
    "pending",
    /before the trigger/,
  ],
  [
    "0 before, still 0 after 5 s",
    { baseline: prom(false, 5), sinceTriggerMs: 5_000 },
    prom(false, 5),
    "rejected",
  ],
  ["no baseline, 0", { sinceTriggerMs: 10 }, prom(false, 5), "pending"],
  ["no baseline, still 0 after 5 s", { sinceTriggerMs: 5_000 }, prom(false, 5), "rejected"],
  ["no time told", { baseline: prom(true, null) }, prom(true, null), "pending", /has not changed/],
  ["no baseline, later than the trigger", {}, prom(true, T + 1), "success by time"],
  ["no baseline, before the trigger", {}, prom(true, T - 1), "pending", /older than the trigger/],
  ["no baseline, whole second of the trigger", {}, prom(true, T - 500), "baseline"],
  ["no baseline, whole second after", {}, prom(true, T + 500), "success by time"],
  ["no baseline, whole second before", {}, prom(true, T - 1500), "pending"],
  ["whole second, the same", { baseline: prom(true, T - 500) }, prom(true, T - 500), "pending"],
  ["whole second, the next", { baseline: prom(true, T - 500) }, prom(true, T + 500), "success by time"],
  [
    "clock set back, reload after the trigger",
    { baseline: prom(true, T + 3_600_000) },
    prom(true, T + 20),
    "success by time",
  ],
  ["clock set back, no reload since", { baseline: prom(true, T + 3_600_000) }, prom(true, T - 20), "pending"],
  [
    "restarted and good",
    { restarted: true, baseline: prom(true, T) },
    prom(true, T - 9000),
    "success by restarted",
  ],
  ["restarted and not yet good", { restarted: true, sinceTriggerMs: 9_000 }, prom(false, null), "pending"],
  // Families of metrics: VictoriaMetrics moves the time only when what it parsed differs, and counts before it parses
  [
    "counted, the same time, a second later",
    { baseline: VM, sinceTriggerMs: 1_000 },
    page({ ...VM_FAMILY, reloads: 8 }),
    "success by counter",
  ],
  [
    "counted, the same time, at once: it has only begun",
    { baseline: VM, sinceTriggerMs: 999 },
    page({ ...VM_FAMILY, reloads: 8 }),
    "pending",
    /begun a reload/,
  ],
  [
    "counted, and so were the errors",
    { baseline: VM, sinceTriggerMs: 1_000 },
    page({ ...VM_FAMILY, reloads: 8, errors: 3 }),
    "pending",
  ],
  [
    "counted, a newer time",
    { baseline: VM },
    page({ ...VM_FAMILY, reloads: 8, successWallMs: T + 500 }),
    "success by time",
  ],
  [
    "not counted, the same time",
    { baseline: VM, sinceTriggerMs: 9_000 },
    VM,
    "pending",
    /^neither the count nor the time .* has changed$/,
  ],
  ["counted, 1 to 0", { baseline: VM }, page({ ...VM_FAMILY, reloads: 8, successful: false }), "rejected"],
  ["0 to 1", { baseline: page({ ...VM_FAMILY, successful: false }) }, VM, "success by counter"],
  ["a counter, no baseline, an old time", {}, VM, "baseline"],
  ["a counter and no time, no baseline", {}, page({ reloads: 7 }), "baseline"],
  ["a counter and no time", { baseline: page({ reloads: 7 }) }, page({ reloads: 7 }), "pending"],
  [
    "a counter and no time, counted",
    { baseline: page({ reloads: 7 }), sinceTriggerMs: 1_000 },
    page({ reloads: 8 }),
    "success by counter",
  ],
  [
    "two families, one moves: confirmed by a second look",
    { baseline: page(VM_FAMILY, VM_FAMILY) },
    page(VM_FAMILY, { ...VM_FAMILY, successWallMs: T + 500 }),
    "settling",
  ],
  [
    "two families, one moved, still so",
    { baseline: page(VM_FAMILY, VM_FAMILY), settled: true },
    page(VM_FAMILY, { ...VM_FAMILY, successWallMs: T + 500 }),
    "success by time",
  ],
  [
    "two families, one moves, the other fails",
    { baseline: page(VM_FAMILY, VM_FAMILY), settled: true },
    page({ ...VM_FAMILY, successful: false }, { ...VM_FAMILY, successWallMs: T + 500 }),
    "rejected",
  ],
  [
    "two families, the other was failed before",
    { baseline: page({ ...VM_FAMILY, successful: false }, VM_FAMILY) },
    page({ ...VM_FAMILY, successful: false }, { ...VM_FAMILY, successWallMs: T + 500 }),
    "pending",
  ],
  ["the flag alone, 1: confirmed by a second look", { baseline: page({}) }, page({}), "settling"],
  ["the flag alone, 1, still so", { baseline: page({}), settled: true }, page({}), "success by http-200"],
  ["the flag alone, 1, no baseline", { settled: true }, page({}), "success by http-200"],
  ["the flag alone, 1 to 0", { baseline: page({}) }, page({ successful: false }), "rejected"],
  ["the flag alone, 0 to 1", { baseline: page({ successful: false }) }, page({}), "success by counter"],
  [
    "the flag alone, 0 as before",
    { baseline: page({ successful: false }) },
    page({ successful: false }),
    "pending",
  ],
  [
    "the flag alone, still 0 after 5 s",
    { baseline: page({ successful: false }), sinceTriggerMs: 5_000 },
    page({ successful: false }),
    "rejected",
  ],
  [
    "a flag alone beside a family with a time that stands still",
    { baseline: page({}, VM_FAMILY), settled: true },
    page({}, VM_FAMILY),
    "pending",
  ],
  // JSON
  ["token changed", { baseline: json(null, "1") }, json(null, "2"), "success by token"],
  ["token unchanged", { baseline: json(null, "1") }, json(null, "1"), "pending", /has not changed/],
  [
    "back to the content of this token",
    { baseline: json(null, "1"), provedToken: "1" },
    json(null, "1"),
    "success by token",
  ],
  [
    "back to content of another token",
    { baseline: json(null, "1"), provedToken: "2" },
    json(null, "1"),
    "pending",
  ],
  ["no baseline, token of this content", { provedToken: "1" }, json(null, "1"), "baseline"],
  ["ok holds and token changed", { baseline: json(true, "1") }, json(true, "2"), "success by token"],
  ["ok holds, token unchanged", { baseline: json(false, "1") }, json(true, "1"), "pending"],
  ["ok fails, token changed", { baseline: json(true, "1") }, json(false, "2"), "pending", /--verify-ok/],
  ["ok alone", { baseline: json(true, null) }, json(true, null), "success by http-200"],
  ["ok alone, without a baseline", {}, json(true, null), "success by http-200"],
  ["ok alone, fails", {}, json(false, null), "pending"],
  ["nothing asked", {}, json(null, null), "pending"],
  ["no baseline for the token", {}, json(true, "1"), "baseline"],
  [
    "restarted, token unchanged",
    { restarted: true, baseline: json(true, "1") },
    json(true, "1"),
    "success by restarted",
  ],
  ["restarted, ok fails", { restarted: true, baseline: json(true, "1") }, json(false, "1"), "pending"],
  // HTTP
  ["200", { baseline: http(200) }, http(200), "success by http-200"],
  ["200 after an error", { baseline: http(503) }, http(200), "success by http-200"],
  ["200 without a baseline", {}, http(200), "success by http-200"],
  ["200 of an app that has restarted", { restarted: true }, http(200), "success by restarted"],
  ["204", {}, http(204), "pending", /HTTP 204, wanted 200/],
  ["503", {}, http(503), "pending"],
  ["200 of an app that told more before", { baseline: amp(3) }, http(200), "pending", /no amp status/],
  ["200 of a Prometheus", { baseline: prom(true, 5), restarted: true }, http(200), "pending"],
];

function contextOf(context: Partial<JudgeContext>): JudgeContext {
  return { baseline: null, triggeredWallMs: T, sinceTriggerMs: 10, restarted: false, ...context };
}

for (const [what, context, status, kind, reason] of ROWS) {
  test(`${status.format}: ${what}: ${kind}`, () => {
    const verdict = judge(status, contextOf(context));
    const found = verdict.kind === "success" ? `success by ${verdict.proof}` : verdict.kind;
    assert.equal(found, kind, JSON.stringify(verdict));
    if (reason) assert.match("reason" in verdict ? verdict.reason : "", reason);
    if ("reason" in verdict) assert.notEqual(verdict.reason, "");
  });
}

const anyAmp = fc.record({
  format: fc.constant("amp" as const),
  healthy: fc.boolean(),
  status: fc.constantFrom("initial", "success", "no_changes", "load_failed", "rolled_back", "x"),
  attempts: fc.nat(5),
  splitState: fc.boolean(),
  restartRequired: fc.array(fc.string(), { maxLength: 2 }),
  lastReloadWallMs: fc.constant(null),
});
const anyProm = fc.tuple(fc.boolean(), fc.option(fc.integer({ min: T - 3000, max: T + 3000 })))
  .map(([successful, successWallMs]) => prom(successful, successWallMs));
const anyJson = fc.record({
  format: fc.constant("json" as const),
  ok: fc.option(fc.boolean()),
  token: fc.option(fc.constantFrom("1", "2")),
});
const anyHttp = fc.record({
  format: fc.constant("http" as const),
  code: fc.constantFrom(200, 204, 404, 503),
});
const anyStatus: fc.Arbitrary<Status> = fc.oneof(anyAmp, anyProm, anyJson, anyHttp);

/** What must have changed for a success; null where the format has nothing that could. */
function proofOf(status: Status): unknown {
  if (status.format === "amp") return status.attempts;
  if (status.format === "prometheus") return status.successWallMs;
  return status.format === "json" ? status.token : null;
}

test("no success, no settling, while counter, token or time are what they were", () => {
  fc.assert(
    fc.property(
      anyStatus,
      anyStatus,
      fc.boolean(),
      fc.nat(20_000),
      (baseline, other, settled, sinceTriggerMs) => {
        const before = proofOf(baseline);
        if (before === null) return;
        // Anything else about the answer may have changed.
        const status = { ...(other.format === baseline.format ? other : baseline) } as Status;
        if (status.format === "amp") Object.assign(status, { attempts: before });
        if (status.format === "prometheus" && baseline.format === "prometheus") {
          // That it was failed and is good would be a proof by itself.
          Object.assign(status, prom(status.successful && baseline.successful, baseline.successWallMs));
        }
        if (status.format === "json") Object.assign(status, { token: before });
        const { kind } = judge(status, contextOf({ baseline, settled, sinceTriggerMs }));
        assert.ok(kind === "pending" || kind === "rejected", kind);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("without a baseline only the app's own time after the trigger, or a bare code, is a proof", () => {
  fc.assert(
    fc.property(anyStatus, fc.nat(20_000), (status, sinceTriggerMs) => {
      const { kind } = judge(status, contextOf({ sinceTriggerMs }));
      if (kind !== "success") return;
      if (status.format === "prometheus") return assert.ok(status.successWallMs! > T);
      if (status.format === "json") return assert.ok(status.ok === true && status.token === null);
      assert.ok(status.format === "http" && status.code === 200);
    }),
    { numRuns: 2_000 },
  );
});

test("every status gets a verdict, whatever the baseline", () => {
  fc.assert(fc.property(
    anyStatus,
    fc.option(anyStatus),
    fc.boolean(),
    fc.boolean(),
    (status, baseline, restarted, settled) => {
      const verdict = judge(status, contextOf({ baseline, restarted, settled }));
      if (verdict.kind === "rejected") assert.notEqual(verdict.reason, "");
      if (verdict.kind === "success") assert.ok(PROOFS.includes(verdict.proof));
    },
  ));
});

test("two reloads in one second are both proved, by a trigger that waits for the next second", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: T, max: T + 100_000 }),
      fc.nat(3_000),
      fc.nat(3_000),
      (now, age, reloadMs) => {
        const cut = (ms: number) => Math.floor(ms / 1000) * 1000;
        const baseline = prom(true, cut(now - age));
        const triggeredWallMs = earliestTriggerWallMs(baseline, now);
        assert.ok(triggeredWallMs >= now && triggeredWallMs - now <= 1002);
        if (cut(now - age) < cut(now - 2)) assert.equal(triggeredWallMs, now);
        const verdict = judge(
          prom(true, cut(triggeredWallMs + reloadMs)),
          contextOf({ baseline, triggeredWallMs }),
        );
        assert.equal(verdict.kind, "success");
      },
    ),
  );
});

test("a trigger waits for nothing else", () => {
  const now = T;
  for (
    const baseline of [null, amp(3), http(200), json(true, "1"), prom(true, T - 501), prom(true, null)]
  ) assert.equal(earliestTriggerWallMs(baseline, now), now);
  // The clock was set back: the app's time lies in the future.
  assert.equal(earliestTriggerWallMs(prom(true, T + 3_600_000), now), now);
  // A counter tells two reloads in one second apart.
  assert.equal(
    earliestTriggerWallMs(
      { ...prom(true, T - 500), families: (VM as Of<"prometheus">).families },
      now,
    ),
    now,
  );
  assert.equal(STILL_FAILED_MS, 5_000);
});
