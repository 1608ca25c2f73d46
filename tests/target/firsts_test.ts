import assert from "node:assert/strict";
import fc from "fast-check";
import {
  firstProcesses,
  type KnownFirsts,
  LEFTOVER_MS_MAX,
  nextFirsts,
  seenAgain,
} from "../../src/target/firsts.ts";
import { app, type FakeProcess, PAUSE, tableOf } from "./fake_table.ts";
import { STRICT } from "../support/strict.ts";

/** Goes from look to look, each a time and what was there; tells the first process of container `c` after each. */
function firstsOf(
  ...looks: readonly (readonly [number, readonly FakeProcess[]])[]
): (number | null | undefined)[] {
  let known: KnownFirsts = new Map();
  return looks.map(([nowMs, list]) => {
    const table = tableOf([PAUSE, ...list], { uptimeMs: () => nowMs });
    known = nextFirsts(known, table);
    const first = firstProcesses(table, known).get("c");
    return first === null ? null : first?.pid;
  });
}

/** A parent-0 process of container `c` that started at this uptime. */
const at = (pid: number, startMs: number, more: Partial<FakeProcess> = {}) =>
  app(pid, { container: "c", startTicks: startMs / 10, ...more });

Deno.test("firsts: the oldest, as long as it is there", STRICT, () => {
  assert.deepEqual(firstsOf([5000, [at(9, 4000), at(7, 1000)]], [6000, [at(7, 1000), at(9, 4000)]]), [7, 7]);
  assert.deepEqual(firstsOf([5000, []], [6000, [at(7, 5500)]]), [undefined, 7]);
});

Deno.test("firsts: a leftover never takes its place", STRICT, () => {
  const exec = at(9, 4000);
  const late = 60_000 + 2 * LEFTOVER_MS_MAX;
  // Seen beside the app: for ever. Not even seen yet, but older than the last sight of the app: the same.
  assert.deepEqual(firstsOf([5000, [at(7, 1000), exec]], [60_000, [exec]], [late, [exec]]), [7, null, null]);
  assert.deepEqual(firstsOf([5000, [at(7, 1000)]], [60_000, [exec]], [late, [exec]]), [7, null, null]);
  // Its PID was given to another process.
  assert.deepEqual(firstsOf([5000, [at(7, 1000)]], [60_000, [at(7, 4000)]]), [7, null]);
});

Deno.test("firsts: a container started again under its old ID is believed after a while", STRICT, () => {
  const exec = at(9, 4000);
  const again = at(11, 59_000);
  assert.deepEqual(
    firstsOf(
      [5000, [at(7, 1000), exec]],
      [60_000, [exec, again]],
      [60_000 + LEFTOVER_MS_MAX - 1, [exec, again]],
      [60_000 + LEFTOVER_MS_MAX, [exec, again, at(12, 60_500)]],
      [90_000, [exec, again]],
    ),
    [7, null, null, 11, 11],
  );
  assert.deepEqual(
    firstsOf([5000, [at(7, 1000)]], [6000, []], [7000, [at(9, 6500)]]),
    [7, undefined, 9],
    "empty is forgotten",
  );
});

Deno.test("firsts: the runtime is not remembered, a zombie stays and is not seen alive", STRICT, () => {
  const runtime = { comm: "runc:[2:INIT]", argv: ["runc", "init"] };
  assert.deepEqual(firstsOf([5000, [at(6, 4900, runtime)]], [5100, [at(7, 4950)]]), [6, 7]);
  const zombie = at(7, 1000, { state: "Z" });
  const exec = at(9, 5500);
  assert.deepEqual(firstsOf([5000, [at(7, 1000)]], [6000, [zombie, exec]], [6100, [exec]]), [7, 7, null]);
});

Deno.test("firsts: being seen alive between two looks counts", STRICT, () => {
  const look = tableOf([PAUSE, at(7, 1000)], { uptimeMs: () => 5000 });
  const known = seenAgain(nextFirsts(new Map(), look), { pid: 7, startTicks: 100 }, 8000);
  assert.equal(known.get("c")!.seenMs, 8000);
  assert.equal(seenAgain(known, { pid: 7, startTicks: 101 }, 9000), known, "another process");
  const later = tableOf([PAUSE, at(9, 7000)], { uptimeMs: () => 60_000 });
  const gone = nextFirsts(known, later);
  const muchLater = tableOf([PAUSE, at(9, 7000)], { uptimeMs: () => 70_000 });
  assert.equal(firstProcesses(muchLater, nextFirsts(gone, muchLater)).get("c"), null);
});

Deno.test(
  "firsts: over random histories, nothing that was once beside a living first process becomes one",
  STRICT,
  () => {
    const life = fc.record({ born: fc.integer({ min: 1, max: 60 }), lives: fc.integer({ min: 1, max: 60 }) });
    fc.assert(
      fc.property(
        fc.array(life, { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 30 }),
        (lives, times) => {
          let known: KnownFirsts = new Map();
          const beside = new Set<number>();
          for (const second of [...times].sort((a, b) => a - b)) {
            const there = lives.flatMap(({ born, lives }, n) =>
              born <= second && second < born + lives ? [at(n + 2, born * 1000)] : []
            );
            if (there.length === 0) beside.clear();
            const table = tableOf([PAUSE, ...there], { uptimeMs: () => second * 1000 + 5 });
            known = nextFirsts(known, table);
            const first = firstProcesses(table, known).get("c");
            if (!first) continue;
            assert.ok(!beside.has(first.pid), `PID ${first.pid} at ${second} s`);
            for (const { pid } of there) if (pid !== first.pid) beside.add(pid);
          }
        },
      ),
      { numRuns: 2000 },
    );
  },
);
