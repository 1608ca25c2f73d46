/**
 * The one table of flags: parsing, validation, `--help`, the docs and the tests all read it. A flag that is not here does
 * not exist.
 */

import * as kind from "./kinds.ts";

/** Headings of `--help`, in the order of the contract. */
export const GROUPS = [
  "Watching",
  "Checking and rendering",
  "Trigger and target",
  "Verification",
  "Credentials for the app",
  "Retry and rate",
  "Server",
  "Fleet",
  "Logs and end",
] as const;
/** One of the groups. */
export type Group = typeof GROUPS[number];

/** One row; its key in the table is the flag's name without dashes. */
export interface Flag<T = unknown> extends kind.Kind<T> {
  readonly group: Group;
  /** Text of the default, read by `parse` as if it had been given; null where the flag is off unless given. */
  readonly default: string | null;
  /** What it means, in a few words for `--help` and the README. */
  readonly help: string;
  /** Where the default comes from. `seed` marks names and defaults of the original specification, which never change. */
  readonly origin: string;
  /** The original's environment variable, read after `CONFIG_RELOADER_…`. */
  readonly plainVariable?: string;
  /** May be given several times; its variable holds a list separated by commas. */
  readonly repeatable?: true;
  /** A port: Kubernetes may set its variable to `tcp://…` for a Service of that name, which is then ignored. */
  readonly port?: true;
}

/** What parsing a flag of the table gives: a list, a value, or null where it has no default. */
export type ValueOf<F> = F extends { repeatable: true; parse: (text: string, cwd: string) => infer T }
  ? readonly T[]
  : F extends { default: null; parse: (text: string, cwd: string) => infer T } ? T | null
  : F extends { parse: (text: string, cwd: string) => infer T } ? T
  : never;

const credential = {
  group: "Credentials for the app",
  default: null,
  origin: "off: no credentials",
} as const;

