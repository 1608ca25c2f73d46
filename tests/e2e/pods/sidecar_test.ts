/** The product itself in a pod made of namespaces, with an app that answers in AMP's format: what real use found. */

import assert from "node:assert/strict";
import { type Pod, type PodProcess, podTest } from "../../support/pod_namespace.ts";
import { until } from "../../support/poll.ts";
import { freePort, PRODUCT } from "../../support/scene.ts";

const APP = new URL("../../support/target_app.ts", import.meta.url).pathname;

const etcTest = (name: string, run: (pod: Pod) => Promise<void>) =>
  podTest(name, {}, async (pod) => {
    await Deno.mkdir(`${pod.dir}/etc`);
    await run(pod);
  });

/** The real sidecar; its log grows in a file. */
async function startSidecar(pod: Pod, appPort: number) {
  const port = freePort();
  const file = `${pod.dir}/sidecar.log`;
  const [program, ...args] = PRODUCT;
  await pod.start({
    program: program!,
    args: [
      ...args,
      `--config-file=${pod.dir}/etc/config.yaml`,
      `--reload-url=http://localhost:${appPort}/health/reload`,
      `--metrics-port=${port}`,
      "--interval=1s",
    ],
    container: "sidecar",
    silent: true,
    setup: `exec 2>${file}`,
  });
  const log = () => Deno.readTextFileSync(file);
  const metrics = async () => await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  // Ready it is already while the file that was just written settles: what is written then is no change.
  await until(
    "the content to be known",
    async () => (await metrics()).includes("config_reload_config_info{hash="),
  );
  return { log, count: (text: string) => log().split(text).length - 1, metrics };
}

const write = (pod: Pod, text: string) => Deno.writeTextFile(`${pod.dir}/etc/config.yaml`, text);
const appArgs = (pod: Pod, port: number) =>
  ["run", "-A", "--no-config", APP, `--config=${pod.dir}/etc/config.yaml`, `--port=${port}`]
    .flatMap((arg) => arg.startsWith("--config=") || arg.startsWith("--port=") ? arg.split("=") : [arg]);

etcTest(
  "a sidecar reloads the app below runit, and goes on while a debug container is there",
  async (pod) => {
    await Deno.stat("/usr/bin/runsvdir").catch(() => assert.fail("This test needs runsvdir (Debian: runit)"));
    await write(pod, "version: 1\n");
    const port = freePort();
    await Deno.mkdir(`${pod.dir}/services/app`, { recursive: true });
    const command = [Deno.execPath(), ...appArgs(pod, port)].join(" ");
    await Deno.writeTextFile(`${pod.dir}/services/app/run`, `#!/bin/sh\nexec ${command}\n`, { mode: 0o755 });
    const app = await pod.start({
      program: "/usr/bin/runsvdir",
      args: [`${pod.dir}/services`],
      container: "app",
      silent: true,
    });
    const starts = () => app.lines.filter((line) => line.startsWith("ready ")).length;
    await until("the app", () => starts() === 1);
    const sidecar = await startSidecar(pod, port);
    await write(pod, "version: 2\n");
    await until("the first reload", () => sidecar.count("✅ Reload successful") === 1);
    assert.match(await sidecar.metrics(), /config_reload_target_ready\{code="ready"\} 1/);

    const debug = await pod.start({ program: "bash", args: ["handle"], container: "debugger" });
    await write(pod, "version: 3\n");
    await until("the second reload", () => sidecar.count("✅ Reload successful") === 2);
    assert.equal(starts(), 1, "the app was never started anew");

    // In the sidecar's container, without a flag.
    const [program, ...args] = PRODUCT;
    const check = await pod.start({
      program: program!,
      args: [...args, "check"],
      container: "sidecar",
      silent: true,
    });
    await check.ended;
    assert.match(
      check.lines[0]!,
      /check, with the settings of the running config-reloader \(PID \d+\): 4 flags, 0 /,
    );
    assert.match(
      check.lines.join("\n"),
      /✓ PID \d+ \(deno, user 0\): the only application container in the pod, started by/,
    );
    assert.equal(check.lines.filter((line) => line.startsWith("✗")).join(), "");
    assert.ok(app.isAlive() && debug.isAlive());
    assert.deepEqual(debug.hups(), []);
    assert.doesNotMatch(sidecar.log(), /WARN|ERROR/);
  },
);

etcTest(
  "an init container beside a native sidecar is never signalled; the app gets the change when it is there",
  async (pod) => {
    await write(pod, "version: 1\n");
    const port = freePort();
    const sidecar = await startSidecar(pod, port);
    const migration: PodProcess = await pod.start({ program: "migrate", args: ["handle"] });
    await write(pod, "version: 2\n");
    await until("the change", () => sidecar.count("Config change detected") === 1);
    await until(
      "why nobody is signalled",
      async () => /config_reload_target_ready\{code="not-there"\} 0/.test(await sidecar.metrics()),
    );
    assert.deepEqual([migration.isAlive(), migration.hups()], [true, []]);
    migration.kill("SIGKILL");
    await migration.ended;
    await pod.start({ program: Deno.execPath(), args: appArgs(pod, port), container: "app", silent: true });
    await until("the reload", async () => /config_reload_in_sync 1/.test(await sidecar.metrics()));
  },
);
