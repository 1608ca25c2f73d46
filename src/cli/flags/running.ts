/** Flags of retries, the own server, logs and the end. Data only. */

import type { Flags } from "../flag.ts";
import * as kind from "../kinds.ts";

/** The rows of this group. */
export const RUNNING_FLAGS = {
  "retry-interval": {
    ...kind.DURATION,
    group: "Retry and rate",
    default: "5s",
    origin: "the default of Thanos's reloader",
    help: "first pause after a failed reload; doubles each time",
  },
  "max-backoff": {
    ...kind.DURATION,
    group: "Retry and rate",
    default: "5m",
    origin: "kubelet's longest pause between container restarts",
    help: "longest pause; new content resets it",
  },
  "jitter": {
    ...kind.DURATION_OR_ZERO,
    group: "Retry and rate",
    default: "0s",
    origin: "contract: one replica must not wait",
    help: "random wait before a reload, so that replicas do not reload together",
  },
  "min-reload-interval": {
    ...kind.DURATION_OR_ZERO,
    group: "Retry and rate",
    default: "1s",
    origin: "contract: a bound on triggers that nobody notices",
    help: "least time between two triggers; the first goes at once, later changes coalesce",
  },
  "reload-on-start": {
    ...kind.oneOf("auto", "always", "never"),
    group: "Retry and rate",
    default: "auto",
    origin: "contract: one reload too many is harmless, one too few is not",
    help: "auto: if content changed after the app started and the app has not reloaded since",
  },
  "once": {
    ...kind.SWITCH,
    group: "Retry and rate",
    default: "false",
    origin: "off: a sidecar stays",
    help: "make the app match what is on disk, then exit (for init containers: render and exit)",
  },
  "metrics-port": {
    ...kind.PORT,
    group: "Server",
    default: "9091",
    plainVariable: "METRICS_PORT",
    port: true,
    origin: "seed",
    help: "port of /metrics, /healthz, /readyz and /status; 0 picks a free one and logs it",
  },
  "metrics-host": {
    ...kind.HOST,
    group: "Server",
    default: "all addresses",
    origin: "contract: Prometheus comes from outside the pod",
    help: "address to listen on",
  },
  "tls-cert-file": {
    ...kind.FILE,
    group: "Server",
    default: null,
    origin: "off: plain HTTP",
    help: "PEM certificate of the own server; with --tls-key-file",
  },
  "tls-key-file": {
    ...kind.FILE,
    group: "Server",
    default: null,
    origin: "off: plain HTTP",
    help: "PEM key of --tls-cert-file",
  },
  "auth-file": {
    ...kind.FILE,
    group: "Server",
    default: null,
    origin: "off: open to all",
    help: "lines user:password or Bearer token that may read; /healthz and /readyz stay open",
  },
  "ready-when": {
    ...kind.oneOf("started", "in-sync"),
    group: "Server",
    default: "started",
    origin: "contract: a sidecar must not hold up its pod",
    help: "in-sync: /readyz is 503 while the app does not run what is on disk",
  },
  "log-level": {
    ...kind.oneOf("debug", "info", "warn", "error"),
    group: "Logs and end",
    default: "info",
    plainVariable: "LOG_LEVEL",
    origin: "seed",
    help: "least level that is logged",
  },
  "log-format": {
    ...kind.oneOf("text", "json", "logfmt"),
    group: "Logs and end",
    default: "text",
    origin: "contract: people read it first",
    help: "form of the log lines, on standard error",
  },
  "shutdown-timeout": {
    ...kind.DURATION,
    group: "Logs and end",
    default: "10s",
    origin: "contract: within the 30 s that Kubernetes gives a pod to end",
    help: "longest time for a reload in progress after SIGTERM",
  },
} as const satisfies Flags;
