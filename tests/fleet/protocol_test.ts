/** Who may reload when: each sentence of the contract's rollout, and each case that went wrong somewhere, on pods without a network. */

import assert from "node:assert/strict";
import { createGroup, DURATION_MS, type Group, type Member, SOAK_MS } from "../support/fleet_group.ts";
import type { TurnEnd } from "../../src/fleet/turn_state.ts";
import { askPauseMs } from "../../src/fleet/turn_state.ts";
import { test } from "../support/strict.ts";

const REJECTED: TurnEnd = { is: "rejected", outcome: "rejected", reason: "validation_failed" };
const SUCCESS: TurnEnd = { is: "success" };
const UNTRIED: TurnEnd = { is: "untried" };

const trialOf = (group: Pick<Group, "lease">) => {
  const current = group.lease()?.current;
  return current && `${current.digest[0]} ${current.state} ${current.pod}`.trimEnd();
};

/** Reloads with success and survives the soak. */
function prove(group: Pick<Group, "advance">, member: Member, content: string): void {
  member.end(content, SUCCESS);
  group.advance(SOAK_MS);
  member.soaked();
}

/** A group in which web-0 has tried content `b` and its app has rejected it. */
function heldGroup(count = 3): Group {
  const group = createGroup(count);
  group.members[0]!.want("b");
  group.members[0]!.end("b", REJECTED);
  for (const member of group.members.slice(1)) assert.equal(member.want("b"), "held");
  return group;
}

test("nobody has tried it: the first takes the turn, the others wait, and follow when it was proved", () => {
  const { first, second, third, ...group } = createGroup(3);
  assert.equal(first.want("a"), "go");
  assert.equal(second.want("a"), "waiting");
  assert.deepEqual(second.answer(), { is: "waiting", pod: "web-0" });
  assert.equal(third.want("a"), "waiting");
  assert.equal(trialOf(group), "a trying web-0");
  first.end("a", SUCCESS);
  group.advance(SOAK_MS - 1);
  first.soaked();
  assert.equal(trialOf(group), "a trying web-0", "the soak is not over");
  group.advance(1);
  first.soaked();
  assert.equal(trialOf(group), "a proved web-0");
  group.advance(10_000);
  assert.deepEqual([second.answer().is, third.answer().is], ["go", "go"]);
  assert.equal(trialOf(group), "a proved web-0", "who follows writes nothing");
});

test("it failed there: the others hold, with pod and reason, and ask on", () => {
  const group = heldGroup();
  const answer = group.members[1]!.answer();
  assert.ok(answer.is === "held");
  assert.deepEqual([answer.pod, answer.outcome, answer.reason], ["web-0", "rejected", "validation_failed"]);
  group.advance(3_600_000);
  assert.equal(group.members[1]!.answer().is, "held", "and that does not run out");
});

test("waiting asks again after 1 s, then less often, 10 s at most", () => {
  const group = createGroup(2);
  group.members[0]!.want("a");
  const asker = group.members[1]!;
  asker.want("a");
  const pauses: number[] = [];
  let sinceMs = 0;
  let before = asker.requests;
  for (let ms = 0; ms < 55_000; ms += 50) {
    group.advance(50);
    sinceMs += 50;
    if (asker.requests === before) continue;
    before = asker.requests;
    pauses.push(sinceMs);
    sinceMs = 0;
  }
  assert.ok(pauses[0]! >= 850 && pauses[0]! <= 1_200, `${pauses}`);
  assert.ok(pauses.every((pause, index) => index === 0 || pause >= pauses[index - 1]! - 50), `${pauses}`);
  assert.ok(Math.max(...pauses) <= 10_050, `${pauses}`);
});

test("each pause has a part by chance, also the longest", () => {
  for (const asked of [0, 3, 100]) {
    const pauses = [0, 0.25, 0.5, 0.75, 0.999].map((random) => askPauseMs(asked, random));
    assert.equal(new Set(pauses).size, 5, `${pauses}`);
    assert.ok(Math.max(...pauses) <= 10_000 && Math.min(...pauses) >= 850, `${pauses}`);
  }
});

test("a hold ends when the pod that tried it succeeds on a retry, after its soak", () => {
  const { first, ...group } = heldGroup();
  assert.equal(first.want("b"), "go");
  first.end("b", REJECTED);
  assert.equal(first.want("b"), "go");
  prove(group, first, "b");
  assert.equal(trialOf(group), "b proved web-0");
  group.advance(10_000);
  assert.equal(group.members[1]!.answer().is, "go");
});

test("a hold ends when a person says so", () => {
  const group = heldGroup();
  group.annotate({ "config-reloader/state": "proved" });
  group.advance(10_000);
  assert.deepEqual(group.members.slice(1).map((member) => member.answer().is), ["go", "go"]);
});

