import assert from "node:assert/strict";
import { runCheckCommand } from "../../src/prepare/check_command.ts";
import { STRICT } from "../support/strict.ts";

const never = () => new AbortController().signal;
const sh = (script: string, timeoutMs = 5_000, signal = never()) =>
  runCheckCommand(["sh", "-c", script], timeoutMs, signal);

Deno.test({ ...STRICT, name: "exit code 0 is ok, any other is told with the last words" }, async () => {
  assert.deepEqual(await sh("echo fine >&2"), { kind: "ok" });
  assert.deepEqual(await sh("echo first >&2; echo 'bad line 3' >&2; echo; exit 3"), {
    kind: "invalid",
    reason: 'check command "sh": exit code 3: bad line 3',
  });
  assert.deepEqual(await sh("echo said on stdout; exit 1"), {
    kind: "invalid",
    reason: 'check command "sh": exit code 1: said on stdout',
  });
  assert.deepEqual(await sh("exit 4"), { kind: "invalid", reason: 'check command "sh": exit code 4' });
  assert.deepEqual(await sh("kill -SEGV $$"), {
    kind: "invalid",
    reason: 'check command "sh": ended by SIGSEGV',
  });
});

Deno.test({ ...STRICT, name: "no shell sees the arguments" }, async () => {
  assert.deepEqual(await runCheckCommand(["test", "$HOME;*", "=", "$HOME;*"], 5_000, never()), {
    kind: "ok",
  });
});

Deno.test({ ...STRICT, name: "a command that cannot be run says nothing about the content" }, async () => {
  assert.deepEqual(await runCheckCommand(["/no/such/program"], 5_000, never()), {
    kind: "failed",
    reason: 'Cannot run check command "/no/such/program": no such program',
  });
  const plain = Deno.makeTempFileSync();
  Deno.chmodSync(plain, 0o644);
  assert.deepEqual(await runCheckCommand([plain], 5_000, never()), {
    kind: "failed",
    reason: `Cannot run check command "${plain}": permission denied`,
  });
  Deno.removeSync(plain);
});

Deno.test(
  { ...STRICT, name: "a command that hangs is killed, also when a grandchild holds its pipes" },
  async () => {
    const started = performance.now();
    assert.deepEqual(await sh("sleep 30", 150), {
      kind: "failed",
      reason: 'check command "sh" killed: still running after 150ms (--http-timeout)',
    });
    const result = await sh("sleep 3 & echo words >&2; exit 1");
    assert.deepEqual(result, { kind: "invalid", reason: 'check command "sh": exit code 1: words' });
    assert.ok(performance.now() - started < 2_500);
  },
);

Deno.test({ ...STRICT, name: "the end of the sidecar ends the command" }, async () => {
  const abort = new AbortController();
  const running = sh("sleep 30", 20_000, abort.signal);
  abort.abort();
  assert.deepEqual(await running, { kind: "failed", reason: 'check command "sh" killed: stopped' });
});

Deno.test({ ...STRICT, name: "a command that writes without end costs no memory" }, async () => {
  const result = await sh("yes long line of words | head -c 20000000 >&2; echo >&2; echo last >&2; exit 1");
  assert.deepEqual(result, { kind: "invalid", reason: 'check command "sh": exit code 1: last' });
});
