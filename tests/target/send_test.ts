import assert from "node:assert/strict";
import fc from "fast-check";
import type { Target } from "../../src/model.ts";
import type { ProcessStat, ProcessStatus } from "../../src/proc/process.ts";
import { createProcReader, type ProcReader } from "../../src/proc/reader.ts";
import { createPidfds, type Pidfds } from "../../src/target/pidfd.ts";
import {
  denoKill,
  type Kill,
  maySignal,
  permissionText,
  type SendEffects,
  sendSignal,
} from "../../src/target/send.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { until } from "../support/poll.ts";
import { STRICT } from "../support/strict.ts";

const OPTIONS = { signal: "SIGHUP", signalNumber: 1, allowUnhandled: false } as const;
const TARGET: Target = {
  pid: 7,
  startTicks: 100,
  comm: "amp",
  name: "amp",
  uid: 1000,
  startedWallMs: 0,
  reason: "",
  handled: true,
};

/** Sends with a /proc that shows this process, and tells what was killed. */
function send(
  target: Target,
  stat: Partial<ProcessStat> | null,
  status: Partial<ProcessStatus> | null = {},
  options = OPTIONS as typeof OPTIONS | { signal: "SIGHUP"; signalNumber: 1; allowUnhandled: true },
  failure?: Error,
  more: Partial<SendEffects> = {},
) {
  const reader: ProcReader = {
    ...createProcReader("/nonexistent"),
    stat: () =>
      stat && { pid: 7, comm: "amp", state: "S", ppid: 0, kernelThread: false, startTicks: 100, ...stat },
    status: () => status && { tgid: 7, uid: 1000, caught: 1, ignored: 0, blocked: 0, ...status },
  };
  const killed: [number, string | number][] = [];
  const kill: Kill = (pid, signal) => {
    killed.push([pid, signal]);
    if (failure) throw failure;
  };
  const clock = createFakeClock(5000);
  const pidfds: Pidfds = { open: () => null, send: () => false, close: () => {} };
  const result = sendSignal({ reader, clock, kill, pidfds, ...more }, target, options);
  return { result, killed, code: result.kind === "not-sent" ? result.code : "sent" };
}

Deno.test("sendSignal: to exactly the process that was looked up", STRICT, () => {
  const { result, killed } = send(TARGET, {});
  assert.deepEqual(result, { kind: "sent", atMs: 0, wallMs: 5000 });
  assert.deepEqual(killed, [[7, "SIGHUP"]]);
});

Deno.test("sendSignal: everything else is refused before the call", STRICT, () => {
  const cases: [string, ReturnType<typeof send>][] = [
    ["not-there", send(TARGET, null)],
    ["not-there", send(TARGET, {}, null)],
    ["not-there", send(TARGET, { state: "Z" })],
    ["not-there", send(TARGET, { state: "X" })],
    ["changed", send(TARGET, { startTicks: 101 })],
    ["changed", send(TARGET, { comm: "other" })],
    ["changed", send({ ...TARGET, comm: "runc:[2:INIT]" }, {})],
    ["changed", send(TARGET, {}, { tgid: 6 })],
    ["no-handler", send(TARGET, {}, { caught: 0 })],
    ["self", send({ ...TARGET, pid: Deno.pid }, {})],
    ...[0, -1, 1.5, NaN, Infinity, 4194305, 2 ** 32, 2 ** 32 + 7].map((
      pid,
    ): [string, ReturnType<typeof send>] => [
      "bad-pid",
      send({ ...TARGET, pid }, {}),
    ]),
  ];
  for (const [code, got] of cases) {
    assert.deepEqual([got.code, got.killed], [code, []], JSON.stringify(got));
  }
});

