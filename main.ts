/**
 * The composition root: command line → command → exit code. No logic; the only place that exits.
 *
 * @module
 */

import { parseCommandLine } from "./src/cli/parse.ts";
import { runSidecar } from "./src/commands/run.ts";
import { findMissingPermissions } from "./src/commands/permissions.ts";
import { forgetProxies } from "./src/http/request.ts";

const EXIT_FAULT = 1;
const EXIT_USAGE = 2;

/**
 * Writes one text and waits until it is out: `Deno.exit` would cut it off. The exit code tells what the command found, also
 * where nobody reads it (`healthcheck | true`) or it cannot be written.
 */
async function write(stream: typeof Deno.stdout | typeof Deno.stderr, text: string): Promise<void> {
  try {
    let bytes = new TextEncoder().encode(text);
    while (bytes.length > 0) bytes = bytes.subarray(await stream.write(bytes));
  } catch (error) {
    if (stream !== Deno.stdout || error instanceof Deno.errors.BrokenPipe) return;
    await write(
      Deno.stderr,
      `config-reloader: cannot write to standard output: ${(error as Error).message}\n`,
    );
  }
}

/** The sidecar of this container, for the commands that ask about it. */
async function findRunning() {
  if (!Deno.args.some((arg) => arg === "check" || arg === "healthcheck")) return null;
  const { findRunningSidecar } = await import("./src/commands/running_sidecar.ts");
  return findRunningSidecar();
}

async function main(): Promise<number> {
  const missing = findMissingPermissions();
  if (missing) {
    await write(Deno.stderr, `config-reloader: ${missing}\n`);
    return EXIT_FAULT;
  }
  // Whole, for `$(VAR)` and the check command.
  const environment = Deno.env.toObject();
  forgetProxies();
  const line = parseCommandLine(Deno.args, environment, Deno.cwd(), await findRunning());
  switch (line.kind) {
    case "usage":
      await write(Deno.stderr, `config-reloader: ${line.message}\n`);
      return EXIT_USAGE;
    case "print":
      await write(Deno.stdout, await line.render());
      return 0;
    case "run":
      return await runSidecar(line.config, line.warnings, environment);
    case "check": {
      const { runCheck } = await import("./src/commands/check.ts");
      return await runCheck(line, (text) => write(Deno.stdout, text));
    }
    case "healthcheck": {
      const { runHealthcheck } = await import("./src/commands/healthcheck.ts");
      return await runHealthcheck(line.config, (text) => write(Deno.stdout, `${text}\n`), line.taken);
    }
  }
}

// A fault of ours that nobody caught: log it and end, so that the container is started again.
globalThis.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  const text = event.reason instanceof Error ? event.reason.stack : event.reason;
  write(Deno.stderr, `config-reloader: internal error: ${text}\n`).finally(() => Deno.exit(EXIT_FAULT));
});

Deno.exit(await main());