test("a hold ends when the content changes: the first that sees it tries it", () => {
  const group = heldGroup();
  assert.equal(group.members[2]!.want("c"), "go");
  assert.equal(trialOf(group), "c trying web-2");
  assert.equal(group.members[1]!.want("c"), "waiting");
});

test("content that was rejected before other content came is held still, and shown, so that a person can override it", () => {
  const group = heldGroup();
  group.members[0]!.want("c");
  prove(group, group.members[0]!, "c");
  assert.equal(group.members[1]!.want("c"), "go");
  assert.equal(group.members[1]!.want("b"), "held", "it saw the older content last, or it came back");
  assert.equal(trialOf(group), "b rejected web-0");
  group.annotate({ "config-reloader/state": "proved" });
  group.advance(10_000);
  assert.equal(group.members[1]!.answer().is, "go");
  assert.equal(group.members[2]!.want("c"), "go", "what was proved before stays proved");
});

test("the volume arrives 90 s apart: the last pod goes at once with what was proved", () => {
  const group = createGroup(2);
  group.members[0]!.want("a");
  prove(group, group.members[0]!, "a");
  group.advance(90_000);
  assert.equal(group.members[1]!.want("a"), "go");
});

test("two pods in the same millisecond: the second is refused by version, reads again and waits", () => {
  const { first, second, ...group } = createGroup(2);
  second.reach = "silent"; // its request for the Lease is on its way
  second.want("a");
  const before = group.lease();
  first.want("a");
  assert.equal(before, null);
  second.reach = "ok";
  second.restart(); // the answer it got was of before: nothing was there
  assert.equal(second.want("a"), "waiting");
});

test("the holder's pod is gone: it is replaced after its duration without a sign of life, by one", () => {
  const { first, second, third, ...group } = createGroup(3);
  first.want("a");
  second.want("a");
  third.want("a");
  group.advance(20_000);
  first.die();
  group.advance(DURATION_MS - 25_000);
  assert.deepEqual([second.answer().is, third.answer().is], ["waiting", "waiting"]);
  group.advance(40_000);
  assert.deepEqual([second.answer().is, third.answer().is].sort(), ["go", "waiting"]);
});

test("a holder that lives renews its turn, and is not replaced however long its reload takes", () => {
  const group = createGroup(2);
  group.members[0]!.want("a");
  group.members[1]!.want("a");
  group.advance(3 * DURATION_MS);
  assert.equal(group.members[1]!.answer().is, "waiting");
  assert.equal(trialOf(group), "a trying web-0");
});

test("a holder whose reload never ends does not keep its turn for ever", () => {
  const group = createGroup(2);
  group.members[0]!.want("a");
  group.members[1]!.want("a");
  group.advance(12 * DURATION_MS);
  assert.equal(group.members[1]!.answer().is, "go");
});

test("a late holder triggers nothing and writes nothing", () => {
  const { first: late, second: next, ...group } = createGroup(2);
  late.want("a");
  next.want("a");
  late.reach = "down";
  group.advance(DURATION_MS + 20_000);
  assert.equal(next.answer().is, "go");
  assert.equal(late.mayTrigger("a"), false);
  late.reach = "ok";
  late.end("a", REJECTED);
  group.advance(10_000);
  assert.equal(trialOf(group), "a trying web-1");
  prove(group, next, "a");
  assert.equal(trialOf(group), "a proved web-1");
});

test("the turn is needed until the trigger is out, and lasts from when it was asked for", () => {
  const { first: only, ...group } = createGroup(1);
  only.want("a");
  assert.equal(only.mayTrigger("a"), true);
  assert.equal(only.mayTrigger("b"), false);
  only.reach = "down";
  group.advance(DURATION_MS - 1);
  assert.equal(only.mayTrigger("a"), true);
  group.advance(1);
  assert.equal(only.mayTrigger("a"), false);
});

test("the sidecar is restarted in the middle: the same pod owns its own turn again", () => {
  const { first, second, ...group } = createGroup(2);
  first.want("a");
  second.want("a");
  first.restart();
  assert.equal(first.want("a"), "go");
  group.advance(2 * DURATION_MS);
  assert.equal(second.answer().is, "waiting");
  first.end("a", REJECTED);
  first.restart();
  assert.equal(first.want("a"), "go", "what its own app has rejected it may try again");
  group.advance(10_000);
  assert.equal(second.answer().is, "held");
});

