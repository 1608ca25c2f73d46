/**
 * Turns texts into the frozen Config: flag before variable before default, each parsed by its row of the table. Must
 * judge no combination of flags; `contradictions.ts` does.
 */

import type { Config, Setting } from "../config.ts";
import type { EnvironmentTexts } from "./environment.ts";
import { fieldOf, findFlag, type Flag, FLAG_NAMES, type FlagName, type Values } from "./flags.ts";
import { formatDuration } from "./units.ts";
import { quote, UsageError } from "./usage_error.ts";

/** A Config and who gave which flag. */
export interface Resolved {
  readonly config: Config;
  /** `--interval`, `INTERVAL` or `CONFIG_RELOADER_INTERVAL`: how the user gave the flag; null where it has its default. */
  readonly givenAs: (name: FlagName) => string | null;
}

/** Packed content needs memory twice, and a sidecar has 50 MiB. */
const MAX_UNPACKED_BYTES_DEFAULT = 8 * 1024 * 1024;

/**
 * Parses every value.
 * @throws {UsageError} with the whole message, flag or variable first
 */
export function resolveConfig(
  given: ReadonlyMap<FlagName, readonly string[]>,
  environment: EnvironmentTexts["flags"],
  cwd: string,
): Resolved {
  const values: Partial<Record<keyof Values, unknown>> = {};
  const settings: Setting[] = [];
  const givenAs = (name: FlagName) => given.has(name) ? `--${name}` : environment.get(name)?.variable ?? null;
  for (const name of FLAG_NAMES) {
    const flag = findFlag(name)!;
    const variable = environment.get(name);
    const texts = given.get(name) ?? variable?.texts;
    const parsed = texts?.map((text) => parseValue(flag, givenAs(name)!, text, cwd)) ?? parseDefault(flag);
    values[fieldOf(name)] = flag.repeatable ? Object.freeze([...new Set(parsed)]) : parsed[0] ?? null;
    const value = texts?.map((text, at) => showValue(flag, text, parsed[at])).join(",") ?? flag.default ?? "";
    settings.push(Object.freeze(
      given.has(name)
        ? { name, value, source: "flag" }
        : variable
        ? { name, value, source: "environment", variable: variable.variable }
        : { name, value, source: "default" },
    ));
  }
  const replaceDefault = (name: FlagName, parsed: unknown, value: string) => {
    values[fieldOf(name)] = parsed;
    settings[FLAG_NAMES.indexOf(name)] = Object.freeze({ name, value, source: "default" });
  };
  // The default file counts only where nothing else is to be watched.
  if (!givenAs("config-file") && givenAs("watched-dir")) replaceDefault("config-file", Object.freeze([]), "");
  // The default of the first pause gives way to a longest one that is shorter.
  const maxBackoffMs = values.maxBackoffMs as number;
  if (!givenAs("retry-interval") && (values.retryIntervalMs as number) > maxBackoffMs) {
    replaceDefault("retry-interval", maxBackoffMs, formatDuration(maxBackoffMs));
  }
  return { config: toConfig(values as Values, givenAs("max-file-size") !== null, settings), givenAs };
}

function parseDefault(flag: Flag): unknown[] {
  return flag.default === undefined ? [] : [flag.parse(flag.default, "/")];
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

function toConfig(values: Values, limitsSize: boolean, settings: readonly Setting[]): Config {
  const { basicAuthFile, bearerTokenFile, headerFile, caFile, clientCertFile, clientKeyFile, ...others } =
    values;
  return Object.freeze({
    ...others,
    maxUnpackedBytes: limitsSize ? values.maxFileSizeBytes : MAX_UNPACKED_BYTES_DEFAULT,
    credentials: Object.freeze({
      basicAuthFile,
      bearerTokenFile,
      headerFile,
      caFile,
      clientCertFile,
      clientKeyFile,
    }),
    settings: Object.freeze(settings),
  });
}
