/**
 * The catalogue as prom-client metrics in a registry of its own, filled at each scrape. A source that throws or gives a
 * value that is no number costs its own samples and nothing else. Only four files of prom-client are loaded: the whole of
 * it costs twice the memory and 40 ms of start.
 */

import type * as prom from "prom-client";
import CounterClass from "prom-client/lib/counter.js";
import GaugeClass from "prom-client/lib/gauge.js";
import HistogramClass from "prom-client/lib/histogram.js";
import RegistryClass from "prom-client/lib/registry.js";
import { CATALOGUE, type GaugeOrCounterName, type HistogramName, type MetricInfo } from "./catalogue.ts";

// The single files carry no types; the package's own do.
const Counter = CounterClass as unknown as typeof prom.Counter;
const Gauge = GaugeClass as unknown as typeof prom.Gauge;
const Histogram = HistogramClass as unknown as typeof prom.Histogram;
const Registry = RegistryClass as unknown as typeof prom.Registry;

/** One series and its value. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The catalogue, ready to be scraped. */
export interface Exposition {
  /** Counts `seconds` in a histogram; ignored unless it is a number from 0. */
  observe(name: HistogramName, seconds: number): void;
  /** The text of all metrics, asked from their sources in one synchronous pass. */
  render(): Promise<string>;
}

/** Creates a registry with the whole catalogue; `sources` are asked for their samples at each scrape. */
export function createExposition(
  sources: Readonly<Record<GaugeOrCounterName, () => readonly Sample[]>>,
): Exposition {
  const registry = new Registry();
  const histograms = {} as Record<HistogramName, prom.Histogram>;
  for (const [name, { type, help, labels = [], buckets = [] }] of Object.entries<MetricInfo>(CATALOGUE)) {
    const common = { name, help, labelNames: [...labels], registers: [registry] };
    if (type === "histogram") {
      histograms[name as HistogramName] = new Histogram({ ...common, buckets: [...buckets] });
      continue;
    }
    const source = sources[name as GaugeOrCounterName];
    if (type === "counter") {
      new Counter({
        ...common,
        collect() {
          fill(this, source, (sample) => this.inc(sample.labels, sample.value));
        },
      });
    } else {
      new Gauge({
        ...common,
        collect() {
          fill(this, source, (sample) => this.set(sample.labels, sample.value));
        },
      });
    }
  }
  return {
    observe: (name, seconds) => {
      if (Number.isFinite(seconds) && seconds >= 0) histograms[name].observe(seconds);
    },
    render: () => registry.metrics(),
  };
}

/**
 * Replaces the values of a metric. All `collect`s run before the first line of text is made, and `reset` gives each
 * scrape values of its own, so that what happens meanwhile cannot make one scrape contradict itself.
 */
function fill(
  metric: prom.Counter | prom.Gauge,
  source: () => readonly Sample[],
  write: (sample: Sample) => void,
): void {
  metric.reset();
  try {
    // `reset` leaves a zero where there are no labels; a value that cannot be had is told by its absence.
    metric.remove({});
    for (const sample of source()) {
      if (!Number.isNaN(sample.value)) write(sample);
    }
  } catch {
    // This metric has no sample (or not all) in this scrape; the others have theirs.
  }
}
