/**
 * The contract on the own server and on requests to the app, on the real product: paths and methods, secrets, TLS and
 * auth with rotation, health checks, two sidecars on one port, unix sockets and credentials that change.
 */

import assert from "node:assert/strict";
import { until } from "../support/poll.ts";
import { createScene, freePort, get, runProduct, type Sidecar, startReady } from "../support/scene.ts";
import { test } from "../support/strict.ts";
const CERTIFICATES = new URL("../testdata/tls/", import.meta.url).pathname;
const CA = Deno.readTextFileSync(`${CERTIFICATES}ca.pem`);

const url = (sidecar: Sidecar, path: string) => `http://127.0.0.1:${sidecar.port}${path}`;

test("paths, methods and types are those of the contract", async () => {
  await using scene = await createScene();
  const sidecar = await scene.begin();
  const types: Record<string, RegExp> = {
    "/metrics": /^text\/plain; version=0\.0\.4(;|$)/,
    "/healthz": /^text\/plain/,
    "/readyz": /^text\/plain/,
    "/status": /^application\/json/,
    "/": /^text\/html/,
  };
  for (const [path, type] of Object.entries(types)) {
    const answer = await fetch(url(sidecar, path));
    const body = await answer.text();
    assert.equal(answer.status, 200, path);
    assert.match(answer.headers.get("content-type")!, type, path);
    if (path.endsWith("z")) assert.equal(body.trim(), "ok");
    const head = await fetch(url(sidecar, `${path}?a=1`), { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""], path);
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const other = await fetch(url(sidecar, path), { method });
      await other.body?.cancel();
      assert.deepEqual([other.status, other.headers.get("allow")], [405, "GET, HEAD"], `${method} ${path}`);
    }
  }
  for (const path of ["/nothing", "/metrics/", "/status.json", "/..%2fmetrics", "//metrics", "/healthz/x"]) {
    const answer = await fetch(url(sidecar, path));
    await answer.body?.cancel();
    assert.equal(answer.status, 404, path);
  }
});

test("/status: version, settings with their sources, files, watcher, target, the last 20 reloads", async () => {
  await using scene = await createScene();
  const sidecar = await scene.begin({
    args: ["--interval=400ms", "--poll-interval=20ms"],
    env: { CONFIG_RELOADER_JITTER: "0s", LOG_LEVEL: "debug", POD_NAME: "web-1", POD_NAMESPACE: "shop" },
  });
  await sidecar.metricIs("config_reload_in_sync", 1);
  let hash = "";
  for (let i = 1; i <= 22; i++) {
    hash = await scene.swap(`version: ${i}\n`);
    await sidecar.metricIs("config_reload_successes_total", i);
  }
  const status = JSON.parse(await get(url(sidecar, "/status")));
  assert.match(status.version, /^\d+\.\d+\.\d+$/);
  assert.deepEqual([status.pod, status.namespace, status.fix], ["web-1", "shop", null]);
  assert.deepEqual([status.inSync, status.proof], [true, "counter"]);
  const times = [status.now, status.startedAt, status.inSyncSince, status.watcher.lastScanAt];
  for (const time of times) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(status.diskDigest, hash);
  assert.equal(status.appliedDigest, hash);
  assert.deepEqual(status.files, [{ path: scene.file, digest: hash, sizeBytes: 12, error: null }]);
  assert.equal(status.watcher.method, "inotify");
  assert.equal(status.target.pid, scene.app.pid);
  assert.deepEqual([status.target.ok, status.target.handled, status.target.permitted], [true, true, true]);
  assert.equal(status.reloads.length, 20);
  for (const reload of status.reloads) {
    assert.deepEqual([reload.outcome, reload.proof], ["success", "counter"]);
    assert.deepEqual(
      reload.changed.map((file: { path: string; change: string }) => [file.path, file.change]),
      [[scene.file, "changed"]],
    );
    assert.equal(Date.parse(reload.startedAt), Math.floor(reload.startedWallMs));
    assert.equal(reload.pid, scene.app.pid);
    assert.ok(reload.durationMs >= reload.triggerDelayMs && reload.triggerDelayMs >= 0);
    assert.ok(Math.abs(reload.startedWallMs - Date.now()) < 120_000);
  }
  assert.equal(status.reloads[0].newHash, hash.slice(0, 12), "the newest comes first");
  const setting = (name: string) => status.settings.find((one: { name: string }) => one.name === name);
  assert.deepEqual(setting("interval"), { name: "interval", value: "400ms", source: "flag" });
  assert.deepEqual(setting("jitter"), {
    name: "jitter",
    value: "0s",
    source: "environment",
    variable: "CONFIG_RELOADER_JITTER",
  });
  assert.deepEqual(setting("log-level"), {
    name: "log-level",
    value: "debug",
    source: "environment",
    variable: "LOG_LEVEL",
  });
  assert.deepEqual(setting("max-file-size"), { name: "max-file-size", value: "16MiB", source: "default" });
});

