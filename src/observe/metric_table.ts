/** The table of metrics in the README, made from the catalogue so that the two cannot differ. Loaded only for that. */

import { CATALOGUE, type MetricInfo } from "./catalogue.ts";

/**
 * Renders the catalogue as a Markdown table, one row a metric, ending in a newline.
 */
export function renderMetricTable(): string {
  const rows = Object.entries<MetricInfo>(CATALOGUE).map(([name, { type, help, labels }]) => {
    const shown = labels ? `${name}{${labels.join(",")}}` : name;
    return `| \`${shown}\` | ${type} | ${help.replace(/\|/g, "\\|")} |`;
  });
  return ["| Name | Type | Meaning |", "| --- | --- | --- |", ...rows].join("\n") + "\n";
}
