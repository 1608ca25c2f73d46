/**
 * The ways to reach an app that Debian's nginx offers: basic auth and a client certificate. What becomes of good and bad content
 * stands in `recipes_test.ts`.
 */

import assert from "node:assert/strict";
import { type App, beside, QUICK, startApp, successes } from "../../support/apps.ts";
import { test } from "../../support/strict.ts";
import { freePort, type Sidecar } from "../../support/scene.ts";

const TLS = new URL("../../testdata/tls/", import.meta.url).pathname;

/** `version` is what it tells: at `/secure` to `me:secret`, at `tlsPort` to those with a client certificate. */
const config = (version: string, dir: string, port: number, tlsPort: number) => `
  daemon off;
  pid ${dir}/nginx.pid;
  error_log stderr notice;
  worker_processes 1;
  events { worker_connections 64; }
  http {
    access_log off;
    client_body_temp_path ${dir}/tmp; proxy_temp_path ${dir}/tmp; fastcgi_temp_path ${dir}/tmp;
    uwsgi_temp_path ${dir}/tmp; scgi_temp_path ${dir}/tmp;
    default_type application/json;
    server {
      listen 127.0.0.1:${port};
      location = /ready { return 200 ok; }
      location = /secure {
        auth_basic closed;
        auth_basic_user_file ${dir}/users;
        try_files /no-such-file @secure;
      }
      location @secure { return 200 '{"version":"${version}","worker":$pid}'; }
    }
    server {
      listen 127.0.0.1:${tlsPort} ssl;
      ssl_certificate ${TLS}server.pem;
      ssl_certificate_key ${TLS}server.key;
      ssl_client_certificate ${TLS}ca.pem;
      ssl_verify_client on;
      location / { return 200 '{"version":"${version}"}'; }
    }
  }
`;

/** Starts nginx and the sidecar beside it; no secret may get into the log. */
async function besideNginx(
  args: (app: App, tlsPort: number) => string[],
  fn: (sidecar: Sidecar, swap: (version: string) => void, app: App) => Promise<void>,
): Promise<void> {
  const tlsPort = freePort();
  await using app = await startApp({
    program: "nginx",
    key: "nginx.conf",
    payload: (dir, port) => {
      Deno.mkdirSync(`${dir}/tmp`);
      Deno.writeTextFileSync(`${dir}/users`, "me:{PLAIN}secret\n");
      return { "nginx.conf": config("v0", dir, port, tlsPort) };
    },
    args: (file, dir) => ["-c", file, "-p", dir, "-e", "stderr"],
    ready: "/ready",
  });
  const swap = (version: string) =>
    app.volume.swap({ "nginx.conf": config(version, app.dir, app.port, tlsPort) });
  const common = ["--config-file", app.file, "--process-name", app.name, "--verify", "json", ...QUICK];
  await beside(app, [...common, ...args(app, tlsPort)], async (sidecar) => {
    await fn(sidecar, swap, app);
    for (const secret of ["secret", "PRIVATE KEY"]) assert.ok(!sidecar.log().includes(secret));
  });
}

const WAYS: readonly [what: string, args: (app: App, tlsPort: number) => string[]][] = [
  ["basic auth in the URL", ({ port }) => ["--reload-url", `http://me:secret@127.0.0.1:${port}/secure`]],
  ["a client certificate", (_, tlsPort) => [
    ...["--reload-url", `https://localhost:${tlsPort}/`, "--ca-file", `${TLS}ca.pem`],
    ...["--client-cert-file", `${TLS}client.pem`, "--client-key-file", `${TLS}client.key`],
  ]],
];
for (const [what, args] of WAYS) {
  test(`nginx asked through ${what}`, async () => {
    const tokens = (app: App, tlsPort: number) => ["--verify-token", "/version", ...args(app, tlsPort)];
    await besideNginx(tokens, async (sidecar, swap) => {
      swap("v1");
      await successes(sidecar, 1);
    });
  });
}

test("nginx: wrong credentials are told as such, and right ones are taken up without a restart", async () => {
  const put = (dir: string, text: string) => Deno.writeTextFileSync(`${dir}/basic`, text);
  // The worker: a value of the configuration that was there before the first answer could never be seen to change.
  const args = ({ dir, url }: App) => {
    put(dir, "me:wrong\n");
    const secure = ["--reload-url", `${url}/secure`, "--basic-auth-file", `${dir}/basic`];
    return ["--verify-token", "/worker", "--reload-timeout", "1s", ...secure];
  };
  await besideNginx(args, async (sidecar, swap, { dir }) => {
    swap("v1");
    await sidecar.metricIs('config_reload_outcomes_total{outcome="timeout"}', (value) => value >= 1);
    await sidecar.logged("HTTP 401");
    put(dir, "me:secret\n");
    await successes(sidecar, 1);
  });
});
