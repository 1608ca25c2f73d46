import assert from "node:assert/strict";
import fc from "fast-check";
import type { Target } from "../../src/model.ts";
import type { ProcessStat } from "../../src/proc/process.ts";
import { createProcReader, type ProcReader } from "../../src/proc/reader.ts";
import { denoKill, type Kill, maySignal, permissionText, sendSignal } from "../../src/target/send.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { until } from "../support/poll.ts";
import { test } from "../support/strict.ts";
import { CAUGHT, statOf } from "./fake_table.ts";

const OPTIONS = { signal: "SIGHUP", allowUnhandled: false } as const;
const TARGET: Target = {
  pid: 7,
  startTicks: 100,
  comm: "amp",
  name: "amp",
  uid: 1000,
  startedAtMs: 0,
  reason: "",
  handled: true,
};

/** Sends with a /proc that shows this process, and tells what was killed. */
function send(
  target: Target,
  stat: Partial<ProcessStat> | null,
  options = OPTIONS as typeof OPTIONS | { signal: "SIGHUP"; allowUnhandled: true },
  failure?: Error,
) {
  const reader: ProcReader = {
    ...createProcReader("/nonexistent"),
    stat: () => stat && statOf({ pid: 7, comm: "amp", caught: CAUGHT, ...stat }),
  };
  const killed: [number, string | number][] = [];
  const kill: Kill = (pid, signal) => {
    killed.push([pid, signal]);
    if (failure) throw failure;
  };
  const clock = createFakeClock(5000);
  const result = sendSignal({ reader, clock, kill }, target, options);
  return { result, killed, code: result.kind === "not-sent" ? result.code : "sent" };
}

test("sendSignal: to exactly the process that was looked up", () => {
  const { result, killed } = send(TARGET, {});
  assert.deepEqual(result, { kind: "sent", atMs: 0, wallMs: 5000 });
  assert.deepEqual(killed, [[7, "SIGHUP"]]);
});

test("sendSignal: everything else is refused before the call", () => {
  const cases: [string, ReturnType<typeof send>][] = [
    ["not-there", send(TARGET, null)],
    ["not-there", send(TARGET, { state: "Z" })],
    ["not-there", send(TARGET, { state: "X" })],
    ["changed", send(TARGET, { startTicks: 101 })],
    ["changed", send(TARGET, { comm: "other" })],
    ["changed", send({ ...TARGET, comm: "runc:[2:INIT]" }, {})],
    ["no-handler", send(TARGET, { caught: 0 })],
    ["self", send({ ...TARGET, pid: Deno.pid }, {})],
    ...[0, -1, 1.5, NaN, Infinity, 4194305, 2 ** 32, 2 ** 32 + 7].map((
      pid,
    ): [string, ReturnType<typeof send>] => ["bad-pid", send({ ...TARGET, pid }, {})]),
  ];
  for (const [code, got] of cases) {
    assert.deepEqual([got.code, got.killed], [code, []], JSON.stringify(got));
  }
});

test("sendSignal: over random identities, another process is never signalled", () => {
  const pid = fc.oneof(fc.constantFrom(7, 8, 0, -1, 1.5, NaN, Deno.pid, 2 ** 32), fc.integer());
  const comm = fc.constantFrom("amp", "am", "runc:[2:INIT]", "");
  fc.assert(
    fc.property(
      pid,
      comm,
      comm,
      fc.integer({ min: 99, max: 101 }),
      fc.constantFrom("S", "R", "Z", "X"),
      fc.constantFrom(0, 1),
      (pid, was, is, startTicks, state, caught) => {
        const { killed } = send({ ...TARGET, pid, comm: was }, { comm: is, startTicks, state, caught });
        const same = Number.isInteger(pid) && pid >= 1 && pid <= 4194304 && pid !== Deno.pid && was === is &&
          startTicks === 100 &&
          state !== "Z" && state !== "X" && caught === 1;
        assert.deepEqual(killed, same ? [[pid, "SIGHUP"]] : []);
      },
    ),
    { numRuns: 3000 },
  );
});

test("sendSignal: a target without handler goes only where that is allowed", () => {
  const unhandled = { ...TARGET, handled: false };
  assert.equal(send(unhandled, { caught: 0 }, { ...OPTIONS, allowUnhandled: true }).code, "sent");
  assert.equal(send(TARGET, { caught: 0, blocked: 1 }).code, "sent", "taken from a signalfd");
});

test("sendSignal: what kill says is told with the way out", () => {
  const denied = send(TARGET, {}, OPTIONS, new Deno.errors.PermissionDenied("EPERM"));
  assert.equal(denied.code, "permission");
  assert.equal(send(TARGET, {}, OPTIONS, new Deno.errors.NotFound("ESRCH")).code, "not-there");
  assert.equal(send(TARGET, {}, OPTIONS, new TypeError("odd")).code, "kill");
});

test("permissionText: both users and the fix", () => {
  const uid = Deno.uid()!;
  assert.match(
    permissionText(TARGET, "SIGHUP"),
    new RegExp(`user 1000 and config-reloader (runs )?as user ${uid}.*runAsUser: 1000`),
  );
  assert.match(permissionText({ ...TARGET, uid }, "SIGHUP"), /both .* as user \d+; a security module/);
});

test("maySignal asks without signalling", async () => {
  const child = new Deno.Command("sleep", { args: ["60"], stdout: "null", stderr: "null" }).spawn();
  const of = (pid: number): Target => ({ ...TARGET, pid });
  assert.equal(maySignal(denoKill, of(child.pid)), true);
  assert.equal(maySignal(denoKill, of(NaN)), false);
  assert.equal(maySignal(denoKill, of(0)), false);
  assert.equal(maySignal(denoKill, of(Deno.pid)), false);
  child.kill("SIGKILL");
  await child.status;
  await until("its end", () => maySignal(denoKill, of(child.pid)) === null);
});
