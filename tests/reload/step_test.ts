/** What looks at the disk and the ends of attempts lead to, case by case, through `step` alone. */

import assert from "node:assert/strict";
import type { Observation } from "../../src/model.ts";
import type { Config } from "../../src/config.ts";
import { isInSync, type Model } from "../../src/reload/model.ts";
import { KILLED_MAX } from "../../src/reload/process.ts";
import { outOfSyncReason } from "../../src/record/view.ts";
import { targetOf } from "../target/fake_table.ts";
import {
  answer,
  at,
  content,
  die,
  end,
  INITIAL,
  jobOf,
  look,
  MISSING,
  POLICY,
  result,
  running,
  send,
  type State,
  tried,
  WALL_MS,
} from "./support.ts";
import { DOWN } from "../support/status.ts";
import { test } from "../support/strict.ts";

const phaseOf = ([model]: State): Model["phase"] => model.phase;
const questionOf = ([{ phase }]: State) => phase.is === "asking" ? phase.question : null;

/** A reload that begins with this look. */
function reloadAt(state: State, observation: Observation, moment: ReturnType<typeof at>, policy?: Config) {
  return jobOf(look(state, observation, moment, policy));
}

test("content found at the start: never adopts, always reloads, auto asks the app", () => {
  const first = (reloadOnStart: Config["reloadOnStart"], trigger: Config["trigger"] = "http") =>
    look(INITIAL, content("a"), at(0), { ...POLICY, reloadOnStart, trigger });
  assert.equal(questionOf(first("never"))?.isAdopted, true, "its output is written, and nobody asked");
  assert.equal(phaseOf(first("always")).is, "reloading");
  assert.deepEqual(questionOf(first("auto")), { digest: "a", goneSinceAtMs: null });
  assert.equal(
    phaseOf(first("always", "none")).is,
    "asking",
    "what nobody triggers cannot be made to reload",
  );
  assert.ok(isInSync(running("a")[0]));
});

test("--reload-on-start never: what the first look found is applied, also where it had not settled; what differs is a change", () => {
  const settling: Observation = { kind: "settling", againAtMs: 400, digest: "a" };
  const first = look(INITIAL, settling, at(0));
  assert.equal(questionOf(look(first, content("a"), at(400)))?.isAdopted, true);
  const job = reloadAt(first, content("b"), at(400));
  assert.deepEqual([job.why, job.oldDigest, job.digest], ["change", "a", "b"]);
  const incomplete = look(INITIAL, { kind: "settling", againAtMs: 400 }, at(0));
  assert.equal(questionOf(look(incomplete, content("b"), at(400)))?.isAdopted, true);
});

test("content that appears after it was missing at the start is a change, whatever the policy", () => {
  const missing = look(INITIAL, MISSING, at(0));
  assert.deepEqual(phaseOf(missing), { is: "blocked", why: "unreadable" });
  assert.ok(!isInSync(missing[0]));
  assert.equal(outOfSyncReason(missing[0]), 'Cannot read "/x": /x is missing');
  assert.equal(reloadAt(missing, content("a"), at(10)).why, "start");
});

test("what is left out of the content is marked as that, and is no reason to be out of sync", () => {
  const pipe = { path: "/c/pipe", digest: null, sizeBytes: 0, error: "a FIFO", fault: "other" } as const;
  const seen = content("a");
  const [model] = answer(look(INITIAL, { ...seen, skipped: [pipe] } as Observation, at(0)), at(0));
  assert.deepEqual(model.files, [{ ...pipe, leftOut: true }]);
  assert.ok(isInSync(model));
});

