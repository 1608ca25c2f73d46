/**
 * The contract, first half (command line, flags, what happens on a change, the target), as a user meets it, where no
 * other file below tests/e2e holds the sentence. Everything goes through the product's own command line.
 */

import assert from "node:assert/strict";
import { createKubeletVolume } from "../support/kubelet.ts";
import { clearlyLater, until } from "../support/poll.ts";
import {
  createScene,
  get,
  runProduct,
  sha256,
  type Sidecar,
  startProgram,
  startReady,
  startSidecar,
} from "../support/scene.ts";
import { testInDir } from "../support/in_dir.ts";
import { test } from "../support/strict.ts";
import { startTargetApp, type TargetApp } from "../support/target_app.ts";

/** Starts the sidecar for `app`, and waits until it is ready. */
async function startFor(
  app: TargetApp,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Sidecar> {
  return await startReady({
    args: [`--reload-url=${app.url}`, `--pid=${app.pid}`, "--interval=300ms", ...args],
    env,
  });
}

testInDir(
  "an app that started after the change but before its output has not read it: it is signalled",
  async (dir) => {
    await Deno.writeTextFile(`${dir}/in.yaml`, "version: $(VERSION)\n");
    await Deno.writeTextFile(`${dir}/out.yaml`, "version: old\n");
    await clearlyLater();
    await using app = await startTargetApp({ config: `${dir}/out.yaml` });
    await clearlyLater();
    const args = [`--config-file=${dir}/in.yaml`, `--config-envsubst-file=${dir}/out.yaml`];
    // Refused at first: by the next try, and by the next sidecar, the output is not written anew.
    await app.control({ mode: "reject" });
    const patient = ["--retry-interval=1h", "--max-backoff=1h"];
    const refused = await startFor(app, [...args, ...patient], { VERSION: "1" });
    await refused.metricIs('config_reload_outcomes_total{outcome="rejected"}', 1);
    assert.equal(await Deno.readTextFile(`${dir}/out.yaml`), "version: 1\n");
    refused.kill("SIGHUP");
    await refused.metricIs('config_reload_outcomes_total{outcome="rejected"}', 2);
    await refused.stop();
    await app.control({ mode: "ok" });
    const next = await startFor(app, args, { VERSION: "1" });
    await next.metricIs("config_reload_successes_total", 1);
    const { hash, signals } = await app.counts();
    assert.deepEqual([hash, signals], [await sha256("version: 1\n"), 3]);
    await next.stop();
    // The output is old by now, and the app has read it at its start.
    await clearlyLater();
    await using again = await startTargetApp({ config: `${dir}/out.yaml` });
    await using last = await startFor(again, args, { VERSION: "1" });
    await last.metricIs("config_reload_in_sync", 1);
    assert.equal((await again.counts()).signals, 0);
  },
);

testInDir(
  "--trigger http with --verify none: each change is sent, and the content found at the start, too",
  async (dir) => {
    let requests = 0;
    await using app = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
      requests++;
      return new Response("ok");
    });
    await Deno.writeTextFile(`${dir}/c.yaml`, "version: 0\n");
    const url = `http://127.0.0.1:${app.addr.port}/-/reload`;
    await using sidecar = await startSidecar({
      args: [`--config-file=${dir}/c.yaml`, "--trigger=http", `--trigger-url=${url}`, "--verify=none"],
    });
    await sidecar.metricIs("config_reload_successes_total", 1);
    await Deno.writeTextFile(`${dir}/c.yaml`, "version: 1\n");
    await sidecar.metricIs("config_reload_successes_total", 2);
    assert.equal(requests, 2);
    assert.equal(await sidecar.metric("config_reload_in_sync"), 1);
  },
);

/** The digest as the contract has it for several files: of what `sha256sum` prints for them in the order of their paths. */
async function listingHash(files: Readonly<Record<string, string>>): Promise<string> {
  const lines = Object.keys(files).sort().map(async (path) => `${await sha256(files[path]!)}  ${path}\n`);
  return (await sha256((await Promise.all(lines)).join(""))).slice(0, 12);
}

