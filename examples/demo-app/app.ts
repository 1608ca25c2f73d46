// deno-lint-ignore-file no-console -- what it prints is its output
/**
 * A small real application to try config-reloader with: it reads a configuration file at its start and again at
 * SIGHUP, refuses a bad one and goes on with the old one, and tells at `/health/reload` how its last reload went.
 *
 * Usage: deno run -A examples/demo-app/app.ts CONFIG_FILE [PORT]
 */

interface Settings {
  readonly greeting: string;
  readonly workers: number;
}

const [configFile, portText = "0"] = Deno.args;
if (configFile === undefined) {
  console.error("usage: app.ts CONFIG_FILE [PORT]");
  Deno.exit(2);
}

/** Lines of `key: value`; `greeting` must be there and `workers` must be 1 to 64. @throws what is wrong, and where. */
function parseSettings(text: string): Settings {
  const values = new Map<string, string>();
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const match = /^(\w+):\s*(.*)$/.exec(line);
    if (!match) throw new Error(`line ${index + 1}: want "key: value", got "${line}"`);
    values.set(match[1]!, match[2]!);
  }
  const greeting = values.get("greeting");
  if (!greeting) throw new Error("greeting is missing");
  const workers = Number(values.get("workers") ?? "1");
  if (!Number.isInteger(workers) || workers < 1 || workers > 64) {
    throw new Error(`workers: want 1 to 64, got "${values.get("workers")}"`);
  }
  return { greeting, workers };
}

const log = (text: string) => console.log(text);
let settings = parseSettings(await Deno.readTextFile(configFile));
const reload = {
  healthy: true,
  status: "initial",
  version: 1,
  attempts: 0,
  last_reload_time: new Date().toISOString(),
};

async function reloadSettings(): Promise<void> {
  try {
    const next = parseSettings(await Deno.readTextFile(configFile!));
    const same = JSON.stringify(next) === JSON.stringify(settings);
    settings = next;
    reload.status = same ? "no_changes" : "success";
    reload.healthy = true;
    if (!same) reload.version++;
    log(`reloaded: greeting is "${settings.greeting}", ${settings.workers} workers`);
  } catch (error) {
    reload.status = "validation_failed";
    reload.healthy = false;
    log(`refused the new config, going on with the old one: ${(error as Error).message}`);
  }
  reload.last_reload_time = new Date().toISOString();
  // Last, so that whoever sees the new count sees the new status, too.
  reload.attempts++;
}

Deno.addSignalListener("SIGHUP", () => {
  log("got SIGHUP");
  reloadSettings();
});
Deno.addSignalListener("SIGTERM", () => Deno.exit(0));

Deno.serve({
  port: Number(portText),
  // A port that is given is for a pod, whose Service comes to its address; without one it is a demo on somebody's machine.
  hostname: portText === "0" ? "127.0.0.1" : "0.0.0.0",
  onListen: ({ port }) =>
    log(`listening on http://127.0.0.1:${port}, PID ${Deno.pid}, greeting is "${settings.greeting}"`),
}, async (request) => {
  const { pathname } = new URL(request.url);
  if (pathname === "/health/reload") {
    return Response.json({ ...reload, split_state: false, restart_required: [] }, {
      status: reload.healthy ? 200 : 503,
    });
  }
  if (pathname === "/-/reload" && request.method === "POST") {
    await reloadSettings();
    return new Response(`${reload.status}\n`, { status: reload.healthy ? 200 : 500 });
  }
  return new Response(`${settings.greeting}\n`);
});
