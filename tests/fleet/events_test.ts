/** Events of the pod: one for each state, repetitions as a series, and an API that is down delays and breaks nothing. */

import assert from "node:assert/strict";
import { EVENT_REASONS } from "../../src/model.ts";
import type { EventSink } from "../../src/ports.ts";
import { createClock } from "../../src/clock.ts";
import { createEventQueue } from "../../src/fleet/events.ts";
import { createKubernetesApi } from "../../src/fleet/kubernetes_api.ts";
import { type FakeKubernetes, startFakeKubernetes } from "../support/fake_kubernetes.ts";
import { createFakeClock, type FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/poll.ts";
import { test } from "../support/strict.ts";

interface Bench extends AsyncDisposable {
  readonly queue: EventSink;
  readonly problems: string[];
  errors: number;
}

function bench(server: FakeKubernetes, clock = createClock(), pod = "web-0"): Bench {
  const stop = new AbortController();
  const api = createKubernetesApi(() => undefined, 10_000, () => server.place);
  const b: Bench = {
    problems: [],
    errors: 0,
    queue: createEventQueue({
      api,
      pod,
      uid: "u-1",
      clock,
      onError: () => b.errors++,
      onProblem: (message, dropped) => b.problems.push(`${message} (${dropped})`),
      stopping: stop.signal,
    }),
    [Symbol.asyncDispose]() {
      stop.abort();
      api.close();
      return Promise.resolve();
    },
  };
  return b;
}

test("an Event is the pod's own, with reason, type and note", async () => {
  await using server = await startFakeKubernetes();
  await using b = bench(server, createFakeClock());
  b.queue.add("ConfigReloaded", "Reload successful");
  b.queue.add("ConfigHeld", "x".repeat(2_000));
  await until("two Events", () => server.events.length === 2);
  assert.deepEqual(server.events[0], {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { generateName: "web-0-", namespace: "team" },
    eventTime: "2023-11-14T22:13:20.000000Z",
    reportingController: "config-reloader",
    reportingInstance: "web-0",
    action: "Reload",
    reason: "ConfigReloaded",
    type: "Normal",
    regarding: { apiVersion: "v1", kind: "Pod", name: "web-0", namespace: "team", uid: "u-1" },
    note: "Reload successful",
  });
  assert.equal((server.events[1]!["note"] as string).length, 1022);
  assert.deepEqual([server.events[1]!["type"], server.events[1]!["action"]], ["Warning", "Hold"]);
});

test("notes and names are cut to what the API takes, by bytes and without half a character", async () => {
  await using server = await startFakeKubernetes();
  await using b = bench(server, createFakeClock(), "p".repeat(200));
  for (const character of ["設", "🙂"]) b.queue.add("ConfigReloadRejected", character.repeat(600));
  await until("two Events", () => server.events.length === 2 || b.problems.length > 0);
  assert.deepEqual(b.problems, []);
  assert.equal(server.events[0]!["note"], `${"設".repeat(340)}…`);
  assert.equal(server.events[1]!["note"], `${"🙂".repeat(255)}…`);
});

test("an Event that the API does not take as it is holds up no other", async () => {
  await using server = await startFakeKubernetes();
  await using b = bench(server, createFakeClock());
  server.fault = ({ body }) => body?.["note"] === "bad" ? { is: "status", status: 422 } : null;
  for (const note of ["bad", "good"]) b.queue.add("ConfigReloadFailed", note);
  await until("the other", () => server.events.length === 1);
  assert.deepEqual([server.events[0]!["note"], b.problems.length, b.errors], ["good", 1, 1]);
});

test("a state that repeats becomes a series: written at the second, fourth and eighth time", async () => {
  await using server = await startFakeKubernetes();
  await using b = bench(server);
  for (let i = 0; i < 9; i++) b.queue.add("ConfigReloadFailed", "timeout");
  b.queue.add("ConfigReloaded", "Reload successful");
  await until("five Events", () => server.events.length === 5);
  const counts = server.events.map(({ series }) => (series as { count: number } | undefined)?.count ?? 1);
  assert.deepEqual(counts, [1, 2, 4, 8, 1]);
});

test("an API that is down: told once, 16 wait and the oldest are dropped; what waits is written afterwards", async () => {
  await using server = await startFakeKubernetes();
  const clock: FakeClock = createFakeClock();
  await using b = bench(server, clock);
  server.forbidden.add("create events");
  for (let i = 0; i < 40; i++) b.queue.add("ConfigReloadFailed", `failure ${i}`);
  await until("a problem", () => b.problems.length > 0);
  assert.match(
    b.problems[0]!,
    /may not create events\.events\.k8s\.io in namespace team \(403\): its Role lacks the verb "create"/,
  );
  for (let i = 0; i < 3; i++) {
    await until("a try", () => b.errors > i && clock.pending() > 0);
    await clock.advance(60_000);
  }
  assert.equal(b.problems.length, 1);
  await until("a try", () => b.errors > 3 && clock.pending() > 0);
  server.forbidden.clear();
  await clock.advance(60_000);
  await until("16 Events", () => server.events.length === 16);
  assert.deepEqual([server.events[0]!["note"], server.events[15]!["note"]], ["failure 24", "failure 39"]);
});

test("the reasons are a closed set, which the docs name", async () => {
  const docs = await Deno.readTextFile(new URL("../../docs/fleet.md", import.meta.url));
  for (const reason of EVENT_REASONS) assert.ok(docs.includes(`\`${reason}\``), reason);
});
