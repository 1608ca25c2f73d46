/**
 * The command line as a whole: arguments and environment in, what to do out. Pure; only `main.ts` prints and exits.
 * `--help` and `--version` are loaded when asked for, so that the sidecar's start does not pay for them.
 */

import type { Config } from "../config.ts";
import { findContradiction } from "./contradictions.ts";
import { type Environment, readEnvironment } from "./environment.ts";
import { resolveConfig } from "./resolve.ts";
import { tokenize, type Tokens } from "./tokens.ts";
import { orList, quote, suggestion, UsageError } from "./usage_error.ts";

/** Commands that take the flags. */
export type Command = "run" | "check" | "healthcheck";

/** What the command line asks for. */
export type CommandLine =
  /** `warnings` are whole lines for the log, before anything else. */
  | { readonly kind: Command; readonly config: Config; readonly warnings: readonly string[] }
  /** Text for standard output, exit code 0. */
  | { readonly kind: "print"; readonly topic: string; readonly render: () => Promise<string> }
  /** One line for standard error, exit code 2. */
  | { readonly kind: "usage"; readonly message: string };

/** The commands that `--help` tells of. */
const COMMANDS = ["run", "check", "healthcheck"] as const;

/**
 * Reads the arguments (without the program's name) and the environment; relative paths count from `cwd`.
 * Never throws for what the user wrote.
 */
export function parseCommandLine(
  args: readonly string[],
  environment: Environment,
  cwd: string,
): CommandLine {
  const tokens = tokenize(args);
  const [command = "run", ...words] = tokens.words;
  if (tokens.asked === "version" || (command === "version" && !tokens.mistake)) return printVersion();
  if (tokens.asked === "help") return printHelp(command === "help" ? words[0] ?? "run" : command);
  if (tokens.mistake) return { kind: "usage", message: tokens.mistake };
  if (command === "help") return printHelp(words[0] ?? "run");
  if (command !== "run" && command !== "check" && command !== "healthcheck") {
    return { kind: "usage", message: unknownCommand(command, tokens) };
  }
  if (words.length > 0) return { kind: "usage", message: unexpectedWord(words[0]!, tokens) };
  try {
    return resolve(command, tokens, environment, cwd);
  } catch (error) {
    if (error instanceof UsageError) return { kind: "usage", message: error.message };
    throw error;
  }
}

function resolve(command: Command, tokens: Tokens, environment: Environment, cwd: string): CommandLine {
  const variables = readEnvironment(environment);
  const resolved = resolveConfig(tokens.flags, variables.flags, cwd);
  // A health check shares the container's environment but not the sidecar's flags: half a setting is no fault there.
  const contradiction = command === "healthcheck" ? null : findContradiction(resolved);
  if (contradiction) return { kind: "usage", message: contradiction };
  return {
    kind: command,
    config: resolved.config,
    warnings: command === "healthcheck" ? [] : variables.warnings,
  };
}

function printHelp(command: string): CommandLine {
  return {
    kind: "print",
    topic: `help ${command}`,
    render: async () => (await import("./help.ts")).renderHelp(command),
  };
}

function printVersion(): CommandLine {
  return { kind: "print", topic: "version", render: async () => (await import("./help.ts")).renderVersion() };
}

function unknownCommand(word: string, tokens: Tokens): string {
  const hint = suggestion(word, [...COMMANDS, "help", "version"]) || `, want ${orList(COMMANDS)}`;
  return tokens.flags.size > 0 ? unexpectedWord(word, tokens) : `unknown command ${quote(word)}${hint}`;
}

function unexpectedWord(word: string, tokens: Tokens): string {
  const isBoolean = /^(?:true|false|0|1)$/i.test(word);
  const name = [...tokens.flags].find(([, texts]) => texts[0] === "true")?.[0];
  const hint = isBoolean && name ? `, want --${name}=${word}` : ", want flags only";
  return `unexpected argument ${quote(word)}${hint}`;
}
