/**
 * The ways to reach an app that Debian's nginx offers: basic auth, client certificate, socket. What becomes of good and bad
 * content stands in `recipes_test.ts`.
 */

import assert from "node:assert/strict";
import { beside, type Nginx, QUICK, startNginx, successes } from "../../support/apps.ts";
import { test } from "../../support/strict.ts";
import type { Sidecar } from "../../support/scene.ts";

const TLS = new URL("../../testdata/tls/", import.meta.url).pathname;
/** As `beside`, and no secret gets into the log. */
function besideNginx(app: Nginx, args: string[], fn: (sidecar: Sidecar) => Promise<void>): Promise<void> {
  const all = ["--config-file", app.file, "--process-name", app.name, "--verify", "json", ...QUICK, ...args];
  return beside(app, all, async (sidecar) => {
    await fn(sidecar);
    for (const secret of ["secret", "PRIVATE KEY"]) assert.ok(!sidecar.log().includes(secret));
  });
}

/** Name, flags, and what to break so that the status can no longer be read. */
const WAYS: readonly [what: string, args: (app: Nginx) => string[]][] = [
  ["a unix socket", (app) => ["--reload-url", `unix:${app.dir}/app.sock:/config`]],
  ["basic auth from a file", (app) => {
    Deno.writeTextFileSync(`${app.dir}/basic`, "me:secret\n");
    return ["--reload-url", `${app.url}/secure`, "--basic-auth-file", `${app.dir}/basic`];
  }],
  ["basic auth in the URL", (app) => ["--reload-url", `http://me:secret@127.0.0.1:${app.port}/secure`]],
  ["a client certificate", (app) => [
    "--reload-url",
    `https://localhost:${app.tlsPort}/config`,
    "--ca-file",
    `${TLS}ca.pem`,
    "--client-cert-file",
    `${TLS}client.pem`,
    "--client-key-file",
    `${TLS}client.key`,
  ]],
];
for (const [what, args] of WAYS) {
  test(`nginx asked through ${what}`, async () => {
    await using app = await startNginx();
    await besideNginx(app, ["--verify-token", "/version", ...args(app)], async (sidecar) => {
      app.swap("v1");
      await successes(sidecar, 1);
    });
  });
}

test("nginx: wrong credentials are told as such, and right ones are taken up without a restart", async () => {
  await using app = await startNginx();
  const file = `${app.dir}/basic`;
  Deno.writeTextFileSync(file, "me:wrong\n");
  const args = ["--reload-url", `${app.url}/secure`, "--basic-auth-file", file, "--reload-timeout", "1s"];
  // The worker: a value of the configuration that was there before the first answer could never be seen to change.
  await besideNginx(app, ["--verify-token", "/worker", ...args], async (sidecar) => {
    app.swap("v1");
    await sidecar.metricIs('config_reload_outcomes_total{outcome="timeout"}', (value) => value >= 1);
    await sidecar.logged("HTTP 401");
    Deno.writeTextFileSync(file, "me:secret\n");
    await successes(sidecar, 1);
  });
});

test("nginx: a missing client certificate is told as such", async () => {
  await using app = await startNginx();
  const args = ["--reload-url", `https://localhost:${app.tlsPort}/config`, "--ca-file", `${TLS}ca.pem`];
  await besideNginx(
    app,
    ["--verify-token", "/version", "--reload-timeout", "1s", ...args],
    async (sidecar) => {
      app.swap("v1");
      await sidecar.logged("HTTP 400");
    },
  );
});
