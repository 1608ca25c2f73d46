/** Start, end and the sidecar's own faults: what the log says, and where it ends at once. */

import assert from "node:assert/strict";
import { test } from "../../support/strict.ts";
import { PRODUCT } from "../../support/scene.ts";
import { begun, compare, normalise, story } from "./golden.ts";

story("idle with SIGHUP then SIGTERM", {}, async ({ start }) => {
  const sidecar = await start();
  await begun(sidecar);
  sidecar.kill("SIGHUP");
  await sidecar.metricIs("config_reload_in_sync", (value) => value === 1);
  sidecar.kill("SIGTERM");
  assert.equal((await sidecar.status).code, 0);
});

story("the app is behind at the start", {}, async ({ scene, start }) => {
  await scene.swap("version: 1\n");
  const sidecar = await start(["--reload-on-start=auto"]);
  await sidecar.logged("✅ Reload successful");
});

story("SIGTERM in a reload that succeeds", { app: { reloadMs: 500 } }, async ({ scene, start }) => {
  const sidecar = await start();
  await begun(sidecar);
  await scene.swap("version: 1\n");
  await sidecar.logged("Sending SIGHUP");
  sidecar.kill("SIGTERM");
  assert.equal((await sidecar.status).code, 0);
});

story(
  "SIGTERM in a reload that fails",
  { app: { reloadMs: 500, mode: "reject" } },
  async ({ scene, start }) => {
    const sidecar = await start();
    await begun(sidecar);
    await scene.swap("version: 1\n");
    await sidecar.logged("Sending SIGHUP");
    sidecar.kill("SIGTERM");
    assert.equal((await sidecar.status).code, 0);
  },
);

story("SIGTERM in a reload that does not end", { app: { mode: "ignore" } }, async ({ scene, start }) => {
  const sidecar = await start(["--shutdown-timeout=300ms", "--reload-timeout=1m"]);
  await begun(sidecar);
  await scene.swap("version: 1\n");
  await sidecar.logged("Sending SIGHUP");
  sidecar.kill("SIGTERM");
  assert.equal((await sidecar.status).code, 0);
});

story("a second SIGTERM", { app: { mode: "ignore" } }, async ({ scene, start }) => {
  const sidecar = await start(["--shutdown-timeout=1m", "--reload-timeout=1m"]);
  await begun(sidecar);
  await scene.swap("version: 1\n");
  await sidecar.logged("Sending SIGHUP");
  sidecar.kill("SIGTERM");
  await sidecar.logged("Stopping");
  sidecar.kill("SIGTERM");
  assert.equal((await sidecar.status).code, 0);
});

story("the app ends during the shutdown", { app: { mode: "ignore" } }, async ({ scene, start }) => {
  const sidecar = await start(["--reload-timeout=1m"]);
  await begun(sidecar);
  await scene.swap("version: 1\n");
  await sidecar.logged("Sending SIGHUP");
  sidecar.kill("SIGTERM");
  await sidecar.logged("Stopping");
  scene.app.kill("SIGKILL");
  assert.equal((await sidecar.status).code, 0);
});

story("once", {}, async ({ scene, start }) => {
  for (const text of ["version: 1\n", "REJECT: 2\n"]) {
    await scene.swap(text);
    const sidecar = await start(["--once", "--reload-on-start=auto"]);
    assert.equal((await sidecar.status).code, text.startsWith("REJECT") ? 1 : 0);
  }
});

story("once without a place to write", {}, async ({ scene, start }) => {
  await Deno.writeTextFile(`${scene.dir}/out`, "in the way of the directory\n");
  const sidecar = await start(["--once", `--config-envsubst-file=${scene.dir}/out/config.yaml`]);
  assert.equal((await sidecar.status).code, 1);
});

story("the own server cannot start", {}, async ({ scene, startBare, call }) => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  call(taken.addr.port, "TAKEN_PORT");
  const file = `--config-file=${scene.file}`;
  const ends = async (args: string[], port?: number) => {
    const sidecar = await startBare([file, ...args], port === undefined ? {} : { port });
    assert.equal((await sidecar.status).code, 1);
  };
  await ends([], taken.addr.port);
  await ends([`--auth-file=${scene.dir}/missing`]);
  await Deno.writeTextFile(`${scene.dir}/auth`, "me SECRET\n");
  await ends([`--auth-file=${scene.dir}/auth`]);
  await ends([`--tls-cert-file=${scene.dir}/missing.crt`, `--tls-key-file=${scene.dir}/missing.key`]);
});

