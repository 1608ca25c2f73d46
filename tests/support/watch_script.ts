/**
 * Runs the scripts of `tests/testdata/watch`: steps on a real directory, with the real reader and watcher under a small
 * loop, and what must be seen of them. `README.txt` there tells the language. It registers them as tests, in both watch
 * methods. As a program it runs one script in a process of its own: `watch_script.ts inotify|poll FILE`, for those that mount or
 * could freeze.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { createClock } from "../../src/clock.ts";
import type { Observation } from "../../src/model.ts";
import type { Logger, SnapshotReader, Watcher } from "../../src/ports.ts";
import { createSnapshotReader, type ReaderConfig } from "../../src/watch/reader.ts";
import { createWatcher, type WatcherConfig } from "../../src/watch/watcher.ts";
import { createKubeletVolume, type KubeletVolume } from "./kubelet.ts";
import { until } from "./poll.ts";
import { attempt, run } from "./run.ts";
import { STRICT } from "./strict.ts";

export type Method = "inotify" | "poll";

/** A script read from its file. */
export interface Script {
  readonly name: string;
  readonly file: string;
  readonly lines: readonly { readonly number: number; readonly words: readonly string[] }[];
  /** What kind of process of its own it needs; empty: none. */
  readonly as: "" | "mounts" | "limits" | "fifo" | "user";
  readonly only: Method | null;
}

const SETTINGS = new Set(["file", "glob", "dir", "delay", "max", "interval", "as", "only"]);
/** How long an expectation may take to come true: 5 s for a disk that does not answer, or a FIFO where a file just was. */
const EXPECT_MS_MAX = 5_000 + 8_000;

/** Reads a script. @throws on an empty line's word that is neither a setting nor a step. */
export function parseScript(file: string, text: string): Script {
  const lines = text.split("\n").map((line, i) => ({ number: i + 1, words: splitWords(line) }))
    .filter(({ words }) => words.length > 0);
  const setting = (name: string) => lines.find(({ words }) => words[0] === name)?.words[1] ?? "";
  return {
    name: text.split("\n")[0]!.replace(/^#\s*/, ""),
    file,
    lines,
    as: setting("as") as Script["as"],
    only: (setting("only") || null) as Method | null,
  };
}

function splitWords(line: string): string[] {
  const words = line.replace(/(^|\s)#.*$/, "").match(/(?:"[^"]*"|[^\s"])+/g) ?? [];
  return words.map((word) => word.replace(/"([^"]*)"/g, "$1").replaceAll("\\n", "\n"));
}

/** The loop in small: hints come in, looks follow one by one, what counts is kept. */
export interface Driver {
  /** Digests of the contents that counted, in order; the same twice in a row is one. */
  readonly states: string[];
  /** The newest observation that was not `settling`. */
  last: Observation | null;
  looks: number;
  readonly warnings: string[];
  readonly watcher: Watcher;
  readonly reader: SnapshotReader;
  stop(): Promise<void>;
  /** After `stop`: waits for the disk, which a look that was cut short may still be asking. Not where it may hang. */
  drain(): Promise<void>;
}

/** Starts reader, watcher and loop. */
export function createDriver(config: ReaderConfig & WatcherConfig): Driver {
  const clock = createClock();
  const abort = new AbortController();
  const warnings: string[] = [];
  const logger: Logger = {
    debug: () => {},
    info: () => {},
    warn: (text) => void warnings.push(text),
    error: (text) => void warnings.push(text),
  };
  const reader = createSnapshotReader(config, clock);
  const watcher = createWatcher(config, reader, clock, logger);
  let wake = () => {};
  const hint = () => wake();
  const loop = async () => {
    while (!abort.signal.aborted) {
      const woken = new Promise<void>((resolve) => wake = resolve);
      driver.looks++;
      const found = await reader.look({ signal: abort.signal });
      if (abort.signal.aborted) break;
      const pause = new AbortController();
      if (found.kind === "settling") {
        clock.sleep(Math.max(0, found.againAtMs - clock.nowMs()), pause.signal).then(wake);
      } else {
        driver.last = found;
        if (found.kind === "content" && driver.states.at(-1) !== found.snapshot.digest) {
          driver.states.push(found.snapshot.digest);
        }
      }
      await woken;
      pause.abort();
    }
  };
  const driver: Driver = {
    states: [],
    last: null,
    looks: 0,
    warnings,
    watcher,
    reader,
    stop: async () => {
      abort.abort();
      wake();
      await Promise.all([running, watching]);
    },
    drain: async () => void await reader.look({ signal: new AbortController().signal }),
  };
  const running = loop();
  const watching = watcher.run(hint, abort.signal);
  return driver;
}

/** Runs one script in a directory of its own. @throws with script and line where something is not as told. */
export async function runScript(script: Script, method: Method): Promise<void> {
  const root = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "watch_" }));
  const run = createRun(script, method, root);
  try {
    for (const { number, words } of script.lines) {
      try {
        await run.step(words);
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        throw new Error(
          `${script.file}:${number} (${method}): ${words.join(" ")}: ${text}\n${run.describe()}`,
        );
      }
    }
  } finally {
    await run.stop();
    try {
      await Deno.remove(root, { recursive: true });
    } catch {
      // A script that failed may have left a mount; the namespace ends with the process.
    }
  }
}

