/**
 * Registers the scripts of `tests/testdata/watch` as tests, in both watch methods: those that any user can run, and those
 * that need root in a test file of their own.
 */

import { fileURLToPath } from "node:url";
import { type Method, parseScript, runScript, type Script } from "./watch_script.ts";
import { STRICT } from "./strict.ts";

const DIR = new URL("../testdata/watch/", import.meta.url);
const RUNNER = fileURLToPath(new URL("./watch_script.ts", import.meta.url));
/** Scripts at once: they mostly wait. */
const CONCURRENCY = 6;

const scripts = [...Deno.readDirSync(DIR)].filter((entry) =>
  entry.name.endsWith(".txt") && entry.name !== "README.txt"
)
  .map((entry) => fileURLToPath(new URL(entry.name, DIR))).sort()
  .map((file) => parseScript(file.slice(file.lastIndexOf("/") + 1), Deno.readTextFileSync(file)));

/** `WATCH_SCRIPT=name` runs one of them. */
const wanted = Deno.env.get("WATCH_SCRIPT") ?? "";

/** Registers the scripts of these kinds; `""` are those that need nothing. */
export function registerScripts(kinds: readonly Script["as"][]): void {
  for (const method of ["inotify", "poll"] as const) {
    for (const as of kinds) {
      const group = scripts.filter((script) =>
        script.as === as && (script.only ?? method) === method && script.file.includes(wanted)
      );
      Deno.test({
        ...STRICT,
        name: `scripts by ${method}${as === "" ? "" : `, each in a process of its own (${as})`}`,
        fn: async (t) => {
          const results = await runAll(
            group,
            (script) => as === "" ? runScript(script, method) : runApart(script, method),
          );
          for (const { script, error } of results) {
            await t.step(`${script.file}: ${script.name}`, () => {
              if (error !== null) throw error;
            });
          }
        },
      });
    }
  }
}

async function runAll(group: readonly Script[], run: (script: Script) => Promise<void>) {
  const results: { script: Script; error: unknown }[] = [];
  let next = 0;
  const worker = async () => {
    while (next < group.length) {
      const script = group[next++]!;
      results.push({ script, error: await run(script).then(() => null, (error) => error) });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return results.sort((a, b) => a.script.file < b.script.file ? -1 : 1);
}

/**
 * Mounts need root and `unshare`; the user's scripts root and `setpriv` (both in Debian's util-linux), which takes away
 * what lets root read everything; limits a user namespace, which has its own. Another user ID would not do: it may not be allowed to run this very `deno`.
 */
async function runApart(script: Script, method: Method): Promise<void> {
  const wrap = {
    mounts: ["unshare", "-m", "--propagation", "private"],
    user: ["setpriv", "--bounding-set=-dac_override,-dac_read_search"],
    limits: ["unshare", "-U", "-r", "-m"],
    fifo: ["env"],
    "": ["env"],
  }[script.as];
  const cache = Deno.makeTempDirSync({ prefix: "watch_cache_" });
  try {
    Deno.chmodSync(cache, 0o777);
    const [program, ...args] = [
      ...wrap,
      Deno.execPath(),
      "run",
      "-A",
      "--no-check",
      "--no-config",
      "--no-lock",
      RUNNER,
      method,
      fileURLToPath(new URL(script.file, DIR)),
    ];
    const output = await new Deno.Command("timeout", {
      args: ["-s", "KILL", "40", program!, ...args],
      env: { DENO_DIR: cache, NO_COLOR: "1" },
    }).output();
    if (output.success) return;
    const text = new TextDecoder().decode(output.stderr);
    throw new Error(`needs root, unshare and setpriv; exit code ${output.code} (137: it hung)\n${text}`);
  } finally {
    Deno.removeSync(cache, { recursive: true });
  }
}
