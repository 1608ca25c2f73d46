// deno-lint-ignore-file no-console -- a command's output
/**
 * `deno task compile [--target TRIPLE] [--output FILE]`: bundle, then `deno compile`, one self-contained binary. Owns the permissions that are baked in. Must give the same bytes when run twice on one revision.
 */

import { bundle, readRevision, ROOT } from "./bundle.ts";
import { fail, readFlags } from "./command_line.ts";
import { V8_FLAGS } from "./v8_flags.ts";

/** Platforms that are built, by the name `deno compile` has for them, with the machine number in their ELF header. */
const TARGETS: Readonly<Record<string, number>> = {
  "x86_64-unknown-linux-gnu": 0x3e,
  "aarch64-unknown-linux-gnu": 0xb7,
};
const USAGE = `usage: deno task compile [--target TRIPLE] [--output FILE]
  --target TRIPLE   ${Object.keys(TARGETS).join(" or ")}; this machine's without it
  --output FILE     where the binary goes; dist/config-reloader without it
It downloads Deno's runtime from dl.deno.land once, or takes the program that DENORT_BIN names.`;

/** What one compilation is asked for. */
export interface CompileOptions {
  readonly target: string;
  /** Path of the binary. */
  readonly output: string;
}

/**
 * Bundles and compiles; the bundle stays beside the binary in `bundle/`.
 * @throws where `deno compile` fails, or gives a binary for another machine than asked for (`DENORT_BIN` names a runtime for this one).
 */
export async function compile(options: CompileOptions): Promise<void> {
  const slash = options.output.lastIndexOf("/");
  const dir = options.output.slice(0, slash);
  const { entry } = await bundle({ outDir: `${dir}/bundle`, revision: readRevision() });
  const args = [
    "compile",
    "--quiet",
    // The bundle is complete: no import map, no packages, no lock file is to be looked at or embedded.
    "--no-config",
    "--no-lock",
    "--no-npm",
    "--no-remote",
    // Reading /proc of other processes and signalling them needs every permission in full (docs/security.md says what bounds it).
    "--allow-all",
    "--no-prompt",
    // The cache would be written to a temporary directory at the first start: a sidecar has none, and nothing may be read back from one.
    "--no-code-cache",
    "--app-name=config-reloader",
    `--v8-flags=${V8_FLAGS.join(",")}`,
    `--target=${options.target}`,
    `--output=${options.output}`,
    entry,
  ];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).output();
  if (!success) throw new Error(explain(new TextDecoder().decode(stderr).trim(), options));
  await checkMachine(options);
}

/** Why `deno compile` failed, with what it needs where it cannot download it. */
function explain(text: string, { target }: CompileOptions): string {
  const url = /https:\/\/dl\.deno\.land\/\S+?\.zip/.exec(text)?.[0];
  if (url === undefined) return `Cannot compile: ${text}`;
  return `Cannot compile: Deno's runtime for ${target} cannot be downloaded from ${url}. Give this machine ` +
    `access to dl.deno.land, or unpack that archive elsewhere and set DENORT_BIN to the path of the program in it`;
}

/** With `DENORT_BIN`, `deno compile` ignores the target: a binary for the wrong machine must not leave the house. */
async function checkMachine({ output, target }: CompileOptions): Promise<void> {
  using file = await Deno.open(output);
  const head = new Uint8Array(20);
  await file.read(head);
  const machine = (head[18] ?? 0) | ((head[19] ?? 0) << 8);
  if (machine !== TARGETS[target]) {
    await Deno.remove(output);
    throw new Error(
      `Cannot compile for ${target}: the runtime in DENORT_BIN is for another machine (ELF ${machine})`,
    );
  }
}

if (import.meta.main) {
  const values = readFlags(USAGE, {
    target: { type: "string", default: Deno.build.target },
    output: { type: "string", default: `${ROOT}/dist/config-reloader` },
  });
  if (!(values.target in TARGETS)) {
    fail(`--target "${values.target}": want ${Object.keys(TARGETS).join(" or ")}`);
  }
  const output = values.output.startsWith("/") ? values.output : `${Deno.cwd()}/${values.output}`;
  const started = performance.now();
  try {
    await compile({ target: values.target, output });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
  const mib = (Deno.statSync(output).size / 2 ** 20).toFixed(1);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${output}: ${mib} MiB, ${values.target}, in ${seconds} s`);
}
