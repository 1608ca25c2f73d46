/**
 * Settings that are fine each for itself and make no sense together. Each message names what was given, and the way
 * out. Must parse nothing and change nothing.
 */

import type { FlagName } from "./flags.ts";
import { findOutputConflict } from "./outputs.ts";
import type { Resolved } from "./resolve.ts";
import { hideUrlSecrets } from "../http/hide_url.ts";
import { formatDuration } from "./units.ts";
import { orList, quote } from "./usage_error.ts";

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
 * The first contradiction as one line for people, or null.
 */
export function findContradiction(resolved: Resolved): string | null {
  return findTriggerConflict(resolved) ?? findTargetConflict(resolved) ?? findVerifyConflict(resolved) ??
    findCredentialConflict(resolved) ?? findTimeConflict(resolved) ?? findOutputConflict(resolved) ??
    findRolloutConflict(resolved) ?? findUnused(resolved) ?? findPortConflict(resolved);
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

function findTriggerConflict({ config, givenAs }: Resolved): string | null {
  if (config.trigger === "http" && config.triggerUrls.length === 0) {
    return `${givenAs("trigger")}: http needs a --trigger-url, want one at least`;
  }
  return config.trigger === "none" && config.verify === "none"
    ? `${givenAs("trigger")}: none together with --verify none sends nothing and asks nobody, ` +
      "want a trigger or a verification"
    : null;
}

/**
 * The flags that name the target, of which one may be given. Without signals, too: whether the app lives and restarts is
 * watched.
 */
export const SELECTORS = ["pid", "pid-file", "process-name", "process-cmdline"] as const;

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
    const [name] = pair.filter((name) => givenAs(name) !== null);
    const other = pair.find((name) => givenAs(name) === null);
    if (name && other) return `${givenAs(name)}: needs --${other} too, want both or none`;
  }
  const [basic, bearer] = [givenAs("basic-auth-file"), givenAs("bearer-token-file")];
  return basic && bearer ? `${bearer}: cannot be sent together with ${basic}, want one of them` : null;
}

function findTimeConflict({ config, givenAs }: Resolved): string | null {
  const pairs = [
    ["retry-interval", config.retryIntervalMs, "max-backoff", config.maxBackoffMs],
    ["poll-interval", config.pollIntervalMs, "reload-timeout", config.reloadTimeoutMs],
  ] as const;
  for (const [shorter, shortMs, longer, longMs] of pairs) {
    if (shortMs <= longMs) continue;
    const given = givenAs(shorter);
    if (given) {
      return `${given}: ${formatDuration(shortMs)} is longer than --${longer} ` +
        `(${formatDuration(longMs)}), want it no longer`;
    }
    return `${givenAs(longer)}: ${formatDuration(longMs)} is shorter than --${shorter} ` +
      `(${formatDuration(shortMs)}), want --${shorter} no longer`;
  }
  return null;
}

/** In a pod the app and the sidecar share the ports: the second to listen would fail, or the sidecar verify itself. */
function findPortConflict({ config, givenAs }: Resolved): string | null {
  const ownHost = config.metricsHost ?? "0.0.0.0";
  if (config.verify === "none" || !["0.0.0.0", "::"].includes(ownHost)) return null;
  if (config.reloadUrl.startsWith("unix:")) return null;
  const url = new URL(config.reloadUrl);
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  const isLocal = ["localhost", "[::1]"].includes(url.hostname) || url.hostname.startsWith("127.");
  if (!isLocal || port !== config.metricsPort) return null;
  const label = givenAs("metrics-port") ?? givenAs("reload-url");
  return `${label}: port ${port} is both --metrics-port and the app's, at ` +
    `--reload-url ${quote(hideUrlSecrets(config.reloadUrl))}, want two ports`;
}
