/** A strict parser of the Prometheus text format 0.0.4, written from its specification and for tests only. */

export interface ParsedMetric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  /** By full series name, e.g. `a_bucket{le="1"}`. */
  readonly samples: Map<string, number>;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABELS = /^\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"(?:,(?=[a-zA-Z_])|(?=\})))+\}$/;

/** Parses a scrape. @throws on anything that Prometheus would refuse or misread */
export function parseExposition(text: string): Map<string, ParsedMetric> {
  if (!text.endsWith("\n")) throw new Error("the last line does not end in a newline");
  const metrics = new Map<string, ParsedMetric>();
  let help: { name: string; text: string } | null = null;
  let current: ParsedMetric | null = null;
  for (const line of text.slice(0, -1).split("\n")) {
    if (line === "") continue;
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment?.[1] === "HELP") {
      help = { name: comment[2]!, text: comment[3]! };
    } else if (comment) {
      const name = comment[2]!;
      if (!NAME.test(name) || help?.name !== name) throw new Error(`TYPE without HELP just before: ${line}`);
      if (!/^(counter|gauge|histogram)$/.test(comment[3]!)) throw new Error(`unknown type: ${line}`);
      if (metrics.has(name)) throw new Error(`${name} comes twice`);
      current = { name, type: comment[3]!, help: help.text, samples: new Map() };
      metrics.set(name, current);
    } else {
      const sample = /^([^{ ]+)(\{.*\})? (\S+)$/.exec(line);
      if (!sample || current === null) throw new Error(`not a sample: ${line}`);
      const base = current.type === "histogram" ? sample[1]!.replace(/_(bucket|sum|count)$/, "") : sample[1];
      if (base !== current.name) throw new Error(`${sample[1]} stands under ${current.name}`);
      if (sample[2] !== undefined && !LABELS.test(sample[2])) throw new Error(`bad labels: ${line}`);
      const value = parseValue(sample[3]!);
      const series = sample[1] + (sample[2] ?? "");
      if (current.samples.has(series)) throw new Error(`${series} comes twice`);
      current.samples.set(series, value);
    }
  }
  return metrics;
}

function parseValue(text: string): number {
  if (text === "+Inf") return Infinity;
  if (!/^-?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw new Error(`not a number: ${text}`);
  return Number(text);
}

/** The value of one series. @throws where it is missing */
export function sampleOf(text: string, series: string): number {
  for (const metric of parseExposition(text).values()) {
    const value = metric.samples.get(series);
    if (value !== undefined) return value;
  }
  throw new Error(`no series ${series}`);
}
