/**
 * The pod's confinement: another user, no capabilities, no HOME, a read-only root without /tmp. From source the
 * runtime's cache is given by DENO_DIR, as the image does; the binary needs nothing.
 */

import assert from "node:assert/strict";
import { BINARY, createScene, requireProgram, requireRoot, type Scene } from "../../support/scene.ts";
import { test } from "../../support/strict.ts";

const UID = "65532";
const AS_USER = [
  "setpriv",
  "--reuid",
  UID,
  "--regid",
  UID,
  "--clear-groups",
  "--bounding-set=-all",
  "--no-new-privs",
];
const ROOT = new URL("../../../", import.meta.url).pathname;

/** The product as the confined root has it. */
const CONFINED_PRODUCT = BINARY
  ? ["/mnt/program"]
  : ["/mnt/program", "run", "--no-prompt", "--quiet", "-A", "/mnt/source/main.ts"];

/** Runs "$@" with a root that is read-only and a /tmp that only holds the volume, at its own path. */
function confine(scene: Scene): string[] {
  const program = BINARY ?? Deno.execPath();
  const script = `set -e
mount --make-rprivate /
mount -t tmpfs -o size=256m,mode=755 tmpfs /mnt
mkdir /mnt/scene /mnt/source
mount --bind ${scene.dir} /mnt/scene
mount --bind ${ROOT} /mnt/source
cp ${program} /mnt/program
chmod 755 /mnt/program
mount -t tmpfs -o size=64k,mode=755 tmpfs /tmp
mkdir -p ${scene.dir}
mount --bind /mnt/scene ${scene.dir}
for place in ${scene.dir} /mnt/source /; do mount -o remount,ro,bind $place; done
for place in /tmp /mnt; do mount -o remount,ro $place; done
for place in / /tmp /mnt; do if touch $place/x 2>/dev/null; then exit 9; fi; done
cd /
exec "$@"`;
  return ["unshare", "--mount", "sh", "-c", script, "sh", ...AS_USER];
}

test("without HOME or any other variable it runs and reloads", async () => {
  await using scene = await createScene();
  const env = BINARY ? {} : { DENO_DIR: `${scene.dir}/cache` };
  const sidecar = await scene.begin({ clearEnv: true, env });
  await scene.applied(await scene.swap("version: 1\n"));
  await sidecar.metricIs("config_reload_in_sync", 1);
});

test("as UID 65532 without capabilities, with a read-only root, no /tmp and no HOME, it signals an app of the same user", async () => {
  requireRoot("it makes a mount namespace and changes the user");
  requireProgram("setpriv", "the package util-linux");
  await using scene = await createScene({ app: { prefix: ["setpriv", "--reuid", UID, "--clear-groups"] } });
  const sidecar = await scene.begin({
    prefix: confine(scene),
    product: CONFINED_PRODUCT,
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH")!, ...(BINARY ? {} : { DENO_DIR: "/nonexistent" }) },
  });
  await scene.applied(await scene.swap("version: 1\n"));
  await sidecar.metricIs("config_reload_in_sync", 1);
  assert.equal((await scene.app.counts()).signals, 1);
  const status = await Deno.readTextFile(`/proc/${sidecar.pid}/status`);
  assert.match(status, /^Uid:\t65532\t65532/m);
  assert.match(status, /^CapEff:\t0000000000000000$/m);
});