test("no secret in the log, the pages, the metrics or the arguments, however a reload ends", async () => {
  await using scene = await createScene();
  let answer: () => Response = () => new Response("ok");
  const seen: string[] = [];
  await using trigger = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    seen.push(
      `${request.headers.get("authorization")} ${request.headers.get("x-key")} ${
        new URL(request.url).search
      }`,
    );
    scene.app.kill("SIGHUP");
    return answer();
  });
  const put = async (name: string, text: string) => {
    await Deno.writeTextFile(`${scene.dir}/${name}`, text);
    return `${scene.dir}/${name}`;
  };
  const check = await put("check.sh", '#!/bin/sh\ngrep -q BAD "$1" && exit 3\nexit 0\n');
  await Deno.chmod(check, 0o755);
  await using sidecar = await startReady({
    args: [
      "--trigger=http",
      "--interval=300ms",
      "--reload-on-start=never",
      "--reload-timeout=3s",
      "--poll-interval=50ms",
      "--retry-interval=1m",
      "--max-backoff=1m",
      "--log-level=debug",
      "--validate=yaml",
      "--config-file",
      scene.file,
      "--config-envsubst-file",
      `${scene.dir}/out.yaml`,
      "--basic-auth-file",
      await put("basic", "user:hunter2-basic"),
      "--header-file",
      await put("headers", "X-Key: hunter2-header\n"),
      "--auth-file",
      await put("auth", "me:hunter2-auth\nBearer hunter2-bearer\n"),
    ],
    env: {
      CONFIG_RELOADER_TRIGGER_URL:
        `http://u:hunter2-url@127.0.0.1:${trigger.addr.port}/r?token=hunter2-query`,
      CONFIG_RELOADER_RELOAD_URL: scene.app.url.replace("//", "//u:hunter2-status@") + "?key=hunter2-key",
      CONFIG_RELOADER_CHECK_COMMAND: `${check} ${scene.dir}/out.yaml --password=hunter2-argument`,
      EXPANDED: "hunter2-env",
    },
  });
  const auth = { authorization: "Bearer hunter2-bearer" };
  const page = async (path: string) => await (await fetch(url(sidecar, path), { headers: auth })).text();
  const outcomes = async (name: string) =>
    await until(name, async () => (await page("/metrics")).includes(`{outcome="${name}"} 1`));
  const pages: string[] = [];
  const keep = async () => {
    for (const path of ["/", "/status", "/metrics"]) pages.push(await page(path));
    for (const path of ["/", "/status", "/metrics", "/readyz", "/healthz"]) {
      pages.push(await (await fetch(url(sidecar, path))).text());
    }
  };
  scene.volume.swap({ "config.yaml": "a: hunter2-content $(EXPANDED) $(UNSET)\n" });
  await outcomes("success");
  assert.equal(
    await Deno.readTextFile(`${scene.dir}/out.yaml`),
    "a: hunter2-content hunter2-env $(UNSET)\n",
  );
  await keep();
  scene.volume.swap({ "config.yaml": 'a: "hunter2-content" hunter2-content: [\n' });
  await outcomes("invalid");
  await keep();
  scene.volume.swap({ "config.yaml": "a: BAD hunter2-content\n" });
  await until(
    "the check command to say no",
    async () => (await page("/metrics")).includes('{outcome="invalid"} 2'),
  );
  answer = () =>
    new Response("no", { status: 302, headers: { location: "http://x:hunter2-location@y/?z=hunter2-z" } });
  scene.volume.swap({ "config.yaml": "a: hunter2-content 3\n" });
  await outcomes("failed");
  await keep();
  answer = () => new Response("ok");
  await scene.app.control({ mode: "down" });
  await scene.app.stop();
  scene.volume.swap({ "config.yaml": "a: hunter2-content 4\n" });
  await outcomes("timeout");
  await keep();
  assert.ok(
    seen.includes("Basic dXNlcjpodW50ZXIyLWJhc2lj hunter2-header ?token=hunter2-query"),
    seen.join("\n"),
  );
  const cmdline = await Deno.readTextFile(`/proc/${sidecar.pid}/cmdline`);
  for (const text of [...pages, sidecar.log(), cmdline]) {
    const found = /.{0,80}(hunter2|dXNlcjpodW50).{0,30}/.exec(text);
    assert.equal(found, null, `a secret is shown: ${found?.[0]}`);
  }
});

