/**
 * The main job on real files, a real process, real signals and real HTTP, as a user runs it: everything here goes
 * through the product's own command line (`CONFIG_RELOADER_BIN`, or `deno run -A main.ts`).
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { until } from "../support/poll.ts";
import { createScene, runProduct, type Scene, sha256, type Sidecar, startSidecar } from "../support/scene.ts";
import { test } from "../support/strict.ts";

/** A scene whose sidecar is ready. */
const begin = (scene: Scene, ...args: string[]) => scene.begin({ args });

async function signals(scene: Scene): Promise<number> {
  return (await scene.app.counts()).signals;
}

/** Looks done since `moment`: waits for the next full look, so that "nothing happened" means something. */
async function nextLook(sidecar: Sidecar): Promise<void> {
  const before = await sidecar.metric("config_reload_last_scan_timestamp_seconds");
  await sidecar.metricIs("config_reload_last_scan_timestamp_seconds", (value) => value > before);
}

test("20 swaps: exactly 20 signals, 20 successes, in sync, and the contract's texts", async () => {
  await using scene = await createScene();
  const sidecar = await begin(scene);
  await sidecar.metricIs("config_reload_in_sync", 1);
  let old = await sha256("version: 0\n");
  for (let i = 1; i <= 20; i++) {
    const hash = await scene.swap(`version: ${i}\n`);
    await sidecar.metricIs("config_reload_successes_total", i);
    await sidecar.logged(`Config change detected (hash: ${old.slice(0, 12)} -> ${hash.slice(0, 12)})`);
    assert.equal((await scene.app.counts()).hash, hash);
    old = hash;
  }
  assert.equal(await signals(scene), 20);
  await sidecar.logged(`Sending SIGHUP to main process (PID ${scene.app.pid})`);
  await sidecar.logged("✅ Reload successful");
  assert.equal(await sidecar.metric("config_reload_attempts_total"), 20);
  assert.equal(await sidecar.metric("config_reload_failures_total"), 0);
  assert.equal(await sidecar.metric("config_reload_in_sync"), 1);
  assert.equal(await sidecar.metric(`config_reload_config_info{hash="${old.slice(0, 12)}"}`), 1);
  const now = Date.now() / 1000;
  assert.ok(Math.abs(await sidecar.metric("config_reload_last_success_timestamp") - now) < 60);
});

test("chmod, touch and a swap to the same content lead to no signal", async () => {
  await using scene = await createScene();
  const sidecar = await begin(scene);
  await scene.swap("version: 0\n");
  await nextLook(sidecar);
  const real = await Deno.realPath(scene.file);
  await Deno.chmod(real, 0o600);
  await nextLook(sidecar);
  await Deno.utime(real, new Date(), new Date());
  await nextLook(sidecar);
  assert.equal(await signals(scene), 0);
  assert.equal(await sidecar.metric("config_reload_attempts_total"), 0);
  assert.equal(await sidecar.metric("config_reload_in_sync"), 1);
});

test("a status URL that is down or hangs does not hold up the signal", async () => {
  await using scene = await createScene({ app: { mode: "hang" } });
  await begin(scene, "--http-timeout=10m", "--reload-timeout=10m");
  await scene.applied(await scene.swap("version: 1\n"));
  // The end waits for the reload in progress, but not for an app that is gone.
  await scene.app.stop();
});

test("without a baseline the first answer becomes one and the trigger goes out once more", async () => {
  await using scene = await createScene({ app: { mode: "hang" } });
  const sidecar = await begin(scene, "--reload-timeout=1m", "--http-timeout=1s");
  await scene.swap("version: 1\n");
  await sidecar.logged("Sending SIGHUP");
  await scene.app.control({ mode: "ok" });
  await sidecar.metricIs("config_reload_successes_total", 1);
  assert.equal(await signals(scene), 2);
  assert.equal(await sidecar.metric("config_reload_failures_total"), 0);
});

test("plain files: replaced by rename and written in place", async () => {
  await using scene = await createScene({ plain: true });
  const sidecar = await begin(scene);
  await scene.applied(await scene.swap("version: 1\n"));
  await sidecar.metricIs("config_reload_successes_total", 1);
  await Deno.writeTextFile(scene.file, "version: 2, in place\n");
  await scene.applied(await sha256("version: 2, in place\n"));
  await sidecar.metricIs("config_reload_successes_total", 2);
  assert.equal(await signals(scene), 2);
});

