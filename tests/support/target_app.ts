/**
 * A small real app for the sidecar to look after, as its own process: it reads a config file at its start and on
 * SIGHUP, and tells at `/health/reload` how that went, in the format of AMP. It keeps to Deno's own API so that it
 * starts fast, and can be told to be slow, to reject, to hang or to die. It must never decide that a test failed.
 *
 * Start it with `startTargetApp({ config, … })` from a test, or by hand:
 *
 *     deno run -A tests/support/target_app.ts --config FILE [--port N] [--log FILE] [--mode MODE] …
 *
 * | Option | Meaning |
 * |---|---|
 * | `--config FILE` | file to read; content with the word `REJECT` in it is rejected (`validation_failed`) |
 * | `--port N` | port of `/health/reload` on 127.0.0.1; 0 (default) picks a free one |
 * | `--log FILE` | one JSON line an event, appended: `{"event":"ready"\|"signal"\|"reload"\|…,"ms":…,"n":…,"status":…,"hash":…}` |
 * | `--mode ok` | reload at once (default) |
 * | `--mode reject` | reject every reload, whatever the content |
 * | `--mode ignore` | take the signal and do nothing: `attempts` never grows |
 * | `--mode hang` | reload, but `/health/reload` accepts and never answers |
 * | `--mode down` | no status server at all |
 * | `--mode die` | exit 1 at the signal; `die-later`: 500 ms after it |
 * | `--mode rollback` | `success` first, `rolled_back` from 50 ms after it |
 * | `--mode restart-required` | success, with a non-empty `restart_required` |
 * | `--mode split` | success, with `split_state` true |
 * | `--mode prometheus` | answers the text format with `…_config_last_reload_successful` and its timestamp |
 * | `--reload-ms N` | time between the signal and the end of the reload (0) |
 *
 * On standard output it prints one line when ready: `ready port=N pid=N`. `POST /control` with
 * `{"mode":…,"reloadMs":…}` changes options while it runs; `GET /control` answers with its counts. SIGTERM ends it with exit code 0.
 */

/** The options of one app; see the table at the top of this file. */
export interface TargetAppOptions {
  readonly config: string;
  readonly port?: number;
  readonly log?: string;
  readonly mode?: TargetAppMode;
  readonly reloadMs?: number;
  /** How to start it, for another user, cgroup or namespace: `["setpriv", "--reuid=65532", …]`. */
  readonly prefix?: readonly string[];
}

/** What the app does with a reload. */
export type TargetAppMode =
  | "ok"
  | "reject"
  | "ignore"
  | "hang"
  | "down"
  | "die"
  | "die-later"
  | "rollback"
  | "restart-required"
  | "split"
  | "prometheus";

/** What `GET /control` tells. */
export interface TargetAppCounts {
  readonly signals: number;
  readonly attempts: number;
  readonly successes: number;
  readonly status: string;
  /** SHA-256 of the content that the app runs; null before the first good read. */
  readonly hash: string | null;
  readonly running: number;
  /** Reloads that were asked for while another was still going on. */
  readonly overlaps: number;
}

/** A running app. */
export interface TargetApp extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  /** The URL to give to `--reload-url`. */
  readonly url: string;
  readonly status: Promise<Deno.CommandStatus>;
  counts(): Promise<TargetAppCounts>;
  /** Changes options while it runs. */
  control(change: { mode?: TargetAppMode; reloadMs?: number }): Promise<void>;
  kill(signal: Deno.Signal): void;
  /** Ends it with SIGKILL if need be, and waits for its end. */
  stop(): Promise<void>;
}

/**
 * Starts the app and waits until it is ready.
 * @throws if it ends before it is ready.
 */
export async function startTargetApp(options: TargetAppOptions): Promise<TargetApp> {
  const [program = Deno.execPath(), ...before] = options.prefix ?? [];
  const self = [Deno.execPath(), "run", "--no-config", "--no-check", "-A", "--quiet", import.meta.filename!];
  const args = options.prefix ? [...before, ...self] : self.slice(1);
  const { prefix: _, ...flags } = options;
  for (const [name, value] of Object.entries(flags)) {
    if (value !== undefined) args.push(`--${name.replace("Ms", "-ms")}`, String(value));
  }
  const child = new Deno.Command(program, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
    env: { DENO_V8_FLAGS: "--single-threaded", DENO_NO_UPDATE_CHECK: "1" },
  }).spawn();
  const line = await firstLine(child.stdout);
  const match = /^ready port=(\d+) pid=(\d+)$/.exec(line);
  if (!match) {
    const { code } = await child.status;
    throw new Error(`The target app ended before it was ready: exit code ${code}, first line "${line}"`);
  }
  const port = Number(match[1]);
  const base = `http://127.0.0.1:${port}`;
  const kill = (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch { /* already gone */ }
  };
  const stop = async () => {
    kill("SIGCONT");
    kill("SIGKILL");
    await child.status;
  };
  return {
    pid: Number(match[2]),
    port,
    url: `${base}/health/reload`,
    status: child.status,
    counts: async () => await (await fetch(`${base}/control`)).json() as TargetAppCounts,
    control: async (change) => {
      const response = await fetch(`${base}/control`, { method: "POST", body: JSON.stringify(change) });
      await response.body?.cancel();
    },
    kill,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** First line of a stream; the rest is not read (the app prints nothing more). */
async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  await reader.cancel();
  return text.split("\n")[0]!;
}