/** Asks over TLS with the test's authority. */
async function askTls(port: number, path: string, ca: string, headers: Record<string, string> = {}) {
  using client = Deno.createHttpClient({ caCerts: [ca], poolMaxIdlePerHost: 0 });
  const answer = await fetch(`https://localhost:${port}${path}`, { client, headers } as RequestInit);
  return {
    status: answer.status,
    body: await answer.text(),
    challenge: answer.headers.get("www-authenticate"),
  };
}

test("TLS and auth: basic and bearer, open probes, rotation of both, health check and check with them", async () => {
  await using scene = await createScene();
  const files = { cert: `${scene.dir}/tls.crt`, key: `${scene.dir}/tls.key`, auth: `${scene.dir}/auth` };
  const put = async (name: string) => {
    await Deno.copyFile(`${CERTIFICATES}${name}.pem`, files.cert);
    await Deno.copyFile(`${CERTIFICATES}${name}.key`, files.key);
  };
  await put("server");
  await Deno.writeTextFile(files.auth, "me:pa ss:wörd\nBearer tok.en\n");
  const flags = ["--tls-cert-file", files.cert, "--tls-key-file", files.key, "--auth-file", files.auth];
  const sidecar = await scene.start({ args: flags });
  const { port } = sidecar;
  await until(
    "the server",
    () => askTls(port, "/readyz", CA).then(({ status }) => status === 200, () => false),
  );
  const basic = (text: string) => ({
    authorization: `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(text)))}`,
  });
  const status = async (path: string, headers?: Record<string, string>) =>
    (await askTls(port, path, CA, headers)).status;
  for (const path of ["/metrics", "/status", "/"]) assert.equal(await status(path), 401, path);
  for (const right of [basic("me:pa ss:wörd"), { authorization: "bearer tok.en" }]) {
    assert.equal(await status("/metrics", right), 200, "schemes have no case");
  }
  for (const wrong of [basic("me:pa ss:wörD"), { authorization: "Bearer tok.enn" }]) {
    assert.equal(await status("/metrics", wrong), 401, JSON.stringify(wrong));
  }
  for (const path of ["/healthz", "/readyz"]) assert.equal(await status(path), 200, path);
  const { challenge } = await askTls(port, "/metrics", CA);
  assert.match(challenge!, /^Basic realm="config-reloader".*Bearer/);
  const where = [`--metrics-port=${port}`, "--metrics-host=127.0.0.1"];
  const healthy = await runProduct(["healthcheck", ...where, ...flags]);
  assert.equal(healthy.code, 0, healthy.out + healthy.err);
  const checked = await runProduct([
    "check",
    ...where,
    ...flags,
    "--config-file",
    scene.file,
    "--reload-url",
    scene.app.url,
  ]);
  assert.match(checked.out, /✓ Port \d+ is in use, by a config-reloader that is running now/);

  await Deno.writeTextFile(files.auth, "Bearer new\n");
  assert.equal(await status("/metrics", { authorization: "Bearer tok.en" }), 401, "rotated at once");
  assert.equal(await status("/metrics", { authorization: "Bearer new" }), 200);
  await Deno.remove(files.auth);
  assert.equal(
    await status("/metrics", { authorization: "Bearer new" }),
    401,
    "nobody passes without the file",
  );
  assert.equal(await status("/healthz"), 200);
  await sidecar.logged("answer 401 until it can be read");

  await put("other");
  await sidecar.logged("TLS certificate replaced");
  // Its certificate is for another name: that it is refused for that reason shows that it is the one in use. For a
  // moment nobody listens, which is another reason.
  await until("the new certificate", async () => {
    const refused = await askTls(port, "/healthz", CA).then(
      () => "it was not refused",
      (error) => String(error.cause ?? error),
    );
    if (!/not valid for name|NotValidForName/.test(refused)) throw new Error(refused);
    return true;
  });
  assert.equal(
    (await runProduct(["healthcheck", ...where, ...flags])).code,
    0,
    "health is asked whatever the name",
  );
});

