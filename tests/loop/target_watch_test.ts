import assert from "node:assert/strict";
import type { Config } from "../../src/config.ts";
import type { TargetCode, TargetView } from "../../src/model.ts";
import type { Logger, SnapshotReader, TargetPort } from "../../src/ports.ts";
import { createTargetWatch } from "../../src/loop/target_watch.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { test } from "../support/strict.ts";

const GOOD: TargetView = {
  ok: true,
  code: "ready",
  message: "PID 7 (app, user 0): named by --pid 7",
  pid: 7,
  name: "app",
  uid: 0,
  handled: true,
  permitted: true,
};

/** What the log tells while the target looks like each of `views` in turn. */
function tell(views: readonly (readonly [code: TargetCode, message: string])[]): string[] {
  const lines: string[] = [];
  const push = (text: string) => void lines.push(text);
  const logger: Logger = { debug: push, info: push, warn: push, error: push };
  let view = GOOD;
  const target = {
    resolve: () => ({ kind: "none", code: view.code, message: view.message }),
    preflight: () => view,
    youngestPid: () => null,
  } as unknown as TargetPort;
  const watch = createTargetWatch({
    config: { trigger: "signal" } as Config,
    clock: createFakeClock(),
    logger,
    target,
    reader: { staleMounts: () => [] } as unknown as SnapshotReader,
    onStaleMounts: () => {},
  });
  for (const [code, message] of views) {
    view = code === "ready" ? GOOD : { ...GOOD, ok: false, code, message };
    watch.refresh();
    assert.equal(watch.view()?.message, view.message, "the status says how it is now");
  }
  return lines;
}

const ZOMBIE = ["not-there", "it has ended and is a zombie"] as const;
const GONE = ["not-there", "there is no such process now"] as const;
const NOBODY = ["not-there", "no application is running"] as const;
const FINE = ["ready", ""] as const;
const fine = `Target: ${GOOD.message}`;

test("one death is told once, as zombie, as no process or as nobody, whichever is seen first", () => {
  assert.deepEqual(tell([FINE, ZOMBIE, GONE, NOBODY, GONE]), [fine, `Target: ${ZOMBIE[1]}`]);
  assert.deepEqual(tell([FINE, GONE, ZOMBIE]), [fine, `Target: ${GONE[1]}`]);
  assert.deepEqual(tell([NOBODY, ZOMBIE]), [`Target: ${NOBODY[1]}`]);
});

test("the next death, and another problem in between, are told again", () => {
  const after = `${fine}; in order after 0ms`;
  assert.deepEqual(tell([FINE, ZOMBIE, GONE, FINE, GONE]), [
    fine,
    `Target: ${ZOMBIE[1]}`,
    after,
    `Target: ${GONE[1]}`,
  ]);
  const other = ["no-handler", "it has no handler"] as const;
  assert.deepEqual(tell([ZOMBIE, other, GONE]).length, 3);
});

test("in the first minute the choice is made anew where a process came, and not otherwise", async () => {
  const clock = createFakeClock();
  let youngest: number | null = 100;
  let looks = 0;
  const isNeeded = async () => {
    const before = looks;
    watch.refresh();
    await clock.advance(5_000);
    return looks > before;
  };
  const watch = createTargetWatch({
    config: { trigger: "signal" } as Config,
    clock,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    target: {
      resolve: () => {
        looks++;
        return { kind: "target", target: { pid: 7, startTicks: 1 } };
      },
      preflight: () => GOOD,
      isAlive: () => true,
      youngestPid: () => youngest,
      staleMounts: () => ({ stale: [], blind: false }),
    } as unknown as TargetPort,
    reader: { staleMounts: () => [] } as unknown as SnapshotReader,
    onStaleMounts: () => {},
  });
  const seen = [await isNeeded(), await isNeeded(), await isNeeded(), await isNeeded()];
  assert.deepEqual(seen, [true, true, false, false], "twice: the first may have seen the container runtime");
  youngest = 101;
  assert.deepEqual([await isNeeded(), await isNeeded(), await isNeeded()], [true, true, false]);
  youngest = null;
  assert.deepEqual(
    [await isNeeded(), await isNeeded()],
    [true, true],
    "where /proc does not tell, at each look",
  );
  await clock.advance(60_000);
  youngest = 102;
  assert.equal(await isNeeded(), false, "later it is the attempt that looks afresh");
});
