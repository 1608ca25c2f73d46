import assert from "node:assert/strict";
import fc from "fast-check";
import type { AttemptResult, Observation } from "../../src/model.ts";
import { decide, decideReload, type Moment } from "../../src/reload/decide.ts";
import {
  adopt,
  INITIAL_STATE,
  isInSync,
  KILLED_MAX,
  outOfSyncReason,
  type Policy,
  recordDeath,
  recordFlap,
  recordResult,
  type ReloadJob,
  type ReloadState,
  waitForApp,
} from "../../src/reload/state.ts";

const POLICY: Policy = {
  retryIntervalMs: 5_000,
  maxBackoffMs: 300_000,
  jitterMs: 0,
  minReloadIntervalMs: 1_000,
  reloadOnStart: "never",
  trigger: "signal",
};
const WALL_MS = 1_700_000_000_000;

function at(nowMs: number, more: Partial<Moment> = {}): Moment {
  return { nowMs, wallMs: WALL_MS + nowMs, hintAtMs: nowMs, causes: ["interval"], random: 0, ...more };
}

function content(digest: string, changedWallMs = WALL_MS): Observation {
  return { kind: "content", snapshot: { digest, files: [], changedWallMs }, skipped: [] };
}

const MISSING: Observation = {
  kind: "unreadable",
  files: [{ path: "/x", digest: null, sizeBytes: 0, error: "/x is missing" }],
};

function result(outcome: AttemptResult["outcome"], more: Partial<AttemptResult> = {}): AttemptResult {
  return {
    outcome,
    reason: outcome === "success" ? "" : `it was ${outcome}`,
    code: "",
    triggeredAtMs: null,
    lastTriggeredAtMs: more.triggeredAtMs ?? null,
    killed: false,
    appIsBlind: false,
    restartRequired: [],
    ...more,
  };
}

/** A state in which the app runs `digest`. */
function running(digest: string): ReloadState {
  return adopt(decide(INITIAL_STATE, content(digest), at(0), POLICY).state);
}

function reloadOf(state: ReloadState, observation: Observation, moment: Moment, policy = POLICY) {
  const decision = decide(state, observation, moment, policy);
  assert.equal(decision.action.kind, "reload", `wanted a reload, got ${JSON.stringify(decision.action)}`);
  return { state: decision.state, job: (decision.action as { job: ReloadJob }).job };
}

/** The state after a try at `digest` at `nowMs` that ended as `outcome`. */
function tried(
  state: ReloadState,
  digest: string,
  nowMs: number,
  outcome: AttemptResult["outcome"],
  more = {},
) {
  const step = reloadOf(state, content(digest), at(nowMs));
  return recordResult(
    step.state,
    step.job,
    result(outcome, { triggeredAtMs: nowMs, ...more }),
    nowMs,
    POLICY,
  );
}

Deno.test("content found at the start: never adopts, always reloads, auto asks the app", () => {
  const kind = (reloadOnStart: Policy["reloadOnStart"]) =>
    decide(INITIAL_STATE, content("a"), at(0), { ...POLICY, reloadOnStart }).action.kind;
  assert.equal(kind("never"), "skip");
  assert.equal(kind("always"), "reload");
  assert.equal(kind("auto"), "ask-app");
  const untriggered = { ...POLICY, reloadOnStart: "always", trigger: "none" } as const;
  assert.equal(decide(INITIAL_STATE, content("a"), at(0), untriggered).action.kind, "ask-app");
  assert.ok(isInSync(running("a")));
});

Deno.test("content that appears after it was missing at the start is a change, whatever the policy", () => {
  const missing = decide(INITIAL_STATE, MISSING, at(0), POLICY);
  assert.deepEqual(missing.action, { kind: "skip", reason: "unreadable" });
  assert.ok(!isInSync(missing.state));
  assert.equal(outOfSyncReason(missing.state), 'Cannot read "/x": /x is missing');
  assert.equal(reloadOf(missing.state, content("a"), at(10)).job.why, "start");
});

