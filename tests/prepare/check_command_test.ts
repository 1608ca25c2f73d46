import assert from "node:assert/strict";
import { runCheckCommand } from "../../src/prepare/check_command.ts";
import { until, WAIT_MS } from "../support/poll.ts";
import { test } from "../support/strict.ts";

const never = () => new AbortController().signal;
const ENVIRONMENT = { PATH: "/usr/bin:/bin", GREETING: "hello" };
const sh = (script: string, timeoutMs = 60_000, signal = never()) =>
  runCheckCommand(["sh", "-c", script], timeoutMs, signal, ENVIRONMENT);
const invalid = (reason: string) => ({ kind: "invalid", reason, retry: true });

test("exit code 0 is ok, any other is told with the last words", async () => {
  assert.deepEqual(await sh("echo fine >&2"), { kind: "ok" });
  assert.deepEqual(
    await sh("echo first >&2; echo 'bad line 3' >&2; echo; exit 3"),
    invalid('check command "sh": exit code 3: first | bad line 3'),
  );
  assert.deepEqual(
    await sh("echo said on stdout; exit 1"),
    invalid('check command "sh": exit code 1: said on stdout'),
  );
  assert.deepEqual(await sh("exit 4"), invalid('check command "sh": exit code 4'));
  assert.deepEqual(await sh("kill -SEGV $$"), invalid('check command "sh": ended by SIGSEGV'));
});

test("no shell sees the arguments", async () => {
  assert.deepEqual(await runCheckCommand(["test", "$HOME;*", "=", "$HOME;*"], 60_000, never(), ENVIRONMENT), {
    kind: "ok",
  });
});

test("a command that cannot be run says nothing about the content", async () => {
  assert.deepEqual(await runCheckCommand(["/no/such/program"], 5_000, never(), ENVIRONMENT), {
    kind: "failed",
    reason: 'Cannot run check command "/no/such/program": no such program',
  });
  const plain = Deno.makeTempFileSync();
  Deno.chmodSync(plain, 0o644);
  assert.deepEqual(await runCheckCommand([plain], 5_000, never(), ENVIRONMENT), {
    kind: "failed",
    reason: `Cannot run check command "${plain}": permission denied`,
  });
  Deno.removeSync(plain);
});

test("a command that hangs takes along what it has started", async () => {
  const result = await sh("sleep 60 & echo $!; wait", 300);
  const pid = /: (\d+)$/.exec(result.kind === "ok" ? "" : result.reason)?.[1];
  assert.ok(pid, JSON.stringify(result));
  await until("the grandchild to end", () => {
    try {
      return /^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
    } catch {
      return true;
    }
  });
});

test("a command that hangs is killed, also when a grandchild holds its pipes", async () => {
  const started = performance.now();
  assert.deepEqual(await sh("sleep 30", 150), {
    kind: "failed",
    reason: 'check command "sh" killed: still running after 150ms (--http-timeout)',
  });
  const result = await sh("sleep 100 & echo words >&2; exit 1");
  assert.deepEqual(result, invalid('check command "sh": exit code 1: words'));
  assert.ok(performance.now() - started < WAIT_MS);
});

test("the end of the sidecar ends the command", async () => {
  const abort = new AbortController();
  const running = sh("sleep 30", 20_000, abort.signal);
  abort.abort();
  assert.deepEqual(await running, { kind: "failed", reason: 'check command "sh" killed: stopped' });
});

test("a command that writes without end costs no memory", async () => {
  const result = await sh("yes long line of words | head -c 20000000 >&2; echo >&2; echo last >&2; exit 1");
  const line = "long line of words";
  assert.ok(result.kind === "invalid");
  assert.match(result.reason, new RegExp(`exit code 1: (${line} \\| ){8}[ a-z]+ \\| last$`));
});

test("the reason is in what it wrote last, ten lines of both its outputs", async () => {
  // As nginx -t ends: the reason is not in the last line.
  const nginx = 'nginx: [emerg] unknown directive "nope" in /etc/nginx.conf:3';
  const failed = "nginx: configuration file /etc/nginx.conf test failed";
  assert.deepEqual(
    await sh(`echo '${nginx}' >&2; echo '${failed}' >&2; exit 1`),
    invalid(`check command "sh": exit code 1: ${nginx} | ${failed}`),
  );
  const both = await sh(`echo checked; echo '${failed}' >&2; exit 1`);
  for (const text of ["checked", failed]) assert.ok(both.kind === "invalid" && both.reason.includes(text));
  const many = await sh("for i in $(seq 1 25); do echo line $i >&2; done; exit 1");
  const last = Array.from({ length: 10 }, (_, n) => `line ${n + 16}`).join(" | ");
  assert.deepEqual(many, invalid(`check command "sh": exit code 1: ${last}`));
  assert.deepEqual(await sh("echo waits for a server; sleep 30", 200), {
    kind: "failed",
    reason: 'check command "sh" killed: still running after 200ms (--http-timeout): waits for a server',
  });
  const endless = await sh("head -c 3000000 /dev/zero | tr '\\0' x; exit 1");
  assert.deepEqual(endless, invalid(`check command "sh": exit code 1: ${"x".repeat(300)}`));
});

test("it gets the environment of the start, and nothing that came since", async () => {
  Deno.env.set("CHECK_COMMAND_TEST_LATE", "1");
  assert.deepEqual(
    await sh("echo $GREETING $CHECK_COMMAND_TEST_LATE; exit 1"),
    invalid('check command "sh": exit code 1: hello'),
  );
  Deno.env.delete("CHECK_COMMAND_TEST_LATE");
});
