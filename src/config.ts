/**
 * The configuration of one run: the checked result of command line and environment.
 * Types, and what follows from a value alone; `cli/` makes the value. Every duration is in milliseconds, every size in bytes.
 */

/** How the disk is watched; see `--watch-method`. */
export type WatchMethod = "auto" | "inotify" | "poll";
/** How content is checked before it is sent to the app; see `--validate`. */
export type ValidateMode = "none" | "auto" | "yaml" | "json";
/** What makes the app read its configuration; see `--trigger`. */
export type TriggerKind = "signal" | "http" | "none";
/** How a reload is proved; see `--verify`. */
export type VerifyMode = "auto" | "http" | "amp" | "prometheus" | "json" | "none";
/** When content found at the start is sent to the app; see `--reload-on-start`. */
export type ReloadOnStart = "auto" | "always" | "never";
/** Who of a group reloads new content first; see `--rollout`. */
export type Rollout = "none" | "canary" | "serial";
export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFormat = "text" | "json" | "logfmt";

/** Where the value of a setting came from: shown on the status page and in `/status`. */
export interface Setting {
  /** The flag's name without dashes, e.g. `config-file`. */
  readonly name: string;
  /** The value as text; several values are joined with commas. Secrets inside URLs are already hidden. */
  readonly value: string;
  readonly source: "flag" | "environment" | "default";
  /** The environment variable, where the source is one. */
  readonly variable?: string;
}

/** Variables by name, as `Deno.env.toObject()` gives them. */
export type Environment = Readonly<Record<string, string>>;

/** The sidecar that runs in this container already: `check` and `healthcheck` take its settings. */
export interface RunningSidecar {
  readonly pid: number;
  /** Without the program's name. */
  readonly args: readonly string[];
  /** Its variables; null where they may not be read (another user's). */
  readonly environment: Environment | null;
}

/** How much of a running sidecar's settings `check` or `healthcheck` took: flags and variables that are set. */
export interface TakenSettings {
  readonly pid: number;
  readonly flags: number;
  readonly variables: number;
}

/** What `check` is given. */
export interface CheckInput {
  readonly config: Config;
  /** Those of the command line. */
  readonly warnings: readonly string[];
  /** From which sidecar settings were taken; null where none runs. */
  readonly taken: TakenSettings | null;
  /** `--run-checks`: whether to run the check command, too. */
  readonly runChecks: boolean;
  /** The variables that count for `$(VAR)` and the check command. */
  readonly environment: Environment;
}

/** Files with credentials for requests to the app; each is read afresh at each reload. */
export interface CredentialFiles {
  readonly basicAuthFile: string | null;
  readonly bearerTokenFile: string | null;
  readonly headerFile: string | null;
  readonly caFile: string | null;
  readonly clientCertFile: string | null;
  readonly clientKeyFile: string | null;
}

/** The checked settings of one run; one field a flag of the same name, defaults filled in. */
export interface Config extends CredentialFiles {
  // Watching
  /** Absolute paths or globs. */
  readonly configFiles: readonly string[];
  /** Absolute paths of directories. */
  readonly watchedDirs: readonly string[];
  readonly intervalMs: number;
  readonly watchMethod: WatchMethod;
  /** `auto`: none for atomically swapped volumes, 200 ms of quiet and two equal reads for plain files. */
  readonly delayIntervalMs: number | "auto";
  readonly maxFileSizeBytes: number;
  /** For what a packed file unpacks to: `maxFileSizeBytes` where that was set, else 8 MiB, which leaves room in 50. */
  readonly maxUnpackedBytes: number;
  // Checking and rendering
  readonly validate: ValidateMode;
  /** Program and arguments, already split; null where no check is asked for. */
  readonly checkCommand: readonly string[] | null;
  readonly configEnvsubstFile: string | null;
  readonly outputDir: string | null;
  // Trigger and target
  readonly trigger: TriggerKind;
  readonly signal: Deno.Signal;
  readonly pid: number | "auto";
  readonly pidFile: string | null;
  readonly processName: string | null;
  readonly processCmdline: RegExp | null;
  readonly allowUnhandledSignal: boolean;
  readonly triggerUrls: readonly string[];
  readonly triggerMethod: string;
  // Verification
  readonly reloadUrl: string;
  readonly verify: VerifyMode;
  readonly verifyOk: { readonly pointer: string; readonly value: string } | null;
  /** JSON pointer (RFC 6901). */
  readonly verifyToken: string | null;
  readonly reloadTimeoutMs: number;
  readonly pollIntervalMs: number;
  readonly httpTimeoutMs: number;
  // Retry
  readonly retryIntervalMs: number;
  readonly maxBackoffMs: number;
  readonly jitterMs: number;
  readonly minReloadIntervalMs: number;
  readonly reloadOnStart: ReloadOnStart;
  readonly once: boolean;
  // Own server
  readonly metricsPort: number;
  /** null: all addresses. */
  readonly metricsHost: string | null;
  readonly tlsCertFile: string | null;
  readonly tlsKeyFile: string | null;
  readonly authFile: string | null;
  readonly readyWhen: "started" | "in-sync";
  // Fleet
  readonly rollout: Rollout;
  /** Name of the group, whose Lease is `config-reloader-NAME`; set with `canary` and `serial`, else null. */
  readonly rolloutGroup: string | null;
  readonly rolloutSoakMs: number;
  /** Whether reloads and problems become Events of the pod. */
  readonly kubernetesEvents: boolean;
  // Logs and end
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly shutdownTimeoutMs: number;
  /** Every setting as shown to people, in the order of the flag table. */
  readonly settings: readonly Setting[];
}

/** Whether the app reads files that the sidecar writes. */
export function rendersOutput(config: Pick<Config, "configEnvsubstFile" | "outputDir">): boolean {
  return config.configEnvsubstFile !== null || config.outputDir !== null;
}

/** Whether the bytes of the content count beside their hash: they are checked or written. */
export function usesBytes(config: Pick<Config, "validate" | "configEnvsubstFile" | "outputDir">): boolean {
  return config.validate !== "none" || rendersOutput(config);
}

/** Whether anything stands between the content and its trigger. */
export function needsPreparing(
  config: Pick<Config, "checkCommand" | "validate" | "configEnvsubstFile" | "outputDir">,
): boolean {
  return config.checkCommand !== null || usesBytes(config);
}

/** The settings that are not the defaults, as flags. */
export function describeSettings({ settings }: Pick<Config, "settings">): string {
  const set = settings
    .filter((setting) => setting.source !== "default")
    .map((setting) => `${setting.name}=${/\s/.test(setting.value) ? `"${setting.value}"` : setting.value}`);
  return set.join(" ") || "the defaults";
}
