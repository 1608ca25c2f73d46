/**
 * Real programs of Debian for the sidecar to look after, each on loopback ports in a temporary directory, its configuration in
 * a kubelet-style volume, and the sidecar beside them. Never started as a system service, never touching one.
 */

import assert from "node:assert/strict";
import { freePort, get, ready, type Sidecar, startSidecar } from "./scene.ts";
import { createKubeletVolume, type KubeletVolume, type Payload } from "./kubelet.ts";
import { until } from "./poll.ts";

/** A running program. */
export interface App extends AsyncDisposable {
  readonly dir: string;
  readonly volume: KubeletVolume;
  /** The watched file. */
  readonly file: string;
  readonly pid: number;
  readonly port: number;
  /** Base URL without a slash at its end. */
  readonly url: string;
  /** Name under which it runs, unlike that of every other process: other tests may run the same program. */
  readonly name: string;
  /** What it wrote to its standard error so far. */
  log(): string;
  isAlive(): boolean;
}

/** How to start a program. */
export interface AppRecipe {
  readonly program: string;
  /** Debian's package, or what else gives it. */
  readonly from?: string;
  readonly key: string;
  /** May use the directory and the port; the volume's first payload. */
  payload(dir: string, port: number): Payload;
  args(file: string, dir: string, port: number): string[];
  /** The path that answers once it is up, or another sign of it. */
  ready: string | ((app: Pick<App, "port" | "dir" | "log">) => Promise<boolean>);
  /** The user it runs as, where it refuses to be root. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

/** Starts a program. */
export async function startApp(recipe: AppRecipe): Promise<App> {
  const found = recipe.program.startsWith("/") ? recipe.program : await find(recipe.program, recipe.from);
  const dir = await Deno.makeTempDir({ prefix: "apps-" });
  await Deno.chmod(dir, 0o755);
  const port = freePort();
  const volume = createKubeletVolume(`${dir}/volume`, recipe.payload(dir, port));
  const file = volume.path(recipe.key);
  // Through a link, so that its name is its own. The kernel cuts it to 15 bytes.
  const name = `${recipe.program.split("/").at(-1)}-${crypto.randomUUID().slice(0, 8)}`;
  await Deno.symlink(found, `${dir}/${name}`);
  const child = new Deno.Command(`${dir}/${name}`, {
    args: recipe.args(file, dir, port),
    cwd: dir,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    ...recipe.user,
  }).spawn();
  let log = "";
  let alive = true;
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) log += decoder.decode(chunk, { stream: true });
  })();
  const ended = child.status.then(() => alive = false);
  const url = `http://127.0.0.1:${port}`;
  const app: App = {
    dir,
    volume,
    file,
    pid: child.pid,
    port,
    url,
    name,
    log: () => log,
    isAlive: () => alive,
    [Symbol.asyncDispose]: async () => {
      const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
      if (alive) child.kill("SIGTERM");
      await ended;
      clearTimeout(timer);
      await reading;
      await Deno.remove(dir, { recursive: true });
    },
  };
  try {
    await until(`${recipe.program} to be ready`, async () => {
      if (!alive) return true;
      if (typeof recipe.ready === "function") return await recipe.ready(app);
      return (await get(url + recipe.ready, 1000)) !== "";
    }, { everyMs: 50 });
    if (!alive) throw new Error(`${recipe.program} ended at once`);
  } catch (error) {
    await app[Symbol.asyncDispose]();
    throw new Error(`${(error as Error).message}\n${log}`);
  }
  return app;
}

/** `never`, since a second is long for an app that was started only just now. */
export const ALWAYS: readonly string[] = ["--interval", "500ms", "--reload-on-start", "never"];
/** The same, with retries that do not keep a test waiting. */
export const QUICK: readonly string[] = [...ALWAYS, "--retry-interval", "300ms", "--max-backoff", "600ms"];

/** Starts the sidecar with `args` beside an app and runs `fn`; an error has the app's log, too. */
export async function beside(
  app: Pick<App, "log">,
  args: readonly string[],
  fn: (sidecar: Sidecar) => Promise<void>,
): Promise<void> {
  await using sidecar = await startSidecar({ args });
  try {
    await ready(sidecar);
    await fn(sidecar);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n--- app:\n${app.log()}`, { cause: error });
  }
}

/** Waits until so many reloads are proved, no more, and the app runs what is on disk. */
export async function successes(sidecar: Sidecar, wanted: number): Promise<void> {
  await sidecar.metricIs("config_reload_successes_total", (value) => value >= wanted);
  assert.equal(await sidecar.metric("config_reload_successes_total"), wanted);
  assert.equal(await sidecar.metric("config_reload_in_sync"), 1);
}

/** Waits until a reload has ended like this, and the app does not run what is on disk. */
export async function ended(sidecar: Sidecar, outcome: string): Promise<void> {
  await sidecar.metricIs(`config_reload_outcomes_total{outcome="${outcome}"}`, (value) => value >= 1);
  assert.equal(await sidecar.metric("config_reload_in_sync"), 0);
}

/** @throws with what to install where a program is missing. */
async function find(program: string, from = `the package ${program}`): Promise<string> {
  const path = `${Deno.env.get("PATH") ?? "/usr/bin:/bin"}:/usr/sbin`;
  for (const dir of path.split(":")) {
    try {
      return await Deno.realPath(`${dir}/${program}`);
    } catch { /* not there */ }
  }
  throw new Error(`This test needs ${program}: install ${from}`);
}