Deno.test("an app that is not there yet is asked at each look, about what is on disk then", () => {
  const auto = { ...POLICY, reloadOnStart: "auto" } as const;
  const first = decide(INITIAL_STATE, content("a"), at(0), auto);
  assert.deepEqual(first.action, { kind: "ask-app", question: { digest: "a", goneSinceAtMs: null } });
  const waiting = waitForApp(first.state, { digest: "a", goneSinceAtMs: 7 });
  assert.ok(!isInSync(waiting), "nobody runs it");
  assert.equal(outOfSyncReason(waiting), "the app is not there yet");
  const again = decide(waiting, content("a"), at(5_000), auto);
  assert.deepEqual(again.action, { kind: "ask-app", question: { digest: "a", goneSinceAtMs: 7 } });
  const changed = decide(waiting, content("b"), at(5_000), auto);
  assert.deepEqual(changed.action, { kind: "ask-app", question: { digest: "b", goneSinceAtMs: null } });
  assert.ok(isInSync(adopt(changed.state)));
});

Deno.test("a content that flapped while the app was reloading is sent once more", () => {
  const state = recordFlap(tried(running("a"), "b", 10_000, "success"));
  assert.ok(!isInSync(state));
  assert.equal(reloadOf(state, content("b"), at(12_000)).job.why, "revert");
});

Deno.test("content that comes back is asked about since it was last seen, over several absences", () => {
  const policy = { ...POLICY, jitterMs: 60_000 };
  let { state } = decide(running("a"), MISSING, at(5_000), policy);
  ({ state } = decide(state, content("b"), at(6_000, { random: 0.9 }), policy));
  ({ state } = decide(state, MISSING, at(7_000), policy));
  const back = decide(state, content("a"), at(8_000), policy);
  const question = { digest: "a", goneSinceAtMs: 0, otherSeen: true };
  assert.deepEqual(back.action, { kind: "ask-app", question });
});

Deno.test("the same content never leads to a reload", () => {
  let state = running("a");
  for (let nowMs = 1; nowMs < 100_000; nowMs += 5_000) {
    const decision = decide(state, content("a", WALL_MS + nowMs), at(nowMs), POLICY);
    assert.deepEqual(decision.action, { kind: "skip", reason: "unchanged" });
    state = decision.state;
  }
});

Deno.test("a change goes at once, the next one not sooner than the least time between two triggers", () => {
  const state = tried(running("a"), "b", 10_000, "success");
  const soon = decide(state, content("c"), at(10_300), POLICY);
  assert.deepEqual(soon.action, { kind: "wait", untilMs: 11_000 });
  assert.equal(
    reloadOf(soon.state, content("d"), at(11_000)).job.seenAtMs,
    10_300,
    "coalesced since the first",
  );
});

Deno.test("a missing or unreadable file is no change, and what comes back the same is none either", () => {
  const gone = decide(running("a"), MISSING, at(10), POLICY);
  assert.deepEqual(gone.action, { kind: "skip", reason: "unreadable" });
  assert.ok(!isInSync(gone.state), "0 while the content cannot be read");
  const back = decide(gone.state, content("a"), at(20), POLICY);
  // Unless the app has started meanwhile; the look after that is a look like any other.
  assert.deepEqual(back.action, { kind: "ask-app", question: { digest: "a", goneSinceAtMs: 0 } });
  assert.ok(isInSync(back.state));
  assert.deepEqual(decide(back.state, content("a"), at(30), POLICY).action, {
    kind: "skip",
    reason: "unchanged",
  });
});

