/**
 * Turns the figures of a run into the table on the terminal and into `docs/benchmarks.md`. Pure: text in, text out.
 * It must never drop a row or a figure, whoever looks good in it.
 */

import type { Row } from "./cases.ts";

/** One case with its rows. */
export interface Section {
  readonly title: string;
  /** What was done, in a sentence or two. */
  readonly method: string;
  /** The figure by which tools are compared: smaller is better. */
  readonly compare: string | null;
  readonly rows: readonly Row[];
}

/** A whole run, as `bench/results/latest.json` has it. */
export interface Results {
  readonly date: string;
  readonly quick: boolean;
  readonly machine: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly lacks: Readonly<Record<string, string>>;
  readonly absent: readonly string[];
  readonly sections: readonly Section[];
}

/** The table of a section, as Markdown. */
export function renderTable(section: Section): string {
  const columns = [...new Set(section.rows.flatMap((row) => Object.keys(row.figures)))];
  const ratios = section.compare === null ? null : ratiosOf(section.rows, section.compare);
  const head = [
    "Tool",
    "Setting",
    ...columns,
    ...(ratios ? ["to the best peer", "to the least program in C"] : []),
  ];
  const lines = section.rows.map((row, i) => [
    row.kind === "product" ? `**${row.tool}**` : row.tool,
    row.setting,
    ...columns.map((column) => renderFigure(row.figures[column] ?? null)),
    ...(ratios ? ratios[i]!.map((ratio) => ratio === null ? "–" : `${renderFigure(ratio)}×`) : []),
  ]);
  const table = [head, head.map((_, i) => i < 2 ? "---" : "--:"), ...lines];
  return table.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** The document. */
export function renderDocument(results: Results): string {
  const list = (entries: Readonly<Record<string, string>>) =>
    Object.entries(entries).map(([name, value]) => `| ${name} | ${value} |`).join("\n");
  const sections = results.sections.map((section) =>
    `## ${section.title}\n\n${section.method}\n\n${renderTable(section)}\n`
  );
  const lacks = Object.entries(results.lacks).map(([name, text]) => `- ${name}: ${text}`).join("\n");
  return `# Benchmarks

Written by \`deno task bench\`; do not edit. ${
    results.quick ? "**A quick run: too few rounds to quote.** " : ""
  }${renderStart(results)}

All tools of a case run at the same time, each in a pod of its own (a PID namespace with a pause process and an app), and take turns; each
change is a real swap of a volume with the kubelet's layout. The app is a small C program that records its signals by
the kernel's monotonic clock, which also times the swap's rename. The machine is small and shared: compare rows, not
figures of different days. \`–\` means not measured, or without meaning.

Run it yourself, as root: \`deno task compile && deno task bench --bin dist/config-reloader\`. It needs a C compiler, Go for the peers
and \`inotifywait\`. \`--quick\` takes two minutes.

What the others do not do, and this one does in the same time:

${lacks}

${sections.join("\n")}
## The run

| | |
|---|---|
| date | ${results.date} |
${list(results.machine)}
${list(results.versions)}
${
    results.absent.length === 0 ? "" : `
Peers that could not be built for this run:

${results.absent.map((text) => `- ${text}`).join("\n")}
`
  }`;
}

/** Where this product is behind, in words and first: its start and its size. */
function renderStart({ sections }: Results): string {
  const rows = sections.find(({ rows }) => rows.some(({ figures }) => "binary, MiB" in figures))?.rows ?? [];
  const [ready, size] = ["ready, ms (median)", "binary, MiB"].map((figure) => {
    const of = (kind: Row["kind"]) =>
      rows.filter((row) => row.kind === kind).flatMap((row) => row.figures[figure] ?? []);
    const [product] = of("product");
    const best = Math.min(...of("peer"));
    return product === undefined || !Number.isFinite(best) ? null : `${(product / best).toFixed(1)} times`;
  });
  if (!ready || !size) return "";
  return `In short: this product's start takes ${ready} as long as the best peer's, and its binary is ${size} as large.`;
}

/** Ratios of each row to the best peer and to the least program in C. */
function ratiosOf(rows: readonly Row[], figure: string): (number | null)[][] {
  const value = (row: Row) => row.figures[figure] ?? null;
  const peers = rows.filter((row) => row.kind === "peer").flatMap((row) => value(row) ?? []);
  const best = peers.length > 0 ? Math.min(...peers) : null;
  const leastRow = rows.find((row) => row.tool === "least program in C");
  const least = leastRow ? value(leastRow) : null;
  const ratio = (a: number | null, b: number | null) => a === null || b === null || b === 0 ? null : a / b;
  return rows.map((row) => [ratio(value(row), best), ratio(value(row), least)]);
}

function renderFigure(value: number | null): string {
  if (value === null) return "–";
  if (Number.isInteger(value)) return String(value);
  if (Math.abs(value) >= 100) return value.toFixed(0);
  if (Math.abs(value) >= 10) return value.toFixed(1);
  return value.toFixed(2);
}