testInDir(
  "globs, named files and directories together: one content, each file once, volume internals never",
  async (dir) => {
    for (const name of ["glob", "dir/deep"]) await Deno.mkdir(`${dir}/${name}`, { recursive: true });
    const volume = createKubeletVolume(`${dir}/dir/volume`, { "key.yaml": "k\n" });
    const files: Record<string, string> = {
      [`${dir}/glob/a.yaml`]: "a\n",
      [`${dir}/glob/b.yaml`]: "b\n",
      [`${dir}/named.json`]: "{}\n",
      [`${dir}/dir/deep/c.txt`]: "c\n",
    };
    for (const [path, text] of Object.entries(files)) await Deno.writeTextFile(path, text);
    await Deno.writeTextFile(`${dir}/glob/not.json`, "no part of it\n");
    files[volume.path("key.yaml")] = "k\n";
    await clearlyLater();
    await using app = await startTargetApp({ config: `${dir}/named.json` });
    const args = [
      `--config-file=${dir}/glob/*.yaml`,
      `--config-file=${dir}/glob/b.yaml`,
      `--config-file=${dir}/named.json`,
      `--watched-dir=${dir}/dir`,
      `--watched-dir=${dir}/dir/deep`,
    ];
    await using sidecar = await startFor(app, args);
    let reloads = 0;
    const holds = async (what: string) => {
      const info = `config_reload_config_info{hash="${await listingHash(files)}"}`;
      await sidecar.metricIs(info, 1).catch((error) => {
        throw new Error(`${what}: ${(error as Error).message}`);
      });
      await sidecar.metricIs("config_reload_successes_total", reloads);
      await sidecar.metricIs("config_reload_in_sync", 1);
      assert.equal(await sidecar.metric("config_reload_files"), Object.keys(files).length, what);
    };
    const change = async (what: string, act: () => void | Promise<void>) => {
      await act();
      reloads++;
      await holds(what);
    };
    const write = (name: string, text: string) => async () => {
      await Deno.writeTextFile(`${dir}/${name}`, text);
      files[`${dir}/${name}`] = text;
    };
    await holds("at the start");
    await change("a file that the glob comes to match", write("glob/c.yaml", "new\n"));
    await change("a file deep in the directory", write("dir/deep/c.txt", "other\n"));
    await change("a key of the volume", () => {
      volume.swap({ "key.yaml": "swapped\n" });
      files[volume.path("key.yaml")] = "swapped\n";
    });
    await change("the named file", write("named.json", "[]\n"));
    await change("a file that goes", async () => {
      await Deno.remove(`${dir}/glob/a.yaml`);
      delete files[`${dir}/glob/a.yaml`];
    });
  },
);

testInDir(
  "flag, prefixed variable, plain variable, default: the first that is not empty counts, and /status says which",
  async (dir) => {
    for (const name of ["a", "b"]) await Deno.writeTextFile(`${dir}/${name}`, name);
    await using sidecar = await startReady({
      args: ["--trigger=none", "--log-level=warn"],
      env: {
        CONFIG_FILE: ` ${dir}/a , ${dir}/b,`,
        CONFIG_RELOADER_CONFIG_FILE: "",
        INTERVAL: "junk that nobody reads",
        CONFIG_RELOADER_INTERVAL: "7s",
        LOG_LEVEL: "debug",
        CONFIG_RELOADER_LOG_LEVEL: "error",
        CONFIG_RELOADER_JITTER: "",
        METRICS_PORT: "tcp://10.0.0.1:80",
        CONFIG_RELOADER_METRICS_PORT: "tcp://10.0.0.2:80",
        CONFIG_RELOADER_PORT_80_TCP_ADDR: "10.0.0.3",
        CONFIG_RELOADER_SERVICE_HOST: "10.0.0.4",
      },
    });
    const status = JSON.parse(await get(`http://127.0.0.1:${sidecar.port}/status`));
    const setting = (name: string) => {
      const { value, source } = status.settings.find((s: { name: string }) => s.name === name);
      return [value, source];
    };
    assert.deepEqual(setting("config-file"), [`${dir}/a,${dir}/b`, "environment"]);
    assert.deepEqual(setting("interval"), ["7s", "environment"]);
    assert.deepEqual(setting("log-level"), ["warn", "flag"]);
    assert.deepEqual(setting("jitter"), ["0s", "default"]);
    const warned = sidecar.log().split("\n").filter((line) => line.includes("Kubernetes' link"));
    assert.equal(warned.length, 2, sidecar.log());
    for (const name of ["CONFIG_RELOADER_METRICS_PORT", "METRICS_PORT"]) {
      assert.ok(warned.some((line) => line.includes(` ${name}: "tcp://10.0.0.`)), sidecar.log());
    }
  },
);

