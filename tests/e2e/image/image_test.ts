/**
 * The container images: both targets of the Dockerfile, built of local pieces (the compiled binary, this machine's C library in place
 * of the bases that only a registry has), looked into and run, alone and beside an app whose PID namespace they join.
 */

import assert from "node:assert/strict";
import { addProgram, APP_IMAGE, packApps, sharedLibraries } from "../cluster/images.ts";
import { createKubeletVolume } from "../../support/kubelet.ts";
import { until } from "../../support/poll.ts";
import { binaryUnderTest, type Containers, createContainers } from "./support.ts";
import { test } from "../../support/strict.ts";

const SCRATCH = "localhost/config-reloader:scratch";
const DISTROLESS = "localhost/config-reloader:distroless";

/** What the Dockerfile's stage `compiled` gives: /rootfs with the binary and its libraries. */
async function makeRootfs(containers: Containers) {
  const dir = `${containers.dir}/rootfs`;
  await addProgram(`${dir}/rootfs`, binaryUnderTest(), "/config-reloader");
  await containers.fromDirectory("localhost/rootfs:e2e", dir);
}

/** Stands in for distroless/cc: the C library and a passwd file, nothing that could be run. */
async function makeBase(containers: Containers) {
  const dir = `${containers.dir}/base`;
  await addProgram(dir, binaryUnderTest(), "/unused");
  await Deno.remove(`${dir}/unused`);
  await Deno.mkdir(`${dir}/etc`);
  await Deno.writeTextFile(`${dir}/etc/passwd`, "nonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n");
  await containers.fromDirectory("localhost/cc:nonroot", dir);
}

/** Every entry of an image: `path mode uid`, directories too. */
async function listImage(
  containers: Containers,
  image: string,
): Promise<{ path: string; mode: number; uid: number; file: boolean }[]> {
  const id = (await containers.buildah("from", "--pull-never", image)).trim();
  const root = (await containers.buildah("mount", id)).trim();
  const entries: { path: string; mode: number; uid: number; file: boolean }[] = [];
  const visit = (dir: string) => {
    for (const { name } of Deno.readDirSync(dir)) {
      const path = `${dir}/${name}`;
      const { mode, uid, isDirectory, isFile } = Deno.lstatSync(path);
      entries.push({
        path: path.slice(root.length),
        mode: (mode ?? 0) & 0o7777,
        uid: uid ?? 0,
        file: isFile,
      });
      if (isDirectory) visit(path);
    }
  };
  visit(root);
  await containers.buildah("umount", id);
  await containers.buildah("rm", id);
  return entries;
}

test("the images", async (t) => {
  await using containers = await createContainers();
  const libraries = await sharedLibraries(binaryUnderTest());

  await t.step("both targets build", async () => {
    await makeRootfs(containers);
    await makeBase(containers);
    await containers.build("scratch", SCRATCH, { ROOTFS: "localhost/rootfs:e2e" });
    await containers.build("distroless", DISTROLESS, {
      ROOTFS: "localhost/rootfs:e2e",
      BASE: "localhost/cc:nonroot",
    });
  });

  await t.step(
    "scratch holds the binary and the shared libraries it is linked with, and nothing else",
    async () => {
      const files = (await listImage(containers, SCRATCH)).filter(({ file }) => file).map(({ path }) => path);
      assert.deepEqual(files.sort(), ["/config-reloader", ...libraries].sort());
    },
  );

  await t.step("distroless adds the binary to its base, and nothing else", async () => {
    const base = new Set((await listImage(containers, "localhost/cc:nonroot")).map(({ path }) => path));
    const added = (await listImage(containers, DISTROLESS)).filter(({ path }) => !base.has(path));
    assert.deepEqual(added, [{ path: "/config-reloader", mode: 0o755, uid: 0, file: true }]);
  });

  for (const image of [SCRATCH, DISTROLESS]) {
    const name = image.split(":")[1]!;
    await t.step(`${name}: no shell, no package manager, no path that its user could write`, async () => {
      for (const { path, mode, uid } of await listImage(containers, image)) {
        assert.doesNotMatch(path, /\/(sh|bash|dash|ash|busybox|apt|apt-get|dpkg|apk|rpm)$/);
        assert.notEqual(uid, 65532, `${path} is owned by the user`);
        assert.equal(mode & 0o002, 0, `${path} is writable for everybody`);
      }
    });

    await t.step(`${name}: user, entry point, port and labels`, async () => {
      const [{ Config: config }] = JSON.parse(await containers.podman("image", "inspect", image));
      assert.equal(config.User, "65532:65532");
      assert.deepEqual(config.Entrypoint, ["/config-reloader"]);
      assert.deepEqual(Object.keys(config.ExposedPorts), ["9091/tcp"]);
      for (const variable of ["DENO_DIR=/nonexistent", "HOME=/nonexistent", "PATH=/"]) {
        assert.ok(config.Env.some((one: string) => one.startsWith(variable)), `${config.Env}`);
      }
      assert.equal(config.Labels["org.opencontainers.image.licenses"], "Apache-2.0");
      assert.equal(config.Labels["org.opencontainers.image.title"], "config-reloader");
    });

    await t.step(`${name}: runs with a read-only root, no capability, no network`, async () => {
      const confined = [
        "--read-only",
        "--read-only-tmpfs=false",
        "--cap-drop=all",
        "--network=none",
        "--security-opt=no-new-privileges",
      ];
      const version = await containers.podman("run", "--rm", ...confined, image, "--version");
      assert.match(version, /^config-reloader \d+\.\d+\.\d+ /);
    });
  }

  await t.step("docker run --pid=container:app: PID 1 is the app, and it reloads", async () => {
    await packApps(`${containers.dir}/app.tar`);
    await containers.podman("load", "--input", `${containers.dir}/app.tar`);
    await Deno.chmod(containers.dir, 0o755);
    const volume = createKubeletVolume(`${containers.dir}/config`, { "config.yaml": "a: 1\n" });
    const mount = `--volume=${containers.dir}/config:/etc/amp:ro`;
    await containers.podman(
      "run",
      "--detach",
      "--name=amp",
      "--network=none",
      "--cap-drop=all",
      mount,
      APP_IMAGE,
    );
    await containers.podman(
      ...[
        "run",
        "--detach",
        "--name=reloader",
        "--pid=container:amp",
        "--network=container:amp",
        "--read-only",
        "--cap-drop=all",
      ],
      ...[mount, SCRATCH, "--config-file=/etc/amp/config.yaml"],
    );
    const logs = () => containers.podman("logs", "reloader");
    await until("the sidecar to name its target", async () => /PID 1\b/.test(await logs()), { everyMs: 200 });
    volume.swap({ "config.yaml": "a: 2\n" });
    await until("a proved reload", async () => (await logs()).includes("✅ Reload successful"), {
      everyMs: 200,
    })
      .catch(async (error) => {
        throw new Error(`${error}\n${await logs()}`);
      });
    assert.match(await logs(), /Sending SIGHUP to main process \(PID 1\)/);
    const app = JSON.parse(
      await containers.podman("exec", "amp", "wget", "-qO-", "http://127.0.0.1:8080/control"),
    );
    assert.equal(app.signals, 1);
    await containers.podman("stop", "--time=5", "reloader");
    const [{ State: state }] = JSON.parse(await containers.podman("inspect", "reloader"));
    assert.equal(state.ExitCode, 0, "SIGTERM must end it with exit code 0");
  });
});
