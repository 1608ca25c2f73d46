/**
 * What takes part in the benchmark: this product, its peers, and the least programs in C and in Deno.
 * Owns how each is built (pinned versions) and started. It must never give a peer a setting that makes it slower.
 */

import { run } from "../tests/support/run.ts";
import { path } from "./lab.ts";

/** What a tool needs to know of the pod in which it runs. */
export interface Place {
  readonly volume: string;
  readonly file: string;
  /** PID and executable name of the app, as seen in the pod. */
  readonly appPid: number;
  readonly appName: string;
  readonly appPort: number;
  readonly metricsPort: number;
  /** Watch the whole directory instead of the one file. */
  readonly wholeDirectory: boolean;
}

/** One row of the tables. */
export interface Tool {
  readonly name: string;
  readonly kind: "product" | "peer" | "least";
  /** The setting, in words for the table. */
  readonly setting: string;
  /** What it does not do, so that nobody compares apples with pears. */
  readonly lacks: string;
  /** Program and arguments. */
  command(place: Place): string[];
  /** Serves metrics on the metrics port. */
  readonly hasMetrics: boolean;
  /** Can watch a directory of 10,000 files. */
  readonly watchesMany: boolean;
  /** Waits on purpose this long after a change: its swaps are further apart. */
  readonly slow: boolean;
  /** Bytes of its program files; null where that makes no sense. */
  readonly sizeBytes: number | null;
  readonly version: string;
}

/** What takes part in a run, built, and what could not be. */
export interface Toolbox {
  readonly tools: readonly Tool[];
  readonly app: string;
  readonly pause: string;
  readonly absent: readonly string[];
}

const GO_PEERS = {
  "prometheus-config-reloader": {
    module: "github.com/prometheus-operator/prometheus-operator",
    command: "cmd/prometheus-config-reloader",
    version: "v0.85.0",
  },
  "reflex": { module: "github.com/cespare/reflex", command: "", version: "v0.3.1" },
} as const;
type GoPeer = keyof typeof GO_PEERS;

const HERE = import.meta.dirname!;

/** Compiles one of the programs in C that lie here. */
async function compileC(dir: string, name: string): Promise<string> {
  const out = path(dir, name);
  await run("cc", ["-O2", "-o", out, path(HERE, `${name}.c`)]);
  return out;
}

/** The app and the pause process for these tools, compiled into `dir`. */
export async function createToolbox(dir: string, tools: readonly Tool[]): Promise<Toolbox> {
  Deno.mkdirSync(dir, { recursive: true });
  const app = await compileC(dir, "app");
  const pause = path(dir, "pause");
  Deno.copyFileSync(app, pause);
  return { tools, app, pause, absent: [] };
}

/** The products beside the peers; builds what is not in the cache yet. */
export async function buildToolbox(cache: string, products: readonly Tool[]): Promise<Toolbox> {
  const { app, pause } = await createToolbox(path(cache, "bin"), products);
  const least = await compileC(path(cache, "bin"), "least");
  const absent: string[] = [];
  const go = async (name: GoPeer) => {
    try {
      return await buildGoPeer(cache, name);
    } catch (error) {
      absent.push(
        `${name} ${GO_PEERS[name].version}: ${(error as Error).message.split("\n")[0]!.slice(0, 160)}`,
      );
      return null;
    }
  };
  const po = await go("prometheus-config-reloader");
  const reflex = await go("reflex");
  const hasInotifywait = await run("sh", ["-c", "command -v inotifywait"]).then(() => true, () => false);
  if (!hasInotifywait) absent.push("inotifywait: install the package inotify-tools");
  return {
    app,
    pause,
    absent,
    tools: [
      ...products,
      ...(po ? prometheusTools(po) : []),
      ...(reflex ? [reflexTool(reflex)] : []),
      ...(hasInotifywait ? [shellTool()] : []),
      denoLeast(path(HERE, "least_deno.ts")),
      cLeast(least),
    ],
  };
}

async function buildGoPeer(cache: string, name: GoPeer): Promise<string> {
  const { module, command, version } = GO_PEERS[name];
  const out = path(cache, "bin", name);
  try {
    Deno.statSync(out);
    return out;
  } catch { /* not built yet */ }
  // A module of its own around it: `go install` refuses modules with replace directives.
  const dir = path(cache, `build-${name}`);
  Deno.mkdirSync(dir, { recursive: true });
  Deno.writeTextFileSync(path(dir, "go.mod"), `module peer\n\ngo 1.24\n`);
  const options = { cwd: dir, env: { CGO_ENABLED: "0", GOFLAGS: "-mod=mod" } };
  const target = command ? `${module}/${command}` : module;
  await run("nice", ["go", "get", `${target}@${version}`], options);
  await run("nice", ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, target], options);
  return out;
}