/** The state of the app in its own process. */
interface AppState {
  mode: TargetAppMode;
  reloadMs: number;
  signals: number;
  attempts: number;
  successes: number;
  running: number;
  overlaps: number;
  status: string;
  hash: string | null;
  lastReload: string | null;
  lastSuccessMs: number;
  /** The last reading of the configuration. */
  reading: Promise<Reading>;
}

interface Reading {
  readonly ok: boolean;
  readonly readable: boolean;
  readonly hash: string;
}

if (import.meta.main) await main(Deno.args);

async function main(args: readonly string[]): Promise<void> {
  const options = new Map<string, string>();
  for (let i = 0; i < args.length; i += 2) options.set(args[i]!, args[i + 1] ?? "");
  const config = options.get("--config") ?? "";
  const logPath = options.get("--log");
  const number = (name: string) => Number(options.get(name) ?? 0);
  const reading = readConfig(config);
  const first = await reading;
  const state: AppState = {
    mode: (options.get("--mode") ?? "ok") as TargetAppMode,
    reloadMs: number("--reload-ms"),
    signals: 0,
    attempts: 0,
    successes: 0,
    running: 0,
    overlaps: 0,
    status: "initial",
    hash: first.ok ? first.hash : null,
    lastReload: null,
    lastSuccessMs: Date.now(),
    reading,
  };
  const log = (event: string, extra: Record<string, unknown> = {}) => {
    if (!logPath) return;
    const line = JSON.stringify({ event, ms: Date.now(), pid: Deno.pid, ...extra });
    Deno.writeTextFileSync(logPath, line + "\n", { append: true });
  };
  const onHangup = () => {
    state.signals++;
    log("signal", { n: state.signals });
    void reload(state, config, log);
  };
  Deno.addSignalListener("SIGHUP", onHangup);
  Deno.addSignalListener("SIGTERM", () => Deno.exit(0));
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: number("--port"), onListen: () => {} },
    (request) => answer(request, state),
  );
  const ready = `ready port=${server.addr.port} pid=${Deno.pid}\n`;
  log("ready", { hash: state.hash });
  Deno.stdout.writeSync(new TextEncoder().encode(ready));
  if (state.mode === "down") await server.shutdown();
  setInterval(() => {}, 60_000);
}

async function reload(
  state: AppState,
  config: string,
  log: (event: string, extra?: Record<string, unknown>) => void,
): Promise<void> {
  if (state.mode === "die") Deno.exit(1);
  if (state.mode === "die-later") setTimeout(() => Deno.exit(1), 500);
  if (state.mode === "ignore") return;
  if (state.running > 0) state.overlaps++;
  state.running++;
  if (state.reloadMs > 0) await new Promise((resolve) => setTimeout(resolve, state.reloadMs));
  // One after the other: hashing ends in any order, and the later of two reloads decides.
  const next = await (state.reading = state.reading.then(() => readConfig(config)));
  state.running--;
  const rejected = state.mode === "reject" || !next.ok;
  if (!rejected) {
    state.status = next.hash === state.hash ? "no_changes" : "success";
    state.hash = next.hash;
    state.successes++;
    state.lastSuccessMs = Date.now();
  } else state.status = next.readable ? "validation_failed" : "load_failed";
  state.lastReload = new Date().toISOString();
  state.attempts++;
  if (state.mode === "rollback") setTimeout(() => state.status = "rolled_back", 50);
  log("reload", { n: state.attempts, status: state.status, hash: next.hash });
}

async function readConfig(path: string): Promise<Reading> {
  try {
    const bytes = Deno.readFileSync(path);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const hash = digest.toHex();
    return { ok: !new TextDecoder().decode(bytes).includes("REJECT"), readable: true, hash };
  } catch {
    return { ok: false, readable: false, hash: "" };
  }
}

async function answer(request: Request, state: AppState): Promise<Response> {
  if (new URL(request.url).pathname === "/control") return await control(request, state);
  if (state.mode === "hang") await new Promise(() => {});
  const successful = state.status !== "validation_failed" && state.status !== "load_failed";
  if (state.mode === "prometheus") {
    return new Response(
      `app_config_last_reload_successful ${successful ? 1 : 0}\n` +
        `app_config_last_reload_success_timestamp_seconds ${state.lastSuccessMs / 1000}\n`,
      { headers: { "content-type": "text/plain; version=0.0.4" } },
    );
  }
  const healthy = successful && state.status !== "rolled_back" && state.mode !== "split";
  return Response.json({
    healthy,
    status: state.status,
    version: state.successes + 1,
    attempts: state.attempts,
    last_reload_time: state.lastReload,
    split_state: state.mode === "split" && state.attempts > 0,
    restart_required: state.mode === "restart-required" && state.attempts > 0
      ? [{ code: "W600", component: "server", fields: ["port"] }]
      : [],
  }, { status: healthy ? 200 : 503 });
}

async function control(request: Request, state: AppState): Promise<Response> {
  if (request.method === "POST") Object.assign(state, await request.json());
  const { signals, attempts, successes, status, hash, running, overlaps } = state;
  return Response.json({ signals, attempts, successes, status, hash, running, overlaps });
}
