/**
 * Settings that are fine each for itself and make no sense together. Each message names what was given, and the way
 * out. Must parse nothing and change nothing.
 */

import type { FlagName } from "./flags.ts";
import { findOutputConflict } from "./outputs.ts";
import type { Resolved } from "./resolve.ts";
import { hideUrlSecrets } from "../http/hide_url.ts";
import { formatDuration } from "./units.ts";
import { quote } from "./usage_error.ts";

/**
 * The first contradiction as one line for people, or null.
 */
export function findContradiction(resolved: Resolved): string | null {
  return findTriggerConflict(resolved) ?? findTargetConflict(resolved) ?? findVerifyConflict(resolved) ??
    findCredentialConflict(resolved) ?? findTimeConflict(resolved) ?? findOutputConflict(resolved) ??
    findRolloutConflict(resolved) ?? findPortConflict(resolved);
}

/** Pods find each other by the group's name, and only what is triggered can be held back. */
function findRolloutConflict({ config, givenAs }: Resolved): string | null {
  if (config.rollout === "none") {
    const label = givenAs("rollout-group") ?? givenAs("rollout-soak");
    return label && `${label}: counts only with --rollout canary or serial, but the rollout is none`;
  }
  if (config.once) {
    return `${
      givenAs("rollout")
    }: ${config.rollout} needs a sidecar that stays for its soak, but --once ends`;
  }
  if (config.rolloutGroup === null) {
    return `${givenAs("rollout")}: ${config.rollout} needs a --rollout-group, want the same name in all pods`;
  }
  return config.trigger === "none"
    ? `${
      givenAs("rollout")
    }: ${config.rollout} holds triggers back, but the trigger is none, want signal or http`
    : null;
}

/** Without signals it still matters which process the app is, since its deaths and restarts are watched; how to signal it does not. */
function findTriggerConflict({ config, givenAs }: Resolved): string | null {
  if (config.trigger === "http") {
    if (config.triggerUrls.length === 0) {
      return `${givenAs("trigger")}: http needs a --trigger-url, want one at least`;
    }
  } else {
    for (const name of ["trigger-url", "trigger-method"] as const) {
      const label = givenAs(name);
      if (label) return `${label}: counts only with --trigger http, but the trigger is ${config.trigger}`;
    }
  }
  if (config.trigger === "none" && config.verify === "none") {
    return `${givenAs("trigger")}: none together with --verify none sends nothing and asks nobody, ` +
      "want a trigger or a verification";
  }
  if (config.trigger === "signal") return null;
  const label = givenAs("signal") ?? (config.allowUnhandledSignal ? givenAs("allow-unhandled-signal") : null);
  return label && `${label}: counts only with --trigger signal, but the trigger is ${config.trigger}`;
}

/** The flags that name the target, of which one may be given. */
export const SELECTORS = ["pid", "pid-file", "process-name", "process-cmdline"] as const;

function findTargetConflict({ config, givenAs }: Resolved): string | null {
  const selectors = SELECTORS.filter((name) =>
    givenAs(name) !== null && !(name === "pid" && config.pid === "auto")
  );
  if (selectors.length < 2) return null;
  return `${givenAs(selectors[1]!)}: says who the target is, and so does ${
    givenAs(selectors[0]!)
  }, want one of them`;
}

function findVerifyConflict({ config, givenAs }: Resolved): string | null {
  if (config.verify === "json") {
    return config.verifyOk === null && config.verifyToken === null
      ? `${givenAs("verify")}: json needs --verify-ok or --verify-token, want one at least`
      : null;
  }
  const label = givenAs("verify-ok") ?? givenAs("verify-token");
  return label && `${label}: counts only with --verify json, but verify is ${config.verify}`;
}

function findCredentialConflict({ givenAs }: Resolved): string | null {
  const pairs: readonly (readonly [FlagName, FlagName])[] = [
    ["client-cert-file", "client-key-file"],
    ["client-key-file", "client-cert-file"],
    ["tls-cert-file", "tls-key-file"],
    ["tls-key-file", "tls-cert-file"],
  ];
  for (const [name, other] of pairs) {
    if (givenAs(name) && !givenAs(other)) return `${givenAs(name)}: needs --${other} too, want both or none`;
  }
  const [basic, bearer] = [givenAs("basic-auth-file"), givenAs("bearer-token-file")];
  return basic && bearer ? `${bearer}: cannot be sent together with ${basic}, want one of them` : null;
}

/** Both were given: a default has given way already. */
function findTimeConflict({ config, givenAs }: Resolved): string | null {
  const pairs = [
    ["retry-interval", config.retryIntervalMs, "max-backoff", config.maxBackoffMs],
    ["poll-interval", config.pollIntervalMs, "reload-timeout", config.reloadTimeoutMs],
  ] as const;
  for (const [shorter, shortMs, longer, longMs] of pairs) {
    if (shortMs <= longMs) continue;
    return `${givenAs(shorter)}: ${formatDuration(shortMs)} is longer than ${givenAs(longer)} ` +
      `(${formatDuration(longMs)}), want it no longer`;
  }
  return null;
}

/** In a pod the app and the sidecar share the ports: the second to listen would fail, or the sidecar verify itself. */
function findPortConflict({ config, givenAs }: Resolved): string | null {
  const ownHost = config.metricsHost ?? "0.0.0.0";
  if (config.verify === "none" || !["0.0.0.0", "::"].includes(ownHost) || config.metricsPort === 0) {
    return null;
  }
  const isDefaultPort = config.metricsPort === 80 || config.metricsPort === 443;
  // Parsing a URL costs more than all the rest here, so only where the port is in it at all.
  if (!isDefaultPort && !config.reloadUrl.includes(`:${config.metricsPort}`)) return null;
  if (config.reloadUrl.startsWith("unix:")) return null;
  const url = new URL(config.reloadUrl);
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  const isLocal = ["localhost", "[::1]"].includes(url.hostname) || url.hostname.startsWith("127.");
  if (!isLocal || port !== config.metricsPort) return null;
  return `${
    givenAs("metrics-port") ?? givenAs("reload-url")
  }: port ${port} is both --metrics-port and the app's, at ` +
    `--reload-url ${quote(hideUrlSecrets(config.reloadUrl))}, want two ports`;
}