test("an app that is not there yet is asked at each look, about what is on disk then", () => {
  const auto = { ...POLICY, reloadOnStart: "auto" } as const;
  const waiting = answer(look(INITIAL, content("a"), at(0), auto), at(0), auto);
  assert.equal(phaseOf(waiting).is, "absent");
  assert.ok(!isInSync(waiting[0]), "nobody runs it");
  assert.equal(outOfSyncReason(waiting[0]), "the app is not there yet");
  const again = look(waiting, content("a"), at(5_000), auto);
  assert.deepEqual(questionOf(again), { digest: "a", goneSinceAtMs: null });
  const changed = look(waiting, content("b"), at(5_000), auto);
  assert.deepEqual(questionOf(changed), { digest: "b", goneSinceAtMs: null, changedFrom: "a" });
});

test("content that is back while the app is away is not in sync before the app can be asked", () => {
  const back = look(look(running("a"), MISSING, at(10), SIGNALS), content("a"), at(20), SIGNALS);
  assert.deepEqual(questionOf(back), { digest: "a", goneSinceAtMs: 0 });
  const resolution = { kind: "none", code: "not-there", message: "nobody", again: true } as const;
  const answered = { kind: "answered", prepared: { kind: "ok" }, resolution, reading: null } as const;
  const waiting = send(back, answered, at(20), SIGNALS);
  assert.equal(phaseOf(waiting).is, "absent");
  assert.ok(!isInSync(waiting[0]));
});

test("--once: nobody is there, and that is all; one of several may be the app: an attempt waits, and fails if none is", () => {
  const policy = { ...POLICY, reloadOnStart: "auto", trigger: "signal", once: true } as const;
  const asked = look(INITIAL, content("a"), at(0), policy);
  for (const [code, is] of [["not-there", "ended"], ["ambiguous", "reloading"]] as const) {
    const answered = {
      kind: "answered",
      prepared: { kind: "ok" },
      resolution: { kind: "none", code, message: code, again: true },
      reading: DOWN,
    } as const;
    assert.equal(phaseOf(send(asked, answered, at(10), policy)).is, is);
  }
});

test("content that was another one for a moment while the app was reloading is sent once more", () => {
  const begun = look(running("a"), content("b"), at(10_000));
  const away = look(begun, MISSING, at(10_100));
  const back = look(away, content("b", WALL_MS + 10_200), at(10_200));
  const done = end(back, result("success", { triggeredAtMs: 10_000 }), at(10_300));
  assert.ok(!isInSync(done[0]));
  assert.equal(done[1].do, "look");
  assert.equal(reloadAt(done, content("b"), at(12_000)).why, "revert");
});

test("the same where nobody saw the other one: only the time of the last change tells", () => {
  const begun = look(running("a"), content("b"), at(10_000));
  const over = send(
    begun,
    { kind: "ended", result: result("success", { triggeredAtMs: 10_000 }) },
    at(10_300),
  );
  const same = look(over, content("b"), at(10_301));
  assert.ok(isInSync(same[0]));
  const swapped = look(over, content("b", WALL_MS + 10_200), at(10_301));
  assert.ok(!isInSync(swapped[0]));
  assert.notEqual(swapped[0].owed, null, "looked at again");
});

test("nothing is done beside a trigger that is on its way: a hint is looked at after it", () => {
  const begun = look(running("a"), content("b"), at(10_000));
  const hint = { causes: ["event"], firstAtMs: 10_001 } as const;
  const hinted = send(begun, { kind: "hinted", hint }, at(10_001));
  assert.equal(hinted[1].do, "wait");
  const sent = { kind: "sent", how: "first", target: null, atMs: 10_002 } as const;
  assert.deepEqual(send(hinted, sent, at(10_002))[1], { do: "look", hint });
});

test("a file that is being written at the end of an attempt: what the app read is not certain", () => {
  const begun = look(running("a"), content("b"), at(10_000));
  const over = send(
    begun,
    { kind: "ended", result: result("success", { triggeredAtMs: 10_000 }) },
    at(10_300),
  );
  const written = look(over, { kind: "settling", againAtMs: 10_500 }, at(10_301));
  assert.ok(!isInSync(written[0]));
  assert.notEqual(written[0].owed, null, "looked at again");
});

