/** What the log says where the content is missing, cannot be read or is not what it should be, and of the end of that. */

import { ready, requireProgram, requireRoot } from "../../support/scene.ts";
import { createKubeletVolume, VOLUMES } from "../../support/kubelet.ts";
import { begun, mounting, story } from "./golden.ts";

story("the file comes late", {}, async ({ scene, startBare }) => {
  const file = `${scene.dir}/late/config.yaml`;
  const app = [`--pid=${scene.app.pid}`, `--reload-url=${scene.app.url}`];
  const sidecar = await startBare([`--config-file=${file}`, "--interval=500ms", ...app]);
  await ready(sidecar);
  await sidecar.metricIs("config_reload_read_errors_total", (value) => value >= 3);
  await Deno.mkdir(`${scene.dir}/late`);
  await Deno.writeTextFile(`${scene.dir}/late/new`, "version: 1\n");
  await Deno.rename(`${scene.dir}/late/new`, file);
  await sidecar.logged("✅ Reload successful");
});

story("the file goes and comes back", { plain: true }, async ({ scene, start }) => {
  const sidecar = await start();
  await begun(sidecar);
  await Deno.remove(scene.file);
  await sidecar.metricIs("config_reload_read_errors_total", (value) => value >= 3);
  await scene.swap("version: 0\n");
  await sidecar.logged("In order again");
  await Deno.remove(scene.file);
  await Deno.mkdir(scene.file);
  await sidecar.logged("a directory");
  await Deno.remove(scene.file);
  await scene.swap("version: 1\n");
  await sidecar.logged("✅ Reload successful");
});

story("the file cannot be read", { plain: true }, async ({ scene, start, call }) => {
  requireRoot("it drops the capability to read everything");
  requireProgram("setpriv", "the package util-linux");
  call(`${Deno.uid()}:${Deno.gid()}`, "UID:GID");
  const sidecar = await start([], { prefix: ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] });
  await begun(sidecar);
  await Deno.chmod(scene.file, 0);
  await sidecar.logged("permission denied");
  await Deno.chmod(scene.file, 0o644);
  await sidecar.logged("In order again");
});

story("the file is too large", { plain: true }, async ({ scene, start }) => {
  const sidecar = await start(["--max-file-size=1KiB"]);
  await begun(sidecar);
  await scene.swap("x".repeat(2000));
  await sidecar.logged("--max-file-size");
  await scene.swap("version: 1\n");
  await sidecar.logged("✅ Reload successful");
});

story("what a glob and a directory hold", { sorted: true }, async ({ scene, startBare, call }) => {
  const app = [`--pid=${scene.app.pid}`, `--reload-url=${scene.app.url}`, "--interval=500ms"];
  const glob = await startBare([`--config-file=${scene.dir}/*.conf`, ...app]);
  await glob.logged("no file matches");
  await glob.stop();
  await Deno.mkdir(`${scene.dir}/all`);
  await Deno.writeTextFile(`${scene.dir}/all/a.conf`, "a: 1\n");
  await Deno.symlink("nowhere", `${scene.dir}/all/b.conf`);
  await new Deno.Command("mkfifo", { args: [`${scene.dir}/all/pipe`] }).output();
  const dir = await startBare([`--watched-dir=${scene.dir}/all`, "--reload-on-start=never", ...app]);
  await begun(dir);
  // Of several files the hash is that of a listing with their paths.
  call(/applied \(hash: ([0-9a-f]+)/.exec(dir.log())![1]!, "HASH");
  await dir.logged("FIFO");
});

story("the sidecar's volume was replaced", {}, async ({ scene, start }) => {
  const sidecar = await start();
  await begun(sidecar);
  await Deno.remove(`${scene.dir}/volume`, { recursive: true });
  await sidecar.logged("no such file");
});

story("the sidecar's mount is a subPath", {}, async ({ scene, startBare }) => {
  requireRoot("it mounts");
  requireProgram("unshare", "the package util-linux");
  const volume = createKubeletVolume(`${scene.dir}/${VOLUMES}/config`, { "config.yaml": "version: 0\n" });
  const etc = `${scene.dir}/etc`;
  await Deno.mkdir(etc);
  const prefix = mounting(volume.payload(), etc);
  const app = [`--pid=${scene.app.pid}`, `--reload-url=${scene.app.url}`, "--reload-on-start=never"];
  const sidecar = await startBare([`--config-file=${etc}/config.yaml`, ...app], { prefix });
  await sidecar.logged("subPath");
  await begun(sidecar);
});

story("rendering", {}, async ({ scene, start }) => {
  const out = `${scene.dir}/out/config.yaml`;
  await Deno.writeTextFile(`${scene.dir}/out`, "in the way of the directory\n");
  const sidecar = await start([`--config-envsubst-file=${out}`], { env: { PLACE: "here" } });
  await sidecar.logged("next try in 10s");
  await Deno.remove(`${scene.dir}/out`);
  await scene.swap("place: $(PLACE), left: $(NOWHERE)\n");
  await sidecar.logged("✅ Reload successful");
});
