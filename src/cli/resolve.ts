/**
 * Turns texts into the frozen Config: flag before variable before default, each parsed by its row of the table. Must
 * judge no combination of flags; `contradictions.ts` does.
 */

import type { Config, CredentialFiles, Setting } from "../config.ts";
import type { EnvironmentTexts } from "./environment.ts";
import { findFlag, type Flag, FLAG_NAMES, type FlagName, type Values } from "./flags.ts";
import { formatDuration } from "./units.ts";
import { quote, UsageError } from "./usage_error.ts";

/** A Config and who gave which flag. */
export interface Resolved {
  readonly config: Config;
  /** `--interval`, `INTERVAL` or `CONFIG_RELOADER_INTERVAL`: how the user gave the flag; null where it has its default. */
  readonly givenAs: (name: FlagName) => string | null;
}

/** The first of two may not be longer than the second; a default gives way to what the user set. */
const ORDERED = [["retry-interval", "max-backoff"], ["poll-interval", "reload-timeout"]] as const;

/**
 * Parses every value.
 * @throws {UsageError} with the whole message, flag or variable first
 */
export function resolveConfig(
  given: ReadonlyMap<FlagName, readonly string[]>,
  environment: EnvironmentTexts["flags"],
  cwd: string,
): Resolved {
  const values: Record<string, unknown> = {};
  const settings: Setting[] = [];
  for (const name of FLAG_NAMES) {
    const flag = findFlag(name)!;
    const variable = environment.get(name);
    const texts = given.get(name) ?? variable?.texts;
    const label = given.has(name) ? `--${name}` : variable?.variable ?? name;
    const parsed = texts?.map((text) => parseValue(flag, label, text, cwd)) ?? parseDefault(flag);
    values[name] = flag.repeatable ? Object.freeze([...new Set(parsed)]) : parsed[0] ?? null;
    const value = texts?.map((text, at) => showValue(flag, text, parsed[at])).join(",") ?? flag.default ?? "";
    settings.push(Object.freeze(
      given.has(name)
        ? { name, value, source: "flag" }
        : variable
        ? { name, value, source: "environment", variable: variable.variable }
        : { name, value, source: "default" },
    ));
  }
  const givenAs = (name: FlagName) => given.has(name) ? `--${name}` : environment.get(name)?.variable ?? null;
  const replaceDefault = (name: FlagName, parsed: unknown, value: string) => {
    values[name] = parsed;
    settings[FLAG_NAMES.indexOf(name)] = Object.freeze({ name, value, source: "default" });
  };
  // The default file counts only where nothing else is to be watched.
  if (!givenAs("config-file") && (values["watched-dir"] as string[]).length > 0) {
    replaceDefault("config-file", Object.freeze([]), "");
  }
  for (const [shorter, longer] of ORDERED) {
    const [shortMs, longMs] = [values[shorter] as number, values[longer] as number];
    if (shortMs <= longMs) continue;
    if (!givenAs(shorter)) replaceDefault(shorter, longMs, formatDuration(longMs));
    else if (!givenAs(longer)) replaceDefault(longer, shortMs, formatDuration(shortMs));
  }
  return { config: toConfig(values as Values, settings), givenAs };
}

function parseDefault(flag: Flag): unknown[] {
  return flag.default === null ? [] : [flag.parse(flag.default, "/")];
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

/** `contract`: packed content needs memory twice, and a sidecar has 50 MiB. */
const MAX_UNPACKED_BYTES_DEFAULT = 8 * 1024 * 1024;

function toConfig(values: Values, settings: Setting[]): Config {
  return Object.freeze({
    configFiles: values["config-file"],
    watchedDirs: values["watched-dir"],
    intervalMs: values["interval"],
    watchMethod: values["watch-method"],
    delayIntervalMs: values["delay-interval"],
    maxFileSizeBytes: values["max-file-size"],
    maxUnpackedBytes: isDefault(settings, "max-file-size")
      ? MAX_UNPACKED_BYTES_DEFAULT
      : values["max-file-size"],
    validate: values["validate"],
    checkCommand: values["check-command"],
    configEnvsubstFile: values["config-envsubst-file"],
    outputDir: values["output-dir"],
    trigger: values["trigger"],
    signal: values["signal"],
    pid: values["pid"],
    pidFile: values["pid-file"],
    processName: values["process-name"],
    processCmdline: values["process-cmdline"],
    allowUnhandledSignal: values["allow-unhandled-signal"],
    triggerUrls: values["trigger-url"],
    triggerMethod: values["trigger-method"],
    reloadUrl: values["reload-url"],
    verify: values["verify"],
    verifyOk: values["verify-ok"],
    verifyToken: values["verify-token"],
    reloadTimeoutMs: values["reload-timeout"],
    pollIntervalMs: values["poll-interval"],
    httpTimeoutMs: values["http-timeout"],
    credentials: toCredentials(values),
    retryIntervalMs: values["retry-interval"],
    maxBackoffMs: values["max-backoff"],
    jitterMs: values["jitter"],
    minReloadIntervalMs: values["min-reload-interval"],
    reloadOnStart: values["reload-on-start"],
    once: values["once"],
    metricsPort: values["metrics-port"],
    metricsHost: values["metrics-host"],
    tlsCertFile: values["tls-cert-file"],
    tlsKeyFile: values["tls-key-file"],
    authFile: values["auth-file"],
    readyWhen: values["ready-when"],
    rollout: values["rollout"],
    rolloutGroup: values["rollout-group"],
    rolloutSoakMs: values["rollout-soak"],
    kubernetesEvents: values["kubernetes-events"],
    logLevel: values["log-level"],
    logFormat: values["log-format"],
    shutdownTimeoutMs: values["shutdown-timeout"],
    settings: Object.freeze(settings),
  });
}

function isDefault(settings: readonly Setting[], name: string): boolean {
  return settings.some((setting) => setting.name === name && setting.source === "default");
}

function toCredentials(values: Values): CredentialFiles {
  return Object.freeze({
    basicAuthFile: values["basic-auth-file"],
    bearerTokenFile: values["bearer-token-file"],
    headerFile: values["header-file"],
    caFile: values["ca-file"],
    clientCertFile: values["client-cert-file"],
    clientKeyFile: values["client-key-file"],
  });
}
