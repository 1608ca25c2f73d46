/** The Lease as a value: written and read again it says the same, whatever else is in it, and holds no more than it may. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  findTrial,
  freeTrial,
  type JsonObject,
  NO_LEASE,
  parseLease,
  renderLease,
  type Trial,
  withCurrent,
  withTrial,
} from "../../src/fleet/lease.ts";
import { test } from "../support/strict.ts";

const HEAD = { name: "config-reloader-web", durationMs: 55_000, nowTime: "now" };
const trial = (letter: string, more: Partial<Trial> = {}): Trial => ({
  ...freeTrial(letter.repeat(64)),
  ...more,
});

test("written and read again, a Lease says the same", () => {
  const lease = ["a", "b", "c"].reduce(
    (before, letter) => withCurrent(before, trial(letter, { state: "proved", pod: "web-0" })),
    withCurrent(
      NO_LEASE,
      trial("d", { state: "rejected", pod: "web-1", outcome: "timeout", reason: "no answer" }),
    ),
  );
  const again = parseLease(renderLease(lease, HEAD));
  assert.deepEqual(again.current, lease.current);
  assert.deepEqual(again.earlier, lease.earlier);
  assert.equal(again.durationMs, 55_000);
});

test("eight contents before the current one are remembered, each once, and none that nobody has tried", () => {
  let lease = NO_LEASE;
  for (const letter of "0123456789ab0") {
    lease = withCurrent(lease, trial(letter, { state: "proved", pod: "p" }));
  }
  assert.deepEqual(lease.earlier.map(({ digest }) => digest[0]), ["b", "a", "9", "8", "7", "6", "5", "4"]);
  lease = withCurrent(withCurrent(lease, trial("f")), trial("e"));
  assert.equal(findTrial(lease, "f".repeat(64)), null);
});

test("what is said of earlier content changes where it stands", () => {
  const lease = withCurrent(withCurrent(NO_LEASE, trial("a", { state: "trying", pod: "p" })), trial("b"));
  const told = withTrial(lease, trial("a", { state: "rejected", pod: "p", reason: "no" }));
  assert.equal(told.current?.digest[0], "b");
  assert.equal(findTrial(told, "a".repeat(64))?.state, "rejected");
});

test("who writes something else does not renew another pod's turn", () => {
  const held = parseLease(
    renderLease(withCurrent(NO_LEASE, trial("a", { state: "trying", pod: "p" })), HEAD),
  );
  const told = withTrial(held, trial("b", { state: "rejected", pod: "q" }));
  const spec = renderLease(told, { ...HEAD, nowTime: "later" })["spec"] as JsonObject;
  assert.equal(spec["renewTime"], "now");
});

test("a reason is one line of at most 256 printable characters", () => {
  const reasonOf = (reason: string) => {
    const fields = { hash: "a".repeat(64), state: "rejected", reason };
    const named = Object.entries(fields).map(([name, text]) => [`config-reloader/${name}`, text]);
    return parseLease({ metadata: { annotations: Object.fromEntries(named) } }).current!.reason;
  };
  assert.equal(reasonOf(" bad\n\u001b[31mvalue\u202e "), "bad [31mvalue");
  assert.equal([...reasonOf("🙂".repeat(400))].length, 256);
  assert.equal(reasonOf("x".repeat(256)), "x".repeat(256));
});

test("any object at all can be read", () => {
  fc.assert(fc.property(fc.object({ maxDepth: 3 }), (object) => {
    const { current, earlier, durationMs } = parseLease(object as JsonObject);
    assert.deepEqual([current, earlier.length, durationMs], [null, 0, null]);
  }));
  const key = fc.constantFrom("hash", "state", "pod", "outcome", "reason", "earlier");
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom("a".repeat(64), "trying", "proved", "rejected", '[{"hash":"', "[[]]", "null"),
    fc.json(),
  );
  fc.assert(fc.property(fc.dictionary(key, text), fc.anything(), (fields, spec) => {
    const annotations = Object.fromEntries(
      Object.entries(fields).map(([k, v]) => [`config-reloader/${k}`, v]),
    );
    const lease = parseLease({ metadata: { annotations }, spec });
    for (const known of [lease.current, ...lease.earlier]) {
      if (known === null) continue;
      assert.match(known.digest, /^[0-9a-f]{64}$/);
      assert.ok(known.reason.length <= 512 && known.outcome.length <= 32 && known.pod.length <= 253);
      assert.ok(known.state !== "trying" || known.pod !== "");
    }
    assert.deepEqual(parseLease(renderLease(lease, HEAD)).earlier, lease.earlier);
  }));
});
