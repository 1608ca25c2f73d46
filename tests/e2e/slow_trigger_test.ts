/**
 * An app whose `POST /-/reload` answers late, or is answered by something in between: it reloads once, and its status is
 * the proof. On the real product, from the command line to the metrics.
 */

import assert from "node:assert/strict";
import { createKubeletVolume } from "../support/kubelet.ts";
import { startReady } from "../support/scene.ts";
import { test } from "../support/strict.ts";

interface SlowApp extends AsyncDisposable {
  readonly volume: ReturnType<typeof createKubeletVolume>;
  readonly args: readonly string[];
  /** Reloads that were asked for. */
  posts(): number;
  /** Lets the reload end. */
  finish(): void;
}

/** Prometheus's runtime info; a reload ends by `finish`, and its request is answered after it, or at once with `status`. */
async function startSlowApp(status = 200): Promise<SlowApp> {
  const dir = await Deno.makeTempDir();
  const volume = createKubeletVolume(`${dir}/volume`, { "app.yaml": "a: 1" });
  let lastConfigTime = new Date(Date.now() - 60_000);
  let posts = 0;
  const { promise: finished, resolve } = Promise.withResolvers<void>();
  const finish = () => {
    lastConfigTime = new Date();
    resolve();
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    if (new URL(request.url).pathname !== "/-/reload") {
      return Response.json({ data: { reloadConfigSuccess: true, lastConfigTime } });
    }
    posts++;
    if (status === 200) await finished;
    return new Response("", { status });
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  return {
    volume,
    args: [
      ...["--config-file", volume.path("app.yaml"), "--interval", "500ms", "--reload-on-start", "never"],
      ...["--trigger", "http", "--trigger-url", `${url}/-/reload`, "--reload-url", `${url}/runtimeinfo`],
    ],
    posts: () => posts,
    finish,
    [Symbol.asyncDispose]: async () => {
      // A request that nobody waits for any more is answered first, or this would wait for ever.
      finish();
      await server.shutdown();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

test("a reload that outlasts --http-timeout is asked for once, and proved by the status", async () => {
  await using app = await startSlowApp();
  await using sidecar = await startReady({ args: [...app.args, "--http-timeout=300ms"] });
  app.volume.swap({ "app.yaml": "a: 2" });
  await sidecar.logged("timed out after 300ms; the app may have got it all the same");
  app.finish();
  await sidecar.metricIs("config_reload_successes_total", 1);
  assert.equal(app.posts(), 1);
  assert.equal(await sidecar.metric("config_reload_failures_total"), 0);
});

test("504 from something in between is no failure of the app's", async () => {
  await using app = await startSlowApp(504);
  await using sidecar = await startReady({ args: app.args });
  app.volume.swap({ "app.yaml": "a: 2" });
  await sidecar.logged("504");
  app.finish();
  await sidecar.metricIs("config_reload_successes_total", 1);
  assert.equal(app.posts(), 1);
});

test("where even the reload timeout is over, the retry asks the status before it asks for another reload", async () => {
  await using app = await startSlowApp();
  const late = ["--http-timeout=300ms", "--reload-timeout=1s", "--retry-interval=1h", "--max-backoff=1h"];
  await using sidecar = await startReady({ args: [...app.args, ...late] });
  app.volume.swap({ "app.yaml": "a: 2" });
  await sidecar.metricIs('config_reload_outcomes_total{outcome="timeout"}', 1);
  app.finish();
  sidecar.kill("SIGHUP"); // tried again at once
  await sidecar.metricIs("config_reload_successes_total", 1);
  assert.equal(app.posts(), 1);
});
