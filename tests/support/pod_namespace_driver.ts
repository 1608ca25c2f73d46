/** The code under test inside a test pod: reads one JSON request a line, calls the target port, answers in one line. */

import { createClock } from "../../src/clock.ts";
import type { Config } from "../../src/config.ts";
import { createTargetPort, type TargetFinder } from "../../src/target/target.ts";
import { createTestConfig } from "./config.ts";

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
      const { runCheck } = await import("../../src/commands/check.ts");
      let text = "";
      const write = (part: string) => Promise.resolve(void (text += part));
      return {
        code: await runCheck({
          config: configOf(config),
          warnings: [],
          taken,
          runChecks,
          environment: Deno.env.toObject(),
        }, write),
        text,
      };
    }
    case "ask": {
      const { parseCommandLine } = await import("../../src/cli/parse.ts");
      const { findRunningSidecar } = await import("../../src/commands/running_sidecar.ts");
      let text = "";
      const write = (part: string) => Promise.resolve(void (text += part));
      const line = parseCommandLine(args, Deno.env.toObject(), Deno.cwd(), findRunningSidecar());
      if (line.kind === "check") {
        const { runCheck } = await import("../../src/commands/check.ts");
        return { code: await runCheck(line, write), text };
      }
      if (line.kind !== "healthcheck") throw new Error(JSON.stringify(line));
      const { runHealthcheck } = await import("../../src/commands/healthcheck.ts");
      return { code: await runHealthcheck(line.config, write, line.taken), text };
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

let rest = "";
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n");
  rest = lines.pop()!;
  for (const line of lines) {
    let reply: unknown;
    try {
      reply = { value: await answer(JSON.parse(line)) };
    } catch (error) {
      reply = { error: String(error) };
    }
    await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(reply) + "\n"));
  }
}
