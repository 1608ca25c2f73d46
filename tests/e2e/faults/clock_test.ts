/**
 * The wall clock steps under the sidecar alone, by a small preloaded library: waits and deadlines must not notice, and
 * a reload must be proved all the same.
 */

import assert from "node:assert/strict";
import { run } from "../../support/run.ts";
import { createScene, requireProgram } from "../../support/scene.ts";
import { test } from "../../support/strict.ts";

for (const [name, step] of [["back", -7200], ["forward", 7200]] as const) {
  test(`a wall clock that steps two hours ${name} changes no deadline and loses no reload`, async () => {
    requireProgram("cc", "a C compiler");
    await using scene = await createScene({ app: { reloadMs: 700 } });
    const shim = `${scene.dir}/shim.so`;
    const offset = `${scene.dir}/offset`;
    await Deno.writeTextFile(offset, "0     \n");
    await run("cc", ["-shared", "-fPIC", "-O1", "-o", shim, `${import.meta.dirname}/clock_shim.c`]);
    const sidecar = await scene.begin({
      env: { LD_PRELOAD: shim, CLOCK_OFFSET_FILE: offset },
      args: ["--reload-timeout", "5s"],
    });
    const first = await scene.swap("version: 1\n");
    await Deno.writeTextFile(offset, `${step}  \n`); // in the middle of the reload
    await scene.applied(first);
    await sidecar.metricIs("config_reload_successes_total", 1);
    await sidecar.healthz();
    await scene.applied(await scene.swap("version: 2\n"));
    await sidecar.metricIs("config_reload_successes_total", 2);
    assert.equal(await sidecar.metric("config_reload_failures_total"), 0);
    assert.equal(await sidecar.metric("config_reload_in_sync"), 1);
    const told = await sidecar.metric("config_reload_last_success_timestamp");
    const skew = told - Date.now() / 1000;
    assert.ok(
      Math.abs(skew - step) < 60,
      `the time shown to people is the stepped one, it is off by ${skew} s`,
    );
    assert.equal((await scene.app.counts()).signals, 2);
  });
}