/** The steps, bound to one directory and one driver. */
function createRun(script: Script, method: Method, root: string) {
  const at = (path: string) => path.startsWith("/") ? path : join(root, path);
  const volumes = new Map<string, KubeletVolume>();
  const values = (name: string) =>
    script.lines.filter(({ words }) => words[0] === name).flatMap(({ words }) => words.slice(1));
  const setting = (name: string, otherwise: string) => values(name)[0] ?? otherwise;
  const config: ReaderConfig & WatcherConfig = {
    configFiles: [...values("file"), ...values("glob")].map(at),
    watchedDirs: values("dir").map(at),
    // With events the interval is so long that only an event can bring the news in time, unless a script says else.
    intervalMs: Number(setting("interval", method === "poll" ? "60" : "60000")),
    watchMethod: method === "poll" ? "poll" : "auto",
    delayIntervalMs: setting("delay", "auto") === "auto" ? "auto" : Number(setting("delay", "")),
    maxFileSizeBytes: Number(setting("max", "1000000")),
    validate: "none",
    configEnvsubstFile: null,
    outputDir: null,
  };
  let driver: Driver | null = null;
  const started = () => {
    if (driver === null) throw new Error("nothing is started yet");
    return driver;
  };
  const wait = (what: string, probe: () => boolean) => until(what, probe, { timeoutMs: EXPECT_MS_MAX });

  const steps: Record<string, (args: string[]) => unknown> = {
    start: () => {
      driver = createDriver(config);
      if (method === "poll") return;
      return wait("the watcher", () => started().watcher.view().reason !== "starting");
    },
    write: ([path, text]) => Deno.writeTextFileSync(at(path!), text ?? ""),
    append: ([path, text]) => Deno.writeTextFileSync(at(path!), text!, { append: true }),
    truncate: ([path]) => Deno.truncateSync(at(path!)),
    fill: ([path, bytes]) => Deno.truncateSync(at(path!), Number(bytes)),
    rename: ([from, to]) => Deno.renameSync(at(from!), at(to!)),
    replace: ([path, text]) => {
      Deno.writeTextFileSync(at(".new"), text!);
      Deno.renameSync(at(".new"), at(path!));
    },
    symlink: ([target, path]) => Deno.symlinkSync(target!, at(path!)),
    relink: ([target, path]) => {
      Deno.symlinkSync(target!, at(".new"));
      Deno.renameSync(at(".new"), at(path!));
    },
    hardlink: ([from, to]) => Deno.linkSync(at(from!), at(to!)),
    rm: ([path]) => Deno.removeSync(at(path!), { recursive: true }),
    mkdir: ([path]) => Deno.mkdirSync(at(path!), { recursive: true }),
    chmod: ([mode, path]) => Deno.chmodSync(at(path!), parseInt(mode!, 8)),
    touch: ([path]) => Deno.utimeSync(at(path!), new Date(), new Date()),
    sh: ([command]) => run("sh", ["-ec", command!], { cwd: root }),
    many: async ([dir, count]) => {
      Deno.mkdirSync(at(dir!), { recursive: true });
      // Thousands of files take seconds: the scripts beside this one have deadlines.
      for (let i = 0; i < Number(count); i++) await Deno.writeTextFile(join(at(dir!), `f${i}`), `v${i}`);
    },
    volume: ([dir, ...keys]) => volumes.set(dir!, createKubeletVolume(at(dir!), parseKeys(keys))),
    swap: ([dir, ...keys]) => volumes.get(dir!)!.swap(parseKeys(keys)),
    teardown: ([dir, ...keys]) => volumes.get(dir!)!.replace(parseKeys(keys)),
    churn: ([path, ms]) => churn(at(path!), Number(ms)),
    pause: ([ms]) => new Promise((resolve) => setTimeout(resolve, Number(ms))),
    content: (pairs) => {
      const expected = digestOfPairs(config, values("glob").length > 0, parseKeys(pairs), at);
      return wait(`content ${pairs.join(" ")}`, () => {
        const { last } = started();
        return last?.kind === "content" && last.snapshot.digest === expected;
      });
    },
    // Says without naming each file that nothing is missing.
    truth: async () => {
      const fresh = createSnapshotReader({ ...config, delayIntervalMs: 0 }, createClock());
      const found = await fresh.look({ signal: new AbortController().signal });
      if (found.kind !== "content") throw new Error(`the disk holds no content: ${found.kind}`);
      await wait("what a fresh look sees", () => started().states.at(-1) === found.snapshot.digest);
    },
    unreadable: ([path, text]) =>
      wait(`unreadable ${path}`, () => {
        const { last } = started();
        return last?.kind === "unreadable" &&
          last.files.some((file) => file.path === at(path!) && (file.error ?? "").includes(text ?? ""));
      }),
    replaced: ([path, text]) =>
      wait(`replaced ${path}`, () => {
        const { last } = started();
        return last?.kind === "replaced" && last.path === at(path!) && last.message.includes(text ?? "");
      }),
    skipped: ([path, text]) =>
      wait(`skipped ${path}`, () => {
        const { last } = started();
        return last?.kind === "content" &&
          last.skipped.some((file) => file.path === at(path!) && (file.error ?? "").includes(text ?? ""));
      }),
    stale: ([reason]) =>
      wait(`stale ${reason}`, () => started().reader.staleMounts().some((mount) => mount.reason === reason)),
    method: ([name, text]) =>
      method === "poll" ? undefined : wait(`method ${name}`, () => {
        const view = started().watcher.view();
        return view.method === name && view.reason.includes(text ?? "");
      }),
    warned: ([text]) =>
      method === "poll"
        ? undefined
        : wait(`warning ${text}`, () =>
          started().warnings.filter((line) => line.includes(text!)).length === 1),
    // Exactly so many contents were seen, and after a while there are no more.
    states: async ([count]) => {
      const { looks } = started();
      await wait(`${count} states`, () => started().states.length >= Number(count));
      if (method === "poll") await wait("two more looks", () => started().looks > looks + 2);
      else await new Promise((resolve) => setTimeout(resolve, 120));
      const { states } = started();
      if (states.length !== Number(count)) throw new Error(`${states.length} states`);
    },
  };

  return {
    step: async (words: readonly string[]) => {
      const [name, ...args] = words;
      if (SETTINGS.has(name!)) return;
      const step = steps[name!];
      if (step === undefined) throw new Error(`unknown step "${name}"`);
      await step(args);
    },
    stop: async () => {
      await driver?.stop();
      if (script.as === "") await driver?.drain();
    },
    describe: () => {
      const { last, states, looks, warnings } = driver ?? { last: null, states: [], looks: 0, warnings: [] };
      return JSON.stringify(
        {
          last,
          states: states.map((digest) => digest.slice(0, 6)),
          looks,
          warnings,
          view: driver?.watcher.view(),
        },
        null,
        1,
      );
    },
  };
}

