// deno-lint-ignore-file no-console -- what it prints is its output
/**
 * `deno task docs`: writes the tables of flags and metrics into README.md from the code they describe. With `--check` it
 * changes nothing and ends with 1 where the file says something else.
 */

import { readFlags } from "./command_line.ts";
import { renderFlagTable } from "../src/cli/help.ts";
import { CATALOGUE, type MetricInfo } from "../src/observe/catalogue.ts";

const README = new URL("../README.md", import.meta.url);

/** `text` with the part between the markers of `name` replaced by `table`. @throws where the markers are missing. */
function replacePart(text: string, name: string, table: string): string {
  const begin = new RegExp(`<!-- ${name}:[^>]*-->\n`).exec(text);
  const end = text.indexOf(`<!-- /${name} -->`);
  if (!begin || end < 0) throw new Error(`README.md has no markers for "${name}"`);
  return `${text.slice(0, begin.index + begin[0].length)}\n${table}\n${text.slice(end)}`;
}

/** The catalogue of metrics as a Markdown table, one row a metric. */
function renderMetricTable(): string {
  const rows = Object.entries<MetricInfo>(CATALOGUE).map(([name, { type, help, labels }]) => {
    const shown = labels ? `${name}{${labels.join(",")}}` : name;
    return `| \`${shown}\` | ${type} | ${help.replaceAll("|", "\\|")} |`;
  });
  return ["| Name | Type | Meaning |", "| --- | --- | --- |", ...rows].join("\n") + "\n";
}

/** The README as it should be. */
export function renderReadme(text: string): string {
  return replacePart(replacePart(text, "flags", renderFlagTable()), "metrics", renderMetricTable());
}

/** `deno fmt` pads the cells of a table; that is no difference. */
export function withoutPadding(text: string): string {
  return text.replace(/ {2,}/g, " ").replace(/\| ?-{3,} ?(?=\|)/g, "|---");
}

if (import.meta.main) {
  const { check } = readFlags(
    "usage: deno task docs [--check]\n  --check   only compare, and end with 1 where the file differs",
    { check: { type: "boolean" } },
  );
  const before = Deno.readTextFileSync(README);
  const after = renderReadme(before);
  if (check) {
    const same = withoutPadding(after) === withoutPadding(before);
    if (!same) console.error("README.md is not what the code says: run `deno task docs`");
    Deno.exit(same ? 0 : 1);
  }
  Deno.writeTextFileSync(README, after);
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", README.pathname] }).spawn().status;
}
