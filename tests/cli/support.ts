/** Shorthands of the command line's tests. */

import type { Config } from "../../src/config.ts";
import type { Environment } from "../../src/config.ts";
import { parseCommandLine } from "../../src/cli/parse.ts";

/** Directory against which the tests' relative paths count. */
export const CWD = "/work dir";

/** The parsed run; fails the test where it is none. */
export function run(args: readonly string[], environment: Environment = {}): {
  config: Config;
  warnings: readonly string[];
} {
  const line = parseCommandLine(args, environment, CWD);
  if (!("config" in line)) throw new Error(`${args.join(" ")}: ${JSON.stringify(line)}`);
  return { config: line.config, warnings: line.kind === "healthcheck" ? [] : line.warnings };
}

/** The usage message; fails the test where the command line is taken. */
export function usage(args: readonly string[], environment: Environment = {}): string {
  const line = parseCommandLine(args, environment, CWD);
  if (line.kind !== "usage") throw new Error(`${args.join(" ")} was taken as ${line.kind}`);
  return line.message;
}
