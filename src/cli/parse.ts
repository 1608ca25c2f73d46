/**
 * The command line as a whole: arguments and environment in, what to do out. Pure; only `main.ts` prints and exits.
 * `--help` and `--version` are loaded when asked for, so that the sidecar's start does not pay for them.
 */

import type { CheckInput, Config, Environment, RunningSidecar, TakenSettings } from "../config.ts";
import { orList } from "../text.ts";
import { refuseContradictions, SELECTORS } from "./contradictions.ts";
import { findFlag, FLAG_NAMES, type FlagName, PEER_FLAGS } from "./flags.ts";
import { type Given, readEnvironment, resolveConfig } from "./resolve.ts";
import { quote, suggestion, UsageError } from "./usage_error.ts";

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

const COMMANDS = ["run", "check", "healthcheck"] as const;
/** A switch of the command `check`. */
const RUN_CHECKS = "--run-checks";
/** Switches that are no setting, and take no value. */
const BARE_SWITCHES = ["--help", "-h", "--version", RUN_CHECKS];

/** What stands on the command line. */
interface Tokens {
  readonly flags: Map<FlagName, Given>;
  readonly words: string[];
  /** Which of `--help` and `--version` came first; either wins over any mistake. */
  asked: "help" | "version" | null;
  /** `--run-checks`, which is no setting of the sidecar. */
  runChecks: boolean;
  /** The first mistake, as one line for people. */
  mistake: string | null;
}

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
  const { asked, mistake, flags, runChecks, words: [command = "run", ...words] } = tokens;
  if (asked === "version" || (command === "version" && !mistake)) return printVersion();
  if (command === "help" && (asked || !mistake)) return printHelp(words[0] ?? "run");
  if (asked === "help") return printHelp(command);
  try {
    if (mistake) throw new UsageError(mistake);
    const known = COMMANDS.find((name) => name === command);
    if (known === undefined) throw new UsageError(unknownCommand(command, flags));
    if (words.length > 0) throw new UsageError(unexpectedWord(words[0]!, flags));
    if (runChecks && known !== "check") {
      throw new UsageError(`${RUN_CHECKS}: counts only with the command check, not with ${known}`);
    }
    if (known !== "run") return resolveQuestion(known, tokens, environment, cwd, running);
    const variables = readEnvironment(environment);
    const config = resolveConfig(new Map([...variables.flags, ...flags]), cwd);
    refuseContradictions(config);
    return { kind: "run", config, warnings: variables.warnings };
  } catch (error) {
    if (error instanceof UsageError) return { kind: "usage", message: error.message };
    throw error;
  }
}

/** `check` and `healthcheck` ask about the sidecar that runs, with its settings where there is one. */
function resolveQuestion(
  command: "check" | "healthcheck",
  own: Tokens,
  ownEnvironment: Environment,
  cwd: string,
  running: RunningSidecar | null,
): CommandLine {
  const theirs = running && tokenize(running.args);
  const isOfUse = theirs !== null && theirs.mistake === null && theirs.words.every((word) => word === "run");
  const environment = isOfUse ? running!.environment ?? ownEnvironment : ownEnvironment;
  const { warnings, flags: variables } = readEnvironment(environment);
  const given = new Map(variables);
  let taken: TakenSettings | null = null;
  if (isOfUse) {
    // How its log is written says nothing about how this is to be shown.
    for (const map of [theirs.flags, variables, given]) map.delete("log-format");
    taken = { pid: running!.pid, flags: theirs.flags.size, variables: variables.size };
    for (const [name, flag] of theirs.flags) given.set(name, flag);
    // Another way to name the target takes the place of theirs, and does not contradict it.
    if (SELECTORS.some((name) => own.flags.has(name))) SELECTORS.forEach((name) => given.delete(name));
  }
  for (const [name, flag] of own.flags) given.set(name, flag);
  const config = resolveConfig(given, cwd);
  // A health check may have been given half of the settings: that is no fault there. Where it is told whom to ask, nobody's
  // settings decide that.
  if (command === "healthcheck") {
    const isTold = own.flags.has("metrics-port") || own.flags.has("metrics-host");
    return { kind: command, config, taken: isTold ? null : taken };
  }
  refuseContradictions(config);
  return { kind: command, config, warnings, taken, runChecks: own.runChecks, environment };
}

