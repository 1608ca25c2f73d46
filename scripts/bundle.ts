/**
 * Bundles `main.ts` with esbuild into ES modules: one file that is loaded at every start and one chunk for each part that only
 * some flags need. Owns what goes into the bundle; must never let a part of Node's layer into what is loaded at the start
 * (`tests/tidy/bundle_test.ts` holds that).
 */

import * as esbuild from "esbuild";

/** The module that starts everything, relative to the repository. */
const ENTRY = "main.ts";

/** Repository root, so that the tasks work from any directory. */
export const ROOT = decodeURIComponent(new URL("..", import.meta.url).pathname).replace(/\/$/, "");

/** What `bundle` needs to know. */
export interface BundleOptions {
  /** Directory for the result; its old content is removed. */
  readonly outDir: string;
  /** Git revision that `--version` prints. */
  readonly revision: string;
}

/** The bundle on disk. */
export interface Bundle {
  /** Path of the file to run or compile. */
  readonly entry: string;
  /** esbuild's account of inputs, outputs and the imports between them. */
  readonly metafile: esbuild.Metafile;
}

/**
 * Writes the bundle and returns what it is made of. All files get the same fixed time, because `deno compile` embeds file times
 * and two builds of one revision are to be the same bytes.
 * @throws where a module cannot be resolved or parsed; the message is esbuild's.
 */
export async function bundle(options: BundleOptions): Promise<Bundle> {
  await Deno.remove(options.outDir, { recursive: true }).catch(() => {});
  const result = await esbuild.build({
    absWorkingDir: ROOT,
    entryPoints: [ENTRY],
    outdir: options.outDir,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "neutral",
    target: "esnext",
    // hono, logtape and yaml have a variant for Deno or plain ES modules; prom-client has CommonJS only.
    conditions: ["deno", "import"],
    mainFields: ["module", "main"],
    // A `node:` module may only be reached through a dynamic import, and then Deno provides it.
    external: ["node:*"],
    alias: { util: `${ROOT}/scripts/util_shim.ts` },
    define: {
      BUILD_REVISION: JSON.stringify(options.revision),
    },
    entryNames: "[name]",
    chunkNames: "[name]-[hash]",
    legalComments: "none",
    // A third less to read at each start and at the first call of each function; names stay, for the stack of a fault.
    minifyWhitespace: true,
    minifySyntax: true,
    metafile: true,
    logLevel: "warning",
  });
  await esbuild.stop();
  for (const file of Object.keys(result.metafile.outputs)) {
    await Deno.utime(file.startsWith("/") ? file : `${ROOT}/${file}`, 0, 0);
  }
  return { entry: `${options.outDir}/main.js`, metafile: result.metafile };
}

/** Names of the bundle's files that are loaded at every start: the entry and what it imports statically, entry first. */
export function staticFiles(metafile: esbuild.Metafile): string[] {
  const entry = Object.keys(metafile.outputs).find((file) => metafile.outputs[file]?.entryPoint === ENTRY);
  const found: string[] = entry === undefined ? [] : [entry];
  for (const file of found) {
    for (const { kind, path } of metafile.outputs[file]?.imports ?? []) {
      if (kind !== "dynamic-import" && !found.includes(path)) found.push(path);
    }
  }
  return found;
}

/**
 * Short git revision of the checkout, with `-dirty` where files differ from it; `BUILD_REVISION` from the environment where
 * that is set (container builds have no `.git`); `unknown` where neither is there.
 */
export function readRevision(): string {
  const given = Deno.env.get("BUILD_REVISION");
  if (given) return given;
  const git = (...args: string[]) => {
    try {
      const { success, stdout } = new Deno.Command("git", { args, cwd: ROOT, stderr: "null" }).outputSync();
      return success ? new TextDecoder().decode(stdout).trim() : null;
    } catch {
      return null;
    }
  };
  const head = git("rev-parse", "--short=12", "HEAD");
  if (head === null) return "unknown";
  return git("status", "--porcelain", "--untracked-files=no") ? `${head}-dirty` : head;
}
