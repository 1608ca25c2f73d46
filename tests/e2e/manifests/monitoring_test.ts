/**
 * Alert rules and dashboard: every metric that an expression names is one the product has, every runbook is an address whose
 * heading is there, and what the panels compute from counters adds up to what happened (promtool). `alerts_test.ts` has the alerts.
 */

import assert from "node:assert/strict";
import { CATALOGUE } from "../../../src/observe/catalogue.ts";
import { DOCS_URL } from "../../../src/version.ts";
import { ROOT } from "../../support/run.ts";
import { build, dashboard, filled, find, type Manifest, MONITORING, panels, promtool } from "./support.ts";
import { test } from "../../support/strict.ts";

/** Metric names in an expression or text, without the suffixes of a histogram. */
function metricNames(text: string): string[] {
  const names = text.match(/\b(config_reload|process)[a-z]*_[a-z_]+/g) ?? [];
  return [...new Set(names.map((name) => name.replace(/_(bucket|sum|count)$/, "")))];
}

async function rules(): Promise<Manifest[]> {
  const { objects } = await build(MONITORING);
  return find(objects, "PrometheusRule")["spec"].groups.flatMap(({ rules }: Manifest) => rules);
}

test("every alert says what is wrong, what it means, and where to read on", async () => {
  const list = await rules();
  assert.ok(list.length >= 8);
  for (const { alert, annotations, labels } of list) {
    assert.ok(annotations.summary && annotations.description && labels.severity, alert);
    const [page, anchor] = annotations.runbook_url.split("#");
    assert.equal(page, `${DOCS_URL}/troubleshooting.md`);
    const text = await Deno.readTextFile(`${ROOT}/docs/troubleshooting.md`);
    const anchors = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      title!.toLowerCase().replace(/[^\w -]/g, "").replaceAll(" ", "-")
    );
    assert.ok(anchors.includes(anchor), `${alert}: ${page} has no heading for #${anchor}`);
  }
});

test("rules and dashboard name only metrics that the product has", async () => {
  const known = new Set(Object.keys(CATALOGUE));
  const { objects } = await build(MONITORING);
  const { metadata, data } = find(objects, "ConfigMap", "config-reloader-dashboard");
  assert.equal(metadata.labels.grafana_dashboard, "1");
  const board = data["dashboard.json"];
  for (const text of [JSON.stringify(find(objects, "PrometheusRule")), board]) {
    const names = metricNames(text).filter((name) => name !== "config_reloader");
    assert.ok(names.length > 5);
    assert.deepEqual(names.filter((name) => !known.has(name)), []);
  }
});

test("the dashboard begins with three numbers and the pods that need a person; panels do not overlap", async () => {
  const all = await panels();
  const first = all.filter(({ gridPos }) => gridPos.y === 0);
  assert.deepEqual(first.map(({ type, title }) => [type, title]), [
    ["stat", "Out of sync"],
    ["stat", "Cannot be signalled"],
    ["stat", "Held"],
  ]);
  assert.equal(all[3]!["type"], "table");
  assert.ok(all.some(({ type }) => type === "state-timeline"));
  assert.ok(all.some(({ type }) => type === "heatmap"));
  // What a folded row holds is laid out for itself.
  const folded = all.flatMap(({ panels = [] }) => panels);
  for (
    const group of [all.filter((panel) => !folded.includes(panel)), ...all.map(({ panels = [] }) => panels)]
  ) {
    const cells = new Set<string>();
    for (const { gridPos: { x, y, w, h }, title } of group) {
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          assert.ok(!cells.has(`${column},${line}`), `panel "${title}" lies over another`);
          cells.add(`${column},${line}`);
        }
      }
    }
  }
});

test("the dashboard offers the workloads that pods belong to, and no parts of their names", async () => {
  const { list } = (await dashboard())["templating"];
  const { regex } = list.find(({ name }: Manifest) => name === "workload");
  const pattern = new RegExp(regex.slice(1, -1));
  const names = ["web-7d4b9c6f5d-x2k8p", "my-db-0", "agent-x2k8p", "nightly-29012345-z9z9z"];
  assert.deepEqual(names.map((pod) => pattern.exec(pod)?.[1]), ["web", "my-db", "agent", "nightly-29012345"]);
});

