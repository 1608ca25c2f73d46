/** Two pods' parts in a rollout over real HTTPS to an API with faults, in real time. */

import assert from "node:assert/strict";
import { createClock } from "../../src/clock.ts";
import { createKubernetesApi } from "../../src/fleet/kubernetes_api.ts";
import { createLeaseClient } from "../../src/fleet/fleet.ts";
import { resultOf } from "../../src/attempt/input.ts";
import type { Result } from "../../src/model.ts";
import { createRollout, type Rollout } from "../../src/fleet/rollout.ts";
import { type FakeKubernetes, startFakeKubernetes } from "../support/fake_kubernetes.ts";
import { until } from "../support/poll.ts";
import { test } from "../support/strict.ts";

const DIGEST = "a".repeat(64);
const LEASE = "config-reloader-web";

interface Pod extends AsyncDisposable {
  readonly rollout: Rollout;
  /** What the soak finds wrong with the app. */
  trouble: string | null;
  changes: number;
  errors: number;
}

function createPod(server: FakeKubernetes, name: string, { durationMs = 3_000, soakMs = 300 } = {}): Pod {
  const stop = new AbortController();
  const api = createKubernetesApi(() => undefined, 500, () => server.place);
  const clock = createClock();
  const pod: Pod = {
    trouble: null,
    changes: 0,
    errors: 0,
    rollout: createRollout({
      policy: { pod: name, mode: "canary", durationMs, soakMs },
      send: createLeaseClient(api, "web", durationMs, clock.wallMs, () => pod.errors++),
      clock,
      random: () => 0,
      checkApp: () => Promise.resolve(pod.trouble),
      onChange: () => pod.changes++,
      stopping: stop.signal,
    }),
    [Symbol.asyncDispose]() {
      stop.abort();
      api.close();
      return Promise.resolve();
    },
  };
  return pod;
}

const stateOf = (server: FakeKubernetes) =>
  (server.lease(LEASE)?.["metadata"] as { annotations: Record<string, string> } | undefined)
    ?.annotations["config-reloader/state"];

const turnOf = (pod: Pod) => pod.rollout.view().turn;

const SUCCESS: Result = {
  ...resultOf("failed", "", ""),
  outcome: "success",
  proof: "counter",
  triggeredAtMs: 1,
};
const REJECTED: Result = { ...SUCCESS, outcome: "rejected", reason: "validation_failed", proof: null };

/** Waits until the pod's answer for the content is this. */
function untilAnswer(pod: Pod, is: string): Promise<unknown> {
  pod.rollout.want(DIGEST);
  return until(`the answer ${is}`, () => turnOf(pod).is === is);
}

test("one goes first, soaks and proves; the other follows; what follows is told by a call", async () => {
  await using server = await startFakeKubernetes();
  await using first = createPod(server, "web-0");
  await using second = createPod(server, "web-1");
  first.rollout.want(DIGEST);
  assert.equal(turnOf(first).is, "asking");
  await untilAnswer(first, "go");
  assert.equal(first.rollout.mayTrigger(), true);
  await untilAnswer(second, "waiting");
  first.rollout.ended(DIGEST, SUCCESS, true);
  assert.equal(first.rollout.view().isSoaking, true);
  await until("proved", () => stateOf(server) === "proved");
  await until("the end of the soak", () => !first.rollout.view().isSoaking);
  await untilAnswer(second, "go");
  assert.ok(second.changes >= 2);
});

test("the others may follow when the proof is written, not before; that it cannot be is told", async () => {
  await using server = await startFakeKubernetes();
  await using first = createPod(server, "web-0");
  await untilAnswer(first, "go");
  server.forbidden.add("update leases");
  first.rollout.ended(DIGEST, SUCCESS, true);
  await until("why it cannot be written", () => first.rollout.view().problem !== null);
  assert.match(first.rollout.view().problem!, /may not update leases.* \(403\)/);
  assert.deepEqual([first.rollout.view().isSoaking, first.rollout.view().soakEnd], [true, null]);
  server.forbidden.clear();
  await until("the end of the soak", () => !first.rollout.view().isSoaking);
  assert.deepEqual(
    [first.rollout.view().soakEnd, first.rollout.view().problem, stateOf(server)],
    [{ is: "proved" }, null, "proved"],
  );
});

