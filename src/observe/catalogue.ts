/**
 * Every metric: name, type, help and labels, in the order of `/metrics`. Data only: `metrics.ts` makes the metrics and
 * `scripts/docs.ts` the table in the docs. Labels come from closed sets; no PID, URL or path is ever one.
 */

type MetricType = "counter" | "gauge" | "histogram";

/** What is fixed about a metric; `buckets` are upper bounds in seconds. */
export interface MetricInfo<T extends MetricType = MetricType> {
  readonly type: T;
  readonly help: string;
  readonly labels: readonly string[];
  readonly buckets: readonly number[];
}

const metric =
  <T extends MetricType>(type: T) =>
  (help: string, labels: readonly string[] = [], buckets: readonly number[] = []): MetricInfo<T> => ({
    type,
    help,
    labels,
    buckets,
  });
const counter = metric("counter");
const gauge = metric("gauge");
const histogram = metric("histogram");

/** By name; the names and meanings are part of the contract with users' alerts and never change. */
export const CATALOGUE = {
  config_reload_attempts_total: counter(
    "Reloads tried, whether or not a trigger could be sent; equals successes + failures + the one in progress.",
  ),
  config_reload_successes_total: counter(
    "Reloads that were proved (with --verify none: triggers that were delivered).",
  ),
  config_reload_failures_total: counter("Reload attempts that did not succeed."),
  config_reload_last_success_timestamp: gauge(
    "Unix time of the last successful reload in seconds, 0 before the first.",
  ),
  config_reload_outcomes_total: counter(
    "Reloads by how they ended: success, rejected, failed, timeout, invalid.",
    ["outcome"],
  ),
  config_reload_last_successful: gauge("1 until an attempt fails, 0 from then until one succeeds."),
  config_reload_in_sync: gauge(
    "1 when the app is believed to run what is on disk; 0 also while the content is missing or cannot be " +
      "read, and while the app cannot see it.",
  ),
  config_reload_duration_seconds: histogram(
    "Time from the moment a change was seen to the outcome of its reload.",
    [],
    // Dense between 0.1 s, the second reading that confirms a success, and 1 s, where most apps are done.
    [0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 1, 2.5, 5, 10, 30, 60],
  ),
  config_reload_trigger_delay_seconds: histogram(
    "Time from the moment a change was seen until its trigger was sent.",
    [],
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  ),
  config_reload_config_info: gauge(
    "1; hash has the first 12 hex digits of the SHA-256 of the content on disk.",
    ["hash"],
  ),
  config_reload_restart_required: gauge(
    "Parts of the applied configuration for which the app says that it needs a restart.",
  ),
  config_reload_watch_info: gauge(
    "1; method is how changes are noticed at present: inotify or poll.",
    ["method"],
  ),
  config_reload_watch_events_total: counter("Events that the kernel's file watcher delivered."),
  config_reload_watch_errors_total: counter("Errors of the kernel's file watcher."),
  config_reload_read_errors_total: counter(
    "Looks at the disk that found something missing, unreadable or too large.",
  ),
  config_reload_files: gauge("Files in the content."),
  config_reload_last_scan_timestamp_seconds: gauge(
    "Unix time of the last complete look at the disk in seconds, 0 before the first.",
  ),
  config_reload_stale_mounts: gauge(
    "Config mounts that can never change again: container is sidecar or app, reason is subpath or replaced.",
    ["container", "reason"],
  ),
  config_reload_proof_info: gauge(
    "1; kind is how the last success was proved: counter, time, token, restarted, http-200, delivered or " +
      "assumed-at-start. Absent before the first.",
    ["kind"],
  ),
  config_reload_target_ready: gauge(
    "1 with code=ready when the next signal could be sent, else 0 with the reason. Absent without " +
      "--trigger signal.",
    ["code"],
  ),
  config_reload_rollout_held: gauge(
    "1 while content is held because it failed in the pod that tried it first. Only with --rollout.",
  ),
  config_reload_kubernetes_errors_total: counter(
    "Requests to the Kubernetes API that failed. Only with --rollout or --kubernetes-events.",
  ),
  config_reloader_build_info: gauge(
    "1; which version runs, built from which revision, on which Deno.",
    ["version", "revision", "deno"],
  ),
  process_cpu_seconds_total: counter("User and system CPU time spent in seconds."),
  process_resident_memory_bytes: gauge("Resident memory size in bytes."),
  process_start_time_seconds: gauge("Unix time at which the process started in seconds."),
  process_open_fds: gauge("Open file descriptors."),
  process_max_fds: gauge("Most file descriptors that may be open."),
};

/** The name of a metric of the catalogue. */
export type MetricName = keyof typeof CATALOGUE;