test("two sidecars on one port: the second ends with 1 and names the flag, the first goes on", async () => {
  await using scene = await createScene();
  const first = await scene.begin();
  for (const host of [[], ["--metrics-host=127.0.0.1"]]) {
    const second = await runProduct([
      "--config-file",
      scene.file,
      "--pid",
      String(scene.app.pid),
      `--metrics-port=${first.port}`,
      ...host,
    ]);
    assert.equal(second.code, 1, second.err);
    assert.match(second.err, /Cannot listen on .*another process in this pod.*--metrics-port/);
  }
  await first.healthz();
  const hash = await scene.swap("version: 1\n");
  await scene.applied(hash);
  assert.equal((await scene.app.counts()).signals, 1);
});

test("unix sockets for status and trigger; credentials are read afresh at each reload", async () => {
  await using scene = await createScene();
  const socket = `${scene.dir}/app.sock`;
  const token = `${scene.dir}/token`;
  await Deno.writeTextFile(token, "one\n");
  let wanted = "one";
  let attempts = 0;
  const asked: string[] = [];
  await using _app = Deno.serve(
    { path: socket, transport: "unix", onListen() {} } as Deno.ServeUnixOptions,
    (request) => {
      const { pathname, search } = new URL(request.url);
      asked.push(`${request.method} ${pathname}${search}`);
      if (request.headers.get("authorization") !== `Bearer ${wanted}`) {
        return new Response("", { status: 401 });
      }
      if (request.method === "POST") attempts++;
      return Response.json({ healthy: true, status: "success", attempts });
    },
  );
  await using sidecar = await startReady({
    args: [
      "--config-file",
      scene.file,
      "--trigger=http",
      `--trigger-url=unix:${socket}:/-/reload?full=1`,
      `--reload-url=unix:${socket}:/status`,
      "--bearer-token-file",
      token,
      "--interval=300ms",
      "--reload-on-start=never",
      "--retry-interval=200ms",
      "--max-backoff=200ms",
    ],
  });
  await scene.swap("version: 1\n");
  await sidecar.metricIs("config_reload_successes_total", 1);
  assert.ok(asked.includes("POST /-/reload?full=1") && asked.includes("GET /status"), asked.join());
  wanted = "two";
  await scene.swap("version: 2\n");
  await sidecar.metricIs('config_reload_outcomes_total{outcome="rejected"}', (value) => value >= 1);
  await sidecar.logged("answered HTTP 401");
  await Deno.writeTextFile(token, "two\n");
  await sidecar.metricIs("config_reload_successes_total", 2);
  assert.equal(attempts, 2);
});

test("/readyz: ready after the first look even without files; with in-sync only while the app runs what is on disk", async () => {
  await using scene = await createScene();
  const nothing = await scene.begin({ args: ["--config-file", `${scene.dir}/nothing.yaml`] });
  assert.equal(await nothing.metric("config_reload_in_sync"), 0);
  const port = freePort();
  const strict = await scene.begin({
    port,
    args: ["--ready-when=in-sync", "--retry-interval=200ms", "--max-backoff=200ms"],
  });
  await scene.app.control({ mode: "reject" });
  await scene.swap("version: 1\n");
  const answers = async () => {
    const answer = await fetch(url(strict, "/readyz"));
    return `${answer.status} ${(await answer.text()).trim()}`;
  };
  await until("not ready", async () => await answers() === "503 the app does not run what is on disk");
  // A rejected content is no reason to be restarted.
  await strict.healthz();
  await scene.app.control({ mode: "ok" });
  await until("ready again", async () => await answers() === "200 ok");
});
