/**
 * What end-to-end tests share: a sidecar, an app and a volume on this machine, started under whatever makes the fault
 * (a tracer, a control group, another user). It must never hide an error of the sidecar: every line it wrote is kept.
 */

import { createKubeletVolume, type KubeletVolume } from "./kubelet.ts";
import { clearlyLater, ownMs, until, WAIT_MS } from "./poll.ts";
import { attempt, type Ran, ROOT } from "./run.ts";
import { startTargetApp, type TargetApp, type TargetAppOptions } from "./target_app.ts";

/** The compiled binary under test, or null where the program runs from source. */
export const BINARY: string | null = Deno.env.get("CONFIG_RELOADER_BIN") ?? null;

/** Program and first arguments of the product. */
export const PRODUCT: readonly string[] = BINARY === null
  ? [Deno.execPath(), "run", "--no-prompt", "--quiet", "-A", `${ROOT}/main.ts`]
  : [BINARY];

/** The tests' own environment, without the variable that the sidecar would warn about. */
const { CONFIG_RELOADER_BIN: _, ...ENVIRONMENT } = Deno.env.toObject();

/** A running sidecar; it is stopped at the end of the scope. */
export interface Sidecar extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  readonly status: Promise<Deno.CommandStatus>;
  /** What it wrote to standard error so far. */
  log(): string;
  /** It has ended, and nothing more comes of it: what is waited for is looked at once more, and no longer. */
  isOver(): boolean;
  /** Waits until the log holds `text`. */
  logged(text: string, timeoutMs?: number): Promise<void>;
  /** The value of a metric; labels as in the exposition. */
  metric(name: string): Promise<number>;
  /** Waits until a metric has this value, or one that passes. */
  metricIs(name: string, wanted: number | ((value: number) => boolean), timeoutMs?: number): Promise<number>;
  /** Milliseconds until `/healthz` answered with 200, by `ownMs`. @throws if they are more than `limitMs`. */
  healthz(limitMs?: number): Promise<number>;
  kill(signal: Deno.Signal): void;
  /** Waits for its end and returns the exit code. What must end at once is given an hour by its flags, and no bound here. */
  ended(): Promise<number>;
  stop(): Promise<Deno.CommandStatus>;
}

/** How a sidecar is started. */
export interface SidecarOptions {
  readonly args: readonly string[];
  /** Put before the program: `["setpriv", …]`. The last program must be reached by exec, so that the PID stays. */
  readonly prefix?: readonly string[];
  /** Instead of the product itself, for a program elsewhere. */
  readonly product?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly clearEnv?: boolean;
  /** `ignored`: a pipe that nobody reads. `closed`: a pipe whose reader is gone. */
  readonly stderr?: "read" | "ignored" | "closed";
  readonly port?: number;
}

/** Runs the product to its end. */
export async function runProduct(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  prefix: readonly string[] = [],
): Promise<Ran> {
  const [program, ...rest] = [...prefix, ...PRODUCT, ...args];
  return await attempt(program!, rest, { env: { CONFIG_RELOADER_BIN: "", ...env } });
}

/** Starts the sidecar; does not wait until it is ready. */
export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const port = options.port ?? freePort();
  const all = [
    ...(options.prefix ?? []),
    ...(options.product ?? PRODUCT),
    "--metrics-host",
    "127.0.0.1",
    "--metrics-port",
    String(port),
    ...options.args,
  ];
  const child = new Deno.Command(all[0]!, {
    args: all.slice(1),
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    env: { ...(options.clearEnv ? {} : ENVIRONMENT), ...options.env },
    clearEnv: true,
  }).spawn();
  let log = "";
  let ended: Deno.CommandStatus | null = null;
  child.status.then((status) => ended = status);
  let reading: Promise<void> = Promise.resolve();
  if (options.stderr === "closed") await child.stderr.cancel();
  else if (options.stderr !== "ignored") {
    reading = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stderr) log += decoder.decode(chunk, { stream: true });
    })();
  }
  const metric = async (name: string) => {
    const text = await get(`http://127.0.0.1:${port}/metrics`);
    const line = text.split("\n").find((l) => l.startsWith(`${name} `));
    if (line === undefined) throw new Error(`There is no metric ${name} in:\n${text}`);
    return Number(line.slice(name.length + 1));
  };
  const kill = (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch { /* already gone */ }
  };
  const stop = async () => {
    kill("SIGCONT");
    kill("SIGTERM");
    const timer = setTimeout(() => kill("SIGKILL"), WAIT_MS);
    const status = await child.status;
    clearTimeout(timer);
    if (options.stderr === "ignored") await child.stderr.cancel();
    await reading;
    return status;
  };
  const sidecar: Sidecar = {
    pid: child.pid,
    port,
    status: child.status,
    log: () => log,
    isOver: () => ended !== null,
    logged: async (text, timeoutMs = WAIT_MS) => {
      await untilSeen([sidecar], `"${text}" in the log`, () => log.includes(text), timeoutMs);
    },
    metric,
    metricIs: (name, wanted, timeoutMs = WAIT_MS) =>
      untilSeen([sidecar], `${name} to be as wanted`, async () => {
        const value = await metric(name);
        if (typeof wanted === "number" ? value === wanted : wanted(value)) return { value };
        throw new Error(`${name} is ${value}`);
      }, timeoutMs).then(({ value }) => value),
    healthz: async (limitMs = 1000) => {
      const took = await ownMs(child.pid, () => get(`http://127.0.0.1:${port}/healthz`, WAIT_MS));
      if (took > limitMs) throw new Error(`/healthz took ${took} ms, at most ${limitMs} are allowed`);
      return took;
    },
    kill,
    ended: async () => (await untilSeen([sidecar], "the end", () => ended)).code,
    stop,
    [Symbol.asyncDispose]: async () => void await stop(),
  };
  return sidecar;
}

