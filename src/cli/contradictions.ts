/** Settings that are valid one by one, but not together. Pure: judged by the settings alone. */

import type { Config } from "../config.ts";
import { hideUrlSecrets } from "../http/urls.ts";
import { localPort } from "../local_port.ts";
import { baseName, isWithin, joinPath } from "../paths.ts";
import { orList } from "../text.ts";
import { isPattern, matchesParts, parseGlob } from "../glob.ts";
import type { FlagName } from "./flags.ts";
import { givenAs, settingOf } from "./resolve.ts";
import { quote, UsageError } from "./usage_error.ts";

/** What counts only with certain values of another flag. */
const COUNTS_ONLY_WITH:
  readonly (readonly [FlagName, "rollout" | "trigger" | "verify", readonly string[]])[] = [
    ["rollout-group", "rollout", ["canary", "serial"]],
    ["rollout-soak", "rollout", ["canary", "serial"]],
    ["trigger-url", "trigger", ["http"]],
    ["trigger-method", "trigger", ["http"]],
    ["signal", "trigger", ["signal"]],
    ["allow-unhandled-signal", "trigger", ["signal"]],
    ["verify-ok", "verify", ["json"]],
    ["verify-token", "verify", ["json"]],
  ];

/**
 * The flags that name the target, of which one may be given. They are no contradiction to a trigger that needs no target: a
 * manifest may set them for all its variants.
 */
export const SELECTORS = ["pid", "pid-file", "process-name", "process-cmdline"] as const;

/** @throws {UsageError} for the first contradiction: what was given, and the way out. */
export function refuseContradictions(config: Config): void {
  refuseValues(config);
  refuseTargets(config);
  refuseCredentials(config);
  refuseTimes(config);
  refuseOutput(config);
  refuseUnused(config);
  refusePort(config);
}

/** @throws {UsageError} that begins with how the flag was given */
function refuse(config: Config, name: FlagName, problem: string): never {
  throw new UsageError(`${givenAs(config, name)}: ${problem}`);
}

/** Values that the other settings make impossible. */
function refuseValues(config: Config): void {
  const { trigger, verify, rollout } = config;
  if (trigger === "http" && config.triggerUrls.length === 0) {
    refuse(config, "trigger", "http needs a --trigger-url, want one at least");
  }
  if (trigger === "none" && verify === "none") {
    const problem = "none together with --verify none sends nothing and asks nobody";
    refuse(config, "trigger", `${problem}, want a trigger or a verification`);
  }
  if (verify === "json" && config.verifyOk === null && config.verifyToken === null) {
    refuse(config, "verify", "json needs --verify-ok or --verify-token, want one at least");
  }
  if (rollout === "none") return;
  if (config.once) {
    refuse(config, "rollout", `${rollout} needs a sidecar that stays for its soak, but --once ends`);
  }
  // Pods find each other by the group's name, and only what is triggered can be held back.
  if (config.rolloutGroup === null) {
    refuse(config, "rollout", `${rollout} needs a --rollout-group, want the same name in all pods`);
  }
  if (trigger === "none") {
    refuse(config, "rollout", `${rollout} holds triggers back, but the trigger is none, want signal or http`);
  }
}

function refuseTargets(config: Config): void {
  const [first, second] = SELECTORS.filter((name) =>
    givenAs(config, name) !== null && !(name === "pid" && config.pid === "auto")
  );
  if (second === undefined) return;
  refuse(config, second, `says who the target is, and so does ${givenAs(config, first!)}, want one of them`);
}

function refuseCredentials(config: Config): void {
  const isGiven = (name: FlagName) => givenAs(config, name) !== null;
  for (const side of ["client", "tls"] as const) {
    const pair = [`${side}-cert-file`, `${side}-key-file`] as const;
    const [given, missing] = [pair.find(isGiven), pair.find((name) => !isGiven(name))];
    if (given && missing) refuse(config, given, `needs --${missing} too, want both or none`);
  }
  if (!isGiven("basic-auth-file") || !isGiven("bearer-token-file")) return;
  const basic = givenAs(config, "basic-auth-file");
  refuse(config, "bearer-token-file", `cannot be sent together with ${basic}, want one of them`);
}

