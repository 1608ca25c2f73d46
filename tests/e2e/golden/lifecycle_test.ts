/** Start, end and the sidecar's own faults: what the log says, and where it ends at once. */

import assert from "node:assert/strict";
import { test } from "../../support/strict.ts";
import { runProduct, type Scene, type Sidecar } from "../../support/scene.ts";
import type { TargetAppMode } from "../../support/target_app.ts";
import { USAGE_ERRORS } from "../../support/usage_errors.ts";
import { begun, story } from "./golden.ts";

story("idle with SIGHUP then SIGTERM", {}, async ({ start }) => {
  const sidecar = await start();
  await begun(sidecar);
  sidecar.kill("SIGHUP");
  await sidecar.metricIs("config_reload_in_sync", 1);
  sidecar.kill("SIGTERM");
  assert.equal(await sidecar.ended(), 0);
});

story("the app is behind at the start", {}, async ({ scene, start }) => {
  await scene.swap("version: 1\n");
  const sidecar = await start(["--reload-on-start=auto"]);
  await sidecar.logged("✅ Reload successful");
});

/** A story that ends with SIGTERM in the middle of a reload; `then` comes once the sidecar has said so. */
function stopped(
  name: string,
  args: readonly string[],
  then?: (scene: Scene, sidecar: Sidecar) => void | Promise<void>,
): void {
  story(name, { app: { mode: "ignore" } }, async ({ scene, start }) => {
    const sidecar = await start(["--reload-timeout=1h", ...args]);
    await begun(sidecar);
    await scene.swap("version: 1\n");
    await sidecar.logged("Sending SIGHUP");
    sidecar.kill("SIGTERM");
    await sidecar.logged("Stopping");
    await then?.(scene, sidecar);
    assert.equal(await sidecar.ended(), 0);
  });
}

const PATIENT = ["--shutdown-timeout=1h"];
const reloadAs = (mode: TargetAppMode) => async ({ app }: Scene) => {
  await app.control({ mode });
  app.kill("SIGHUP");
};
stopped("SIGTERM in a reload that succeeds", PATIENT, reloadAs("ok"));
stopped("SIGTERM in a reload that fails", PATIENT, reloadAs("reject"));
stopped("SIGTERM in a reload that does not end", ["--shutdown-timeout=300ms"]);
stopped("a second SIGTERM", PATIENT, (_, sidecar) => sidecar.kill("SIGTERM"));
stopped("the app ends during the shutdown", PATIENT, ({ app }) => app.kill("SIGKILL"));

story("once", {}, async ({ scene, start }) => {
  for (const text of ["version: 1\n", "REJECT: 2\n"]) {
    await scene.swap(text);
    const sidecar = await start(["--once", "--reload-on-start=auto"]);
    assert.equal(await sidecar.ended(), text.startsWith("REJECT") ? 1 : 0);
  }
});

story("once without a place to write", {}, async ({ scene, start }) => {
  await Deno.writeTextFile(`${scene.dir}/out`, "in the way of the directory\n");
  const sidecar = await start(["--once", `--config-envsubst-file=${scene.dir}/out/config.yaml`]);
  assert.equal(await sidecar.ended(), 1);
});

story("the own server cannot start", {}, async ({ scene, startBare, call }) => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  call(taken.addr.port, "TAKEN_PORT");
  const file = `--config-file=${scene.file}`;
  const ends = async (args: string[], port?: number) => {
    const sidecar = await startBare([file, ...args], port === undefined ? {} : { port });
    assert.equal(await sidecar.ended(), 1);
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

test("a wrong command line ends with one line on standard error, exit code 2, nothing else", async () => {
  // What each says is held by tests/cli; of these some, four at a time, since most of it is waiting for the start.
  const some = USAGE_ERRORS.filter(({ args }, at) =>
    at % 15 === 0 && !args.some((arg) => arg.includes("\0"))
  );
  for (let at = 0; at < some.length; at += 4) {
    await Promise.all(
      some.slice(at, at + 4).map(async ({ args, environment, message }) => {
        const { code, out, err } = await runProduct(args, environment);
        assert.deepEqual([code, out, err], [2, "", `config-reloader: ${message}\n`], `${args}`);
      }),
    );
  }
});