test("content that comes back is asked about since it was last seen, over several absences", () => {
  const policy = { ...POLICY, jitterMs: 60_000 };
  let state = look(running("a"), MISSING, at(5_000), policy);
  state = look(state, content("b"), at(6_000, { random: 0.9 }), policy);
  state = look(state, MISSING, at(7_000), policy);
  const back = look(state, content("a"), at(8_000), policy);
  assert.deepEqual(questionOf(back), { digest: "a", goneSinceAtMs: 0, otherSeen: true });
});

test("the same content never leads to a reload", () => {
  let state = running("a");
  for (let nowMs = 1; nowMs < 100_000; nowMs += 5_000) {
    state = look(state, content("a", WALL_MS + nowMs), at(nowMs));
    assert.deepEqual(state[1], { do: "wait", untilMs: Infinity });
    assert.equal(phaseOf(state).is, "steady");
  }
});

test("a change goes at once, the next one not sooner than the least time between two triggers", () => {
  const state = tried(running("a"), "b", 10_000, "success");
  const soon = look(state, content("c"), at(10_300));
  assert.deepEqual(phaseOf(soon), { is: "due", atMs: 11_000 });
  assert.equal(reloadAt(soon, content("d"), at(11_000)).seenAtMs, 10_300, "coalesced since the first");
});

test("a missing or unreadable file is no change, and what comes back the same is none either", () => {
  const gone = look(running("a"), MISSING, at(10));
  assert.ok(!isInSync(gone[0]), "0 while the content cannot be read");
  const back = look(gone, content("a"), at(20));
  // Unless the app has started meanwhile; the look after that is a look like any other.
  assert.deepEqual(questionOf(back), { digest: "a", goneSinceAtMs: 0 });
  assert.equal(phaseOf(look(answer(back, at(20)), content("a"), at(30))).is, "steady");
});

test("how the last success was proved outlives content that was away for a moment", () => {
  const proved = tried(running("a"), "b", 10_000, "success", { proof: "counter" });
  const away = look(proved, MISSING, at(10_300));
  const back = look(away, content("b"), at(10_600));
  const settled = answer(back, at(10_600));
  assert.equal(phaseOf(settled).is, "steady");
  assert.deepEqual([isInSync(settled[0]), settled[0].proof], [true, "counter"]);
});

