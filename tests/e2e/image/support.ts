/**
 * Containers without a daemon: buildah and podman with stores of their own in a temporary directory, so that nothing is left on the
 * machine. Needs root, buildah, podman and runc. Must never reach for a registry.
 */

import { attempt, ROOT } from "../../support/run.ts";

/** The compiled binary under test. @throws where `CONFIG_RELOADER_BIN` is not set. */
export function binaryUnderTest(): string {
  const path = Deno.env.get("CONFIG_RELOADER_BIN");
  if (!path) throw new Error("This test needs CONFIG_RELOADER_BIN, the binary that `deno task compile` made");
  return Deno.realPathSync(path);
}

/** Limits that need no capability to set; runc, since crun wants cgroup v2 features; nothing of systemd. */
const CONTAINERS_CONF = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`;

/** A store of images and containers. */
export interface Containers extends AsyncDisposable {
  readonly dir: string;
  buildah(...args: string[]): Promise<string>;
  podman(...args: string[]): Promise<string>;
  /** Builds a target of the repository's Dockerfile with these build arguments. */
  build(target: string, tag: string, args: Readonly<Record<string, string>>): Promise<void>;
  /** Makes an image whose root is that directory. */
  fromDirectory(tag: string, root: string, instructions?: readonly string[]): Promise<void>;
}

/** Makes an empty store; disposing of it ends its containers and removes all of it. */
export async function createContainers(): Promise<Containers> {
  const dir = await Deno.makeTempDir({ prefix: "containers-" });
  await Deno.writeTextFile(`${dir}/containers.conf`, CONTAINERS_CONF);
  const store = ["--root", `${dir}/store`, "--runroot", `${dir}/run`, "--storage-driver", "vfs"];
  const run = async (program: string, args: readonly string[]) => {
    const { code, out, err } = await attempt(program, [...store, ...args], {
      env: { CONTAINERS_CONF: `${dir}/containers.conf`, TMPDIR: dir },
      from: "the packages buildah, podman and runc",
    });
    // a container's own output may be on either stream
    if (code !== 0) throw new Error(`${program} ${args.join(" ")}: exit code ${code}: ${out}${err}`);
    return out + err;
  };
  const bud = (args: readonly string[]) =>
    run("buildah", ["bud", "--isolation", "chroot", "--pull-never", ...args]);
  return {
    dir,
    buildah: (...args) => run("buildah", args),
    podman: (...args) => run("podman", ["--cgroup-manager", "cgroupfs", ...args]),
    build: async (target, tag, args) => {
      const given = Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
      await bud(["--target", target, "-t", tag, ...given, "-f", `${ROOT}/Dockerfile`, ROOT]);
    },
    fromDirectory: async (tag, root, instructions = []) => {
      await Deno.writeTextFile(`${dir}/Dockerfile`, ["FROM scratch", "COPY . /", ...instructions].join("\n"));
      await bud(["-t", tag, "-f", `${dir}/Dockerfile`, root]);
    },
    [Symbol.asyncDispose]: async () => {
      await run("podman", ["rm", "--all", "--force", "--time", "2"]).catch(() => {});
      // the store mounts itself, and each container's shared memory, below
      const mounts = Deno.readTextFileSync("/proc/self/mounts").split("\n").map((line) =>
        line.split(" ")[1] ?? ""
      );
      for (const mount of mounts.filter((path) => path.startsWith(dir)).reverse()) {
        await new Deno.Command("umount", { args: ["--lazy", mount] }).output();
      }
      await Deno.remove(dir, { recursive: true });
    },
  };
}
