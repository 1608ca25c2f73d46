/**
 * Real loops in one group: two to twenty sidecars with their loop, protocol and driver, on one clock and one Lease behind a
 * network that loses and delays requests. What holds for the protocol alone (`simulation_test.ts`) holds for what is joined.
 */

import assert from "node:assert/strict";
import { findTrial, freeTrial, NO_LEASE } from "../../src/fleet/lease.ts";
import { createRollout, type SendRequest } from "../../src/fleet/rollout.ts";
import type { TurnEvent, TurnRequest } from "../../src/fleet/turn_state.ts";
import type { Clock } from "../../src/ports.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { digestOf } from "../support/fleet_group.ts";
import { createLeaseStore } from "../support/lease_store.ts";
import { createLoopBench } from "../support/loop_bench.ts";
import { createRandom, type SeededRandom } from "../support/random.ts";
import { amp } from "../support/status.ts";
import { test } from "../support/strict.ts";

const DURATION_MS = 55_000;
const SOAK_MS = 10_000;
const TIMEOUT_MS = 5_000;
/** What an app makes of a content, by its letter. */
const BAD = "b";
const DIES_IN_SOAK = "d";

/** One Lease behind a network; `lost` and `late` are chances. */
function createApi(clock: Clock, random: SeededRandom, lost: number, late: number) {
  const store = createLeaseStore(DURATION_MS, () => `t${clock.nowMs()}`);
  /** When each pod last wrote that it tries a content. */
  const tried = new Map<string, number>();
  const proved = new Set<string>();

  function serve(request: TurnRequest, pod: string): TurnEvent {
    const event = store.serve(request);
    if (event.is !== "written") return event;
    const { current, earlier } = event.lease;
    if (current?.state === "trying" && current.pod === pod) {
      tried.set(`${pod} ${current.digest}`, clock.nowMs());
    }
    for (const trial of [current, ...earlier]) if (trial?.state === "proved") proved.add(trial.digest);
    return event;
  }

  const clientOf = (pod: string): SendRequest => async (request) => {
    const pauseMs = () => random.chance(late) ? random.int(100, TIMEOUT_MS) : random.int(1, 20);
    await clock.sleep(pauseMs());
    if (random.chance(lost)) {
      await clock.sleep(TIMEOUT_MS);
      return { is: "failed", message: "timed out after 5s", retryAfterMs: null };
    }
    const event = serve(request, pod);
    const isAnswered = !random.chance(lost);
    await clock.sleep(isAnswered ? pauseMs() : TIMEOUT_MS);
    return isAnswered ? event : { is: "failed", message: "timed out after 5s", retryAfterMs: null };
  };
  return {
    clientOf,
    trialOf: (digest: string) => findTrial(store.lease() ?? NO_LEASE, digest) ?? freeTrial(digest),
    proved,
    tried,
  };
}

async function simulateLoops(seed: number): Promise<void> {
  const random = createRandom(seed);
  const clock = createFakeClock();
  const bad = random.pick([0, 0.1, 0.3]);
  const api = createApi(clock, random, bad, bad);
  const mode = random.pick(["canary", "serial"] as const);
  const triggered = new Map<string, Set<string>>();

  function checkTrigger(pod: string, digest: string): void {
    const others = triggered.get(digest) ?? new Set();
    triggered.set(digest, others);
    for (const other of others) {
      if (other === pod || api.proved.has(digest)) continue;
      const sinceMs = clock.nowMs() - (api.tried.get(`${other} ${digest}`) ?? -Infinity);
      assert.ok(sinceMs >= DURATION_MS, `${pod} triggers ${digest[0]}, which ${other} tries`);
    }
    const trial = api.trialOf(digest);
    const isRejected = trial.state === "rejected" && trial.pod !== pod;
    assert.ok(!isRejected, `${pod} triggers ${digest[0]}, rejected in ${trial.pod}`);
    others.add(pod);
  }

  function createPod(index: number) {
    const pod = `web-${index}`;
    const stop = new AbortController();
    let content = digestOf("a");
    let attempts = 1;
    const rollout = createRollout({
      policy: { pod, mode, durationMs: DURATION_MS, soakMs: SOAK_MS },
      send: api.clientOf(pod),
      clock,
      random: random.next,
      checkApp: () => Promise.resolve(content === digestOf(DIES_IN_SOAK) ? "its app died" : null),
      onChange: () => bench.loop.hint("turn"),
      stopping: stop.signal,
    });
    const bench = createLoopBench(
      {
        rollout: mode,
        rolloutGroup: "web",
        reloadOnStart: "never",
        jitterMs: random.pick([0, 5_000]),
        maxBackoffMs: 60_000,
      },
      { rollout },
      clock,
    );
    bench.onTrigger = () => {
      const { disk } = bench;
      if (disk.kind === "content") content = disk.snapshot.digest;
      if (!rollout.mayTrigger()) broken ??= new Error(`${pod} triggers without a turn`);
      try {
        checkTrigger(pod, content);
      } catch (error) {
        broken ??= error;
      }
      attempts++;
      const status = content === digestOf(BAD) ? "validation_failed" : "success";
      bench.reading = { kind: "status", status: amp({ attempts, status }) };
    };
    return { bench, stop };
  }

  let broken: unknown = null;
  const pods = Array.from({ length: random.int(2, 20) }, (_, index) => createPod(index));
  for (const { bench } of pods) {
    bench.disk = {
      kind: "content",
      snapshot: { digest: digestOf("a"), files: [], changedWallMs: clock.wallMs() - 60_000 },
      skipped: [],
    };
    bench.start();
  }
  const advance = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) {
      await clock.advance(Math.min(left, 1_000));
      if (broken !== null) throw broken;
    }
  };
  const roll = (letter: string, withinMs: number) => {
    for (const { bench } of pods) {
      clock.sleep(random.int(0, withinMs)).then(() => bench.write(digestOf(letter)));
    }
  };
  try {
    await advance(1_000);
    for (let steps = random.int(1, 5); steps > 0; steps--) {
      roll(random.pick(["a", "c", "e", BAD, BAD, DIES_IN_SOAK]), random.pick([0, 5_000, 60_000]));
      await advance(random.pick([500, 5_000, 30_000, 120_000]));
    }
    await advance(60_000);
    roll("f", 60_000);
    const isThrough = () =>
      pods.every(({ bench }) => bench.inSync && bench.status().appliedDigest === digestOf("f"));
    for (let waits = 0; waits < 40 + 2 * pods.length && !isThrough(); waits++) await advance(30_000);
    assert.ok(isThrough(), `not in sync in the end (${mode}, ${pods.length} pods)`);
    assert.ok(pods.every(({ bench }) => !bench.held), "nothing is held in the end");
  } catch (error) {
    const log = pods.flatMap(({ bench }, index) =>
      bench.log.slice(-8).map((line) => `web-${index}: ${line}`)
    );
    throw new Error(
      `loops seed ${seed}: ${error instanceof Error ? error.message : error}\n${log.join("\n")}`,
      { cause: error },
    );
  } finally {
    for (const { stop, bench } of pods) {
      stop.abort();
      bench.stopping.abort();
    }
    await clock.advance(0);
  }
}

for (let first = 1; first <= 41; first += 10) {
  test(`real loops of one group keep the three promises: seeds ${first} to ${first + 9}`, async () => {
    for (let seed = first; seed < first + 10; seed++) await simulateLoops(seed);
  });
}