/** Every flag by its name without dashes, in the order of the contract. */
export const FLAGS = {
  "config-file": {
    ...kind.FILE_OR_GLOB,
    group: "Watching",
    default: "/etc/amp/config.yaml",
    plainVariable: "CONFIG_FILE",
    repeatable: true,
    origin: "seed",
    help: "file to watch, or a quoted glob; the default counts only without --watched-dir",
  },
  "watched-dir": {
    ...kind.DIRECTORY,
    group: "Watching",
    default: null,
    repeatable: true,
    origin: "off: one file is the common case",
    help: "directory whose every regular file counts, recursively",
  },
  "interval": {
    ...kind.DURATION,
    group: "Watching",
    default: "5s",
    plainVariable: "INTERVAL",
    origin: "seed",
    help: "full re-check, whatever the watcher says",
  },
  "watch-method": {
    ...kind.oneOf("auto", "inotify", "poll"),
    group: "Watching",
    default: "auto",
    origin: "contract: events where the kernel gives them, the interval always",
    help: "auto: kernel events and the interval; poll: the interval only",
  },
  "delay-interval": {
    ...kind.AUTO_OR_DURATION,
    group: "Watching",
    default: "auto",
    origin: "contract: only plain files are ever half-written",
    help:
      "quiet time before content counts; auto: none for atomically swapped volumes, 200 ms for plain files",
  },
  "max-file-size": {
    ...kind.SIZE,
    group: "Watching",
    default: "16MiB",
    origin: "contract: 16 times the largest ConfigMap",
    help:
      "a larger file is an error for that file, never a crash; the same for what a packed one unpacks to (8 MiB where this is not set)",
  },
  "validate": {
    ...kind.oneOf("none", "auto", "yaml", "json"),
    group: "Checking and rendering",
    default: "none",
    origin: "contract: the app knows its own syntax best",
    help: "content that does not parse is not sent to the app; auto: by file extension",
  },
  "check-command": {
    ...kind.COMMAND,
    group: "Checking and rendering",
    default: null,
    origin: "off: few images hold both the app's checker and this program",
    help:
      "program and arguments (quotes count, nothing is expanded, no shell); an exit code other than 0 means no trigger",
  },
  "config-envsubst-file": {
    ...kind.FILE,
    group: "Checking and rendering",
    default: null,
    origin: "off, as in prometheus-config-reloader",
    help:
      "write the single --config-file here before the trigger: gunzipped, $(VAR) expanded; not what --watched-dir has",
  },
  "output-dir": {
    ...kind.DIRECTORY,
    group: "Checking and rendering",
    default: null,
    origin: "off, as in prometheus-config-reloader",
    help: "the same for several files: each under its base name, or its path in its --watched-dir",
  },
  "trigger": {
    ...kind.oneOf("signal", "http", "none"),
    group: "Trigger and target",
    default: "signal",
    origin: "the original sends a signal",
    help: "what makes the app read its configuration",
  },
  "signal": {
    ...kind.SIGNAL,
    group: "Trigger and target",
    default: "SIGHUP",
    origin: "the original's signal, and the custom of daemons",
    help: "signal to send",
  },
  "pid": {
    ...kind.PID,
    group: "Trigger and target",
    default: "auto",
    origin: "contract: PID 1 of a pod is the pause process",
    help: "auto: the app's first process in the pod; 1 only where PID 1 is the app",
  },
  "pid-file": {
    ...kind.FILE,
    group: "Trigger and target",
    default: null,
    origin: "off: --pid auto",
    help: "file that holds the PID, read afresh before each signal",
  },
  "process-name": {
    ...kind.PROCESS_NAME,
    group: "Trigger and target",
    default: null,
    origin: "off: --pid auto",
    help: "name of the executable: argv[0]'s base name, or the kernel's comm",
  },
  "process-cmdline": {
    ...kind.REGEXP,
    group: "Trigger and target",
    default: null,
    origin: "off: --pid auto",
    help: "regular expression on the whole command line; of one beyond 4 KiB on its begin and end",
  },
  "allow-unhandled-signal": {
    ...kind.SWITCH,
    group: "Trigger and target",
    default: "false",
    origin: "contract: such a signal kills",
    help: "signal a process that has no handler for the signal (it would die)",
  },
  "trigger-url": {
    ...kind.APP_URL,
    group: "Trigger and target",
    default: null,
    repeatable: true,
    origin: "off: no app shares a path with another",
    help: "URL for --trigger http; all must succeed; unix:/path/to.sock:/-/reload for a unix socket",
  },
  "trigger-method": {
    ...kind.METHOD,
    group: "Trigger and target",
    default: "POST",
    origin: "the method of Prometheus's /-/reload",
    help: "HTTP method of --trigger http",
  },
  "reload-url": {
    ...kind.APP_URL,
    group: "Verification",
    default: "http://localhost:8080/health/reload",
    plainVariable: "RELOAD_URL",
    origin: "seed",
    help: "URL where the app reports the result of its last reload",
  },
  "verify": {
    ...kind.oneOf("auto", "http", "amp", "prometheus", "json", "none"),
    group: "Verification",
    default: "auto",
    origin: "contract: the answer shows its own format",
    help: "how a reload is proved; auto: amp or prometheus by the answer, else http (status 200)",
  },
  "verify-ok": {
    ...kind.POINTER_VALUE,
    group: "Verification",
    default: null,
    origin: "off: only for --verify json",
    help: "for json: what must hold, such as /status=ok",
  },
  "verify-token": {
    ...kind.POINTER,
    group: "Verification",
    default: null,
    origin: "off: only for --verify json",
    help: "for json: JSON pointer whose value must change",
  },
  "reload-timeout": {
    ...kind.DURATION,
    group: "Verification",
    default: "30s",
    origin: "contract: the original's limit for a reload",
    help: "how long verification may take",
  },
  "poll-interval": {
    ...kind.DURATION,
    group: "Verification",
    default: "500ms",
    origin: "contract: 60 reads within the default --reload-timeout",
    help: "longest pause between two status reads (the first ones are closer)",
  },
  "http-timeout": {
    ...kind.DURATION,
    group: "Verification",
    default: "5s",
    origin: "contract: the default --interval",
    help: "one HTTP request: connect, headers and body; also ends --check-command",
  },
  "basic-auth-file": { ...kind.FILE, ...credential, help: "file with user:password" },
  "bearer-token-file": { ...kind.FILE, ...credential, help: "file with a token" },
  "header-file": { ...kind.FILE, ...credential, help: "file with lines Name: value" },
  "ca-file": { ...kind.FILE, ...credential, help: "PEM certificates that vouch for the app" },
  "client-cert-file": { ...kind.FILE, ...credential, help: "PEM certificate to show to the app" },
  "client-key-file": { ...kind.FILE, ...credential, help: "PEM key of --client-cert-file" },
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
  "rollout": {
    ...kind.oneOf("none", "canary", "serial"),
    group: "Fleet",
    default: "none",
    origin: "off: it needs a Role in the pod's namespace",
    help: "canary: one pod of the group reloads new content first, the others when it was proved there; " +
      "serial: one pod after the other",
  },
  "rollout-group": {
    ...kind.LEASE_NAME,
    group: "Fleet",
    default: null,
    origin: "off: only for --rollout",
    help: "name of the group: its Lease is config-reloader-NAME in the pod's namespace",
  },
  "rollout-soak": {
    ...kind.DURATION,
    group: "Fleet",
    default: "10s",
    origin: "contract: an app that cannot live with its config has ended by then",
    help: "how long the app has to live on with a good status after its proof before the next pods go",
  },
  "kubernetes-events": {
    ...kind.SWITCH,
    group: "Fleet",
    default: "false",
    origin: "off: it needs a Role in the pod's namespace",
    help: "report reloads, rejections, failures, holds and stale mounts as Events of the pod",
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
} as const satisfies Readonly<Record<string, Flag>>;

/** The name of a flag, without dashes. */
export type FlagName = keyof typeof FLAGS;
/** The parsed value of each flag. */
export type Values = { readonly [N in FlagName]: ValueOf<typeof FLAGS[N]> };

/** Names in the order of the table. */
export const FLAG_NAMES = Object.keys(FLAGS) as readonly FlagName[];

/**
 * The row of a flag, or undefined where there is no such flag.
 */
export function findFlag(name: string): Flag | undefined {
  return Object.hasOwn(FLAGS, name) ? FLAGS[name as FlagName] : undefined;
}

/** What every own variable starts with. */
export const VARIABLE_PREFIX = "CONFIG_RELOADER_";

/**
 * The variable of a flag: `max-backoff` → `CONFIG_RELOADER_MAX_BACKOFF`.
 */
export function variableOf(name: FlagName): string {
  return VARIABLE_PREFIX + name.toUpperCase().replaceAll("-", "_");
}
