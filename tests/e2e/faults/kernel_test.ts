/**
 * System calls that fail or are slow, made so by a tracer: the disk, the descriptors, the signal, the output. What the
 * contract promises: an error state is retried, never a change; nothing is signalled for it; `/healthz` answers.
 */

import assert from "node:assert/strict";
import { run } from "../../support/run.ts";
import { createScene, get, inject, requireRoot, sha256 } from "../../support/scene.ts";
import { until } from "../../support/poll.ts";
import { test } from "../../support/strict.ts";

test("EIO while reading the config is an error state, not a change; the change is applied when the disk is back", async () => {
  await using scene = await createScene({ plain: true });
  const sidecar = await scene.begin();
  const before = await scene.app.counts();
  const tracer = await inject(sidecar.pid, ["read:error=EIO", "pread64:error=EIO"], scene.file);
  const hash = await scene.swap("version: 1\n");
  await until(
    "a read error to happen",
    async () => await sidecar.metric("config_reload_read_errors_total") > 0,
  );
  assert.equal(await sidecar.metric("config_reload_in_sync"), 0);
  await sidecar.healthz();
  await sidecar.metricIs("config_reload_read_errors_total", (value) => value >= 3);
  assert.equal((await scene.app.counts()).signals, before.signals, "a read error must signal nobody");
  await tracer.end();
  await scene.applied(hash);
  await sidecar.metricIs("config_reload_in_sync", 1);
  assert.equal((await scene.app.counts()).signals, before.signals + 1);
  const lines = sidecar.log().split("\n").filter((line) =>
    /Cannot read/.test(line) || /input\/output error/i.test(line)
  );
  assert.ok(lines.length >= 1 && lines.length <= 2, `told once, not at every check: ${lines.length} lines`);
});

test("EMFILE at every open, socket and accept: the sidecar lives, and goes on when descriptors are back", async () => {
  await using scene = await createScene();
  const sidecar = await scene.begin();
  const tracer = await inject(sidecar.pid, [
    "openat:error=EMFILE",
    "accept4:error=EMFILE",
    "socket:error=EMFILE",
  ]);
  const hash = await scene.swap("version: 1\n");
  // A connection that arrives meanwhile cannot be accepted: it must not end the listener.
  const healthz = `http://127.0.0.1:${sidecar.port}/healthz`;
  await get(healthz, 300).catch(() => {});
  await sidecar.logged("oo many open files");
  await tracer.end();
  await scene.applied(hash);
  await until("the listener to be back", () => sidecar.healthz().then(() => true, () => false));
});

test("accepting fails for 30 s: the process ends with 1 and the reason, so that the container is started anew", async () => {
  await using scene = await createScene();
  const sidecar = await scene.begin();
  await inject(sidecar.pid, ["accept4:error=ENFILE"]);
  const ended = sidecar.status;
  let code: number | null = null;
  ended.then((status) => code = status.code);
  // A probe now and then, as kubelet makes it: only who is asked notices.
  await until("the end", async () => {
    await get(`http://127.0.0.1:${sidecar.port}/healthz`, 500).catch(() => {});
    return code !== null;
  }, { timeoutMs: 60_000, everyMs: 1_000 });
  assert.equal(code, 1);
  assert.match(sidecar.log(), /WARN {2}Cannot accept connections on port \d+: .*too many open files/i);
  assert.match(
    sidecar.log(),
    /ERROR Cannot accept connections on port \d+: .*, for 30 s; ending, to be started anew/,
  );
});

test("ESRCH at kill is a failed attempt with its cause, and is tried again", async () => {
  await using scene = await createScene();
  const sidecar = await scene.begin();
  const tracer = await inject(sidecar.pid, ["kill:error=ESRCH"]);
  const hash = await scene.swap("version: 1\n");
  await sidecar.metricIs("config_reload_failures_total", (value) => value > 0);
  assert.equal(await sidecar.metric("config_reload_last_successful"), 0);
  assert.equal((await scene.app.counts()).signals, 0);
  await tracer.end();
  await scene.applied(hash);
  await sidecar.metricIs("config_reload_last_successful", 1);
  assert.equal((await scene.app.counts()).signals, 1);
});

test("a disk that takes 800 ms for each open of the config delays the reload, not /healthz or SIGTERM", async () => {
  await using scene = await createScene({ plain: true });
  const slow = await scene.begin({ args: ["--delay-interval=100ms", "--shutdown-timeout=1h"] });
  const tracer = await inject(slow.pid, ["openat:delay_enter=800000"], scene.file);
  await scene.swap("version: 1\n");
  const end = performance.now() + 2500;
  while (performance.now() < end) await slow.healthz();
  await slow.metricIs("config_reload_successes_total", (value) => value >= 1);
  slow.kill("SIGTERM");
  assert.equal(await slow.ended(), 0);
  await tracer.end();
});

test("a full disk under the rendered file is a failed attempt: the app keeps the old file, and gets the new one later", async () => {
  requireRoot("it mounts a small tmpfs");
  await using scene = await createScene();
  const out = `${scene.dir}/out`;
  await Deno.mkdir(out);
  await run("mount", ["-t", "tmpfs", "-o", "size=32k", "tmpfs", out]);
  try {
    const rendered = `${out}/config.yaml`;
    const sidecar = await scene.begin({ args: ["--config-envsubst-file", rendered] });
    const first = `version: 1\n${"# a comment\n".repeat(400)}`;
    await scene.swap(first);
    await until("the first rendering", async () => await Deno.readTextFile(rendered) === first);
    await sidecar.metricIs("config_reload_successes_total", (value) => value >= 1);
    const { signals } = await scene.app.counts();
    const room = 32 * 1024 - 8 * 1024;
    await Deno.writeFile(`${out}/filler`, new Uint8Array(room)); // what is left does not hold a second copy
    const second = `version: 2\n${"# a longer comment\n".repeat(500)}`;
    const failures = await sidecar.metric("config_reload_failures_total");
    await scene.swap(second);
    await sidecar.metricIs("config_reload_failures_total", (value) => value > failures);
    await sidecar.logged(`Cannot write "${rendered}": No space left on device`);
    assert.equal(await Deno.readTextFile(rendered), first, "never half a file");
    assert.equal((await scene.app.counts()).signals, signals, "nothing to reload: no signal");
    const left = [...Deno.readDirSync(out)].map((entry) => entry.name).sort();
    assert.deepEqual(left, ["config.yaml", "filler"], "no temporary file is left on a full disk");
    await Deno.remove(`${out}/filler`);
    await until("the second rendering", async () => await Deno.readTextFile(rendered) === second);
    await scene.applied(await sha256(second));
  } finally {
    await run("umount", ["-l", out]);
  }
});
