/** A disk that lets a system call not return: what the loop and the probes make of it. */

import assert from "node:assert/strict";
import { until } from "../../support/poll.ts";
import { createScene, inject } from "../../support/scene.ts";
import { test } from "../../support/strict.ts";

test("/healthz: 503 with the reason once a disk has held the loop for 30 s, 200 when it goes on", async () => {
  await using scene = await createScene();
  const sidecar = await scene.begin({ args: ["--config-envsubst-file", `${scene.dir}/out/config.yaml`] });
  // The first output is written at the start, later than the app started: it is signalled.
  await sidecar.metricIs("config_reload_successes_total", 1);
  const healthz = async () => {
    const answer = await fetch(`http://127.0.0.1:${sidecar.port}/healthz`, {
      signal: AbortSignal.timeout(10_000),
    });
    return `${answer.status} ${(await answer.text()).trim()}`;
  };
  const tracer = await inject(sidecar.pid, ["fsync:delay_enter=40000000", "fdatasync:delay_enter=40000000"]);
  const beganMs = performance.now();
  await scene.swap("version: 1\n");
  await sidecar.metricIs("config_reload_attempts_total", 2);
  assert.equal(await healthz(), "200 ok", "a slow disk alone is no reason");
  const seen = await until("503", async () => {
    const answer = await healthz();
    return answer.startsWith("503") ? answer : null;
  }, { timeoutMs: 45_000, everyMs: 250 });
  assert.match(seen, /^503 the loop has not turned for 3\d(\.\d+)?s, at most 30s is normal$/);
  assert.ok(performance.now() - beganMs > 29_000);
  await until("200", async () => await healthz() === "200 ok", { timeoutMs: 30_000, everyMs: 250 });
  await tracer.end();
  await sidecar.metricIs("config_reload_successes_total", 2);
});
