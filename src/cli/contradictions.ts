/** Settings that are valid one by one, but not together. Pure: judged by the settings alone. */

import { hideUrlSecrets } from "../http/urls.ts";
import { localPort } from "../local_port.ts";
import { baseName, isWithin, joinPath } from "../paths.ts";
import { orList } from "../text.ts";
import { isPattern, matchesParts, parseGlob } from "../glob.ts";
import type { FlagName } from "./flags.ts";
import type { Resolved } from "./resolve.ts";
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
 * The flags that name the target, of which one may be given. Without signals, too: whether the app lives and restarts is
 * watched.
 */
export const SELECTORS = ["pid", "pid-file", "process-name", "process-cmdline"] as const;

/** @throws {UsageError} for the first contradiction: what was given, and the way out. */
export function refuseContradictions(resolved: Resolved): void {
  const found = findTriggerConflict(resolved) ?? findTargetConflict(resolved) ??
    findVerifyConflict(resolved) ??
    findCredentialConflict(resolved) ?? findTimeConflict(resolved) ?? findOutputConflict(resolved) ??
    findRolloutConflict(resolved) ?? findUnused(resolved) ?? findPortConflict(resolved);
  if (found !== null) throw new UsageError(found);
}

function findTriggerConflict({ config, givenAs }: Resolved): string | null {
  if (config.trigger === "http" && config.triggerUrls.length === 0) {
    return `${givenAs("trigger")}: http needs a --trigger-url, want one at least`;
  }
  return config.trigger === "none" && config.verify === "none"
    ? `${givenAs("trigger")}: none together with --verify none sends nothing and asks nobody, ` +
      "want a trigger or a verification"
    : null;
}

function findTargetConflict({ config, givenAs }: Resolved): string | null {
  const [first, second] = SELECTORS.filter((name) =>
    givenAs(name) !== null && !(name === "pid" && config.pid === "auto")
  );
  if (second === undefined) return null;
  return `${givenAs(second)}: says who the target is, and so does ${givenAs(first!)}, want one of them`;
}

function findVerifyConflict({ config, givenAs }: Resolved): string | null {
  return config.verify === "json" && config.verifyOk === null && config.verifyToken === null
    ? `${givenAs("verify")}: json needs --verify-ok or --verify-token, want one at least`
    : null;
}

function findCredentialConflict({ givenAs }: Resolved): string | null {
  for (const side of ["client", "tls"] as const) {
    const pair = [`${side}-cert-file`, `${side}-key-file`] as const;
    const name = pair.find((name) => givenAs(name) !== null);
    const other = pair.find((name) => givenAs(name) === null);
    if (name && other) return `${givenAs(name)}: needs --${other} too, want both or none`;
  }
  const [basic, bearer] = [givenAs("basic-auth-file"), givenAs("bearer-token-file")];
  return basic && bearer ? `${bearer}: cannot be sent together with ${basic}, want one of them` : null;
}

function findTimeConflict({ config, givenAs }: Resolved): string | null {
  const shown = (name: FlagName) => config.settings.find((setting) => setting.name === name)!.value;
  const pairs = [
    ["retry-interval", config.retryIntervalMs, "max-backoff", config.maxBackoffMs],
    ["poll-interval", config.pollIntervalMs, "reload-timeout", config.reloadTimeoutMs],
  ] as const;
  for (const [shorter, shortMs, longer, longMs] of pairs) {
    if (shortMs <= longMs) continue;
    return givenAs(shorter)
      ? `${givenAs(shorter)}: ${shown(shorter)} is longer than --${longer} (${
        shown(longer)
      }), want it no longer`
      : `${givenAs(longer)}: ${shown(longer)} is shorter than --${shorter} (${shown(shorter)}), ` +
        `want --${shorter} no longer`;
  }
  return null;
}

