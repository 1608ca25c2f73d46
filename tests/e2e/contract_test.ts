/**
 * The contract, first half (command line, flags, what happens on a change, the target), as a user meets it, where no
 * other file below tests/e2e holds the sentence. Everything goes through the product's own command line.
 */

import assert from "node:assert/strict";
import { until } from "../support/poll.ts";
import { ready, sha256, type Sidecar, startSidecar } from "../support/scene.ts";
import { STRICT } from "../support/strict.ts";
import { startTargetApp, type TargetApp } from "../support/target_app.ts";

const test = (name: string, fn: () => Promise<void>) => Deno.test({ name, fn, ...STRICT });

/** A directory, removed afterwards. */
async function inDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "contract-" }));
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Lets time pass until what comes next is clearly later than what was, also by the clocks of files and processes. */
async function clearlyLater(): Promise<void> {
  const beganMs = performance.now();
  await until("the clocks to tell the difference", () => performance.now() - beganMs > 60);
}

/** Runs the sidecar for `app` while `body` looks at it. */
async function withSidecar(
  app: TargetApp,
  args: readonly string[],
  body: (sidecar: Sidecar) => Promise<void>,
  env: Record<string, string> = {},
): Promise<void> {
  const sidecar = await startSidecar({
    args: [`--reload-url=${app.url}`, `--pid=${app.pid}`, "--interval=300ms", ...args],
    env,
  });
  try {
    await ready(sidecar);
    await body(sidecar);
  } finally {
    await sidecar.stop();
  }
}

test("an app that started after the change but before its output has not read it: it is signalled", () =>
  inDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/in.yaml`, "version: $(VERSION)\n");
    await Deno.writeTextFile(`${dir}/out.yaml`, "version: old\n");
    await clearlyLater();
    await using app = await startTargetApp({ config: `${dir}/out.yaml` });
    await clearlyLater();
    const args = [`--config-file=${dir}/in.yaml`, `--config-envsubst-file=${dir}/out.yaml`];
    // Refused at first: by the next try, and by the next sidecar, the output is not written anew.
    await app.control({ mode: "reject" });
    await withSidecar(app, [...args, "--retry-interval=1h", "--max-backoff=1h"], async (sidecar) => {
      await sidecar.metricIs('config_reload_outcomes_total{outcome="rejected"}', (value) => value === 1);
      assert.equal(await Deno.readTextFile(`${dir}/out.yaml`), "version: 1\n");
      sidecar.kill("SIGHUP");
      await sidecar.metricIs('config_reload_outcomes_total{outcome="rejected"}', (value) => value === 2);
    }, { VERSION: "1" });
    await app.control({ mode: "ok" });
    const hash = await sha256("version: 1\n");
    await withSidecar(app, args, async (sidecar) => {
      await sidecar.metricIs("config_reload_successes_total", (value) => value === 1);
      assert.equal((await app.counts()).hash, hash);
      assert.equal((await app.counts()).signals, 3);
    }, { VERSION: "1" });
    // The output is old by now, and the app has read it at its start.
    await clearlyLater();
    await using again = await startTargetApp({ config: `${dir}/out.yaml` });
    await withSidecar(again, args, async (sidecar) => {
      await sidecar.metricIs("config_reload_in_sync", (value) => value === 1);
      assert.equal((await again.counts()).signals, 0);
    }, { VERSION: "1" });
  }));

test("--trigger http with --verify none: each change is sent, and the content found at the start, too", () =>
  inDir(async (dir) => {
    let requests = 0;
    const app = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
      requests++;
      return new Response("ok");
    });
    await Deno.writeTextFile(`${dir}/c.yaml`, "version: 0\n");
    const url = `http://127.0.0.1:${app.addr.port}/-/reload`;
    const sidecar = await startSidecar({
      args: [`--config-file=${dir}/c.yaml`, "--trigger=http", `--trigger-url=${url}`, "--verify=none"],
    });
    try {
      await sidecar.metricIs("config_reload_successes_total", (value) => value === 1);
      await Deno.writeTextFile(`${dir}/c.yaml`, "version: 1\n");
      await sidecar.metricIs("config_reload_successes_total", (value) => value === 2);
      assert.equal(requests, 2);
      assert.equal(await sidecar.metric("config_reload_in_sync"), 1);
    } finally {
      await sidecar.stop();
      await app.shutdown();
    }
  }));
