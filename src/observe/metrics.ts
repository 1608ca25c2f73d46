/**
 * The numbers of this process as prom-client's metrics, one verb a fact. Four files of prom-client are loaded by name: the
 * whole of it also loads clusters and push gateways, twice the memory and 40 ms of start.
 */

import type * as prom from "prom-client";
import CounterClass from "prom-client/lib/counter.js";
import GaugeClass from "prom-client/lib/gauge.js";
import HistogramClass from "prom-client/lib/histogram.js";
import RegistryClass from "prom-client/lib/registry.js";
import type { Config } from "../config.ts";
import type { TargetCode } from "../codes.ts";
import { type Outcome, OUTCOMES, type Proof, type StaleMount } from "../model.ts";
import type { Watcher } from "../ports.ts";
import { REVISION, VERSION } from "../version.ts";
import { CATALOGUE, type MetricInfo, type MetricName } from "./catalogue.ts";
import { readProcessStats } from "./process_stats.ts";

// The single files carry no types; the package's own do.
const Counter = CounterClass as unknown as typeof prom.Counter;
const Gauge = GaugeClass as unknown as typeof prom.Gauge;
const Histogram = HistogramClass as unknown as typeof prom.Histogram;
const Registry = RegistryClass as unknown as typeof prom.Registry;

/** The numbers of one run. */
export type Metrics = ReturnType<typeof createMetrics>;

/**
 * Creates the metrics of one run; every series of a closed set is there from the start. The numbers of the watcher and of the
 * process are asked for at each scrape.
 */
export function createMetrics(
  config: Config,
  readWatcher: () => ReturnType<Watcher["view"]> | null = () => null,
  readProcess = readProcessStats,
) {
  const registry = new Registry();
  const all = createAll(registry, missing(config));
  for (const outcome of OUTCOMES) all.config_reload_outcomes_total.inc({ outcome }, 0);
  all.config_reload_last_successful.set(1);
  all.config_reloader_build_info.set({ version: VERSION, revision: REVISION, deno: Deno.version.deno }, 1);
  setStaleMounts(all.config_reload_stale_mounts, []);
  return {
    /** An attempt begins: it counts as one in progress until `attemptEnded`. */
    attemptStarted: () => all.config_reload_attempts_total.inc(),
    /** `durationMs` from the moment the change was seen, `wallMs` the time of the end. */
    attemptEnded(
      outcome: Outcome,
      { durationMs, wallMs }: { readonly durationMs: number; readonly wallMs: number },
    ) {
      const good = outcome === "success";
      all.config_reload_outcomes_total.inc({ outcome });
      (good ? all.config_reload_successes_total : all.config_reload_failures_total).inc();
      all.config_reload_last_successful.set(Number(good));
      if (good) all.config_reload_last_success_timestamp.set(wallMs / 1000);
      all.config_reload_duration_seconds.observe(durationMs / 1000);
    },
    /** `delayMs` after the change was seen. */
    triggerSent: (delayMs: number) => all.config_reload_trigger_delay_seconds.observe(delayMs / 1000),
    setInSync: (inSync: boolean) => all.config_reload_in_sync.set(Number(inSync)),
    setProof: (kind: Proof) => setOnly(all.config_reload_proof_info, { kind }, 1),
    /** null where it is not known. */
    setTargetReady: (code: TargetCode | null) =>
      setOnly(all.config_reload_target_ready, code && { code }, Number(code === "ready")),
    /** The first 12 hex digits of the digest on disk (null before the first read), and how many files. */
    setContent(hash: string | null, files: number) {
      setOnly(all.config_reload_config_info, hash === null ? null : { hash }, 1);
      all.config_reload_files.set(files);
    },
    setRestartRequired: (count: number) => all.config_reload_restart_required.set(count),
    readError: () => all.config_reload_read_errors_total.inc(),
    /** A complete look at the disk ended. */
    scanned: (wallMs: number) => all.config_reload_last_scan_timestamp_seconds.set(wallMs / 1000),
    setStaleMounts: (mounts: readonly StaleMount[]) => setStaleMounts(all.config_reload_stale_mounts, mounts),
    setRolloutHeld: (held: boolean) => all.config_reload_rollout_held.set(Number(held)),
    kubernetesError: () => all.config_reload_kubernetes_errors_total.inc(),
    /** The text for one scrape. */
    render(): Promise<string> {
      const watcher = readWatcher();
      setCounter(all.config_reload_watch_events_total, watcher?.events ?? 0);
      setCounter(all.config_reload_watch_errors_total, watcher?.errors ?? 0);
      setOnly(all.config_reload_watch_info, watcher && { method: watcher.method }, 1);
      setProcess(all, readProcess);
      return registry.metrics();
    },
  };
}

/** The metrics that make no sense with these settings. */
function missing({ trigger, rollout, kubernetesEvents }: Config): MetricName[] {
  const none: MetricName[] = [];
  if (trigger !== "signal") none.push("config_reload_target_ready");
  if (rollout === "none") none.push("config_reload_rollout_held");
  if (rollout === "none" && !kubernetesEvents) none.push("config_reload_kubernetes_errors_total");
  return none;
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

/** Where no descriptor is left to read /proc with, the scrape has the values of before. */
function setProcess(all: All, read: typeof readProcessStats): void {
  try {
    const { cpuSeconds, residentBytes, startTimeSeconds, openFds, maxFds } = read();
    setCounter(all.process_cpu_seconds_total, cpuSeconds);
    all.process_resident_memory_bytes.set(residentBytes);
    all.process_start_time_seconds.set(startTimeSeconds);
    all.process_open_fds.set(openFds);
    all.process_max_fds.set(maxFds);
  } catch {
    // Nothing here fails a scrape.
  }
}

/** For what is counted elsewhere. */
function setCounter(counter: prom.Counter, value: number): void {
  counter.reset();
  counter.inc(value);
}