function refuseTimes(config: Config): void {
  const pairs = [
    ["retry-interval", config.retryIntervalMs, "max-backoff", config.maxBackoffMs],
    ["poll-interval", config.pollIntervalMs, "reload-timeout", config.reloadTimeoutMs],
  ] as const;
  for (const [shorter, shortMs, longer, longMs] of pairs) {
    if (shortMs <= longMs) continue;
    const [short, long] = [settingOf(config, shorter).value, settingOf(config, longer).value];
    if (givenAs(config, shorter)) {
      refuse(config, shorter, `${short} is longer than --${longer} (${long}), want it no longer`);
    }
    refuse(config, longer, `${long} is shorter than --${shorter} (${short}), want --${shorter} no longer`);
  }
}

/** What the sidecar writes must not be what it watches: it would trigger itself without end. */
function refuseOutput(config: Config): void {
  const { configFiles, watchedDirs, configEnvsubstFile: file, outputDir: dir } = config;
  const path = dir ?? file;
  if (path === null) return;
  const name = dir === null ? "config-envsubst-file" : "output-dir";
  const refusePath = (problem: string) => refuse(config, name, `${quote(path)} ${problem}`);
  if (dir !== null && file !== null) {
    refusePath("and --config-envsubst-file both say where to write, want one of them");
  }
  const several = dir === null ? whySeveral(configFiles) : null;
  if (several !== null) refusePath(`holds one file, but ${several}, want --output-dir instead`);
  if (configFiles[0] === file) refusePath("is the --config-file itself, want another file");
  const outer = watchedDirs.find((watched) => isWithin(path, watched));
  if (outer !== undefined) {
    const kind = dir === null ? "file" : "directory";
    refusePath(
      `lies in --watched-dir ${quote(outer)} and would be watched itself, want a ${kind} outside of it`,
    );
  }
  if (dir === null) return;
  const overwritten = configFiles.find((file) =>
    isPattern(file) ? couldMatchIn(dir, file) : file === joinPath(dir, baseName(file))
  );
  if (overwritten !== undefined) {
    refusePath(`would overwrite what --config-file ${quote(overwritten)} watches, want another directory`);
  }
  const files = configFiles.filter((file) => !isPattern(file));
  const firstOf = (name: string) => files.find((file) => baseName(file) === baseName(name))!;
  const second = files.find((file) => firstOf(file) !== file);
  if (second === undefined) return;
  const both = `--config-file ${quote(firstOf(second))} and ${quote(second)}`;
  const problem = `${both} would both be written as ${quote(baseName(second))}`;
  refuse(config, name, `${problem}, want inputs with different names`);
}

/** Why the inputs may be more than one file; null where they are one. */
function whySeveral([input, ...more]: readonly string[]): string | null {
  if (input === undefined) return "--watched-dir is given";
  if (more.length > 0) return `${more.length + 1} config files are given`;
  return isPattern(input) ? `--config-file ${quote(input)} is a glob` : null;
}

/** Whether some file directly in `dir` could match the glob. */
function couldMatchIn(dir: string, pattern: string): boolean {
  const { base, parts } = parseGlob(pattern);
  if (!isWithin(dir, base)) return false;
  const below = dir.slice(base.length).split("/").filter(Boolean);
  return matchesParts(parts.at(-1) === "**" ? parts : parts.slice(0, -1), below);
}

function refuseUnused(config: Config): void {
  for (const [name, other, values] of COUNTS_ONLY_WITH) {
    const value = config[other];
    // What is switched off changes nothing.
    const isOff = name === "allow-unhandled-signal" && !config.allowUnhandledSignal;
    if (values.includes(value) || givenAs(config, name) === null || isOff) continue;
    const called = other === "verify" ? other : `the ${other}`;
    refuse(config, name, `counts only with --${other} ${orList(values)}, but ${called} is ${value}`);
  }
}

/**
 * In a pod the app and the sidecar share the ports: the second to listen would fail, or the sidecar verify or trigger itself.
 */
function refusePort(config: Config): void {
  const { metricsPort: port, metricsHost } = config;
  if (metricsHost !== null && !["0.0.0.0", "::"].includes(metricsHost)) return;
  const asked = config.verify === "none" ? [] : [config.reloadUrl];
  const url = [...asked, ...config.triggerUrls].find((url) => localPort(url) === port);
  if (url === undefined) return;
  const flag = asked.includes(url) ? "reload-url" : "trigger-url";
  const where = `at --${flag} ${quote(hideUrlSecrets(url))}`;
  const name = givenAs(config, "metrics-port") ? "metrics-port" : flag;
  refuse(config, name, `port ${port} is both --metrics-port and the app's, ${where}, want two ports`);
}
