/**
 * Cuts the arguments into command, flags and mistakes, in order, without looking at any value. Own lines, since `mri`
 * cannot tell `--interval` from `--interval=` nor report `--once=maybe`, and `args-tokens` takes any argument with `--` in
 * it for a flag, which breaks values such as `nginx -t --conf=x`. Must never throw.
 */

import { findFlag, FLAG_NAMES, type FlagName } from "./flags.ts";
import { PEER_FLAGS } from "./peer_flags.ts";
import { quote, suggestion } from "./usage_error.ts";

/** A switch of the command `check`. */
const RUN_CHECKS = "--run-checks";

/** What stands on the command line. */
export interface Tokens {
  /** Texts given for each flag, in order. */
  readonly flags: ReadonlyMap<FlagName, readonly string[]>;
  readonly words: readonly string[];
  /** Which of `--help` and `--version` came first; either wins over any mistake. */
  readonly asked: "help" | "version" | null;
  /** `--run-checks`, which is no setting of the sidecar. */
  readonly runChecks: boolean;
  /** The first mistake, as one line for people. */
  readonly mistake: string | null;
}

/**
 * Reads `--flag value`, `--flag=value`, `--switch`, `--switch=false`, `-h` and words; `--` ends the flags.
 */
export function tokenize(args: readonly string[]): Tokens {
  const flags = new Map<FlagName, string[]>();
  const words: string[] = [];
  let asked: Tokens["asked"] = null;
  let runChecks = false;
  let mistake: string | null = null;
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === "--") {
      words.push(...args.slice(at + 1));
      break;
    } else if (arg === "--help" || arg === "-h") {
      asked ??= "help";
    } else if (arg === RUN_CHECKS) {
      runChecks = true;
    } else if (arg === "--version") {
      asked ??= "version";
    } else if (!arg.startsWith("-")) {
      words.push(arg);
    } else {
      const equals = arg.indexOf("=");
      const name = arg.slice(2, equals < 0 ? undefined : equals) as FlagName;
      const flag = arg.startsWith("--") ? findFlag(name) : undefined;
      if (!flag) {
        mistake ??= unknownFlag(equals < 0 ? arg : arg.slice(0, equals));
        continue;
      }
      const next = args[at + 1];
      let text = equals < 0 ? "true" : arg.slice(equals + 1);
      if (equals < 0 && flag.placeholder !== "") {
        // A value may begin with one dash (`-5s` is then named as the bad value it is), but not with two.
        if (next === undefined || next.startsWith("--") || next === "-h") {
          mistake ??= missingValue(name, flag.placeholder, next);
          continue;
        }
        text = next;
        at++;
      }
      const given = flags.get(name);
      if (given && !flag.repeatable) mistake ??= `--${name}: ${quote(text)} is a second value, want one`;
      if (given) given.push(text);
      else flags.set(name, [text]);
    }
  }
  return { flags, words, asked, runChecks, mistake };
}

/** Switches that are no setting, and take no value. */
const BARE_SWITCHES = ["--help", "-h", "--version", RUN_CHECKS];

function unknownFlag(arg: string): string {
  if (BARE_SWITCHES.includes(arg)) return `${arg}: takes no value, want ${arg} alone`;
  const name = arg.replace(/^-+/, "");
  const positive = findFlag(name.replace(/^no-/, ""));
  if (name.startsWith("no-") && positive?.placeholder === "") {
    return `unknown flag ${quote(arg)}, did you mean --${name.slice(3)}=false?`;
  }
  if (Object.hasOwn(PEER_FLAGS, name)) {
    return `unknown flag ${quote(arg)}: ${PEER_FLAGS[name]} (docs/migrating.md)`;
  }
  const names = [...FLAG_NAMES, "help", "version", RUN_CHECKS.slice(2)];
  const hint = suggestion(name, names, (known) => `--${known}`) || ", see --help";
  return `unknown flag ${quote(arg)}${hint}`;
}

function missingValue(name: string, placeholder: string, next: string | undefined): string {
  if (next === undefined || next === "--") {
    return `--${name}: a value is missing, want --${name} ${placeholder}`;
  }
  return `--${name}: a value is missing before ${quote(next)}, want --${name} ${placeholder}` +
    ` (--${name}=${placeholder} where it begins with a dash)`;
}
