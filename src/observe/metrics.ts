/**
 * The numbers of this process as prom-client's metrics, one verb a fact. A number that is none is ignored, and nothing that
 * goes wrong here fails a scrape or a reload. Four files of prom-client are loaded by name: the whole of it also loads
 * clusters and push gateways, twice the memory and 40 ms of start.
 */

import type * as prom from "prom-client";
import CounterClass from "prom-client/lib/counter.js";
import GaugeClass from "prom-client/lib/gauge.js";
import HistogramClass from "prom-client/lib/histogram.js";
import RegistryClass from "prom-client/lib/registry.js";
import type { Config } from "../config.ts";
import type { TargetCode } from "../codes.ts";
import { type Outcome, OUTCOMES, type Proof, type StaleMount } from "../model.ts";
import { CATALOGUE, type MetricInfo, type MetricName } from "./catalogue.ts";
import { createProcessReader, type ProcessStats } from "./process_stats.ts";

// The single files carry no types; the package's own do.
const Counter = CounterClass as unknown as typeof prom.Counter;
const Gauge = GaugeClass as unknown as typeof prom.Gauge;
const Histogram = HistogramClass as unknown as typeof prom.Histogram;
const Registry = RegistryClass as unknown as typeof prom.Registry;

/** What the watcher reports of itself. */
export interface WatcherNumbers {
  readonly method: "inotify" | "poll";
  readonly events: number;
  readonly errors: number;
}

/** The settings that decide which metrics there are. */
export type MetricSettings = Pick<Config, "trigger" | "rollout" | "kubernetesEvents">;

/** The numbers of one run. */
export type Metrics = ReturnType<typeof createMetrics>;

/**
 * Creates the metrics of one run; every series of a closed set is there from the start. Times are in milliseconds; the text has
 * seconds.
 * @param settings which of the optional metrics there are
 * @param readProcess the values of `process_*`, asked at each scrape
 */
export function createMetrics(
  build: { readonly version: string; readonly revision: string; readonly deno: string },
  settings: MetricSettings = { trigger: "signal", rollout: "none", kubernetesEvents: false },
  readProcess: () => ProcessStats = createProcessReader(),
) {
  const registry = new Registry();
  const all = createAll(registry, missing(settings));
  for (const outcome of OUTCOMES) all.config_reload_outcomes_total.inc({ outcome }, 0);
  all.config_reload_last_successful.set(1);
  all.config_reloader_build_info.set(build, 1);
  setStaleMounts(all.config_reload_stale_mounts, []);
  let readWatcher: () => WatcherNumbers | null = () => null;
  return {
    /** An attempt begins: it counts as one in progress until `attemptEnded`. */
    attemptStarted: () => all.config_reload_attempts_total.inc(),
    /** It ended; `durationMs` from the moment the change was seen, `wallMs` the time of the end. */
    attemptEnded(
      outcome: Outcome,
      { durationMs, wallMs }: { readonly durationMs: number; readonly wallMs: number },
    ) {
      const good = outcome === "success";
      all.config_reload_outcomes_total.inc({ outcome });
      (good ? all.config_reload_successes_total : all.config_reload_failures_total).inc();
      all.config_reload_last_successful.set(Number(good));
      if (good) setFinite(all.config_reload_last_success_timestamp, wallMs / 1000);
      observe(all.config_reload_duration_seconds, durationMs);
    },
    /** A trigger went out, `delayMs` after the change was seen. */
    triggerSent: (delayMs: number) => observe(all.config_reload_trigger_delay_seconds, delayMs),
    setInSync: (inSync: boolean) => all.config_reload_in_sync.set(Number(inSync)),
    /** How the last success was proved. */
    setProof: (kind: Proof) => setOnly(all.config_reload_proof_info, { kind }, 1),
    /** Whether the next signal could be sent: `ready`, or the reason; null where it is not known. */
    setTargetReady: (code: TargetCode | null) =>
      setOnly(all.config_reload_target_ready, code === null ? null : { code }, Number(code === "ready")),
    /** The content on disk: the first 12 hex digits of its digest (null before the first read) and its files. */
    setContent(hash12: string | null, files: number) {
      setOnly(all.config_reload_config_info, hash12 === null ? null : { hash: hash12 }, 1);
      setFinite(all.config_reload_files, files);
    },
    /** How many parts need a restart of the app. */
    setRestartRequired: (count: number) => setFinite(all.config_reload_restart_required, count),
    /** Where to ask for the watcher's numbers at each scrape. */
    setWatcher(read: () => WatcherNumbers): void {
      readWatcher = read;
    },
    /** A look at the disk found something missing or unreadable. */
    readError: () => all.config_reload_read_errors_total.inc(),
    /** A complete look at the disk ended. */
    scanned: (wallMs: number) => setFinite(all.config_reload_last_scan_timestamp_seconds, wallMs / 1000),
    setStaleMounts: (mounts: readonly StaleMount[]) => setStaleMounts(all.config_reload_stale_mounts, mounts),
    /** Whether content is held because it failed in the pod that tried it first. */
    setRolloutHeld: (held: boolean) => all.config_reload_rollout_held.set(Number(held)),
    /** A request to the Kubernetes API failed. */
    kubernetesError: () => all.config_reload_kubernetes_errors_total.inc(),
    /** The text for one scrape. Never rejects for a value that could not be had: that metric has no sample then. */
    render(): Promise<string> {
      collectWatcher(all, readWatcher);
      collectProcess(all, readProcess);
      return registry.metrics();
    },
  };
}

