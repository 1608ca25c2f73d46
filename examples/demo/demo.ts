// deno-lint-ignore-file no-console -- what it prints is its output
/**
 * `deno task demo`: a real app, a volume laid out as kubelet does it, and the sidecar, each its own process. Swaps the
 * config three times and shows what both say. Exit code 0 only if everything happened as expected.
 * `--keep` leaves all of it running, to be played with.
 */

import { readFlags } from "../../scripts/command_line.ts";
import { createKubeletVolume } from "../../tests/support/kubelet.ts";
import { clearlyLater, until } from "../../tests/support/poll.ts";
import { readLines } from "../../tests/support/lines.ts";

const root = new URL("../../", import.meta.url).pathname;
const { keep = false } = readFlags(
  "usage: deno task demo [--keep]\n  --keep   leave app, volume and sidecar running, to be played with",
  { keep: { type: "boolean" } },
);
const dir = Deno.makeTempDirSync({ prefix: "config-reloader-demo-" });
const says: Record<"app" | "sidecar", string[]> = { app: [], sidecar: [] };
const children: Deno.ChildProcess[] = [];

function start(name: "app" | "sidecar", command: string, args: string[]): void {
  const child = new Deno.Command(command, { args, cwd: root, stdout: "piped", stderr: "piped" }).spawn();
  children.push(child);
  const show = (line: string) => {
    says[name].push(line);
    console.log(`${name === "app" ? "    app" : "sidecar"} │ ${line}`);
  };
  readLines(child.stdout, show);
  readLines(child.stderr, show);
}

function tell(text: string): void {
  console.log(`\n▶ ${text}`);
}

/** Waits for a line that matches, not looking at earlier ones than the `from`-th. */
function line(name: "app" | "sidecar", pattern: RegExp, from = 0): Promise<RegExpExecArray> {
  return until(`a line ${pattern} of the ${name}`, () => {
    for (const text of says[name].slice(from)) {
      const match = pattern.exec(text);
      if (match) return match;
    }
  }, { timeoutMs: 15_000 });
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(url)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

async function greetingOf(app: string): Promise<string> {
  return (await (await fetch(app)).text()).trim();
}

async function demo(): Promise<void> {
  const volume = createKubeletVolume(`${dir}/etc/demo`, { "config.yaml": "greeting: hello\nworkers: 2\n" });
  const file = volume.path("config.yaml");
  // Else the app might not have read it, and the first signal would be for that.
  await clearlyLater();

  tell("An app with its config in a volume as kubelet lays it out:");
  start("app", Deno.execPath(), ["run", "-A", "--quiet", "examples/demo-app/app.ts", file]);
  const app = (await line("app", /listening on (\S+),/))[1]!;

  tell("The sidecar beside it. Look at the target that it found:");
  // Quiet: the first run would show what Deno downloads among the sidecar's lines.
  const [command, ...args] =
    (Deno.env.get("CONFIG_RELOADER_BIN") ?? `${Deno.execPath()} run -A --quiet main.ts`)
      .split(" ");
  start("sidecar", command!, [
    ...args,
    `--config-file=${file}`,
    `--reload-url=${app}/health/reload`,
    `--process-cmdline=demo-app/app\\.ts ${file}`,
    "--metrics-port=0",
    "--retry-interval=30s",
  ]);
  const port = (await line("sidecar", /Serving .* on port (\d+)/))[1]!;
  const url = `http://127.0.0.1:${port}/metrics`;
  await line("sidecar", /Target: PID/);
  await until("the sidecar to be in sync", async () => await metric(url, "config_reload_in_sync") === 1);

  tell("A good change: one swap, one signal, and the app's own counter as the proof.");
  let from = says.sidecar.length;
  volume.swap({ "config.yaml": "greeting: good morning\nworkers: 4\n" });
  await line("sidecar", /Reload successful/, from);
  const greetings = [await greetingOf(app)];

  tell("A change that the app refuses. The sidecar says so, and the app lives on with the old config.");
  from = says.sidecar.length;
  volume.swap({ "config.yaml": "greeting: good evening\nworkers: many\n" });
  await line("sidecar", /Reload rejected by the app: validation_failed/, from);

  tell("The fix. It goes at once, without waiting for the retry.");
  from = says.sidecar.length;
  volume.swap({ "config.yaml": "greeting: good evening\nworkers: 8\n" });
  await line("sidecar", /Reload successful/, from);
  greetings.push(await greetingOf(app));

  tell("What Prometheus sees:");
  for (const text of (await (await fetch(url)).text()).split("\n")) {
    if (/^config_reload_(attempts|successes|failures|outcomes)_total|^config_reload_in_sync/.test(text)) {
      console.log(`        │ ${text}`);
    }
  }
  const counts = [
    await metric(url, "config_reload_successes_total"),
    await metric(url, "config_reload_failures_total"),
    await metric(url, "config_reload_in_sync"),
  ];
  if (`${counts}` !== "2,1,1" || `${greetings}` !== "good morning,good evening") {
    throw new Error(
      `wanted 2 successes, 1 failure, in sync, "good morning" and then "good evening", got ${counts} and "${greetings}"`,
    );
  }
  if (keep) await play(file, app, port);
}

/** Leaves everything running until Ctrl-C. */
async function play(file: string, app: string, port: string): Promise<void> {
  tell(`It keeps running. Edit the file, look at the pages, end with Ctrl-C.
    config file   ${file}
    the app       ${app}/   ${app}/health/reload
    the sidecar   http://127.0.0.1:${port}/   http://127.0.0.1:${port}/metrics   http://127.0.0.1:${port}/status`);
  await new Promise<void>((resolve) => {
    Deno.addSignalListener("SIGINT", resolve);
    Deno.addSignalListener("SIGTERM", resolve);
  });
}

let code = 0;
try {
  await demo();
  tell("Everything happened as expected.");
} catch (error) {
  console.error(`\n✗ ${(error as Error).message}`);
  code = 1;
} finally {
  for (const child of children.reverse()) {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
    await child.status;
  }
  Deno.removeSync(dir, { recursive: true });
}
Deno.exit(code);