test("a failed reload is tried again after 5 s, 10 s, 20 s … at most 5 min", () => {
  let state = running("a");
  let nowMs = 0;
  for (const pauseMs of [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) {
    state = tried(state, "b", nowMs, "timeout");
    const early = look(state, content("b"), at(nowMs + pauseMs - 1));
    assert.deepEqual(phaseOf(early), { is: "due", atMs: nowMs + pauseMs });
    nowMs += pauseMs;
  }
  const job = reloadAt(state, content("b"), at(nowMs));
  assert.deepEqual([job.why, job.attempt], ["retry", 9]);
});

test("new content resets the pause and does not inherit the retry's time", () => {
  const failed = tried(running("a"), "b", 0, "rejected");
  const waiting = look(failed, content("b"), at(2_000));
  assert.equal(phaseOf(waiting).is, "due");
  const job = reloadAt(waiting, content("c"), at(3_000));
  assert.deepEqual([job.attempt, job.why], [1, "change"]);
});

test("going back to the applied content after a failure is reloaded, without a failure it is not", () => {
  const failed = tried(running("a"), "b", 0, "rejected");
  assert.ok(!isInSync(look(failed, content("a"), at(500))[0]), "not certain before it is proved");
  assert.equal(reloadAt(failed, content("a"), at(1_500)).why, "revert");
  const before = look(running("a"), content("b"), at(100, { random: 1 }), { ...POLICY, jitterMs: 1_000 });
  assert.equal(phaseOf(before).is, "due");
  // Nothing was sent yet; but an app that started meanwhile has read the other content.
  assert.equal(phaseOf(look(before, content("a"), at(200))).is, "asking");
});

test("what is asked for within --min-reload-interval of a failed try comes right after it", () => {
  for (
    const [outcome, cause] of [["timeout", "signal"], ["timeout", "target"], ["invalid", "signal"]] as const
  ) {
    const failed = tried(running("a"), "b", 100, outcome);
    const asked = look(failed, content("b"), at(200, { causes: [cause] }));
    assert.deepEqual(phaseOf(asked), { is: "due", atMs: 1_100 });
    const early = look(asked, content("b"), at(1_099));
    assert.deepEqual(phaseOf(early), { is: "due", atMs: 1_100 }, "other looks do not change that");
    assert.equal(reloadAt(early, content("b"), at(1_100, { causes: ["retry"] })).attempt, 2);
    assert.equal(reloadAt(asked, content("c"), at(1_100)).why, "change", "new content is that");
  }
});

test("invalid content waits for a change; SIGHUP to the sidecar tries everything at once", () => {
  const invalid = tried(running("a"), "b", 0, "invalid", { triggeredAtMs: null });
  assert.deepEqual(phaseOf(look(invalid, content("b"), at(9e9))), { is: "blocked", why: "invalid" });
  assert.equal(reloadAt(invalid, content("c"), at(10)).attempt, 1);
  assert.equal(reloadAt(invalid, content("a"), at(10)).why, "revert");
  assert.equal(reloadAt(invalid, content("b"), at(10, { causes: ["signal"] })).why, "retry");
  const timeout = tried(running("a"), "b", 0, "timeout");
  assert.equal(reloadAt(timeout, content("b"), at(1_500, { causes: ["signal"] })).attempt, 2);
  assert.equal(
    reloadAt(timeout, content("b"), at(1_500, { causes: ["target"] })).attempt,
    2,
    "the app is back",
  );
  assert.equal(phaseOf(look(invalid, content("b"), at(9e9, { causes: ["target"] }))).is, "blocked");
});

test("a check command that fails is retried like any failure: it may pass", () => {
  const failed = tried(running("a"), "b", 0, "invalid", { code: "check-command", triggeredAtMs: null });
  assert.deepEqual(phaseOf(failed), { is: "due", atMs: 5_000 });
  const job = reloadAt(failed, content("b"), at(5_000));
  assert.deepEqual([job.why, job.attempt], ["retry", 2]);
});

test("jitter puts a reload off once, evenly over its range", () => {
  const policy = { ...POLICY, jitterMs: 10_000 };
  const first = look(running("a"), content("b"), at(0, { random: 0.25 }), policy);
  assert.deepEqual(phaseOf(first), { is: "due", atMs: 2_500 });
  const again = look(first, content("b"), at(1_000, { random: 0.9 }), policy);
  assert.deepEqual(phaseOf(again), { is: "due", atMs: 2_500 });
  const begun = look(again, content("b"), at(2_500, { random: 0.9 }), policy);
  assert.equal(jobOf(begun).seenAtMs, 0);
  const failed = end(begun, result("timeout"), at(3_000), policy);
  assert.equal(
    reloadAt(failed, content("b"), at(8_000, { random: 0.9 }), policy).attempt,
    2,
    "none at a retry",
  );
});

test("content whose signal ended the app is never signalled again, other content is", () => {
  const killed = tried(running("a"), "b", 0, "failed", { code: "killed" });
  assert.equal(reloadAt(killed, content("b"), at(5_000)).mayTrigger, false);
  assert.equal(reloadAt(killed, content("c"), at(5_000)).mayTrigger, true);
  const later = tried(killed, "c", 5_000, "success");
  assert.equal(reloadAt(later, content("b"), at(9_000)).mayTrigger, false);
});

test("content that ended the app and is written again is newer: the app that is back may have read what was there between", () => {
  const killed = tried(running("a"), "b", 0, "failed", { code: "killed" });
  const written = content("b", WALL_MS + 3_000);
  const again = look(killed, written, at(3_000));
  assert.equal(reloadAt(again, written, at(5_000)).changedAtMs, 3_000);
});

const SIGNALS = { ...POLICY, trigger: "signal" } as const;
const target = targetOf(7);

test("a death after a reload that counted: out of sync, looked at again, not signalled again", () => {
  const dead = die(tried(running("a"), "b", 0, "success", { target }, SIGNALS), at(300), SIGNALS);
  assert.ok(!isInSync(dead[0]));
  assert.match(outOfSyncReason(dead[0]), /ended 300ms after SIGHUP: the signal killed it/);
  assert.deepEqual(phaseOf(dead), { is: "due", atMs: 5_300 });
  assert.equal(reloadAt(dead, content("b"), at(5_300)).mayTrigger, false);
});

test("a death before the reload has counted: the attempt has failed, and counts once", () => {
  const begun = look(running("a"), content("b"), at(0), SIGNALS);
  const done = result("success", { target, triggeredAtMs: 0, lastTriggeredAtMs: 0, proof: "delivered" });
  const ended = send(begun, { kind: "ended", result: done }, at(5), SIGNALS);
  const alive = { known: false, signalled: false };
  const dead = send(
    ended,
    { kind: "looked", hint: at(9).hint, observation: content("b"), alive, staleMounts: [] },
    at(9),
    SIGNALS,
  );
  assert.ok(!isInSync(dead[0]));
  const { outcome, code, proof } = dead[0].last!.result;
  assert.deepEqual({ outcome, code, proof }, { outcome: "failed", code: "killed", proof: null });
  assert.deepEqual([dead[0].killed, dead[0].death, dead[0].signalled], [["b"], null, null]);
  assert.deepEqual(phaseOf(dead), { is: "due", atMs: 5_009 });
  assert.equal(reloadAt(dead, content("b"), at(5_009), SIGNALS).mayTrigger, false);
});

test("a process that outlives the 2 s did not die of the signal, nor does one of which nobody knows when", () => {
  const done = tried(running("a"), "b", 0, "success", { target }, SIGNALS);
  const lives = [{ kind: "checked", alive: { known: true, signalled: true }, found: null }] as const;
  let state: State = done;
  for (const nowMs of [100, 1_000, 2_100]) state = send(state, lives[0], at(nowMs), SIGNALS);
  assert.equal(state[0].signalled, null);
  assert.deepEqual(die(state, at(2_200), SIGNALS)[0].killed, []);
  assert.deepEqual(die(done, at(60_000), SIGNALS)[0].killed, []);
});

test("a death after other content has failed leaves that its own next try", () => {
  const done = tried(running("a"), "b", 0, "success", { target }, SIGNALS);
  const invalid = tried(done, "c", 1_100, "invalid", { target: null, triggeredAtMs: null }, SIGNALS);
  const dead = die(invalid, at(1_200), SIGNALS);
  assert.deepEqual(dead[0].killed, ["b"]);
  assert.deepEqual([dead[0].failure, phaseOf(dead)], [invalid[0].failure, { is: "blocked", why: "invalid" }]);
});

test("a death after the app has rejected the content: that content is deadly, and not what ran before it", () => {
  const dead = die(tried(running("a"), "b", 0, "rejected", { target }, SIGNALS), at(300), SIGNALS);
  assert.deepEqual(dead[0].killed, ["b"]);
  assert.equal(dead[0].failure?.count, 1);
  assert.equal(reloadAt(dead, content("b"), at(5_300)).attempt, 2);
  assert.equal(reloadAt(dead, content("a"), at(5_300)).mayTrigger, true);
});

test("a trigger that the app may still be at is known over a try that sends nothing, and until the app has said no", () => {
  const open = tried(running("a"), "b", 0, "timeout", { isOpen: true });
  assert.deepEqual([open[0].openTrigger?.digest, open[0].openTrigger?.sinceAtMs], ["b", 0]);
  const unsent = tried(open, "b", 10_000, "failed", { triggeredAtMs: null });
  assert.equal(unsent[0].openTrigger, open[0].openTrigger);
  assert.equal(tried(unsent, "b", 60_000, "rejected", { triggeredAtMs: null })[0].openTrigger, null);
  assert.equal(tried(unsent, "b", 60_000, "failed")[0].openTrigger, null, "sent anew");
  assert.equal(tried(unsent, "b", 60_000, "success")[0].openTrigger, null);
});

test("deadly contents are remembered up to a bound", () => {
  let state = running("a");
  for (let i = 0; i < 3 * KILLED_MAX; i++) {
    state = tried(state, `bad${i}`, i * 10_000, "failed", { code: "killed" });
  }
  assert.equal(state[0].killed.length, KILLED_MAX);
  assert.equal(state[0].killed.at(-1), `bad${3 * KILLED_MAX - 1}`);
});

test("content cannot have come before the last look that saw other content, whatever its times say", () => {
  const state = look(running("a"), content("a"), at(60_000));
  assert.equal(reloadAt(state, content("b", WALL_MS - 999_999), at(65_000)).changedAtMs, 60_000);
  assert.equal(reloadAt(state, content("b", WALL_MS + 64_990), at(65_000)).changedAtMs, 64_990);
});

test("a step of the wall clock makes no content newer: its time is compared as the disk tells it", () => {
  const [model] = look(running("a"), content("a"), at(60_000));
  const isBack = { ...at(65_000), wallMs: WALL_MS - 3_600_000 };
  assert.equal(
    look([model, { do: "wait", untilMs: 0 }], content("a"), isBack)[0].changedAtMs,
    model.changedAtMs,
  );
});

test("settling waits, and the change counts from its first sign", () => {
  const settling = look(running("a"), { kind: "settling", againAtMs: 300 }, at(100, { hintAtMs: 90 }));
  assert.deepEqual(settling[1], { do: "wait", untilMs: 300 });
  const more = look(settling, { kind: "settling", againAtMs: 500 }, at(300));
  assert.equal(reloadAt(more, content("b"), at(500)).seenAtMs, 90);
  const nothing = look(more, content("a"), at(500));
  assert.equal(phaseOf(nothing).is, "steady");
  assert.equal(nothing[0].pending, null);
});

test("the date of the next try, as it is logged, heeds the least time between two triggers", () => {
  const policy = { ...POLICY, minReloadIntervalMs: 60_000, trigger: "signal" } as const;
  const begun = look(running("a"), content("b"), at(1_000), policy);
  const failed = end(begun, result("rejected", { triggeredAtMs: 1_000 }), at(2_000), policy);
  assert.equal(failed[0].failure?.retryAtMs, 61_000);
  const done = end(begun, result("success", { triggeredAtMs: 1_000, target }), at(2_000), policy);
  assert.equal(die(done, at(2_500), policy)[0].failure?.retryAtMs, 61_000);
});

test("a change after an absence, or after a failed try, has a time and a random wait of its own", () => {
  const policy = { ...POLICY, jitterMs: 1_000 };
  const settling: Observation = { kind: "settling", againAtMs: 300 };
  const failed = tried(running("a"), "b", 0, "timeout");
  const cases = [[running("a"), MISSING, "absent"], [failed, content("b"), "failed"]] as const;
  for (const [before, between, what] of cases) {
    let state = look(before, settling, at(2_000), policy);
    state = look(state, between, at(2_400), policy);
    const later = look(state, content("c"), at(4_000, { random: 0.5 }), policy);
    assert.deepEqual(phaseOf(later), { is: "due", atMs: 4_500 }, what);
    assert.equal(reloadAt(later, content("c"), at(4_500), policy).seenAtMs, 4_000, what);
  }
});

test("a problem that another one takes the place of is not in order again", () => {
  const replaced: Observation = { kind: "replaced", path: "/etc", message: "torn down" };
  const missing = look(running("a"), MISSING, at(10));
  const other = look(missing, replaced, at(20));
  assert.deepEqual(other[0].problems.map(({ path }) => path), ["/etc"]);
  assert.equal(other[0].diskProblem, "torn down");
});
