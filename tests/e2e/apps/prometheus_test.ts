/**
 * Debian's Prometheus under the product's own command line: changes are applied and proved, bad ones are told as
 * rejected while it lives on, and going back is applied. By signal and by HTTP, asked in both of its formats.
 */

import assert from "node:assert/strict";
import {
  ALWAYS,
  type App,
  beside,
  prometheusConfig,
  prometheusLabel,
  QUICK,
  startPrometheus,
  successes,
} from "../../support/apps.ts";
import { test } from "../../support/strict.ts";
import type { Sidecar } from "../../support/scene.ts";

/** The arguments beside an app that is signalled and asked at this path. */
const asking = (app: App, path: string) =>
  `--config-file ${app.file} --process-name ${app.name} --reload-url ${app.url}${path}`.split(" ");

/** A good change, a bad one, the way back, another good one; each as Prometheus itself sees it. */
async function goodBadBack(app: App, sidecar: Sidecar): Promise<void> {
  assert.equal(await sidecar.metric("config_reload_attempts_total"), 0);
  app.volume.swap(prometheusConfig("v1"));
  await successes(sidecar, 1);
  assert.equal(await prometheusLabel(app), "v1");
  await sidecar.logged("✅ Reload successful");

  app.volume.swap(prometheusConfig("BAD"));
  await sidecar.metricIs('config_reload_outcomes_total{outcome="rejected"}', (value) => value >= 1);
  assert.equal(await sidecar.metric("config_reload_in_sync"), 0);
  assert.equal(await sidecar.metric("config_reload_last_successful"), 0);
  await sidecar.logged("Reload rejected by the app: ");
  assert.ok(app.isAlive());
  assert.equal(await prometheusLabel(app), "v1");

  app.volume.swap(prometheusConfig("v1"));
  await successes(sidecar, 2);
  app.volume.swap(prometheusConfig("v2"));
  await successes(sidecar, 3);
  assert.equal(await prometheusLabel(app), "v2");
}

const SIGNALLED: readonly [what: string, path: string, verify: string][] = [
  ["runtime info", "/api/v1/status/runtimeinfo", "prometheus"],
  ["metrics", "/metrics", "prometheus"],
  ["metrics, recognised by itself", "/metrics", "auto"],
];
for (const [what, path, verify] of SIGNALLED) {
  test(`prometheus by SIGHUP, asked by ${what}: good, bad, back`, async () => {
    await using app = await startPrometheus();
    await beside(app, [...QUICK, ...asking(app, path), "--verify", verify], async (sidecar) => {
      await goodBadBack(app, sidecar);
      await sidecar.logged(`Sending SIGHUP to main process (PID ${app.pid})`);
    });
  });
}

test("prometheus by HTTP: good, bad, back", async () => {
  await using app = await startPrometheus();
  const args = ["--config-file", app.file, "--trigger", "http", "--trigger-url", `${app.url}/-/reload`];
  await beside(
    app,
    [...QUICK, ...args, "--reload-url", `${app.url}/api/v1/status/runtimeinfo`],
    async (sidecar) => {
      await goodBadBack(app, sidecar);
      await sidecar.logged("failed to reload config");
    },
  );
});

test("prometheus: several reloads within a second of its clock are each proved", async () => {
  await using app = await startPrometheus();
  const args = [...QUICK, ...asking(app, "/api/v1/status/runtimeinfo"), "--min-reload-interval", "0s"];
  await beside(app, args, async (sidecar) => {
    for (let i = 1; i <= 6; i++) {
      app.volume.swap(prometheusConfig(`v${i}`));
      await successes(sidecar, i);
      assert.equal(await prometheusLabel(app), `v${i}`);
    }
    assert.equal(await sidecar.metric("config_reload_failures_total"), 0);
  });
});

test("prometheus: a second bad configuration in a row is rejected too, before the timeout", async () => {
  await using app = await startPrometheus();
  const args = [...ALWAYS, ...asking(app, "/metrics"), "--retry-interval", "5m"];
  await beside(app, args, async (sidecar) => {
    const rejected = 'config_reload_outcomes_total{outcome="rejected"}';
    app.volume.swap(prometheusConfig("BAD1"));
    await sidecar.metricIs(rejected, 1);
    app.volume.swap(prometheusConfig("BAD2"));
    await sidecar.metricIs(rejected, 2);
    assert.equal(await sidecar.metric('config_reload_outcomes_total{outcome="timeout"}'), 0);
    app.volume.swap(prometheusConfig("v1"));
    await successes(sidecar, 1);
  });
});