test("a pod that could send nothing gives the turn back, and lets others go first", () => {
  const { first, second, ...group } = createGroup(2);
  first.want("a");
  second.want("a");
  first.end("a", UNTRIED);
  assert.equal(trialOf(group), "a free");
  assert.equal("holderIdentity" in (group.object()!["spec"] as object), false);
  assert.equal(first.want("a"), "waiting", "nobody else would ever get it");
  group.advance(10_000);
  assert.equal(second.answer().is, "go");
});

test("a pod that is alone gets the turn that it gave back again", () => {
  const { first: only, ...group } = createGroup(1);
  only.want("a");
  only.end("a", UNTRIED);
  only.want("a");
  group.advance(25_000);
  assert.equal(only.answer().is, "go");
});

test("a turn in which content may have been sent before is not given back: it runs out", () => {
  const { first, second, ...group } = createGroup(2);
  first.want("a");
  first.restart(); // it may have sent the content
  first.want("a");
  first.end("a", UNTRIED);
  assert.equal(second.want("a"), "waiting");
  group.advance(DURATION_MS + 20_000);
  assert.equal(second.answer().is, "go");
});

test("what was rejected stays rejected, also where a retry can send nothing", () => {
  const group = heldGroup(2);
  group.members[0]!.want("b");
  group.members[0]!.end("b", UNTRIED);
  group.advance(60_000);
  assert.equal(group.members[1]!.answer().is, "held");
});

test("killed by the content: rejected, and stays so when the app has started with it", () => {
  const { first, second, ...group } = createGroup(2);
  first.want("a");
  first.end("a", { is: "rejected", outcome: "failed", reason: "the signal killed it" });
  assert.equal(second.want("a"), "held");
  assert.equal(first.want("a"), "go");
  first.end("a", { is: "unproved" });
  group.advance(60_000);
  assert.equal(trialOf(group), "a rejected web-0");
  assert.equal(second.answer().is, "held");
});

test("the app is proved and dies in the soak: rejected", () => {
  const { first, second, ...group } = createGroup(2);
  first.want("a");
  second.want("a");
  first.end("a", SUCCESS);
  group.advance(5_000);
  first.soaked("the app died");
  assert.equal(trialOf(group), "a rejected web-0");
  group.advance(10_000);
  assert.equal(second.answer().is, "held");
});

test("the content changes while it is tried: the turn moves on, and the content before is nobody else's for a while", () => {
  const { first, second, third, ...group } = createGroup(3);
  first.want("a");
  assert.equal(first.want("b"), "go");
  assert.equal(trialOf(group), "b trying web-0");
  assert.equal(second.want("a"), "waiting", "it was sent there, and not proved");
  assert.equal(third.want("b"), "waiting");
  prove(group, first, "b");
  group.advance(10_000);
  assert.equal(third.answer().is, "go");
  group.advance(DURATION_MS);
  assert.equal(second.answer().is, "go", "nobody tries it any more");
});

test("the content changes while it soaks: it is not proved", () => {
  const { first, second, ...group } = createGroup(2);
  first.want("a");
  first.end("a", SUCCESS);
  assert.equal(first.want("b"), "go");
  group.advance(SOAK_MS);
  first.soaked();
  assert.equal(trialOf(group), "b trying web-0");
  assert.equal(second.want("a"), "waiting");
});

test("the content goes back to what was proved: go at once, and the turn for the other content ends", () => {
  const { first, second, third, ...group } = createGroup(3);
  first.want("a");
  prove(group, first, "a");
  assert.equal(second.want("b"), "go");
  assert.equal(second.want("a"), "go");
  assert.equal(trialOf(group), "a proved web-0");
  assert.equal(third.want("c"), "go", "nothing blocks what comes next");
});

test("the content goes back before it was sent: nothing is due, and the turn is given back", () => {
  const group = createGroup(2);
  group.members[0]!.want("a");
  group.members[0]!.want(null);
  assert.equal(trialOf(group), "a free");
  assert.equal(group.members[1]!.want("a"), "go");
});

test("the Lease is deleted while a pod holds: it remembers why, and says so again", () => {
  const group = heldGroup();
  group.put(null);
  group.advance(10_000);
  assert.equal(trialOf(group), "b rejected web-0");
  assert.deepEqual(group.members.slice(1).map((member) => member.answer().is), ["held", "held"]);
});

test("the Lease is filled with nonsense: as if it said nothing, and written anew", () => {
  for (
    const nonsense of [
      {},
      { metadata: { annotations: "x" }, spec: [] },
      { metadata: { annotations: { "config-reloader/hash": "zz", "config-reloader/state": "trying" } } },
      { metadata: { annotations: { "config-reloader/earlier": "[{}, 7, null]" } }, spec: { renewTime: 7 } },
      { spec: { holderIdentity: "somebody", leaseDurationSeconds: -1 } },
    ]
  ) {
    const group = heldGroup();
    group.put(nonsense);
    group.advance(10_000);
    assert.equal(trialOf(group), "b rejected web-0", JSON.stringify(nonsense));
    const fresh = createGroup(1);
    fresh.put(nonsense);
    assert.equal(fresh.members[0]!.want("a"), "go", JSON.stringify(nonsense));
  }
});