/** Polls as `until`; at most once more where all these sidecars have ended. The error has their logs. */
async function untilSeen<T>(
  sidecars: readonly Sidecar[],
  what: string,
  probe: () => T | Promise<T>,
  timeoutMs = WAIT_MS,
): Promise<NonNullable<T>> {
  const isOver = () => sidecars.length > 0 && sidecars.every((sidecar) => sidecar.isOver());
  return await until(what, probe, { timeoutMs, everyMs: 20, isOver }).catch((error) => {
    const logs = sidecars.map((sidecar) => `\n--- a sidecar's log:\n${sidecar.log()}`);
    throw new Error((error as Error).message + logs.join(""));
  });
}

/** Starts the sidecar and waits until it is ready. */
export async function startReady(options: SidecarOptions): Promise<Sidecar> {
  const sidecar = await startSidecar(options);
  await ready(sidecar);
  return sidecar;
}

/** A program that stands for an app; killed at the end of the scope. */
export function startProgram(
  program: string,
  args: readonly string[],
): AsyncDisposable & { readonly pid: number } {
  const child = new Deno.Command(program, { args: [...args], stdin: "null" }).spawn();
  return {
    pid: child.pid,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

/** Gets a URL's body; the connection is closed afterwards. @throws unless it is 200 within `timeoutMs`. */
export async function get(url: string, timeoutMs = 30_000): Promise<string> {
  const response = await fetch(url, {
    signal: AbortSignal.timeout(timeoutMs),
    headers: { connection: "close" },
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}: ${text}`);
  return text;
}

/** A sidecar with its app and volume. */
export interface Scene extends AsyncDisposable {
  readonly dir: string;
  readonly volume: KubeletVolume;
  /** The watched file: a key of the volume, or a plain file. */
  readonly file: string;
  readonly app: TargetApp;
  /** Starts the sidecar with the scene's app and file, and settings that make tests short. */
  start(options?: Partial<SidecarOptions>): Promise<Sidecar>;
  /** The same, and waits until it is ready. */
  begin(options?: Partial<SidecarOptions>): Promise<Sidecar>;
  /** Swaps in new content with this text (a plain file is replaced by rename); returns its SHA-256. */
  swap(text: string): Promise<string>;
  /** Waits until the app runs the content with this hash. */
  applied(hash: string, timeoutMs?: number): Promise<void>;
}

/** The flags of a scene's sidecar; one that a test sets itself is left out. */
const DEFAULT_ARGS = (file: string, app: TargetApp): string[][] => [
  ["--config-file", file],
  ["--reload-url", app.url],
  ["--pid", String(app.pid)],
  ["--interval", "500ms"],
  ["--retry-interval", "300ms"],
  ["--max-backoff", "600ms"],
  ["--min-reload-interval", "0s"],
];

/** Makes a scene; `dir` has the volume. Everything is ended and removed at the end of the scope. */
export async function createScene(
  options: { app?: Partial<TargetAppOptions>; plain?: boolean } = {},
): Promise<Scene> {
  const dir = await Deno.makeTempDir({ prefix: "faults-" });
  await Deno.chmod(dir, 0o755);
  const volume = createKubeletVolume(`${dir}/volume`, { "config.yaml": "version: 0\n" });
  const file = options.plain ? `${dir}/plain.yaml` : volume.path("config.yaml");
  if (options.plain) await Deno.writeTextFile(file, "version: 0\n");
  // Closer together than the clocks of files and processes can tell, the app might not have read the first content.
  await clearlyLater();
  const app = await startTargetApp({ config: file, ...options.app });
  const sidecars: Sidecar[] = [];
  const start = async (more: Partial<SidecarOptions> = {}) => {
    const own = more.args ?? [];
    const args = DEFAULT_ARGS(file, app)
      .filter(([flag]) => flag === "--config-file" || !own.some((arg) => arg.split("=")[0] === flag))
      .flat()
      .concat(own);
    const sidecar = await startSidecar({ ...more, args });
    sidecars.push(sidecar);
    return sidecar;
  };
  return {
    dir,
    volume,
    file,
    app,
    start,
    begin: async (more) => {
      const sidecar = await start(more);
      await ready(sidecar);
      return sidecar;
    },
    swap: async (text) => {
      if (options.plain) {
        await Deno.writeTextFile(`${dir}/new`, text);
        await Deno.rename(`${dir}/new`, file);
      } else volume.swap({ "config.yaml": text });
      return await sha256(text);
    },
    applied: async (hash, timeoutMs = WAIT_MS) => {
      await untilSeen(sidecars, `the app to run ${hash.slice(0, 12)}`, async () => {
        const counts = await app.counts();
        if (counts.hash === hash) return true;
        throw new Error(`it runs ${counts.hash?.slice(0, 12)}, ${counts.signals} signals, ${counts.status}`);
      }, timeoutMs);
    },
    [Symbol.asyncDispose]: async () => {
      for (const sidecar of sidecars) await sidecar.stop();
      await app.stop();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

/** Waits until `/readyz` says so. */
export async function ready(sidecar: Sidecar, timeoutMs = WAIT_MS): Promise<number> {
  const began = performance.now();
  const url = `http://127.0.0.1:${sidecar.port}/readyz`;
  await untilSeen([sidecar], "/readyz", async () => (await get(url)) !== "", timeoutMs);
  return performance.now() - began;
}

/** So many zeros as gzip: a thousandth of that. */
export async function gzipZeros(sizeBytes: number): Promise<Uint8Array> {
  const pieceBytes = 1048576;
  let left = sizeBytes;
  const zeros = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => {
      if (left <= 0) return controller.close();
      controller.enqueue(new Uint8Array(Math.min(left, pieceBytes)));
      left -= pieceBytes;
    },
  }, { highWaterMark: 0 });
  return await new Response(zeros.pipeThrough(new CompressionStream("gzip"))).bytes();
}

/** SHA-256 of a text as 64 hex digits. */
export async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}

