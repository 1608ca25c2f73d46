/**
 * The command line as a whole: arguments and environment in, what to do out. Pure; only `main.ts` prints and exits.
 * `--help` and `--version` are loaded when asked for, so that the sidecar's start does not pay for them.
 */

import type { CheckInput, Config, RunningSidecar, TakenSettings } from "../config.ts";
import { findContradiction, SELECTORS } from "./contradictions.ts";
import { type Environment, readEnvironment } from "./environment.ts";
import { resolveConfig } from "./resolve.ts";
import { tokenize, type Tokens } from "./tokens.ts";
import { orList, quote, suggestion, UsageError } from "./usage_error.ts";

/** What the command line asks for. */
export type CommandLine =
  /** `warnings` are whole lines for the log, before anything else. */
  | { readonly kind: "run"; readonly config: Config; readonly warnings: readonly string[] }
  | { readonly kind: "check" } & CheckInput
  | { readonly kind: "healthcheck"; readonly config: Config; readonly taken: TakenSettings | null }
  /** Text for standard output, exit code 0. */
  | { readonly kind: "print"; readonly topic: string; readonly render: () => Promise<string> }
  /** One line for standard error, exit code 2. */
  | { readonly kind: "usage"; readonly message: string };

/** The commands that `--help` lists. */
const COMMANDS = ["run", "check", "healthcheck"] as const;

/**
 * Reads the arguments (without the program's name) and the environment; relative paths count from `cwd`. Flags that are
 * given win over those of a `running` sidecar. Never throws for what the user wrote.
 */
export function parseCommandLine(
  args: readonly string[],
  environment: Environment,
  cwd: string,
  running: RunningSidecar | null = null,
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
  if (tokens.runChecks && command !== "check") {
    return {
      kind: "usage",
      message: `--run-checks: counts only with the command check, not with ${command}`,
    };
  }
  try {
    return command === "run"
      ? resolveRun(tokens, environment, cwd)
      : resolveQuestion(command, tokens, environment, cwd, running);
  } catch (error) {
    if (error instanceof UsageError) return { kind: "usage", message: error.message };
    throw error;
  }
}

function resolveRun(tokens: Tokens, environment: Environment, cwd: string): CommandLine {
  const variables = readEnvironment(environment);
  const resolved = resolveConfig(tokens.flags, variables.flags, cwd);
  const contradiction = findContradiction(resolved);
  if (contradiction) return { kind: "usage", message: contradiction };
  return { kind: "run", config: resolved.config, warnings: variables.warnings };
}

function resolveQuestion(
  command: "check" | "healthcheck",
  tokens: Tokens,
  ownEnvironment: Environment,
  cwd: string,
  running: RunningSidecar | null,
): CommandLine {
  const theirs = running && tokenize(running.args);
  const isOfUse = theirs !== null && theirs.mistake === null && theirs.words.every((word) => word === "run");
  const environment = isOfUse ? running!.environment ?? ownEnvironment : ownEnvironment;
  const variables = readEnvironment(environment);
  const flags = new Map(isOfUse ? theirs.flags : []);
  const variableFlags = new Map(variables.flags);
  if (isOfUse) {
    // How its log is written says nothing about how this is to be shown.
    flags.delete("log-format");
    variableFlags.delete("log-format");
  }
  const taken = isOfUse ? { pid: running!.pid, flags: flags.size, variables: variableFlags.size } : null;
  // Another way to name the target takes the place of theirs, and does not contradict it.
  if (isOfUse && SELECTORS.some((name) => tokens.flags.has(name))) {
    for (const name of SELECTORS) [flags, variableFlags].forEach((map) => map.delete(name));
  }
  for (const [name, texts] of tokens.flags) flags.set(name, texts);
  const resolved = resolveConfig(flags, variableFlags, cwd);
  const { config } = resolved;
  // A health check may have been given half of the settings: that is no fault there. Where it is told whom to ask, nobody's
  // settings decide that.
  if (command === "healthcheck") {
    const isTold = tokens.flags.has("metrics-port") || tokens.flags.has("metrics-host");
    return { kind: command, config, taken: isTold ? null : taken };
  }
  const contradiction = findContradiction(resolved);
  if (contradiction) return { kind: "usage", message: contradiction };
  const { warnings } = variables;
  return { kind: command, config, warnings, taken, runChecks: tokens.runChecks, environment };
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