Deno.test("a failed reload is tried again after 5 s, 10 s, 20 s … at most 5 min", () => {
  let state = running("a");
  let nowMs = 0;
  for (const pauseMs of [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) {
    state = tried(state, "b", nowMs, "timeout");
    assert.deepEqual(decide(state, content("b"), at(nowMs + pauseMs - 1), POLICY).action, {
      kind: "wait",
      untilMs: nowMs + pauseMs,
    });
    nowMs += pauseMs;
  }
  const { job } = reloadOf(state, content("b"), at(nowMs));
  assert.equal(job.why, "retry");
  assert.equal(job.attempt, 9);
});

Deno.test("new content resets the pause and does not inherit the retry's time", () => {
  const failed = tried(running("a"), "b", 0, "rejected");
  const waiting = decide(failed, content("b"), at(2_000), POLICY);
  assert.equal(waiting.action.kind, "wait");
  const { job } = reloadOf(waiting.state, content("c"), at(3_000));
  assert.equal(job.attempt, 1);
  assert.equal(job.why, "change");
});

Deno.test("going back to the applied content after a failure is reloaded, without a failure it is not", () => {
  const failed = tried(running("a"), "b", 0, "rejected");
  assert.ok(
    !isInSync(decide(failed, content("a"), at(500), POLICY).state),
    "not certain before it is proved",
  );
  const { job } = reloadOf(failed, content("a"), at(1_500));
  assert.equal(job.why, "revert");
  const before = decide(running("a"), content("b"), at(100, { random: 1 }), { ...POLICY, jitterMs: 1_000 });
  assert.equal(before.action.kind, "wait");
  // Nothing was sent yet; but an app that started meanwhile has read the other content.
  assert.equal(decide(before.state, content("a"), at(200), POLICY).action.kind, "ask-app");
});

Deno.test("what is asked for within --min-reload-interval of a failed try comes right after it", () => {
  for (
    const [outcome, cause] of [["timeout", "signal"], ["timeout", "target"], ["invalid", "signal"]] as const
  ) {
    const failed = tried(running("a"), "b", 100, outcome);
    const asked = decide(failed, content("b"), at(200, { causes: [cause] }), POLICY);
    assert.deepEqual(asked.action, { kind: "wait", untilMs: 1_100 });
    const early = decide(asked.state, content("b"), at(1_099), POLICY);
    assert.deepEqual(early.action, { kind: "wait", untilMs: 1_100 }, "other looks do not change that");
    const again = reloadOf(early.state, content("b"), at(1_100, { causes: ["retry"] }));
    assert.equal(again.job.attempt, 2, `${outcome}, ${cause}`);
    assert.equal(reloadOf(asked.state, content("c"), at(1_100)).job.why, "change", "new content is that");
  }
});

Deno.test("invalid content waits for a change; SIGHUP to the sidecar tries everything at once", () => {
  const invalid = tried(running("a"), "b", 0, "invalid", { triggeredAtMs: null });
  assert.deepEqual(decide(invalid, content("b"), at(9e9), POLICY).action, {
    kind: "skip",
    reason: "invalid",
  });
  assert.equal(reloadOf(invalid, content("c"), at(10)).job.attempt, 1);
  assert.equal(reloadOf(invalid, content("a"), at(10)).job.why, "revert");
  assert.equal(reloadOf(invalid, content("b"), at(10, { causes: ["signal"] })).job.why, "retry");
  const timeout = tried(running("a"), "b", 0, "timeout");
  assert.equal(reloadOf(timeout, content("b"), at(1_500, { causes: ["signal"] })).job.attempt, 2);
  assert.equal(
    reloadOf(timeout, content("b"), at(1_500, { causes: ["target"] })).job.attempt,
    2,
    "the app is back",
  );
  assert.equal(decide(invalid, content("b"), at(9e9, { causes: ["target"] }), POLICY).action.kind, "skip");
});

Deno.test("jitter puts a reload off once, evenly over its range", () => {
  const policy = { ...POLICY, jitterMs: 10_000 };
  const first = decide(running("a"), content("b"), at(0, { random: 0.25 }), policy);
  assert.deepEqual(first.action, { kind: "wait", untilMs: 2_500 });
  const again = decide(first.state, content("b"), at(1_000, { random: 0.9 }), policy);
  assert.deepEqual(again.action, { kind: "wait", untilMs: 2_500 });
  const { state, job } = reloadOf(again.state, content("b"), at(2_500, { random: 0.9 }), policy);
  assert.equal(job.seenAtMs, 0);
  const failed = recordResult(state, job, result("timeout"), 3_000, policy);
  assert.equal(
    reloadOf(failed, content("b"), at(8_000, { random: 0.9 }), policy).job.attempt,
    2,
    "none at a retry",
  );
});

Deno.test("jitter spreads evenly: each quarter of its range gets its share", () => {
  const quarters = [0, 0, 0, 0];
  for (let i = 0; i < 4_000; i++) {
    const { action } = decide(running("a"), content("b"), at(0, { random: Math.random() }), {
      ...POLICY,
      jitterMs: 8_000,
    });
    if (action.kind === "wait") quarters[Math.floor(action.untilMs / 2_000)]!++;
  }
  // Six standard deviations of a fair draw around 1,000.
  for (const count of quarters) assert.ok(Math.abs(count - 1_000) < 165, `${quarters}`);
});

Deno.test("content whose signal ended the app is never signalled again, other content is", () => {
  const killed = tried(running("a"), "b", 0, "failed", { killed: true });
  assert.equal(reloadOf(killed, content("b"), at(5_000)).job.mayTrigger, false);
  assert.equal(reloadOf(killed, content("c"), at(5_000)).job.mayTrigger, true);
  const later = tried(killed, "c", 5_000, "success");
  assert.equal(reloadOf(later, content("b"), at(9_000)).job.mayTrigger, false);
});

Deno.test("a death after a reload that counted: out of sync, looked at again, not signalled again", () => {
  const done = tried(running("a"), "b", 0, "success");
  const dead = recordDeath(done, "b", "it died", 300, POLICY);
  assert.ok(!isInSync(dead));
  assert.equal(outOfSyncReason(dead), "it died");
  assert.deepEqual(decide(dead, content("b"), at(400), POLICY).action, { kind: "wait", untilMs: 5_300 });
  assert.equal(reloadOf(dead, content("b"), at(5_300)).job.mayTrigger, false);
});

Deno.test("a death after the app has rejected the content: that content is deadly, and not what ran before it", () => {
  const rejected = tried(running("a"), "b", 0, "rejected");
  const dead = recordDeath(rejected, "b", "it died", 300, POLICY);
  assert.deepEqual(dead.killed, ["b"]);
  assert.equal(dead.failure?.count, 1);
  assert.equal(reloadOf(dead, content("b"), at(5_300)).job.attempt, 2);
  assert.equal(reloadOf(dead, content("a"), at(5_300)).job.mayTrigger, true);
});

Deno.test("deadly contents are remembered up to a bound", () => {
  let state = running("a");
  for (let i = 0; i < 3 * KILLED_MAX; i++) {
    state = tried(state, `bad${i}`, i * 10_000, "failed", { killed: true });
  }
  assert.equal(state.killed.length, KILLED_MAX);
  assert.equal(state.killed.at(-1), `bad${3 * KILLED_MAX - 1}`);
});

Deno.test("content cannot have come before the last look that saw other content, whatever its times say", () => {
  const state = decide(running("a"), content("a"), at(60_000), POLICY).state;
  const { job } = reloadOf(state, content("b", WALL_MS - 999_999), at(65_000));
  assert.equal(job.changedAtMs, 60_000);
  const { job: told } = reloadOf(state, content("b", WALL_MS + 64_990), at(65_000));
  assert.equal(told.changedAtMs, 64_990);
});

Deno.test("settling waits, and the change counts from its first sign", () => {
  const settling = decide(
    running("a"),
    { kind: "settling", againAtMs: 300 },
    at(100, { hintAtMs: 90 }),
    POLICY,
  );
  assert.deepEqual(settling.action, { kind: "wait", untilMs: 300 });
  const more = decide(settling.state, { kind: "settling", againAtMs: 500 }, at(300), POLICY);
  assert.equal(reloadOf(more.state, content("b"), at(500)).job.seenAtMs, 90);
  const nothing = decide(more.state, content("a"), at(500), POLICY);
  assert.deepEqual(nothing.action, { kind: "skip", reason: "unchanged" });
  assert.equal(nothing.state.pending, null);
});

Deno.test("the date of the next try, as it is told, heeds the least time between two triggers", () => {
  const policy = { ...POLICY, minReloadIntervalMs: 60_000 };
  const { state, job } = reloadOf(running("a"), content("b"), at(1_000), policy);
  const failed = recordResult(state, job, result("rejected", { triggeredAtMs: 1_000 }), 2_000, policy);
  assert.equal(failed.failure?.retryAtMs, 61_000);
  const done = recordResult(state, job, result("success", { triggeredAtMs: 1_000 }), 2_000, policy);
  assert.equal(recordDeath(done, "b", "it died", 2_500, policy).failure?.retryAtMs, 61_000);
});

Deno.test("a change after an absence, or after a failed try, has a time and a random wait of its own", () => {
  const policy = { ...POLICY, jitterMs: 1_000 };
  const settling: Observation = { kind: "settling", againAtMs: 300 };
  const failed = tried(running("a"), "b", 0, "timeout");
  for (
    const [before, between, what] of [[running("a"), MISSING, "absent"], [
      failed,
      content("b"),
      "failed",
    ]] as const
  ) {
    let { state } = decide(before, settling, at(2_000), policy);
    ({ state } = decide(state, between, at(2_400), policy));
    const next = decide(state, content("c"), at(4_000, { random: 0.5 }), policy);
    assert.deepEqual(next.action, { kind: "wait", untilMs: 4_500 }, what);
    assert.equal(reloadOf(next.state, content("c"), at(4_500), policy).job.seenAtMs, 4_000, what);
  }
});

Deno.test("property: over any history there is a reload only for content not proved, and never two in the pause", () => {
  const step = fc.record({
    digest: fc.constantFrom("a", "b", "c"),
    missing: fc.boolean(),
    outcome: fc.constantFrom<AttemptResult["outcome"]>("success", "rejected", "failed", "timeout", "invalid"),
    sinceMs: fc.integer({ min: 1, max: 20_000 }),
    killed: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    let state = INITIAL_STATE;
    let nowMs = 0;
    let lastTriggerMs = -Infinity;
    const deadly = new Set<string>();
    for (const { digest, missing, outcome, sinceMs, killed } of steps) {
      nowMs += sinceMs;
      const provedBefore = isInSync(state) && digest === state.applied;
      const { state: next, action } = decide(state, missing ? MISSING : content(digest), at(nowMs), POLICY);
      state = next;
      if (action.kind === "wait") assert.ok(action.untilMs > nowMs);
      if (action.kind !== "reload") continue;
      assert.ok(!missing && !provedBefore, "no reload without a change");
      assert.ok(nowMs - lastTriggerMs >= POLICY.minReloadIntervalMs);
      if (deadly.has(digest)) assert.equal(action.job.mayTrigger, false);
      const dies = killed && outcome === "failed" && action.job.mayTrigger;
      if (dies) deadly.add(digest);
      const triggeredAtMs = outcome === "invalid" || !action.job.mayTrigger ? null : nowMs;
      lastTriggerMs = triggeredAtMs ?? lastTriggerMs;
      state = recordResult(
        state,
        action.job,
        result(outcome, { triggeredAtMs, killed: dies }),
        nowMs,
        POLICY,
      );
      assert.equal(isInSync(state), outcome === "success");
    }
  }));
});

Deno.test("decideReload without a failure or a change of mind reloads now", () => {
  const state = { ...running("a"), applied: null };
  assert.equal(decideReload(state, at(5), POLICY).action.kind, "reload");
});