story("variables that Kubernetes sets", {}, async ({ start }) => {
  const sidecar = await start([], {
    env: {
      METRICS_PORT: "tcp://10.0.0.1:9091",
      CONFIG_RELOADER_INTERVALL: "5s",
      CONFIG_RELOADER_SERVICE_HOST: "10.0.0.2",
    },
  });
  await begun(sidecar);
});

/** A wrong command line, and what it ends with: one line on standard error, exit code 2, nothing else. */
const USAGE: [args: string[], env?: Record<string, string>][] = [
  [["--intervall=5s"]],
  [["--no-once"]],
  [["--interval"]],
  [["--interval", "--once"]],
  [["--interval=5s", "--interval=6s"]],
  [["--interval="]],
  [["--interval=5"]],
  [["--interval=-5s"]],
  [["--interval=0s"]],
  [["--interval=1000h"]],
  [["--max-file-size=16MB"]],
  [["--max-file-size=2GiB"]],
  [["--watch-method=fanotify"]],
  [["--once=maybe"]],
  [["--once", "yes"]],
  [["start"]],
  [["chekc"]],
  [["--config-file=/etc/app/"]],
  [["--config-envsubst-file=/out/*.yaml"]],
  [["--reload-url=localhost:8080/status"]],
  [["--trigger-url=http://me:SECRET@/x?token=SECRET", "--trigger=http"]],
  [["--signal=SIGKILL"]],
  [["--signal=SIGFOO"]],
  [["--pid=0"]],
  [["--process-name=/usr/sbin/nginx"]],
  [["--process-cmdline=("]],
  [["--verify-token=version", "--verify=json"]],
  [["--verify-ok=status", "--verify=json"]],
  [["--metrics-port=65536"]],
  [["--metrics-host=http://here"]],
  [["--trigger-method=CONNECT"]],
  [["--check-command=sh -c 'open"]],
  [["--check-command= "]],
  [["--check-command=sh \\"]],
  [["--trigger=http"]],
  [["--trigger-url=http://localhost/-/reload"]],
  [["--trigger=none", "--signal=SIGUSR1"]],
  [["--trigger=none", "--verify=none"]],
  [["--rollout=canary"]],
  [["--rollout-group=web"]],
  [["--rollout=serial", "--rollout-group=web", "--trigger=none"]],
  [["--rollout=canary", "--rollout-group=my_app"]],
  [["--pid=7", "--process-name=nginx"]],
  [["--verify=json"]],
  [["--verify-ok=/status=ok"]],
  [["--client-cert-file=/tls/crt"]],
  [["--basic-auth-file=/a", "--bearer-token-file=/b"]],
  [["--retry-interval=10m", "--max-backoff=5m"]],
  [["--poll-interval=500ms", "--reload-timeout=100ms"]],
  [["--metrics-port=8080"]],
  [["--output-dir=/out", "--config-envsubst-file=/out/x"]],
  [["--watched-dir=/etc/app", "--config-envsubst-file=/out/x"]],
  [["--config-file=/a/x", "--config-file=/b/y", "--config-envsubst-file=/out/x"]],
  [["--config-file=/a/*", "--config-envsubst-file=/out/x"]],
  [["--config-file=/a/x", "--config-envsubst-file=/a/x"]],
  [["--watched-dir=/etc/app", "--output-dir=/etc/app/out"]],
  [["--config-file=/a/x", "--output-dir=/a"]],
  [["--config-file=/a/x", "--config-file=/b/x", "--output-dir=/out"]],
  [[], { INTERVAL: "5" }],
  [[], { CONFIG_RELOADER_MAX_BACKOFF: "soon" }],
];

test("golden log: usage errors", async () => {
  const lines: string[] = [];
  // Four at a time: most of it is waiting for the program to start.
  for (let at = 0; at < USAGE.length; at += 4) {
    const texts = await Promise.all(
      USAGE.slice(at, at + 4).map(async ([args, env = {}]) => {
        const { code, stdout, stderr } = await new Deno.Command(PRODUCT[0]!, {
          args: [...PRODUCT.slice(1), ...args],
          env: { CONFIG_RELOADER_BIN: "", ...env },
          stdin: "null",
        }).output();
        const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
        assert.deepEqual([code, out], [2, ""], `${args}: ${err}`);
        assert.match(err!, /^config-reloader: [^\n]+\n$/, "one line");
        const variables = Object.entries(env).map(([name, value]) => `${name}=${value} `).join("");
        return `$ ${variables}config-reloader ${args.map(quoted).join(" ")}\n${err}`;
      }),
    );
    lines.push(...texts);
  }
  await compare("usage errors", normalise(lines.join(""), []));
});

const quoted = (arg: string) => /^[\w./:=@?-]+$/.test(arg) ? arg : JSON.stringify(arg);