test("--min-reload-interval: the first change goes at once, later ones coalesce, back and forth is nothing", async () => {
  await using scene = await createScene();
  const patient = await scene.begin({ args: ["--min-reload-interval=1h"] });
  await scene.applied(await scene.swap("version: 0, at once\n"));
  await patient.stop();
  const { signals } = await scene.app.counts();
  const sidecar = await scene.begin({ args: ["--min-reload-interval=3s", "--reload-on-start=never"] });
  await sidecar.metricIs("config_reload_in_sync", 1);
  const swappedMs = Date.now();
  await scene.applied(await scene.swap("version: 1\n"));
  for (let i = 2; i < 9; i++) await scene.swap(`version: ${i}\n`);
  await scene.applied(await scene.swap("version: 9\n"));
  await sidecar.metricIs("config_reload_in_sync", 1);
  const sent = (await scene.app.counts()).signals - signals;
  const lines = () => sidecar.log().split("\n").filter((line) => line.includes("Sending SIGHUP"));
  await until("a line for each signal", () => lines().length === sent);
  for (const [at, line] of lines().entries()) {
    // The first signal came later than the swap, and a signal's line later than that.
    assert.ok(Date.parse(line.split(" ")[0]!) - swappedMs >= 3_000 * at, sidecar.log());
  }
  await scene.swap("version: 10\n");
  await scene.swap("version: 9\n");
  const scans = "config_reload_last_scan_timestamp_seconds";
  const untilS = await sidecar.metric(scans) + 4;
  await sidecar.metricIs(scans, (value) => value > untilS);
  assert.equal(await sidecar.metric("config_reload_in_sync"), 1);
  assert.equal((await scene.app.counts()).signals, signals + sent, "none is left to come");
});

test("SIGHUP during a verification is answered right after it, however long the pause is", async () => {
  await using scene = await createScene({ app: { mode: "ignore" } });
  const pauses = ["--retry-interval=1h", "--max-backoff=1h", "--reload-timeout=2s", "--poll-interval=100ms"];
  const sidecar = await scene.begin({ args: pauses });
  await sidecar.metricIs("config_reload_in_sync", 1);
  const hash = await scene.swap("version: 1\n");
  await until("the signal to be ignored", async () => (await scene.app.counts()).signals === 1);
  // It was ignored for good: no later one is, however late the SIGHUP is noticed.
  await scene.app.control({ mode: "ok" });
  sidecar.kill("SIGHUP");
  await scene.applied(hash);
  await sidecar.metricIs("config_reload_attempts_total", 2);
});

test("SIGTERM and SIGINT end what waits (a change, jitter, a pause after a failure, a missing file) at once, and send nothing", async () => {
  await using scene = await createScene();
  const waits: [args: string[], begin: (sidecar: Sidecar) => Promise<unknown>][] = [
    [[], (sidecar) => sidecar.metricIs("config_reload_in_sync", 1)],
    [["--jitter=1h"], async (sidecar) => {
      await scene.swap("version: 1\n");
      await sidecar.metricIs("config_reload_in_sync", 0);
    }],
    [["--retry-interval=1h", "--max-backoff=1h"], async (sidecar) => {
      await scene.app.control({ mode: "reject" });
      await scene.swap("version: 2\n");
      await sidecar.logged("next try in 1h");
    }],
    [[`--config-file=${scene.dir}/missing`], (sidecar) => sidecar.logged("no such file")],
  ];
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    for (const [args, begin] of waits) {
      await scene.app.control({ mode: "ok" });
      const sidecar = await scene.begin({
        args: [...args, "--reload-on-start=never", "--shutdown-timeout=1h"],
      });
      await begin(sidecar);
      const before = (await scene.app.counts()).signals;
      sidecar.kill(signal);
      assert.equal(await sidecar.ended(), 0, `${args}`);
      assert.equal((await scene.app.counts()).signals, before, `${args}`);
    }
  }
});