const BASE = { hasMetrics: false, watchesMany: false, slow: false } as const;

export function productTool(product: readonly string[], version: string, binary: string | null): Tool {
  return {
    ...BASE,
    name: "config-reloader",
    kind: "product",
    setting: "defaults: target found by itself, verification on",
    lacks: "",
    hasMetrics: true,
    watchesMany: true,
    sizeBytes: binary ? Deno.statSync(binary).size : null,
    version,
    command: (place) => [
      ...product,
      ...(place.wholeDirectory ? ["--watched-dir", place.volume] : ["--config-file", place.file]),
      "--reload-url",
      `http://127.0.0.1:${place.appPort}/health/reload`,
      "--metrics-host",
      "127.0.0.1",
      "--metrics-port",
      String(place.metricsPort),
    ],
  };
}

function prometheusTools(binary: string): Tool[] {
  const tool = (setting: string, slow: boolean, extra: readonly string[]): Tool => ({
    ...BASE,
    name: "prometheus-config-reloader",
    kind: "peer",
    setting,
    lacks: "",
    slow,
    hasMetrics: true,
    watchesMany: true,
    sizeBytes: Deno.statSync(binary).size,
    version: GO_PEERS["prometheus-config-reloader"].version,
    command: (place) => [
      binary,
      // The file alone would go unnoticed after the first swap, so the directory is watched too.
      ...(place.wholeDirectory ? [] : ["--config-file", place.file]),
      "--watched-dir",
      place.volume,
      "--reload-method=signal",
      `--process-executable-name=${place.appName}`,
      `--runtimeinfo-url=http://127.0.0.1:${place.appPort}/api/v1/status/runtimeinfo`,
      `--listen-address=127.0.0.1:${place.metricsPort}`,
      ...extra,
    ],
  });
  return [
    tool("best: --delay-interval=1ms --watch-interval=5s", false, [
      "--delay-interval=1ms",
      "--watch-interval=5s",
      "--retry-interval=1s",
    ]),
    tool("defaults", true, []),
  ];
}

function reflexTool(binary: string): Tool {
  return {
    ...BASE,
    name: "reflex",
    kind: "peer",
    setting: "--all, kill -HUP by the shell's program",
    lacks: "no hash, no verification, no metrics",
    sizeBytes: Deno.statSync(binary).size,
    version: GO_PEERS.reflex.version,
    command: (place) => [
      "sh",
      "-c",
      `cd ${place.volume} && exec "$@"`,
      "sh",
      binary,
      "--all",
      "-r",
      "data",
      "--",
      "kill",
      "-HUP",
      String(place.appPid),
    ],
  };
}

function shellTool(): Tool {
  const script = `old=$(sha256sum <"$2")
inotifywait -mqe create -e moved_to -e close_write "$1" | while read -r _; do
  new=$(sha256sum <"$2") || continue
  [ "$new" = "$old" ] && continue
  old=$new
  kill -HUP "$3"
done`;
  return {
    ...BASE,
    name: "inotifywait loop",
    kind: "peer",
    setting: "shell: sha256sum, kill -HUP",
    lacks: "no verification, no retry, no metrics",
    sizeBytes: null,
    version: "inotify-tools",
    command: (place) => ["sh", "-c", script, "sh", place.volume, place.file, String(place.appPid)],
  };
}

function denoLeast(script: string): Tool {
  return {
    ...BASE,
    name: "least program in Deno",
    kind: "least",
    setting: "event, read, SHA-256, kill",
    lacks: "does nothing else",
    sizeBytes: null,
    version: Deno.version.deno,
    command: (place) => [
      Deno.execPath(),
      "run",
      "--no-config",
      "--quiet",
      "-A",
      "--v8-flags=--single-threaded",
      script,
      place.volume,
      place.file,
      String(place.appPid),
    ],
  };
}

function cLeast(binary: string): Tool {
  return {
    ...BASE,
    name: "least program in C",
    kind: "least",
    setting: "event, read, SHA-256, kill",
    lacks: "does nothing else",
    sizeBytes: Deno.statSync(binary).size,
    version: "cc -O2",
    command: (place) => [binary, place.volume, place.file, String(place.appPid)],
  };
}