/** What the sidecar writes must not be what it watches: it would trigger itself without end. */
function findOutputConflict({ config, givenAs }: Resolved): string | null {
  const { configFiles, watchedDirs, configEnvsubstFile: file, outputDir: dir } = config;
  const path = dir ?? file;
  if (path === null) return null;
  const label = givenAs(dir === null ? "config-envsubst-file" : "output-dir");
  const begin = `${label}: ${quote(path)}`;
  if (dir !== null && file !== null) {
    return `${begin} and --config-envsubst-file both say where to write, want one of them`;
  }
  const several = dir === null ? whySeveral(configFiles) : null;
  if (several !== null) return `${begin} holds one file, but ${several}, want --output-dir instead`;
  if (configFiles[0] === file) return `${begin} is the --config-file itself, want another file`;
  const outer = watchedDirs.find((watched) => isWithin(path, watched));
  if (outer !== undefined) {
    return `${begin} lies in --watched-dir ${quote(outer)} and would be watched itself, ` +
      `want a ${dir === null ? "file" : "directory"} outside of it`;
  }
  if (dir === null) return null;
  const overwritten = configFiles.find((file) =>
    isPattern(file) ? couldMatchIn(dir, file) : file === joinPath(dir, baseName(file))
  );
  if (overwritten !== undefined) {
    return `${begin} would overwrite what --config-file ${
      quote(overwritten)
    } watches, want another directory`;
  }
  return findSameName(configFiles.filter((file) => !isPattern(file)), label!);
}

/** Why the inputs may be more than one file; null where they are one. */
function whySeveral([input, ...more]: readonly string[]): string | null {
  if (input === undefined) return "--watched-dir is given";
  if (more.length > 0) return `${more.length + 1} config files are given`;
  return isPattern(input) ? `--config-file ${quote(input)} is a glob` : null;
}

function findSameName(files: readonly string[], label: string): string | null {
  const firstOf = (name: string) => files.find((file) => baseName(file) === baseName(name))!;
  const second = files.find((file) => firstOf(file) !== file);
  if (second === undefined) return null;
  return `${label}: --config-file ${quote(firstOf(second))} and ${quote(second)} would both be ` +
    `written as ${quote(baseName(second))}, want inputs with different names`;
}

/** Whether some file directly in `dir` could match the glob. */
function couldMatchIn(dir: string, pattern: string): boolean {
  const { base, parts } = parseGlob(pattern);
  if (!isWithin(dir, base)) return false;
  const below = dir.slice(base.length).split("/").filter(Boolean);
  return matchesParts(parts.at(-1) === "**" ? parts : parts.slice(0, -1), below);
}

/** Pods find each other by the group's name, and only what is triggered can be held back. */
function findRolloutConflict({ config, givenAs }: Resolved): string | null {
  if (config.rollout === "none") return null;
  const begin = `${givenAs("rollout")}: ${config.rollout}`;
  if (config.once) return `${begin} needs a sidecar that stays for its soak, but --once ends`;
  if (config.rolloutGroup === null) return `${begin} needs a --rollout-group, want the same name in all pods`;
  return config.trigger === "none"
    ? `${begin} holds triggers back, but the trigger is none, want signal or http`
    : null;
}

function findUnused({ config, givenAs }: Resolved): string | null {
  for (const [name, other, values] of COUNTS_ONLY_WITH) {
    const value = config[other];
    // What is switched off changes nothing.
    const isOff = name === "allow-unhandled-signal" && !config.allowUnhandledSignal;
    if (values.includes(value) || givenAs(name) === null || isOff) continue;
    const called = other === "verify" ? other : `the ${other}`;
    return `${givenAs(name)}: counts only with --${other} ${orList(values)}, but ${called} is ${value}`;
  }
  return null;
}

/**
 * In a pod the app and the sidecar share the ports: the second to listen would fail, or the sidecar verify or trigger itself.
 */
function findPortConflict({ config, givenAs }: Resolved): string | null {
  const { metricsPort, metricsHost } = config;
  if (metricsHost !== null && !["0.0.0.0", "::"].includes(metricsHost)) return null;
  const asked = config.verify === "none" ? [] : [config.reloadUrl];
  const url = [...asked, ...config.triggerUrls].find((url) => localPort(url) === metricsPort);
  if (url === undefined) return null;
  const flag = asked.includes(url) ? "reload-url" : "trigger-url";
  return `${givenAs("metrics-port") ?? givenAs(flag)}: port ${metricsPort} is both --metrics-port and the ` +
    `app's, at --${flag} ${quote(hideUrlSecrets(url))}, want two ports`;
}
