/** Processes that stop and go on, and processes that are killed in the middle of a reload. */

import assert from "node:assert/strict";
import { until } from "../../support/poll.ts";
import { createScene, freePort } from "../../support/scene.ts";
import { test } from "../../support/strict.ts";

test("a stopped sidecar applies what changed meanwhile once, with the newest content", async () => {
  await using scene = await createScene();
  const sidecar = await scene.begin();
  sidecar.kill("SIGSTOP");
  await scene.swap("version: 1\n");
  await scene.swap("version: 2\n");
  const hash = await scene.swap("version: 3\n");
  sidecar.kill("SIGCONT");
  await scene.applied(hash);
  await sidecar.metricIs("config_reload_in_sync", 1);
  const seconds = Date.now() / 1000;
  await sidecar.metricIs("config_reload_last_scan_timestamp_seconds", (value) => value > seconds);
  assert.equal((await scene.app.counts()).signals, 1, "also after the next look");
  await sidecar.healthz();
});

test("a stopped app ends in a verification timeout, and is proved once it goes on", async () => {
  await using scene = await createScene();
  const sidecar = await scene.begin({ args: ["--reload-timeout", "1s", "--http-timeout", "500ms"] });
  scene.app.kill("SIGSTOP");
  const hash = await scene.swap("version: 1\n");
  await sidecar.logged("reload verification timeout");
  await sidecar.healthz();
  assert.equal(await sidecar.metric("config_reload_in_sync"), 0);
  assert.ok(await sidecar.metric('config_reload_outcomes_total{outcome="timeout"}') >= 1);
  scene.app.kill("SIGCONT");
  await scene.applied(hash);
  await sidecar.metricIs("config_reload_in_sync", 1);
  await sidecar.logged("✅ Reload successful");
});

test("killed in the middle of a reload and started again: the app ends up with what is on disk, on the same port", async () => {
  await using scene = await createScene({ app: { reloadMs: 500 } });
  const port = freePort();
  const first = await scene.begin({ port });
  await scene.swap("version: 1\n");
  await until("the signal", async () => (await scene.app.counts()).signals === 1);
  first.kill("SIGKILL");
  await first.status;
  const hash = await scene.swap("version: 2\n");
  const second = await scene.begin({ port });
  await scene.applied(hash);
  await second.metricIs("config_reload_in_sync", 1);
  const { signals } = await scene.app.counts();
  assert.ok(signals === 2 || signals === 3, `one signal for each content, one more at most: ${signals}`);
});