/** The metrics that make no sense with these settings. */
function missing({ trigger, rollout, kubernetesEvents }: MetricSettings): readonly MetricName[] {
  const asksApi = rollout !== "none" || kubernetesEvents;
  return [
    ...(trigger === "signal" ? [] : ["config_reload_target_ready"] as const),
    ...(rollout === "none" ? ["config_reload_rollout_held"] as const : []),
    ...(asksApi ? [] : ["config_reload_kubernetes_errors_total"] as const),
  ];
}

type MetricOf<N extends MetricName> = (typeof CATALOGUE)[N]["type"] extends "counter" ? prom.Counter
  : (typeof CATALOGUE)[N]["type"] extends "gauge" ? prom.Gauge
  : prom.Histogram;
type All = { readonly [N in MetricName]: MetricOf<N> };

/** One metric a row of the catalogue, in its order; those of `without` count and are never shown. */
function createAll(registry: prom.Registry, without: readonly string[]): All {
  const all: Record<string, prom.Metric> = {};
  for (const [name, { type, help, labels, buckets }] of Object.entries<MetricInfo>(CATALOGUE)) {
    const registers = without.includes(name) ? [] : [registry];
    const common = { name, help, labelNames: [...labels], registers };
    all[name] = type === "counter"
      ? new Counter(common)
      : type === "gauge"
      ? new Gauge(common)
      : new Histogram({ ...common, buckets: [...buckets] });
  }
  return all as All;
}

function setFinite(gauge: prom.Gauge, value: number): void {
  if (Number.isFinite(value)) gauge.set(value);
}

function observe(histogram: prom.Histogram, ms: number): void {
  if (Number.isFinite(ms) && ms >= 0) histogram.observe(ms / 1000);
}

/** Makes one series the only one of its metric; no series for null. */
function setOnly(gauge: prom.Gauge, labels: Readonly<Record<string, string>> | null, value: number): void {
  gauge.reset();
  if (labels !== null) gauge.set(labels, value);
}

/** All four combinations, so that an alert on one of them has a series to look at. */
function setStaleMounts(gauge: prom.Gauge, mounts: readonly StaleMount[]): void {
  for (const container of ["sidecar", "app"] as const) {
    for (const reason of ["subpath", "replaced"] as const) {
      const count = mounts.filter((mount) => mount.container === container && mount.reason === reason).length;
      gauge.set({ container, reason }, count);
    }
  }
}

function collectWatcher(all: All, read: () => WatcherNumbers | null): void {
  collect(all.config_reload_watch_events_total, () => read()?.events ?? 0);
  collect(all.config_reload_watch_errors_total, () => read()?.errors ?? 0);
  const method = attempt(read)?.method;
  setOnly(all.config_reload_watch_info, method === undefined ? null : { method }, 1);
}

function collectProcess(all: All, read: () => ProcessStats): void {
  const stats = attempt(read);
  collect(all.process_cpu_seconds_total, () => stats?.cpuSeconds);
  collect(all.process_resident_memory_bytes, () => stats?.residentBytes);
  collect(all.process_start_time_seconds, () => stats?.startTimeSeconds);
  collect(all.process_open_fds, () => stats?.openFds);
  collect(all.process_max_fds, () => stats?.maxFds);
}

/** Gives a metric the value of its source; where that cannot be had, it has no sample in this scrape. */
function collect(metric: prom.Counter | prom.Gauge, read: () => number | undefined): void {
  metric.reset();
  // `reset` leaves a zero.
  metric.remove({});
  const value = attempt(read);
  if (value === undefined || Number.isNaN(value) || value < 0) return;
  metric.inc(value);
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