test("a turn that another pod has taken in the soak proves nothing", async () => {
  await using server = await startFakeKubernetes();
  await using first = createPod(server, "web-0", { soakMs: 60_000, durationMs: 600 });
  await untilAnswer(first, "go");
  first.rollout.ended(DIGEST, SUCCESS, true);
  server.annotate(LEASE, { "config-reloader/pod": "web-1" });
  await until("the end of the soak", () => !first.rollout.view().isSoaking);
  assert.equal(first.rollout.view().soakEnd, null);
});

test("trouble in the soak is a rejection; a person overrides it", async () => {
  await using server = await startFakeKubernetes();
  await using first = createPod(server, "web-0", { soakMs: 60_000 });
  await using second = createPod(server, "web-1");
  await untilAnswer(first, "go");
  first.trouble = "the app died";
  first.rollout.ended(DIGEST, SUCCESS, true);
  await until("rejected", () => stateOf(server) === "rejected");
  await untilAnswer(second, "held");
  server.annotate(LEASE, { "config-reloader/state": "proved" });
  await untilAnswer(second, "go");
});

test("a write that was done and never answered is found done", async () => {
  await using server = await startFakeKubernetes();
  await using first = createPod(server, "web-0");
  let lost = 0;
  server.fault = ({ verb }) => verb === "create" && lost++ === 0 ? { is: "lost" } : null;
  await untilAnswer(first, "go");
  assert.deepEqual([lost, first.errors], [1, 1]);
});

test("no Role: nothing goes, it is told by its verb, and goes on once it is there", async () => {
  await using server = await startFakeKubernetes();
  await using first = createPod(server, "web-0");
  server.forbidden.add("create leases");
  await untilAnswer(first, "unreachable");
  const turn = turnOf(first);
  assert.match(turn.is === "unreachable" ? turn.message : "", /lacks the verb "create"/);
  assert.equal(first.rollout.mayTrigger(), false);
  server.forbidden.clear();
  await untilAnswer(first, "go");
});

test("the holder renews while it tries; when it is gone the next takes the turn", async () => {
  await using server = await startFakeKubernetes();
  const first = createPod(server, "web-0", { durationMs: 1_500 });
  await using second = createPod(server, "web-1", { durationMs: 1_500 });
  await untilAnswer(first, "go");
  await untilAnswer(second, "waiting");
  const renewals = () => server.asked.filter(({ verb }) => verb === "update").length;
  await until("three renewals", () => renewals() >= 3);
  assert.equal(turnOf(second).is, "waiting");
  await first[Symbol.asyncDispose]();
  await untilAnswer(second, "go");
});

test("idle asks nothing", async () => {
  await using server = await startFakeKubernetes();
  await using idle = createPod(server, "web-0");
  await using busy = createPod(server, "web-1");
  idle.rollout.want(null);
  await untilAnswer(busy, "go");
  assert.equal(server.asked.length, 2, "a read and a write of the other one");
});

test("what the end of a reload means for the group", async () => {
  const ends: readonly (readonly [Result, boolean, string | undefined])[] = [
    [REJECTED, true, "rejected"],
    [{ ...REJECTED, outcome: "timeout" }, true, "rejected"],
    [{ ...REJECTED, outcome: "invalid", triggeredAtMs: null, reason: "password: hunter2" }, true, "rejected"],
    [{ ...REJECTED, outcome: "failed", code: "killed" }, true, "rejected"],
    [{ ...REJECTED, outcome: "failed", code: "not-there", triggeredAtMs: null }, true, undefined],
    [SUCCESS, true, "proved"],
    // Its signal had ended the app, which runs it since it was started again.
    [{ ...SUCCESS, triggeredAtMs: null }, false, "trying"],
    [{ ...REJECTED, outcome: "failed", code: "overtaken" }, true, "trying"],
  ];
  for (const [result, isProof, state] of ends) {
    await using server = await startFakeKubernetes();
    await using pod = createPod(server, "web-0");
    await untilAnswer(pod, "go");
    pod.rollout.ended(DIGEST, result, isProof);
    await until(`${result.outcome} ${result.code}: ${state}`, () => stateOf(server) === state);
    assert.doesNotMatch(JSON.stringify(server.lease(LEASE)), /hunter2/, "no content in the Lease");
  }
});

test("at the end the verdict is written first", async () => {
  await using server = await startFakeKubernetes();
  await using pod = createPod(server, "web-0");
  await untilAnswer(pod, "go");
  pod.rollout.ended(DIGEST, REJECTED, true);
  await pod.rollout.settled(5_000);
  assert.equal(stateOf(server), "rejected");
  await pod.rollout.settled(5_000);
});