function printHelp(command: string): CommandLine {
  const render = async () => (await import("./help.ts")).renderHelp(command);
  return { kind: "print", topic: `help ${command}`, render };
}

function printVersion(): CommandLine {
  return { kind: "print", topic: "version", render: async () => (await import("./help.ts")).renderVersion() };
}

function unknownCommand(word: string, flags: Tokens["flags"]): string {
  if (flags.size > 0) return unexpectedWord(word, flags);
  const hint = suggestion(word, [...COMMANDS, "help", "version"]) || `, want ${orList(COMMANDS)}`;
  return `unknown command ${quote(word)}${hint}`;
}

function unexpectedWord(word: string, flags: Tokens["flags"]): string {
  const isBoolean = /^(?:true|false|0|1)$/i.test(word);
  const name = [...flags].find(([, { texts }]) => texts[0] === "true")?.[0];
  const hint = isBoolean && name ? `, want --${name}=${word}` : ", want flags only";
  return `unexpected argument ${quote(word)}${hint}`;
}

/**
 * Cuts the arguments into command, flags and mistakes, in order, without looking at any value: `--flag value`,
 * `--flag=value`, `--switch`, `--switch=false`, `-h` and words; `--` ends the flags. Never throws.
 */
function tokenize(args: readonly string[]): Tokens {
  const found: Tokens = { flags: new Map(), words: [], asked: null, runChecks: false, mistake: null };
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === "--") {
      found.words.push(...args.slice(at + 1));
      break;
    }
    if (arg === "--help" || arg === "-h") found.asked ??= "help";
    else if (arg === "--version") found.asked ??= "version";
    else if (arg === RUN_CHECKS) found.runChecks = true;
    else if (!arg.startsWith("-")) found.words.push(arg);
    else if (takeFlag(found, arg, args[at + 1])) at++;
  }
  return found;
}

/** Takes one flag; true where its value is the `next` argument. */
function takeFlag(found: Tokens, arg: string, next: string | undefined): boolean {
  const equals = arg.indexOf("=");
  const head = equals < 0 ? arg : arg.slice(0, equals);
  const name = head.slice(2) as FlagName;
  const flag = head.startsWith("--") ? findFlag(name) : undefined;
  if (!flag) {
    found.mistake ??= unknownFlag(head);
    return false;
  }
  const takesNext = equals < 0 && flag.placeholder !== "";
  // A value may begin with one dash (`-5s` is then named as the bad value it is), but not with two.
  if (takesNext && (next === undefined || next.startsWith("--") || next === "-h")) {
    found.mistake ??= missingValue(name, flag.placeholder, next);
    return false;
  }
  const text = takesNext ? next! : equals < 0 ? "true" : arg.slice(equals + 1);
  const given = found.flags.get(name);
  if (given && !flag.repeatable) found.mistake ??= `--${name}: ${quote(text)} is a second value, want one`;
  found.flags.set(name, { texts: [...given?.texts ?? [], text] });
  return takesNext;
}

function unknownFlag(arg: string): string {
  if (BARE_SWITCHES.includes(arg)) return `${arg}: takes no value, want ${arg} alone`;
  const name = arg.replace(/^-+/, "");
  if (name.startsWith("no-") && findFlag(name.slice(3))?.placeholder === "") {
    return `unknown flag ${quote(arg)}, did you mean --${name.slice(3)}=false?`;
  }
  if (Object.hasOwn(PEER_FLAGS, name)) {
    return `unknown flag ${quote(arg)}: ${PEER_FLAGS[name]} (docs/migrating.md)`;
  }
  const names = [...FLAG_NAMES, "help", "version", RUN_CHECKS.slice(2)];
  return `unknown flag ${quote(arg)}${suggestion(name, names, (known) => `--${known}`) || ", see --help"}`;
}

function missingValue(name: string, placeholder: string, next: string | undefined): string {
  if (next === undefined || next === "--") {
    return `--${name}: a value is missing, want --${name} ${placeholder}`;
  }
  return `--${name}: a value is missing before ${quote(next)}, want --${name} ${placeholder}` +
    ` (--${name}=${placeholder} where it begins with a dash)`;
}
