/** The one table of flags, which parsing, validation, `--help`, the docs and the tests read. */

import type { Config } from "../config.ts";
import * as kind from "./kinds.ts";

/** One row; its key in the table is the flag's name without dashes. */
export interface Flag extends kind.Kind {
  /** Heading in `--help` and the README. */
  readonly group: string;
  /** Text of the default, read by `parse` as if it had been given; without one the flag is off unless given. */
  readonly default?: string;
  /** What it means, in a few words for `--help` and the README. */
  readonly help: string;
  /** The original's environment variable, read after `CONFIG_RELOADER_…`. */
  readonly plainVariable?: string;
  /** May be given several times; its variable holds a list separated by commas. */
  readonly repeatable?: true;
  /** A port: Kubernetes may set its variable to `tcp://…` for a Service of that name, which is then ignored. */
  readonly port?: true;
}

/** The rows of one group, whose heading in `--help` is its name. */
function inGroup<N extends string>(group: string, rows: Readonly<Record<N, Omit<Flag, "group">>>) {
  const entries = Object.entries<Omit<Flag, "group">>(rows).map(([name, row]) => [name, { ...row, group }]);
  return Object.fromEntries(entries) as Readonly<Record<N, Flag>>;
}

/**
 * Every flag by its name without dashes, in the order of the contract. Beside a default stands where it comes from; `seed` is
 * the original specification, whose names and defaults never change.
 */
