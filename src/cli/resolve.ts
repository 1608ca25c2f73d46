/**
 * Turns texts into the Config: flag before variable before default, each parsed by its row of the table. Judges no
 * combination of flags; `contradictions.ts` does.
 */

import type { Config, Environment, Setting } from "../config.ts";
import {
  fieldOf,
  findFlag,
  type Flag,
  FLAG_NAMES,
  type FlagName,
  FLAGS,
  VARIABLE_PREFIX,
  variableOf,
} from "./flags.ts";
import { quote, suggestion, UsageError } from "./usage_error.ts";

/** A flag as the user gave it, with several texts only where it is repeatable. */
export interface Given {
  readonly texts: readonly string[];
  /** The environment variable; missing where it was given on the command line. */
  readonly variable?: string;
}

/** Packed content needs memory twice, and a sidecar has 50 MiB. */
const MAX_UNPACKED_BYTES_DEFAULT = 8 * 1024 * 1024;

/**
 * Kubernetes sets `NAME_PORT=tcp://…` and more for each Service NAME of the namespace
 * (kubernetes.io/docs/concepts/services-networking/service: environment variables).
 */
const LINK_VALUE = /^(?:tcp|udp|sctp):\/\//;
const LINK_NAME = /_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$|_SERVICE_(?:HOST|PORT(?:_.*)?)$/;

/**
 * Reads the variables of all flags: `CONFIG_RELOADER_…` comes before the original's plain name, and an empty one counts as
 * unset. Service links of Kubernetes are left out, other unknown names reported.
 */
export function readEnvironment(environment: Environment) {
  const found = { flags: new Map<FlagName, Given>(), warnings: [] as string[] };
  const unknown: string[] = [];
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(VARIABLE_PREFIX) || text === "") continue;
    const name = variable.slice(VARIABLE_PREFIX.length).toLowerCase().replaceAll("_", "-") as FlagName;
    if (findFlag(name) && variableOf(name) === variable) take(found, name, variable, text);
    // Links of a Service `config-reloader…` are passed over in silence: the pod's author did not write them.
    else if (!LINK_NAME.test(variable) && !LINK_VALUE.test(text)) unknown.push(variable);
  }
  for (const name of FLAG_NAMES) {
    const variable = FLAGS[name].plainVariable;
    if (variable && environment[variable]) take(found, name, variable, environment[variable]);
  }
  for (const variable of unknown.sort()) {
    const word = variable.slice(VARIABLE_PREFIX.length);
    found.warnings.push(`${variable}: unknown variable, ignored${suggestion(word, FLAG_NAMES, variableOf)}`);
  }
  return found;
}

/** Adds one variable, unless an earlier one has set the flag. */
function take(
  { flags, warnings }: ReturnType<typeof readEnvironment>,
  name: FlagName,
  variable: string,
  text: string,
): void {
  const flag = FLAGS[name];
  if (flag.port && LINK_VALUE.test(text)) {
    warnings.push(
      `${variable}: ${quote(text)} is Kubernetes' link to a Service of that name and is ignored` +
        " (enableServiceLinks: false in the pod keeps such variables away)",
    );
    return;
  }
  const texts = flag.repeatable ? text.split(",").map((item) => item.trim()).filter(Boolean) : [text];
  if (texts.length > 0 && !flags.has(name)) flags.set(name, { variable, texts });
}

/**
 * Parses every value.
 * @throws {UsageError} with the whole message, flag or variable first
 */
export function resolveConfig(given: ReadonlyMap<FlagName, Given>, cwd: string): Config {
  const values: Record<string, unknown> = {};
  const settings = FLAG_NAMES.map((name): Setting => {
    const flag = FLAGS[name];
    const { texts, variable } = given.get(name) ?? {};
    // The default file counts only where nothing else is to be watched.
    const byDefault = name === "config-file" && given.has("watched-dir") ? undefined : flag.default;
    const parsed = texts?.map((text) => parseValue(flag, variable ?? `--${name}`, text, cwd)) ??
      (byDefault === undefined ? [] : [flag.parse(byDefault, "/")]);
    values[fieldOf(name)] = flag.repeatable ? [...new Set(parsed)] : parsed[0] ?? null;
    const value = texts?.map((text, at) => showValue(flag, text, parsed[at])).join(",") ?? byDefault ?? "";
    if (variable !== undefined) return { name, value, source: "environment", variable };
    return { name, value, source: texts === undefined ? "default" : "flag" };
  });
  // The default of the first pause gives way to a longest one that is shorter.
  if (!given.has("retry-interval") && Number(values.retryIntervalMs) > Number(values.maxBackoffMs)) {
    const { value } = settings[FLAG_NAMES.indexOf("max-backoff")]!;
    values.retryIntervalMs = values.maxBackoffMs;
    settings[FLAG_NAMES.indexOf("retry-interval")] = { name: "retry-interval", value, source: "default" };
  }
  const maxUnpackedBytes = given.has("max-file-size") ? values.maxFileSizeBytes : MAX_UNPACKED_BYTES_DEFAULT;
  return { ...values, maxUnpackedBytes, settings } as unknown as Config;
}

/** How a flag was set, and its text. */
export function settingOf({ settings }: Config, name: FlagName): Setting {
  return settings[FLAG_NAMES.indexOf(name)]!;
}

/** `--interval`, `INTERVAL` or `CONFIG_RELOADER_INTERVAL`: how the user gave a flag; null where it has its default. */
export function givenAs(config: Config, name: FlagName): string | null {
  const { source, variable } = settingOf(config, name);
  return source === "flag" ? `--${name}` : variable ?? null;
}

function parseValue(flag: Flag, label: string, text: string, cwd: string): unknown {
  if (text === "") {
    throw new UsageError(`${label}: ${quote(text)} is empty, want ${flag.placeholder || "true or false"}`);
  }
  try {
    return flag.parse(text, cwd);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${label}: ${error.message}`);
    throw error;
  }
}

function showValue(flag: Flag, text: string, parsed: unknown): string {
  if (flag.show) return flag.show(text);
  return typeof parsed === "string" || typeof parsed === "boolean" ? String(parsed) : text;
}