/** A tracer that makes system calls of a running process fail, until it is ended. */
export interface Tracer {
  end(): Promise<void>;
}

/**
 * Attaches strace to a process and all its threads with the given `inject=` expressions; returns once it is attached.
 * @throws where strace is missing.
 */
export async function inject(
  pid: number,
  expressions: readonly string[],
  onlyPath?: string,
): Promise<Tracer> {
  requireProgram("strace", "the package strace");
  const calls = expressions.map((expression) => expression.split(":")[0]!).join(",");
  const child = new Deno.Command("strace", {
    args: [
      "-f",
      "-p",
      String(pid),
      "-o",
      "/dev/null",
      ...(onlyPath ? ["-P", onlyPath] : []),
      "-e",
      `trace=${calls}`,
      ...expressions.flatMap((expression) => ["-e", `inject=${expression}`]),
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await until("the tracer to attach", () => {
    const traced = [...Deno.readDirSync(`/proc/${pid}/task`)].map((entry) => {
      const status = Deno.readTextFileSync(`/proc/${pid}/task/${entry.name}/status`);
      return Number(/TracerPid:\t(\d+)/.exec(status)?.[1]);
    });
    return traced.every((tracer) => tracer === child.pid);
  });
  return {
    end: async () => {
      try {
        child.kill("SIGINT"); // detaches
      } catch { /* it ended with the process that it traced */ }
      await child.status;
    },
  };
}

/** @throws with what to install where a program is missing. */
export function requireProgram(program: string, install: string): void {
  const path = Deno.env.get("PATH") ?? "/usr/bin:/bin";
  const found = path.split(":").some((dir) => {
    try {
      return Deno.statSync(`${dir}/${program}`).isFile;
    } catch {
      return false;
    }
  });
  if (!found) throw new Error(`This test needs ${program}: install ${install}`);
}

/** @throws where the tests do not run as root. */
export function requireRoot(why: string): void {
  if (Deno.uid() !== 0) throw new Error(`This test needs root: ${why}`);
}

/** A port that was free a moment ago. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