export const FLAGS = {
  ...inGroup("Watching", {
    "config-file": {
      ...kind.FILE_OR_GLOB,
      default: "/etc/amp/config.yaml", // seed
      plainVariable: "CONFIG_FILE",
      repeatable: true,
      help: "file to watch, or a quoted glob; the default counts only without --watched-dir",
    },
    "watched-dir": {
      ...kind.DIRECTORY,
      repeatable: true,
      help: "directory whose every regular file counts, recursively",
    },
    "interval": {
      ...kind.DURATION,
      default: "5s", // seed
      plainVariable: "INTERVAL",
      help: "full re-check, whatever the watcher says",
    },
    "watch-method": {
      ...kind.oneOf("auto", "inotify", "poll"),
      default: "auto", // events where the kernel gives them, the interval always
      help: "auto: kernel events and the interval; poll: the interval only",
    },
    "delay-interval": {
      ...kind.AUTO_OR_DURATION,
      default: "auto", // only plain files are ever half-written
      help:
        "quiet time before content counts; auto: none for atomically swapped volumes, 200 ms for plain files",
    },
    "max-file-size": {
      ...kind.SIZE,
      default: "16MiB", // 16 times the largest ConfigMap
      help:
        "a larger file is an error; so is a gzip file that unpacks to more (more than 8 MiB unless this flag is set)",
    },
  }),
  ...inGroup("Checking and rendering", {
    "validate": {
      ...kind.oneOf("none", "auto", "yaml", "json"),
      default: "none", // the app knows its own syntax best
      help: "content that does not parse is not sent to the app; auto: by file extension",
    },
    "check-command": {
      ...kind.COMMAND,
      help:
        "program and arguments (quotes count, nothing is expanded, no shell); an exit code other than 0 means no trigger",
    },
    "config-envsubst-file": {
      ...kind.FILE,
      help:
        "write the single --config-file here before the trigger: gunzipped, $(VAR) expanded; files of --watched-dir are not written",
    },
    "output-dir": {
      ...kind.DIRECTORY,
      help: "the same for several files: each under its base name, or its path in its --watched-dir",
    },
  }),
  ...inGroup("Trigger and target", {
    "trigger": {
      ...kind.oneOf("signal", "http", "none"),
      default: "signal", // the original sends a signal
      help: "what makes the app read its configuration",
    },
    "signal": {
      ...kind.SIGNAL,
      default: "SIGHUP", // the original's signal, and the custom of daemons
      help: "signal to send",
    },
    "pid": {
      ...kind.PID,
      default: "auto", // PID 1 of a pod is the pause process
      help: "auto: the app's first process in the pod; 1 only where PID 1 is the app",
    },
    "pid-file": { ...kind.FILE, help: "file that holds the PID, read afresh before each signal" },
    "process-name": {
      ...kind.PROCESS_NAME,
      help: "name of the executable: argv[0]'s base name, or the kernel's comm",
    },
    "process-cmdline": {
      ...kind.REGEXP,
      help: "regular expression on the whole command line; beyond 4 KiB only on its beginning and end",
    },
    "allow-unhandled-signal": {
      ...kind.SWITCH,
      default: "false", // such a signal kills
      help: "signal a process that has no handler for the signal (it would die)",
    },
    "trigger-url": {
      ...kind.APP_URL,
      repeatable: true,
      help: "URL for --trigger http; all must succeed; unix:/path/to.sock:/-/reload for a unix socket",
    },
    "trigger-method": {
      ...kind.METHOD,
      default: "POST", // the method of Prometheus's /-/reload
      help: "HTTP method of --trigger http",
    },
  }),
  ...inGroup("Verification", {
    "reload-url": {
      ...kind.APP_URL,
      default: "http://localhost:8080/health/reload", // seed
      plainVariable: "RELOAD_URL",
      help: "URL where the app reports the result of its last reload",
    },
    "verify": {
      ...kind.oneOf("auto", "http", "amp", "prometheus", "json", "none"),
      default: "auto", // the answer shows its own format
      help: "how a reload is proved; auto: amp or prometheus by the answer, else http (status 200)",
    },
    "verify-ok": { ...kind.POINTER_VALUE, help: "for json: what must hold, such as /status=ok" },
    "verify-token": { ...kind.POINTER, help: "for json: JSON pointer whose value must change" },
    "reload-timeout": {
      ...kind.DURATION,
      default: "30s", // the original's limit for a reload
      help: "how long verification may take",
    },
    "poll-interval": {
      ...kind.DURATION,
      default: "500ms", // 60 reads within the default --reload-timeout
      help: "longest pause between two status reads (the first ones are closer)",
    },
    "http-timeout": {
      ...kind.DURATION,
      default: "5s", // the default --interval
      help: "one HTTP request: connect, headers and body; also ends --check-command",
    },
  }),
  ...inGroup("Credentials for the app", {
    "basic-auth-file": { ...kind.FILE, help: "file with user:password" },
    "bearer-token-file": { ...kind.FILE, help: "file with a token" },
    "header-file": { ...kind.FILE, help: "file with lines Name: value" },
    "ca-file": { ...kind.FILE, help: "PEM certificates of the CA that signed the app's certificate" },
    "client-cert-file": { ...kind.FILE, help: "PEM certificate to show to the app" },
    "client-key-file": { ...kind.FILE, help: "PEM key of --client-cert-file" },
  }),
  ...inGroup("Retry and rate", {
    "retry-interval": {
      ...kind.DURATION,
      default: "5s", // the default of Thanos's reloader
      help: "first pause after a failed reload; doubles each time",
    },
    "max-backoff": {
      ...kind.DURATION,
      default: "5m", // kubelet's longest pause between container restarts
      help: "longest pause; new content resets it",
    },
    "jitter": {
      ...kind.DURATION_OR_ZERO,
      default: "0s", // one replica must not wait
      help: "random wait before a reload, so that replicas do not reload together",
    },
    "min-reload-interval": {
      ...kind.DURATION_OR_ZERO,
      default: "1s", // a bound on triggers that nobody notices
      help: "least time between two triggers; the first goes at once, later changes coalesce",
    },
    "reload-on-start": {
      ...kind.oneOf("auto", "always", "never"),
      default: "auto", // one reload too many is harmless, one too few is not
      help: "auto: if content changed after the app started and the app has not reloaded since",
    },
    "once": {
      ...kind.SWITCH,
      default: "false", // a sidecar stays
      help: "make the app match what is on disk, then exit (for init containers: render and exit)",
    },
  }),
  ...inGroup("Server", {
    "metrics-port": {
      ...kind.PORT,
      default: "9091", // seed
      plainVariable: "METRICS_PORT",
      port: true,
      help: "port of /metrics, /healthz, /readyz and /status; 0 picks a free one and logs it",
    },
    "metrics-host": {
      ...kind.HOST,
      default: "all addresses", // Prometheus comes from outside the pod
      help: "address to listen on",
    },
    "tls-cert-file": { ...kind.FILE, help: "PEM certificate of the own server; with --tls-key-file" },
    "tls-key-file": { ...kind.FILE, help: "PEM key of --tls-cert-file" },
    "auth-file": {
      ...kind.FILE,
      help:
        "file with lines user:password or Bearer TOKEN; only these clients may read; /healthz and /readyz stay open",
    },
    "ready-when": {
      ...kind.oneOf("started", "in-sync"),
      default: "started", // a sidecar must not hold up its pod
      help: "in-sync: /readyz is 503 while the app does not run what is on disk",
    },
  }),
  ...inGroup("Fleet", {
    "rollout": {
      ...kind.oneOf("none", "canary", "serial"),
      default: "none", // it needs a Role in the pod's namespace
      help: "canary: one pod of the group reloads new content first, the others when it was proved there; " +
        "serial: one pod after the other",
    },
    "rollout-group": {
      ...kind.LEASE_NAME,
      help: "name of the group: its Lease is config-reloader-NAME in the pod's namespace",
    },
    "rollout-soak": {
      ...kind.DURATION,
      default: "10s", // an app that cannot live with its config has ended by then
      help: "how long the app has to live on with a good status after its proof before the next pods go",
    },
    "kubernetes-events": {
      ...kind.SWITCH,
      default: "false", // it needs a Role in the pod's namespace
      help: "report reloads, rejections, failures, holds and stale mounts as Events of the pod",
    },
  }),
  ...inGroup("Logs and end", {
    "log-level": {
      ...kind.oneOf("debug", "info", "warn", "error"),
      default: "info", // seed
      plainVariable: "LOG_LEVEL",
      help: "lowest level that is logged",
    },
    "log-format": {
      ...kind.oneOf("text", "json", "logfmt"),
      default: "text", // people read it first
      help: "form of the log lines, on standard error",
    },
    "shutdown-timeout": {
      ...kind.DURATION,
      default: "10s", // within the 30 s that Kubernetes gives a pod to end
      help: "longest time for a reload in progress after SIGTERM",
    },
  }),
};

