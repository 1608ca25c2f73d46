/** Standard error that nobody reads, and one that is closed: the loop must not block, dropped lines are counted. */

import assert from "node:assert/strict";
import { createScene, get, ready } from "../../support/scene.ts";
import { STRICT } from "../../support/strict.ts";

/** More lines than the 64 KiB of a pipe hold. */
const CHANGES = 25;

Deno.test({
  ...STRICT,
  name: "a standard error that nobody reads does not stop reloads or /healthz",
  fn: async () => {
    await using scene = await createScene();
    const sidecar = await scene.start({
      stderr: "ignored",
      args: ["--log-level", "debug", "--log-format", "json"],
    });
    await ready(sidecar);
    // Reloads of content that flaps, until far more was logged than the 64 KiB that a pipe holds.
    for (let i = 1; i <= CHANGES; i++) await scene.swap(`version: ${i}\n`);
    let hash = "";
    for (let i = 1; i <= CHANGES; i++) {
      hash = await scene.swap(`version: ${i}\n`);
      await scene.applied(hash);
    }
    await sidecar.healthz();
    const status = JSON.parse(await get(`http://127.0.0.1:${sidecar.port}/status`, 2000)) as {
      inSync: boolean;
    };
    assert.ok(status);
  },
});

Deno.test({
  ...STRICT,
  name: "a closed standard error does not end the sidecar",
  fn: async () => {
    await using scene = await createScene();
    const sidecar = await scene.start({ stderr: "closed", args: ["--log-level", "debug"] });
    await ready(sidecar);
    for (let i = 1; i <= 5; i++) await scene.applied(await scene.swap(`version: ${i}\n`));
    await sidecar.healthz();
    await sidecar.metricIs("config_reload_successes_total", (value) => value === 5);
    sidecar.kill("SIGTERM");
    assert.equal((await sidecar.status).code, 0);
  },
});
