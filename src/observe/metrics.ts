/**
 * The numbers of this process and their Prometheus text. Between scrapes it is plain counting; prom-client's metrics are
 * filled (`exposition.ts`) at each scrape from one consistent state, so that attempts = successes + failures + the one in progress always
 * holds. A number that is none is ignored, and nothing that goes wrong here fails a scrape or a reload.
 */

import { type Outcome, OUTCOMES, type StaleMount } from "../model.ts";
import type { GaugeOrCounterName } from "./catalogue.ts";
import { createExposition, type Sample } from "./exposition.ts";
import { createProcessReader, type ProcessStats } from "./process_stats.ts";

/** What the watcher tells about itself. */
export interface WatcherNumbers {
  readonly method: "inotify" | "poll";
  readonly events: number;
  readonly errors: number;
}

/** The numbers, one verb a fact. Times are in milliseconds; the text has seconds. */
export interface Metrics {
  /** An attempt begins: it counts as one in progress until `attemptEnded`. */
  attemptStarted(): void;
  /** It ended; `durationMs` from the moment the change was seen, `wallMs` the time of the end. */
  attemptEnded(outcome: Outcome, end: { readonly durationMs: number; readonly wallMs: number }): void;
  /** A trigger went out, `delayMs` after the change was seen. */
  triggerSent(delayMs: number): void;
  setInSync(inSync: boolean): void;
  /** The content on disk: the first 12 hex digits of its digest (null before the first read) and its files. */
  setContent(hash12: string | null, files: number): void;
  /** How many parts need a restart of the app. */
  setRestartRequired(count: number): void;
  /** Where to ask for the watcher's numbers at each scrape. */
  setWatcher(read: () => WatcherNumbers): void;
  /** A look at the disk found something missing or unreadable. */
  readError(): void;
  /** A complete look at the disk ended. */
  scanned(wallMs: number): void;
  setStaleMounts(mounts: readonly StaleMount[]): void;
  /** The text for one scrape. Never rejects for a value that could not be had: that metric has no sample then. */
  render(): Promise<string>;
}

/**
 * Creates the metrics of one run; every series of a closed set is there from the start.
 */
export function createMetrics(
  build: { readonly version: string; readonly revision: string; readonly deno: string },
  readProcess: () => ProcessStats = createProcessReader(),
): Metrics {
  const state = createState();
  const exposition = createExposition(createSources(state, build));
  return {
    ...createRecorders(state),
    triggerSent: (delayMs) => exposition.observe("config_reload_trigger_delay_seconds", delayMs / 1000),
    attemptStarted: () => {
      state.attempts++;
    },
    attemptEnded: (outcome, { durationMs, wallMs }) => {
      state.outcomes[outcome]++;
      state.lastSuccessful = outcome === "success";
      if (state.lastSuccessful && Number.isFinite(wallMs)) state.lastSuccessWallMs = wallMs;
      exposition.observe("config_reload_duration_seconds", durationMs / 1000);
    },
    render: () => {
      state.process = attempt(readProcess, null);
      state.watcher = attempt(state.readWatcher, state.watcher);
      return exposition.render();
    },
  };
}

type State = ReturnType<typeof createState>;

function createState() {
  return {
    attempts: 0,
    outcomes: { success: 0, rejected: 0, failed: 0, timeout: 0, invalid: 0 } satisfies Record<
      Outcome,
      number
    >,
    lastSuccessWallMs: 0,
    lastSuccessful: true,
    // Nobody has looked yet; the first look and the app's status make it 1.
    inSync: false,
    hash: null as string | null,
    files: 0,
    restartRequired: 0,
    readErrors: 0,
    lastScanWallMs: 0,
    staleMounts: [] as readonly StaleMount[],
    watcher: null as WatcherNumbers | null,
    readWatcher: (): WatcherNumbers | null => null,
    process: null as ProcessStats | null,
  };
}

function createRecorders(state: State) {
  return {
    setInSync: (inSync: boolean) => {
      state.inSync = inSync;
    },
    setContent: (hash12: string | null, files: number) => {
      state.hash = hash12;
      state.files = finiteOr(files, state.files);
    },
    setRestartRequired: (count: number) => {
      state.restartRequired = finiteOr(count, state.restartRequired);
    },
    setWatcher: (read: () => WatcherNumbers) => {
      state.readWatcher = read;
    },
    readError: () => {
      state.readErrors++;
    },
    scanned: (wallMs: number) => {
      state.lastScanWallMs = finiteOr(wallMs, state.lastScanWallMs);
    },
    setStaleMounts: (mounts: readonly StaleMount[]) => {
      state.staleMounts = mounts;
    },
  };
}

function createSources(
  state: State,
  build: Readonly<Record<"version" | "revision" | "deno", string>>,
): Readonly<Record<GaugeOrCounterName, () => readonly Sample[]>> {
  const one = (read: () => number | null | undefined) => (): readonly Sample[] => {
    const value = read();
    return value === null || value === undefined ? [] : [{ labels: {}, value }];
  };
  return {
    config_reload_attempts_total: one(() => state.attempts),
    config_reload_successes_total: one(() => state.outcomes.success),
    config_reload_failures_total: one(() => countFailures(state.outcomes)),
    config_reload_last_success_timestamp: one(() => state.lastSuccessWallMs / 1000),
    config_reload_outcomes_total: () =>
      OUTCOMES.map((outcome) => ({ labels: { outcome }, value: state.outcomes[outcome] })),
    config_reload_last_successful: one(() => Number(state.lastSuccessful)),
    config_reload_in_sync: one(() => Number(state.inSync)),
    config_reload_config_info: () => state.hash === null ? [] : [{ labels: { hash: state.hash }, value: 1 }],
    config_reload_restart_required: one(() => state.restartRequired),
    config_reload_watch_info: () =>
      state.watcher === null ? [] : [{ labels: { method: state.watcher.method }, value: 1 }],
    config_reload_watch_events_total: one(() => state.watcher?.events ?? 0),
    config_reload_watch_errors_total: one(() => state.watcher?.errors ?? 0),
    config_reload_read_errors_total: one(() => state.readErrors),
    config_reload_files: one(() => state.files),
    config_reload_last_scan_timestamp_seconds: one(() => state.lastScanWallMs / 1000),
    config_reload_stale_mounts: () => countStaleMounts(state.staleMounts),
    config_reloader_build_info: () => [{ labels: { ...build }, value: 1 }],
    process_cpu_seconds_total: one(() => state.process?.cpuSeconds),
    process_resident_memory_bytes: one(() => state.process?.residentBytes),
    process_start_time_seconds: one(() => state.process?.startTimeSeconds),
    process_open_fds: one(() => state.process?.openFds),
    process_max_fds: one(() => state.process?.maxFds),
  };
}

function countFailures(outcomes: Readonly<Record<Outcome, number>>): number {
  return outcomes.rejected + outcomes.failed + outcomes.timeout + outcomes.invalid;
}

/** All four combinations, so that an alert on one of them has a series to look at. */
function countStaleMounts(mounts: readonly StaleMount[]): Sample[] {
  const samples: Sample[] = [];
  for (const container of ["sidecar", "app"] as const) {
    for (const reason of ["subpath", "replaced"] as const) {
      const value = mounts.filter((mount) => mount.container === container && mount.reason === reason).length;
      samples.push({ labels: { container, reason }, value });
    }
  }
  return samples;
}

function finiteOr(value: number, otherwise: number): number {
  return Number.isFinite(value) ? value : otherwise;
}

function attempt<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
