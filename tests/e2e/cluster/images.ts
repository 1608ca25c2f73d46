/**
 * Packs the product and the test app as container images without any builder, and loads them into the cluster. Owns their names
 * and contents. Must never need a registry.
 */

import { bundle, readRevision, ROOT } from "../../../scripts/bundle.ts";
import { V8_FLAGS } from "../../../scripts/v8_flags.ts";
import { attempt, run } from "../../support/run.ts";

/** Image with the product: the binary in `CONFIG_RELOADER_BIN`, else the bundle and this machine's Deno. */
export const PRODUCT_IMAGE = "localhost/config-reloader:e2e";
/** Image with `tests/support/target_app.ts` (reads /etc/amp/config.yaml, port 8080) and busybox in /bin. */
export const APP_IMAGE = "localhost/target-app:e2e";
/** The same files, but what it starts is `examples/demo-app`, as the Dockerfile's target `demo-app` has it. */
export const DEMO_IMAGE = "localhost/demo-app:e2e";

/** What starts Deno in the image without a binary. */
const BUNDLED = [
  "/deno",
  "run",
  "--allow-all",
  "--no-prompt",
  "--no-config",
  "--no-lock",
  "--cached-only",
  `--v8-flags=${V8_FLAGS.join(",")}`,
  "/bundle/main.js",
];

/** Program and first arguments of the product in its image, for `kubectl exec`. */
export const PRODUCT_COMMAND: readonly string[] = Deno.env.get("CONFIG_RELOADER_BIN")
  ? ["/config-reloader"]
  : BUNDLED;

/** Copies a program and the shared libraries it is linked with into the root of an image. */
export async function addProgram(root: string, program: string, as: string): Promise<void> {
  await Deno.mkdir(`${root}${as.slice(0, as.lastIndexOf("/"))}`, { recursive: true });
  await Deno.copyFile(program, `${root}${as}`);
  for (const library of await sharedLibraries(program)) {
    await Deno.mkdir(`${root}${library.slice(0, library.lastIndexOf("/"))}`, { recursive: true });
    await Deno.copyFile(library, `${root}${library}`);
  }
}

/** Absolute paths of the shared libraries and the loader of a program, as ldd tells them; none of a static one. */
export async function sharedLibraries(program: string): Promise<string[]> {
  const { out, err } = await attempt("ldd", [program]);
  if (err.includes("not a dynamic executable")) return [];
  return [...out.matchAll(/(\/\S+)/g)].map(([, path]) => path!);
}

interface ImageConfig {
  readonly Entrypoint: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User: string;
}

/** Packs a directory as images of one common layer, by name, in the docker-archive format. */
async function pack(out: string, root: string, images: Readonly<Record<string, ImageConfig>>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "image-" });
  try {
    const same = ["--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "--sort=name"];
    await run("tar", [...same, "-C", root, "-cf", `${dir}/layer.tar`, "."]);
    const diff = (await run("sha256sum", [`${dir}/layer.tar`])).slice(0, 64);
    const manifest = [];
    for (const [index, [name, config]] of Object.entries(images).entries()) {
      await Deno.writeTextFile(
        `${dir}/config-${index}.json`,
        JSON.stringify({
          architecture: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
          os: "linux",
          created: "1970-01-01T00:00:00Z",
          config: { WorkingDir: "/", ...config },
          rootfs: { type: "layers", diff_ids: [`sha256:${diff}`] },
          history: [{ created: "1970-01-01T00:00:00Z" }],
        }),
      );
      manifest.push({ Config: `config-${index}.json`, RepoTags: [name], Layers: ["layer.tar"] });
    }
    await Deno.writeTextFile(`${dir}/manifest.json`, JSON.stringify(manifest));
    await run("tar", [...same, "-C", dir, "-cf", out, "."]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Packs the product as an image into the archive `out`. */
export async function packProduct(out: string): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "root-" });
  await Deno.chmod(root, 0o755);
  try {
    const binary = Deno.env.get("CONFIG_RELOADER_BIN");
    if (binary) {
      await addProgram(root, binary, "/config-reloader");
      await pack(out, root, { [PRODUCT_IMAGE]: { Entrypoint: ["/config-reloader"], User: "65532:65532" } });
      return;
    }
    await addProgram(root, Deno.execPath(), "/deno");
    await bundle({ outDir: `${root}/bundle`, revision: readRevision() });
    await pack(out, root, {
      [PRODUCT_IMAGE]: {
        Entrypoint: BUNDLED,
        Env: ["DENO_DIR=/nonexistent", "DENO_NO_UPDATE_CHECK=1", "NO_COLOR=1"],
        User: "65532:65532",
      },
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** The busybox applets in the app image, all in /bin. */
const APPLETS =
  "sh ls cat sleep ps kill id grep sed date stat echo head tail wc env find readlink sort tr awk wget touch ln rm true false"
    .split(" ");

/** Packs the test app and the demo app as images into the archive `out`. */
export async function packApps(out: string): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "root-" });
  await Deno.chmod(root, 0o755);
  try {
    await addProgram(root, Deno.execPath(), "/bin/deno");
    await addProgram(root, "/bin/busybox", "/bin/busybox");
    for (const applet of APPLETS) await Deno.symlink("busybox", `${root}/bin/${applet}`);
    await Deno.copyFile(`${ROOT}/tests/support/target_app.ts`, `${root}/app.ts`);
    await Deno.copyFile(`${ROOT}/examples/demo-app/app.ts`, `${root}/demo-app.ts`);
    const deno = [
      "/bin/deno",
      "run",
      "-A",
      "--no-prompt",
      "--no-config",
      "--no-lock",
      "--no-check",
      "--quiet",
    ];
    const common = {
      Env: [
        "PATH=/bin",
        "DENO_DIR=/nonexistent",
        "DENO_NO_UPDATE_CHECK=1",
        "NO_COLOR=1",
        "DENO_V8_FLAGS=--single-threaded",
      ],
      User: "65532:65532",
    };
    await pack(out, root, {
      [APP_IMAGE]: {
        Entrypoint: [...deno, "/app.ts"],
        Cmd: ["--config", "/etc/amp/config.yaml", "--port", "8080"],
        ...common,
      },
      [DEMO_IMAGE]: {
        Entrypoint: [...deno, "/demo-app.ts"],
        Cmd: ["/etc/amp/config.yaml", "8080"],
        ...common,
      },
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Makes an image archive known to the cluster: by the command in `CLUSTER_LOAD`, else by kind. */
export async function load(archive: string): Promise<void> {
  const command = Deno.env.get("CLUSTER_LOAD");
  if (command) await run(command, [archive]);
  else {await run("kind", [
      "load",
      "image-archive",
      archive,
      "--name",
      Deno.env.get("KIND_CLUSTER") ?? "kind",
    ]);}
}