test("--once ends with 0 where the app matches, is not there yet, or the output is written; else with 1", async () => {
  await using scene = await createScene();
  const own = [`--config-file=${scene.file}`, `--reload-url=${scene.app.url}`, "--once", "--interval=1h"];
  const app = [...own, `--pid=${scene.app.pid}`];
  const out = `--config-envsubst-file=${scene.dir}/out.yaml`;
  const quick = ["--reload-timeout=1s", "--poll-interval=100ms"];
  const expect = async (code: number, says: RegExp, args: readonly string[]) => {
    const ended = await runProduct(args);
    assert.equal(ended.code, code, `${args}\n${ended.err}`);
    assert.match(ended.err, says);
  };
  await expect(0, /Nothing to reload/, app);
  const hash = await scene.swap("version: 1\n");
  await expect(0, /✅ Reload successful/, app);
  assert.equal((await scene.app.counts()).hash, hash);
  await scene.swap("REJECT\n");
  await expect(1, /Reload rejected by the app: validation_failed/, app);
  await scene.swap("version: 2\n");
  await expect(0, /✅ Reload successful/, app);
  await expect(0, /Stopped/, [...own, "--process-name=nobody-has-this-name"]);
  await expect(0, /Stopped/, [...own, out]);
  await expect(1, /Config is invalid/, [...own, out, "--check-command=false"]);
  await expect(1, /Config is invalid/, [...app, "--check-command=false"]);
  await expect(1, /no such file/, [...app, ...quick, `--config-file=${scene.dir}/missing`]);
  await scene.app.control({ mode: "ignore" });
  await expect(1, /reload verification timeout.*because of --once/, [
    ...app,
    ...quick,
    "--reload-on-start=always",
  ]);
  await expect(0, /Nothing to reload/, [...app, "--reload-on-start=never"]);
  await using _one = startProgram("sleep", ["3662.25"]);
  await using _two = startProgram("sleep", ["3662.25"]);
  await expect(1, /2 separate processes match.*because of --once/, [
    ...own,
    "--process-cmdline=sleep 3662.25$",
  ]);
});

testInDir(
  "--signal takes a name with or without SIG, and a number; --process-name takes a long one",
  async (dir) => {
    const [script, program] = [`${dir}/app.sh`, `${dir}/an-application-with-a-long-name`];
    await Deno.writeTextFile(`${dir}/c`, "0");
    await Deno.writeTextFile(script, `trap 'echo x >> ${dir}/signals' USR1\nwhile :; do sleep 0.05; done\n`);
    await Deno.symlink("/bin/sh", program);
    // Started later than the content, so that it is signalled because it is asked for, and not in doubt.
    await clearlyLater();
    await using app = startProgram(program, [script]);
    let wanted = 0;
    for (const signal of ["SIGUSR1", "usr1", "10"]) {
      await using sidecar = await startSidecar({
        args: [
          `--config-file=${dir}/c`,
          `--signal=${signal}`,
          "--process-name=an-application-with-a-long-name",
          "--verify=none",
          "--reload-on-start=always",
        ],
      });
      await sidecar.logged(`Sending SIGUSR1 to main process (PID ${app.pid})`);
      wanted++;
      await until(
        "the signal to arrive",
        async () => (await Deno.readTextFile(`${dir}/signals`).catch(() => "")).length === 2 * wanted,
      );
    }
  },
);

testInDir(
  "--output-dir: base names, relative paths, gzip and variables; what goes is removed, one name twice is an error",
  async (dir) => {
    await Deno.mkdir(`${dir}/in/sub`, { recursive: true });
    const zipped = new Response("zipped: $(WHO)\n").body!.pipeThrough(new CompressionStream("gzip"));
    await Deno.writeFile(`${dir}/one.yaml`, zipped);
    await Deno.writeTextFile(`${dir}/in/sub/two.yaml`, "two: $(WHO) $(NOBODY)\n");
    await Deno.writeTextFile(`${dir}/in/three.yaml`, "three\n");
    const out = `${dir}/out`;
    const text = (name: string) => Deno.readTextFile(`${out}/${name}`).catch(() => null);
    await Deno.mkdir(out);
    await Deno.writeTextFile(`${out}/foreign`, "not ours\n");
    await using app = await startTargetApp({ config: `${out}/foreign` });
    const args = [`--config-file=${dir}/one.yaml`, `--watched-dir=${dir}/in`, `--output-dir=${out}`];
    await using sidecar = await startFor(app, args, { WHO: "me" });
    await sidecar.metricIs("config_reload_in_sync", 1);
    assert.deepEqual([await text("one.yaml"), await text("sub/two.yaml"), await text("three.yaml")], [
      "zipped: me\n",
      "two: me $(NOBODY)\n",
      "three\n",
    ]);
    await Deno.remove(`${dir}/in/sub`, { recursive: true });
    await until("the output to go", async () => await text("sub/two.yaml") === null);
    assert.equal(await text("foreign"), "not ours\n");
    assert.equal(sidecar.log().split("$(NOBODY)").length - 1, 1, "told once");
    await Deno.writeTextFile(`${dir}/in/one.yaml`, "the same name\n");
    await sidecar.logged('both "');
    assert.equal(await text("one.yaml"), "zipped: me\n", "the old output stays");
  },
);