test("the dashboard's expressions parse", async () => {
  const exprs = (await panels()).flatMap(({ targets = [] }) => targets.map(({ expr }: Manifest) => expr));
  assert.ok(exprs.length > 15);
  await promtool(["check", "rules", "board.yaml"], {
    "board.yaml": {
      groups: [{ name: "d", rules: exprs.map((expr, i) => ({ record: `d:${i}`, expr: filled(expr) })) }],
    },
  });
});

/** The expression of a panel's first target. */
const exprOf = async (title: string) =>
  filled((await panels()).find((panel) => panel["title"] === title)!["targets"][0].expr);

test("what the panels count adds up to what happened: reloads every 75 s, scraped every 30 s", async () => {
  // Counters as a scrape finds them: 16 reloads in 20 minutes, one more in each fifth of the scrapes, and two in the others.
  const steady = Array.from({ length: 41 }, (_, i) => Math.floor(i * 30 / 75));
  // A pod of minute 5 that had reloaded twice before its first scrape, and once more after its container started anew in minute 8.
  const [young, starts] = ["_x10 2 3 3x3 1x24", "_x10 280x5 470x24"];
  const inMinute: Record<number, number> = { 5: 2, 6: 1, 8: 1 };
  const wanted = (minute: number) => steady[minute * 2]! - steady[minute * 2 - 2]! + (inMinute[minute] ?? 0);
  const counted = (pod: string, values: string) =>
    [
      'config_reload_outcomes_total{outcome="success",',
      'config_reload_duration_seconds_bucket{le="0.2",',
      'config_reload_trigger_delay_seconds_bucket{le="0.2",',
    ].map((series) => ({ series: `${series}namespace="n",pod="${pod}"}`, values }));
  await promtool(["test", "rules", "test.yaml"], {
    "test.yaml": {
      evaluation_interval: "1m",
      tests: [{
        interval: "30s",
        input_series: [
          ...counted("web-0", steady.join(" ")),
          ...counted("web-1", young),
          { series: 'process_start_time_seconds{namespace="n",pod="web-0"}', values: "0x40" },
          { series: 'process_start_time_seconds{namespace="n",pod="web-1"}', values: starts },
        ],
        promql_expr_test: await Promise.all(
          Array.from({ length: 20 }, (_, i) => i + 1).flatMap((minute) =>
            [
              ["Reloads a minute, by outcome", '{outcome="success"}'],
              ["From change seen to outcome", '{le="0.2"}'],
              ["From change seen to trigger", '{le="0.2"}'],
            ].map(async ([title, labels]) => ({
              expr: await exprOf(title!),
              eval_time: `${minute}m`,
              exp_samples: [{ labels, value: wanted(minute) }],
            }))
          ),
        ),
      }],
    },
  });
});

test("the first row shows zeros, and not nothing; who is only starting is no fault; a stale mount has its line", async () => {
  // Beside what `dashboard_test.ts` shows of real sidecars.
  const pod = (name: string, more = "") => `{namespace="n",pod="${name}"${more}}`;
  const series = {
    [`config_reload_in_sync${pod("a")}`]: "1",
    [`config_reload_target_ready${pod("a", ',code="starting"')}`]: "0", // the next look will tell
    [`config_reload_stale_mounts${pod("b", ',container="app",reason="subpath"')}`]: "1",
  };
  const expected: readonly [string, readonly unknown[]][] = [
    ...["Out of sync", "Cannot be signalled", "Held"].map((title): [string, unknown[]] => [
      title,
      [{ labels: "{}", value: 0 }],
    ]),
    ["Pods that need a person", [{ labels: pod("b", ',why="mount never changes: subpath"'), value: 1 }]],
  ];
  const tests = [{
    interval: "1m",
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: await Promise.all(expected.map(async ([title, samples]) => ({
      expr: await exprOf(title),
      eval_time: "0m",
      exp_samples: samples,
    }))),
  }];
  await promtool(["test", "rules", "test.yaml"], { "test.yaml": { tests } });
});
