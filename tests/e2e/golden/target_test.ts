/** Whom the sidecar would signal, and what the log says where it cannot or where that process comes and goes. */

import { requireProgram, requireRoot, startProgram } from "../../support/scene.ts";
import { startTargetApp } from "../../support/target_app.ts";
import { until } from "../../support/poll.ts";
import { createKubeletVolume, VOLUMES } from "../../support/kubelet.ts";
import { begun, mounting, story } from "./golden.ts";

const USER = ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups"];

story("no such process", {}, async ({ scene, start, call }) => {
  const gone = new Deno.Command("true").spawn();
  await gone.status;
  call(gone.pid, "GONE_PID");
  const sidecar = await start([`--pid=${gone.pid}`, "--reload-timeout=500ms"]);
  await begun(sidecar);
  await scene.swap("version: 1\n");
  await sidecar.logged("next try in 10s");
  sidecar.kill("SIGHUP");
  await sidecar.logged("next try in 20s");
});

story("no handler", {}, async ({ scene, start, call }) => {
  await using app = startProgram("sleep", ["3600"]);
  const startedMs = performance.now();
  call(app.pid, "SLEEP_PID");
  await until("it to be no young process any more", () => performance.now() - startedMs > 5_500);
  const sidecar = await start([`--pid=${app.pid}`]);
  await begun(sidecar);
  await scene.swap("version: 1\n");
  await sidecar.logged("next try in 10s");
  sidecar.kill("SIGHUP");
  await sidecar.logged("next try in 20s");
  await sidecar.stop();
});

story("another user", {}, async ({ scene, start }) => {
  requireRoot("it runs the sidecar as another user");
  requireProgram("setpriv", "the package util-linux");
  // The user may not enter the home of root, where the runtime is.
  const copy = `${scene.dir}/program`;
  await Deno.copyFile(Deno.env.get("CONFIG_RELOADER_BIN") ?? Deno.execPath(), copy);
  const sidecar = await start([], { prefix: USER, ...await asUser(scene.dir, copy) });
  await begun(sidecar);
  await scene.swap("version: 1\n");
  await sidecar.logged("next try in 10s");
});

/** The product where another user can start it: beside the volume, and with a cache that it may write. */
async function asUser(dir: string, program: string) {
  await Deno.chmod(program, 0o755);
  if (Deno.env.get("CONFIG_RELOADER_BIN")) return { product: [program] };
  const root = new URL("../../../", import.meta.url).pathname;
  return {
    product: [program, "run", "--no-prompt", "--quiet", "-A", `${root}main.ts`],
    env: { DENO_DIR: `${dir}/none`, HOME: "/" },
  };
}

story("the signal kills the app", { app: { mode: "die" } }, async ({ scene, start, call }) => {
  const pidFile = `${scene.dir}/app.pid`;
  await Deno.writeTextFile(pidFile, `${scene.app.pid}\n`);
  const sidecar = await start([`--pid-file=${pidFile}`, "--pid=auto"]);
  await begun(sidecar);
  await scene.swap("version: 1\n");
  await sidecar.logged("next look in 10s");
  const killedMs = performance.now();
  await until("the app to start clearly later than the change", () => performance.now() - killedMs > 100);
  await using again = await startTargetApp({ config: scene.file, port: scene.app.port });
  call(again.pid, "NEW_PID");
  await Deno.writeTextFile(pidFile, `${again.pid}\n`);
  await sidecar.logged("✅ Reload successful");
  await scene.swap("version: 2\n");
  await until("a second success", () => sidecar.log().split("✅").length === 3);
  await sidecar.stop(); // before the app ends
});

story("the app dies soon after", { app: { mode: "die-later" } }, async ({ scene, start }) => {
  const sidecar = await start(["--verify=none", "--reload-timeout=2s"]);
  await begun(sidecar);
  await scene.swap("version: 1\n");
  await sidecar.logged("the signal killed it");
  await sidecar.logged("Target: Cannot signal PID");
  sidecar.kill("SIGHUP");
  await sidecar.logged("next try in 20s");
});

story("the app restarts by itself", {}, async ({ scene, start, call }) => {
  const pidFile = `${scene.dir}/app.pid`;
  await Deno.writeTextFile(pidFile, `${scene.app.pid}\n`);
  const sidecar = await start([`--pid-file=${pidFile}`, "--pid=auto"]);
  await begun(sidecar);
  await sidecar.logged("Target: PID");
  await scene.app.stop();
  await sidecar.logged("Target: Cannot signal PID");
  await using again = await startTargetApp({ config: scene.file, port: scene.app.port });
  call(again.pid, "NEW_PID");
  await Deno.writeTextFile(pidFile, `${again.pid}\n`);
  await sidecar.logged(`Target: PID ${again.pid}`);
  await scene.swap("version: 1\n");
  await sidecar.logged("✅ Reload successful");
  await sidecar.stop(); // before the app ends
});

story("the PID file is not there yet", {}, async ({ scene, start }) => {
  const pidFile = `${scene.dir}/app.pid`;
  const sidecar = await start([`--pid-file=${pidFile}`, "--pid=auto"]);
  await begun(sidecar);
  await Deno.writeTextFile(pidFile, "not a number\n");
  await sidecar.logged("no PID");
  await Deno.writeTextFile(pidFile, `${scene.app.pid}\n`);
  await sidecar.logged(`Target: PID ${scene.app.pid}`);
});

story("the app's mount is stale", {}, async ({ scene, startBare, call }) => {
  requireRoot("it mounts");
  requireProgram("unshare", "the package util-linux");
  // As kubelet does it: the sidecar has the whole volume mounted, the app one payload of it (subPath).
  const volume = createKubeletVolume(`${scene.dir}/${VOLUMES}/config`, { "config.yaml": "version: 0\n" });
  const etc = `${scene.dir}/etc`;
  await Deno.mkdir(etc);
  const prefix = mounting(volume.payload(), etc);
  await using app = await startTargetApp({ config: `${etc}/config.yaml`, prefix });
  call(app.pid, "BLIND_PID");
  call(`127.0.0.1:${app.port}`, "BLIND_APP");
  const file = `--config-file=${etc}/config.yaml`;
  const args = [file, `--pid=${app.pid}`, `--reload-url=${app.url}`, "--reload-on-start=always"];
  const sidecar = await startBare(args, { prefix: mounting(volume.dir, etc) });
  await sidecar.logged("next try in 5s");
  await sidecar.stop();
});

story("nobody has that name", {}, async ({ scene, startBare }) => {
  const args = [
    `--config-file=${scene.file}`,
    "--process-cmdline=demo/[x]pp\\.ts",
    "--reload-on-start=never",
  ];
  const sidecar = await startBare([...args, `--reload-url=${scene.app.url}`]);
  await sidecar.logged("No process matches");
});