test("--verify none and http: the outcome comes at once; a death soon after is told and counts", async () => {
  for (const mode of ["none", "http"]) {
    await using scene = await createScene({ app: { mode: "die-later" } });
    const sidecar = await begin(scene, `--verify=${mode}`);
    await scene.swap("version: 1\n");
    await sidecar.metricIs("config_reload_successes_total", 1);
    await sidecar.logged("the signal killed it");
    await sidecar.metricIs("config_reload_in_sync", 0);
  }
});

test("--trigger none: an app that watches by itself is verified", async () => {
  await using scene = await createScene();
  await using sidecar = await startSidecar({
    args: ["--config-file", scene.file, "--reload-url", scene.app.url, "--trigger=none", "--interval=500ms"],
  });
  // A reload before the first status was read could not be told from none.
  await sidecar.metricIs("config_reload_in_sync", 1);
  await scene.swap("version: 1\n");
  scene.app.kill("SIGHUP");
  await sidecar.metricIs("config_reload_successes_total", 1);
  assert.equal(sidecar.log().includes("Sending"), false);
});

test("--validate: while the largest YAML is looked at, /healthz answers within 1 s and SIGTERM ends it", async () => {
  await using scene = await createScene();
  const sidecar = await begin(scene, "--validate=yaml", "--shutdown-timeout=100ms");
  // As many marks as are parsed, but for a few.
  const content = (version: number) =>
    `version: ${version}\nitems:\n` +
    Array.from({ length: 820 }, (_, n) => `  - name: item${n}\n    value: "x${n}"\n    list: [1, 2, 3]\n`)
      .join("");
  await scene.applied(await scene.swap("version: 1\n"));
  await sidecar.logged("✅ Reload successful");
  const hash = await scene.swap(content(1));
  let longestMs = 0;
  await until("the success", async () => {
    longestMs = Math.max(longestMs, await sidecar.healthz(20_000));
    return sidecar.log().split("✅ Reload successful").length === 3;
  }, { timeoutMs: 90_000, everyMs: 5 });
  assert.equal((await scene.app.counts()).hash, hash);
  assert.ok(longestMs < 1_000, `/healthz took ${longestMs} ms`);

  await scene.swap(content(2));
  await until("the next change", () => sidecar.log().split("Config change detected").length === 4);
  sidecar.kill("SIGTERM");
  assert.equal(await sidecar.ended(), 0);
});

test("--check-command: a program that says no keeps the content from the app", async () => {
  await using scene = await createScene();
  const sidecar = await begin(scene, `--check-command=grep -q "^version:" ${scene.file}`);
  await scene.swap("nothing of the kind\n");
  // Retried like any failure, since it may pass.
  await sidecar.metricIs('config_reload_outcomes_total{outcome="invalid"}', (value) => value > 1);
  assert.equal(await signals(scene), 0);
  await scene.applied(await scene.swap("version: 2\n"));
});

test("--config-envsubst-file: rendered, then triggered; --once renders and exits", async () => {
  await using scene = await createScene();
  const out = join(scene.dir, "out.yaml");
  const args = ["--config-file", scene.file, "--config-envsubst-file", out];
  await scene.swap("home: $(PLACE), left: $(NOWHERE), proxy: $(HTTPS_PROXY)\n");
  // The sidecar itself uses no proxy; what it renders has the variable all the same.
  const once = await runProduct([...args, "--once"], { PLACE: "here", HTTPS_PROXY: "http://proxy:3128" });
  assert.equal(once.code, 0, once.err);
  assert.equal(await Deno.readTextFile(out), "home: here, left: $(NOWHERE), proxy: http://proxy:3128\n");
  const sidecar = await scene.begin({ args: ["--config-envsubst-file", out], env: { PLACE: "there" } });
  await until("the new text", async () => (await Deno.readTextFile(out)).startsWith("home: there"));
  await scene.swap("place: $(PLACE)\n");
  await sidecar.metricIs("config_reload_in_sync", 1);
  assert.equal(await Deno.readTextFile(out), "place: there\n");
  const before = await signals(scene);
  await Deno.remove(out);
  await until("the removed output", async () => await Deno.readTextFile(out) === "place: there\n");
  await until("a line on it", () => sidecar.log().includes(`Written again, since it was removed: "${out}"`));
  assert.equal(await signals(scene), before, "the app runs that already");
});

