/** The code under test inside a test pod: reads one JSON request a line, calls the target port, answers in one line. */

import { createClock } from "../../src/clock.ts";
import type { Config } from "../../src/config.ts";
import type { WriteOut } from "../../src/ports.ts";
import { createTargetPort, type TargetFinder } from "../../src/target/target.ts";
import { createTestConfig } from "./config.ts";
import { readLines } from "./lines.ts";

const ports = new Map<string, TargetFinder>();

async function portOf(raw: Record<string, unknown>): Promise<TargetFinder> {
  const key = JSON.stringify(raw);
  let port = ports.get(key);
  if (!port) {
    ports.set(key, port = await createTargetPort(configOf(raw), { clock: createClock() }));
  }
  return port;
}

function configOf(raw: Record<string, unknown>): Config {
  const processCmdline = typeof raw.processCmdline === "string" ? new RegExp(raw.processCmdline) : null;
  // Most apps of these pods have no status URL: it is not waited for unless a test gives one.
  const verify = raw.reloadUrl === undefined ? "none" : "auto";
  return createTestConfig({ verify, ...raw, processCmdline });
}

/** What a command prints, and its exit code. */
async function printed(run: (write: WriteOut) => Promise<number>): Promise<{ code: number; text: string }> {
  let text = "";
  const code = await run((part) => Promise.resolve(void (text += part)));
  return { code, text };
}

// deno-lint-ignore no-explicit-any
async function answer(request: any): Promise<unknown> {
  const { verb, config, target, rounds, previous = null, taken = null, runChecks = false, args = [] } =
    request;
  const port = await portOf(config);
  switch (verb) {
    case "resolve": {
      const notes = new Map<number, string>();
      const resolution = port.resolve(previous, notes);
      const trace = Object.fromEntries([...notes].map(([pid, note]) => [pid, note.split("): ", 2)[1]!]));
      return { resolution, trace };
    }
    case "preflight":
      return port.preflight(port.resolve(null));
    case "send":
      return port.send(target);
    case "isAlive":
      return port.isAlive(target);
    case "staleMounts":
      return port.staleMounts(target);
    case "check": {
      const line = {
        config: configOf(config),
        warnings: [],
        taken,
        runChecks,
        environment: Deno.env.toObject(),
      };
      const { runCheck } = await import("../../src/commands/check.ts");
      return await printed((write) => runCheck(line, write));
    }
    case "ask": {
      const { parseCommandLine } = await import("../../src/cli/parse.ts");
      const { findRunningSidecar } = await import("../../src/commands/running_sidecar.ts");
      const line = parseCommandLine(args, Deno.env.toObject(), Deno.cwd(), findRunningSidecar());
      if (line.kind === "check") {
        const { runCheck } = await import("../../src/commands/check.ts");
        return await printed((write) => runCheck(line, write));
      }
      if (line.kind !== "healthcheck") throw new Error(JSON.stringify(line));
      const { runHealthcheck } = await import("../../src/commands/healthcheck.ts");
      return await printed((write) => runHealthcheck(line.config, write, line.taken));
    }
    case "measure": {
      const beforeUs = threadCpuUs();
      for (let round = 0; round < rounds; round++) port.resolve(null);
      return (threadCpuUs() - beforeUs) / rounds;
    }
  }
  throw new Error(`no verb ${verb}`);
}

/** Of this thread, without the time in which it waited for a processor. */
function threadCpuUs(): number {
  return Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[0]) / 1000;
}

async function reply(line: string): Promise<void> {
  const text = await answer(JSON.parse(line)).then(
    (value) => JSON.stringify({ value }),
    (error) => JSON.stringify({ error: String(error) }),
  );
  await Deno.stdout.write(new TextEncoder().encode(`${text}\n`));
}

let last = Promise.resolve();
await readLines(Deno.stdin.readable, (line) => void (last = last.then(() => reply(line))));
await last;