Deno.test("sendSignal: over random identities, another process is never signalled", STRICT, () => {
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
        const { killed } = send({ ...TARGET, pid, comm: was }, { comm: is, startTicks, state }, {
          caught,
          tgid: pid,
        });
        const same = Number.isInteger(pid) && pid >= 1 && pid <= 4194304 && pid !== Deno.pid && was === is &&
          startTicks === 100 &&
          state !== "Z" && state !== "X" && caught === 1;
        assert.deepEqual(killed, same ? [[pid, "SIGHUP"]] : []);
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("sendSignal: a target without handler goes only where that is allowed", STRICT, () => {
  const unhandled = { ...TARGET, handled: false };
  assert.equal(send(unhandled, {}, { caught: 0 }, { ...OPTIONS, allowUnhandled: true }).code, "sent");
  assert.equal(send(TARGET, {}, { caught: 0, blocked: 1 }).code, "sent", "taken from a signalfd");
});

Deno.test("sendSignal: what kill says is told with the way out", STRICT, () => {
  const denied = send(TARGET, {}, {}, OPTIONS, new Deno.errors.PermissionDenied("EPERM"));
  assert.equal(denied.code, "permission");
  assert.equal(send(TARGET, {}, {}, OPTIONS, new Deno.errors.NotFound("ESRCH")).code, "not-there");
  assert.equal(send(TARGET, {}, {}, OPTIONS, new TypeError("odd")).code, "kill");
});

Deno.test("permissionText: both users and the fix", STRICT, () => {
  const uid = Deno.uid()!;
  assert.match(
    permissionText(TARGET, "SIGHUP"),
    new RegExp(`user 1000 and config-reloader (runs )?as user ${uid}.*runAsUser: 1000`),
  );
  assert.match(permissionText({ ...TARGET, uid }, "SIGHUP"), /both .* as user \d+; a security module/);
});

Deno.test("maySignal asks without signalling", STRICT, async () => {
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

/** Descriptors that note what is done with them. */
function fakePidfds(sends: boolean) {
  const done: string[] = [];
  const pidfds: Pidfds = {
    open: (pid) => done.push(`open ${pid}`) + 2,
    send: (fd, signal) => {
      done.push(`send ${fd} ${signal}`);
      return sends;
    },
    close: (fd) => void done.push(`close ${fd}`),
  };
  return { pidfds, done };
}

Deno.test("sendSignal: by a descriptor that was taken before the checks", STRICT, () => {
  const works = fakePidfds(true);
  assert.deepEqual(send(TARGET, {}, {}, OPTIONS, undefined, works).killed, []);
  assert.deepEqual(works.done, ["open 7", "send 3 1", "close 3"]);
  const refused = fakePidfds(true);
  assert.equal(send(TARGET, { comm: "other" }, {}, OPTIONS, undefined, refused).code, "changed");
  assert.deepEqual(refused.done, ["open 7", "close 3"]);
  const odd = fakePidfds(true);
  send({ ...TARGET, pid: NaN }, {}, {}, OPTIONS, undefined, odd);
  assert.deepEqual(odd.done, []);
});

Deno.test("sendSignal: where the descriptor does not work, kill does it or says why not", STRICT, () => {
  const forbidden = fakePidfds(false);
  assert.deepEqual(send(TARGET, {}, {}, OPTIONS, undefined, forbidden).killed, [[7, "SIGHUP"]]);
  assert.deepEqual(forbidden.done, ["open 7", "send 3 1", "close 3"]);
  const denied = send(TARGET, {}, {}, OPTIONS, new Deno.errors.PermissionDenied(), fakePidfds(false));
  assert.equal(denied.code, "permission");
  // It ended between the checks and the signal, and its PID is another's by now.
  let looks = 0;
  const stat = (): ProcessStat => ({
    pid: 7,
    comm: "amp",
    state: "S",
    ppid: 0,
    kernelThread: false,
    startTicks: ++looks === 1 ? 100 : 999,
  });
  const status = (): ProcessStatus => ({ tgid: 7, uid: 1000, caught: 1, ignored: 0, blocked: 0 });
  const reader = { ...createProcReader("/nonexistent"), stat, status };
  const late = send(TARGET, {}, {}, OPTIONS, undefined, { ...fakePidfds(false), reader });
  assert.deepEqual([late.code, late.killed], ["changed", []]);
});

Deno.test("pidfds: a real signal through a real descriptor, and none for nobody", {
  ...STRICT,
  sanitizeResources: false,
}, async () => {
  // The library stays loaded on purpose, hence no check of resources.
  const pidfds = createPidfds();
  const child = new Deno.Command("sleep", { args: ["60"], stdout: "null", stderr: "null" }).spawn();
  const fd = pidfds.open(child.pid);
  assert.ok(fd !== null && fd > 2, "this machine's kernel and libc have pidfd_open");
  assert.equal(pidfds.send(fd, 15), true);
  assert.equal((await child.status).signal, "SIGTERM");
  assert.equal(
    pidfds.send(fd, 15),
    false,
    "the descriptor is of the process that has ended, whoever has its PID",
  );
  pidfds.close(fd);
  assert.equal(pidfds.open(child.pid), null);
});
