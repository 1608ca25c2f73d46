// deno-lint-ignore-file no-console -- what it prints is its output
/**
 * `deno task docs`: writes what documents and manifests repeat from the code: the tables of flags and metrics, and the address
 * of the documents. With `--check` it changes nothing and ends with 1 where a file says something else.
 */

import { FLAG_NAMES, FLAGS } from "../src/cli/flags.ts";
import { GROUPS, headOf, variablesOf } from "../src/cli/help.ts";
import { CATALOGUE, type MetricInfo } from "../src/observe/catalogue.ts";
import { DOCS_URL } from "../src/version.ts";
import { readFlags } from "./command_line.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** `text` with the part between the markers of `name` replaced by `part`. @throws where the markers are missing. */
export function replacePart(text: string, name: string, part: string): string {
  const begin = new RegExp(`<!-- ${name}:[^>]*-->\n`).exec(text);
  const end = text.indexOf(`<!-- /${name} -->`);
  if (!begin || end < 0) throw new Error(`There are no markers for "${name}"`);
  return `${text.slice(0, begin.index + begin[0].length)}\n${part}\n${text.slice(end)}`;
}

const code = (text: string) => `\`${escapeCell(text)}\``;
const escapeCell = (text: string) => text.replaceAll("|", "\\|");

/** The flags as a Markdown table, by group. */
export function renderFlagTable(): string {
  const rows = GROUPS.flatMap((group) => [
    `| **${group}** | | | |`,
    ...FLAG_NAMES.filter((name) => FLAGS[name].group === group).map((name) => {
      const { default: value, help, repeatable } = FLAGS[name];
      const cells = [
        code(headOf(name)),
        value === undefined ? "–" : code(value),
        variablesOf(name).map(code).join(", "),
        escapeCell(help + (repeatable ? "; repeatable" : "")),
      ];
      return `| ${cells.join(" | ")} |`;
    }),
  ]);
  return ["| Flag | Default | Variable | Meaning |", "|---|---|---|---|", ...rows].join("\n") + "\n";
}

/** The catalogue of metrics as a Markdown table, one row a metric. */
function renderMetricTable(): string {
  const rows = Object.entries<MetricInfo>(CATALOGUE).map(([name, { type, help, labels }]) => {
    const shown = labels.length > 0 ? `${name}{${labels.join(",")}}` : name;
    return `| \`${shown}\` | ${type} | ${escapeCell(help)} |`;
  });
  return ["| Name | Type | Meaning |", "| --- | --- | --- |", ...rows].join("\n") + "\n";
}

const withTables = (text: string) =>
  replacePart(replacePart(text, "flags", renderFlagTable()), "metrics", renderMetricTable());
const withAddress = (text: string) =>
  text.replaceAll(/https:\/\/github\.com\/[^/\s"]+\/config-reloader\/blob\/v[^/\s"]+\/docs/g, DOCS_URL);

/** How each file is made from what it is. */
const FILES: Readonly<Record<string, (text: string) => string>> = {
  "docs/reference.md": withTables,
  "k8s/components/monitoring/rules.yaml": withAddress,
  "k8s/components/monitoring/dashboard.json": withAddress,
};

/** `deno fmt` pads the cells of a table; that is no difference. */
const withoutPadding = (text: string) => text.replace(/ {2,}/g, " ").replace(/\| ?-{3,} ?(?=\|)/g, "|---");

/** The files that differ from what the code says. */
export function findStale(): readonly string[] {
  return Object.entries(FILES).filter(([path, make]) => {
    const text = Deno.readTextFileSync(ROOT + path);
    return withoutPadding(make(text)) !== withoutPadding(text);
  }).map(([path]) => path);
}

if (import.meta.main) {
  const { check } = readFlags(
    "usage: deno task docs [--check]\n  --check   only compare, and end with 1 where a file differs",
    { check: { type: "boolean" } },
  );
  const stale = findStale();
  if (check) {
    for (const path of stale) console.error(`${path} is not what the code says: run \`deno task docs\``);
    Deno.exit(stale.length === 0 ? 0 : 1);
  }
  for (const path of stale) {
    Deno.writeTextFileSync(ROOT + path, FILES[path]!(Deno.readTextFileSync(ROOT + path)));
    await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", ROOT + path] }).spawn().status;
  }
}
