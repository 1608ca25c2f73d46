/**
 * VictoriaMetrics' vmalert and vmagent under the product's own command line. They move the time of their last reload only
 * when what they parsed differs, and answer `POST /-/reload` before they have reloaded: a comment more, bad rules and the
 * way back must be proved all the same.
 */

import assert from "node:assert/strict";
import { type App, startVmagent, startVmalert, vmagentConfig, vmalertRules } from "../../support/apps.ts";
import { beside, ended, successes } from "../../support/beside.ts";
import { get } from "../../support/scene.ts";
import { test } from "../../support/strict.ts";

const QUICK = ["--interval", "500ms", "--retry-interval", "300ms", "--max-backoff", "600ms"];

type Kind = readonly [name: string, start: () => Promise<App>, content: typeof vmalertRules];
const KINDS: readonly Kind[] = [
  ["vmalert", startVmalert, vmalertRules],
  ["vmagent", startVmagent, vmagentConfig],
];
const TRIGGERS: readonly (readonly [name: string, args: (app: App) => string[]])[] = [
  ["SIGHUP", (app) => ["--process-name", app.name]],
  ["HTTP", (app) => ["--trigger", "http", "--trigger-url", `${app.url}/-/reload`]],
];

for (const [name, start, content] of KINDS) {
  for (const [trigger, triggerArgs] of TRIGGERS) {
    test(`${name} by ${trigger}: real change, a comment more, bad, back, the same again`, async () => {
      await using app = await start();
      assert.match(
        await get(`${app.url}/metrics`, 2_000),
        /_config_last_reload_successful/,
        `this ${name} is too old to tell how its reload went`,
      );
      const args = [
        "--config-file",
        app.file,
        "--reload-url",
        `${app.url}/metrics`,
        "--reload-on-start",
        "never",
      ];
      await beside(app, [...args, ...QUICK, ...triggerArgs(app)], async (sidecar) => {
        app.volume.swap(content("v1"));
        await successes(sidecar, 1);
        app.volume.swap(content("v1", "a comment more"));
        await successes(sidecar, 2);
        app.volume.swap(content("BAD"));
        await ended(sidecar, "rejected");
        await sidecar.logged("Reload rejected by the app: ");
        app.volume.swap(content("v1", "a comment more"));
        await successes(sidecar, 3);
        app.volume.swap(content("v2"));
        await successes(sidecar, 4);
        assert.equal(await sidecar.metric('config_reload_outcomes_total{outcome="timeout"}'), 0);
      });
    });
  }
}