test("--config-envsubst-file beside --watched-dir, as Prometheus is run: a change of either is applied", async () => {
  await using scene = await createScene();
  const out = join(scene.dir, "out", "config.yaml");
  const rules = join(scene.dir, "rules");
  await Deno.mkdir(rules);
  await Deno.writeTextFile(join(rules, "a.yaml"), "$(PLACE)\n");
  const args = ["--config-envsubst-file", out, "--watched-dir", rules];
  const sidecar = await scene.begin({ args, env: { PLACE: "here" } });
  await scene.swap("place: $(PLACE)\n");
  await sidecar.metricIs("config_reload_successes_total", (value) => value >= 1);
  await until("the rendered text", async () => await Deno.readTextFile(out) === "place: here\n");
  await sidecar.metricIs("config_reload_in_sync", 1);
  const before = await signals(scene);
  await Deno.writeTextFile(join(rules, "a.yaml"), "other\n");
  await until("a signal for the rules", async () => await signals(scene) > before);
  assert.deepEqual([...Deno.readDirSync(join(scene.dir, "out"))].map(({ name }) => name), ["config.yaml"]);
});

test("--help and --version go to standard output with exit code 0", async () => {
  for (
    const args of [["--help"], ["run", "--help"], ["check", "--help"], ["healthcheck", "--help"], [
      "--version",
    ]]
  ) {
    const { code, out, err } = await runProduct(args);
    assert.deepEqual([code, err], [0, ""], `${args}`);
    assert.ok(out.length > 10);
  }
});

test("healthcheck asks the running sidecar", async () => {
  await using scene = await createScene();
  const sidecar = await begin(scene);
  const ask = () => runProduct(["healthcheck", `--metrics-port=${sidecar.port}`, "--metrics-host=127.0.0.1"]);
  const url = `http://127.0.0.1:${sidecar.port}/healthz`;
  // Many times: a line that is written and not awaited is lost in some of the runs only.
  for (let i = 0; i < 20; i++) assert.deepEqual(await ask(), { code: 0, out: `ok: ${url}\n`, err: "" });
  // The exit code is about the sidecar, whatever becomes of the line.
  const told = (script: string) =>
    runProduct(["healthcheck", `--metrics-port=${sidecar.port}`, "--metrics-host=127.0.0.1"], {}, [
      "bash",
      "-c",
      script,
      "bash",
    ]);
  const unread = 'exec {closed}> >(exec <&-); wait $!; "$@" >&"$closed"';
  assert.deepEqual(await told(unread), { code: 0, out: "", err: "" });
  const err = "config-reloader: cannot write to standard output: No space left on device (os error 28)\n";
  assert.deepEqual(await told('"$@" >/dev/full'), { code: 0, out: "", err });
  await sidecar.stop();
  const out = `Cannot ask ${url}: connection refused; is the sidecar running with the same --metrics-port\n`;
  for (let i = 0; i < 20; i++) assert.deepEqual(await ask(), { code: 1, out, err: "" });
});

test("--log-format json and logfmt carry the fields", async () => {
  for (const format of ["json", "logfmt"]) {
    await using scene = await createScene();
    const sidecar = await begin(scene, `--log-format=${format}`);
    await scene.swap("version: 1\n");
    await sidecar.metricIs("config_reload_successes_total", 1);
    await sidecar.logged("Reload successful");
    const log = sidecar.log();
    for (const field of ["old_hash", "new_hash", "pid", "signal", "outcome", "duration_ms"]) {
      assert.match(
        log,
        new RegExp(format === "json" ? `"${field}":` : `\\b${field}=`),
        `${field} in:\n${log}`,
      );
    }
    if (format === "json") { for (const line of log.trimEnd().split("\n")) JSON.parse(line); }
  }
});

test("memory, descriptors and reloads stay exact over many quick swaps", async () => {
  await using scene = await createScene();
  const sidecar = await begin(scene, "--verify=http");
  const fdsBefore = await sidecar.metric("process_open_fds");
  for (let i = 1; i <= 100; i++) scene.volume.swap({ "config.yaml": `version: ${i}\n` });
  await scene.applied(await sha256("version: 100\n"));
  await sidecar.metricIs("config_reload_in_sync", 1);
  await sidecar.metricIs("process_open_fds", (value) => value <= fdsBefore + 6);
});