test("a holder that cannot be told, or with a duration of years, does not block for ever", () => {
  const group = createGroup(1);
  const annotations = { "config-reloader/hash": "a".repeat(64), "config-reloader/state": "trying" };
  group.put({ metadata: { annotations }, spec: {} });
  assert.equal(group.members[0]!.want("a"), "go", "nobody is named");
  group.put({ metadata: { annotations }, spec: { holderIdentity: "x", leaseDurationSeconds: 80_000 } });
  assert.equal(group.members[0]!.want("b"), "waiting");
  group.advance(11 * DURATION_MS);
  assert.equal(group.members[0]!.answer().is, "go");
});

test("what others have put into the Lease stays", () => {
  const group = createGroup(1);
  group.put({
    metadata: { labels: { team: "a" }, annotations: { other: "x" } },
    spec: { preferredHolder: "y" },
  });
  group.members[0]!.want("a");
  const { metadata, spec } = group.object() as {
    metadata: Record<string, unknown>;
    spec: Record<string, unknown>;
  };
  assert.deepEqual(metadata["labels"], { team: "a" });
  assert.equal((metadata["annotations"] as Record<string, string>)["other"], "x");
  assert.equal(spec["preferredHolder"], "y");
});

test("a scale-up during a hold: a new pod whose app has read the content has nothing to ask; one that wants a reload holds", () => {
  const group = heldGroup(4);
  assert.equal(group.members[3]!.requests, 1);
  const idle = createGroup(1);
  idle.advance(3_600_000);
  assert.equal(idle.members[0]!.requests, 0, "idle asks nothing");
});

test("the API is down for the whole time: nothing goes, it is told, and asked again", () => {
  const { first: only, ...group } = createGroup(1);
  only.reach = "down";
  assert.equal(only.want("a"), "unreachable");
  group.advance(60_000);
  assert.equal(only.answer().is, "unreachable");
  assert.ok(only.requests >= 7 && only.requests < 30, `${only.requests}`);
  only.reach = "ok";
  group.advance(10_000);
  assert.equal(only.answer().is, "go");
});

test("429 with Retry-After: not before that", () => {
  const { first: only, ...group } = createGroup(1);
  only.reach = { retryAfterMs: 20_000 };
  only.want("a");
  group.advance(19_999);
  assert.equal(only.requests, 1);
  only.reach = "ok";
  group.advance(1_001);
  assert.equal(only.answer().is, "go");
});

test("what came of a turn is written as soon as the API is back", () => {
  const { first, second, ...group } = createGroup(2);
  first.want("a");
  first.reach = "down";
  first.end("a", REJECTED);
  group.advance(15_000);
  assert.equal(second.want("a"), "waiting");
  first.reach = "ok";
  group.advance(10_000);
  assert.equal(trialOf(group), "a rejected web-0");
});

test("serial: one after the other, each when the one before was proved", () => {
  const group = createGroup(10, "serial");
  group.members[4]!.die(); // one of them is gone, and nobody waits for it
  const left = new Set(group.members.filter((_, index) => index !== 4));
  for (const member of left) member.want("a");
  for (let turns = 0; turns < 9; turns++) {
    group.advance(12_000);
    const going = [...left].filter((member) => member.answer().is === "go");
    assert.equal(going.length, 1, `turn ${turns}`);
    prove(group, going[0]!, "a");
    left.delete(going[0]!);
  }
  assert.equal(left.size, 0);
});

test("serial: one that fails holds those after it; one that dies with its turn is replaced", () => {
  const { first, second, third, ...group } = createGroup(3, "serial");
  first.want("a");
  prove(group, first, "a");
  assert.equal(second.want("a"), "go");
  assert.equal(third.want("a"), "waiting");
  second.end("a", REJECTED);
  group.advance(10_000);
  assert.equal(third.answer().is, "held");
  assert.equal(second.want("a"), "go");
  prove(group, second, "a");
  group.advance(10_000);
  assert.equal(third.answer().is, "go");
  const dying = createGroup(2, "serial");
  dying.members[0]!.want("a");
  dying.members[0]!.die();
  dying.members[1]!.want("a");
  dying.advance(DURATION_MS + 15_000);
  assert.equal(dying.members[1]!.answer().is, "go");
});