/** Rewrites a file in place, truncating it first, with 5 ms between two writes; the last content is `end`. */
async function churn(path: string, ms: number): Promise<void> {
  const end = performance.now() + ms;
  for (let i = 0; performance.now() < end; i++) {
    Deno.writeTextFileSync(path, `busy ${i}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  Deno.writeTextFileSync(path, "end");
}

function parseKeys(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(pairs.map((pair) => {
    const cut = pair.indexOf("=");
    return [pair.slice(0, cut), pair.slice(cut + 1)];
  }));
}

/** The digest by the contract's rule, reckoned on another way than the reader's. */
function digestOfPairs(
  config: ReaderConfig,
  isGlob: boolean,
  pairs: Record<string, string>,
  at: (path: string) => string,
): string {
  const sha = (text: string) => createHash("sha256").update(text).digest("hex");
  const isSingle = config.configFiles.length === 1 && config.watchedDirs.length === 0 && !isGlob;
  const files = Object.entries(pairs).map(([path, text]) => ({ path: at(path), digest: sha(text) }));
  if (isSingle) return files[0]!.digest;
  files.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
  return sha(files.map(({ path, digest }) => `${digest}  ${path}\n`).join(""));
}

const DIR = new URL("../testdata/watch/", import.meta.url).pathname;
/** Scripts at once: they mostly wait. */
const CONCURRENCY = 6;

/** All of them, or those that `WATCH_SCRIPT=name` names. */
function readScripts(): Script[] {
  const wanted = Deno.env.get("WATCH_SCRIPT") ?? "";
  return [...Deno.readDirSync(DIR)].map(({ name }) => name).sort()
    .filter((name) => name.endsWith(".txt") && name !== "README.txt" && name.includes(wanted))
    .map((name) => parseScript(name, Deno.readTextFileSync(DIR + name)));
}

/** Registers the scripts of these kinds; `""` are those that need nothing. */
export function registerScripts(kinds: readonly Script["as"][]): void {
  const scripts = readScripts();
  for (const method of ["inotify", "poll"] as const) {
    for (const as of kinds) {
      const group = scripts.filter((script) => script.as === as && (script.only ?? method) === method);
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
    const deno = [
      Deno.execPath(),
      "run",
      "-A",
      "--no-check",
      "--no-config",
      "--no-lock",
      import.meta.filename!,
    ];
    const args = ["-s", "KILL", "40", ...wrap, ...deno, method, DIR + script.file];
    const { code, err } = await attempt("timeout", args, { env: { DENO_DIR: cache, NO_COLOR: "1" } });
    if (code !== 0) {
      throw new Error(`needs root, unshare and setpriv; exit code ${code} (137: it hung)\n${err}`);
    }
  } finally {
    Deno.removeSync(cache, { recursive: true });
  }
}

if (import.meta.main) {
  const [method, file] = Deno.args;
  let code = 0;
  try {
    await runScript(parseScript(file!, Deno.readTextFileSync(file!)), method as Method);
  } catch (error) {
    Deno.stderr.writeSync(new TextEncoder().encode(`${error instanceof Error ? error.message : error}\n`));
    code = 1;
  }
  // A thread that waits for a FIFO must not keep the process.
  Deno.exit(code);
}