/** The name of a flag, without dashes. */
export type FlagName = keyof typeof FLAGS;

/** The field of the Config: `reload-timeout` → `reloadTimeoutMs`, `max-file-size` → `maxFileSizeBytes`, `trigger-url` → `triggerUrls`. */
export function fieldOf(name: FlagName): keyof Config {
  const { unit, repeatable } = FLAGS[name];
  const camelCase = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  return camelCase + (unit ?? (repeatable ? "s" : "")) as keyof Config;
}

/** Names in the order of the table. */
export const FLAG_NAMES = Object.keys(FLAGS) as readonly FlagName[];

/** The row of a flag, or undefined where there is no such flag. */
export function findFlag(name: string): Flag | undefined {
  return Object.hasOwn(FLAGS, name) ? FLAGS[name as FlagName] : undefined;
}

/** What every own variable starts with. */
export const VARIABLE_PREFIX = "CONFIG_RELOADER_";

/** The variable of a flag: `max-backoff` → `CONFIG_RELOADER_MAX_BACKOFF`. */
export function variableOf(name: FlagName): string {
  return VARIABLE_PREFIX + name.toUpperCase().replaceAll("-", "_");
}

/**
 * Flags of the sidecars that people come from, by their name without dashes, each with ours: the error
 * names it. docs/migrating.md has the remarks.
 */
export const PEER_FLAGS: Readonly<Record<string, string>> = {
  // prometheus-config-reloader
  "watch-interval": "--interval here",
  "reload-method": "--trigger here, http or signal",
  "runtimeinfo-url": "--reload-url here",
  "process-executable-name": "--process-name here",
  "listen-address": "--metrics-port and --metrics-host here",
  "web-config-file": "--tls-cert-file, --tls-key-file and --auth-file here",
  "statefulset-ordinal-from-envvar": "not needed here, set the variable from the pod's label",
  "auto-gomemlimit-ratio": "not needed here",
  // Thanos's sidecar
  "reloader.config-file": "--config-file here",
  "reloader.config-envsubst-file": "--config-envsubst-file here",
  "reloader.rule-dir": "--watched-dir here",
  "reloader.watch-interval": "--interval here",
  "reloader.retry-interval": "--retry-interval here",
  "reloader.method": "--trigger here, http or signal",
  "reloader.process-name": "--process-name here",
  // configmap-reload
  "volume-dir": "--watched-dir here",
  "webhook-url": "--trigger http with --trigger-url here",
  "webhook-method": "--trigger-method here",
  "webhook-status-code": "not needed here, any status from 200 to 299 counts",
  "webhook-retries": "not needed here, a failed reload is retried until it succeeds",
  "web.listen-address": "--metrics-port and --metrics-host here",
  "web.telemetry-path": "not needed here, the path is always /metrics",
  "volume-dir-archive": "--watched-dir with --output-dir here",
  "dir-for-unarchive": "--output-dir here",
  "init-mode": "--once here",
  // VictoriaMetrics' config-reloader
  "config-secret-name": "--config-file here, from a mounted Secret",
  "config-secret-key": "--config-file here, from a mounted Secret",
  "rules-dir": "--watched-dir here",
  "resync-interval": "--interval here",
  "only-init-config": "--once here",
  "http.listenAddr": "--metrics-port and --metrics-host here",
  "reload-use-proxy-protocol": "no such flag here, give a port of the app without it",
  "reload.tlsCAFile": "--ca-file here",
  "reload.tlsCertFile": "--client-cert-file here",
  "reload.tlsKeyFile": "--client-key-file here",
  "reload.tlsServerName": "--ca-file here, and the URL's host is checked",
  "reload.tlsInsecureSkipVerify": "--ca-file here, since certificates are always checked",
  // kiwigrid/k8s-sidecar
  "req-username-file": "--basic-auth-file here",
  "req-password-file": "--basic-auth-file here",
  // nats-server-config-reloader
  "force-poll": "--watch-method poll here",
  "max-watcher-retries": "not needed here, a failed watch is tried again",
  "P": "--pid-file here",
  "c": "--config-file here",
  "config": "--config-file here",
  "max-retries": "not needed here, a failed reload is retried until it succeeds",
  "retry-wait-secs": "--retry-interval here",
};
