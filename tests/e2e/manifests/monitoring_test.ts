/**
 * Alert rules and dashboard: every alert fires when it should and none on a healthy start (promtool), every metric that an
 * expression names is one the product has, and every runbook link leads to a heading.
 */

import assert from "node:assert/strict";
import { stringify } from "yaml";
import { CATALOGUE } from "../../../src/observe/catalogue.ts";
import { build, find, type Manifest, ROOT, run } from "./support.ts";
import { test } from "../../support/strict.ts";

const MONITORING = {
  "kustomization.yaml": "resources: [K8S/base]\ncomponents: [K8S/components/monitoring]\n",
};

/** Metric names in an expression or text, without the suffixes of a histogram. */
function metricNames(text: string): string[] {
  const names = text.match(/\b(config_reload|process)[a-z]*_[a-z_]+/g) ?? [];
  return [...new Set(names.map((name) => name.replace(/_(bucket|sum|count)$/, "")))];
}

async function rules(): Promise<Manifest[]> {
  const { objects } = await build(MONITORING);
  return find(objects, "PrometheusRule")["spec"].groups.flatMap(({ rules }: Manifest) => rules);
}

test("promtool finds the rules sound, and each alert fires when it should", async () => {
  const { objects } = await build(MONITORING);
  const dir = await Deno.makeTempDir({ prefix: "promtool-" });
  try {
    await Deno.writeTextFile(`${dir}/rules.yaml`, stringify(find(objects, "PrometheusRule")["spec"]));
    await Deno.copyFile(`${ROOT}/tests/e2e/manifests/rules_test.yaml`, `${dir}/rules_test.yaml`);
    for (const args of [["check", "rules", "rules.yaml"], ["test", "rules", "rules_test.yaml"]]) {
      const { code, out, err } = await run("promtool", args, { cwd: dir });
      assert.equal(code, 0, `promtool ${args.join(" ")}:\n${out}${err}`);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

test("every alert is tested both ways", async () => {
  const tests = await Deno.readTextFile(`${ROOT}/tests/e2e/manifests/rules_test.yaml`);
  for (const { alert } of await rules()) {
    const fires = new RegExp(`alertname: ${alert}\\n\\s+exp_alerts:`);
    const silent = new RegExp(`eval_time: 30m, alertname: ${alert} }`);
    assert.match(tests, fires, `no test in which ${alert} fires`);
    assert.match(tests, silent, `${alert} is not among those that a healthy pod must not fire`);
  }
});

test("every alert says what is wrong, what it means, and where to read on", async () => {
  const list = await rules();
  assert.equal(list.length, 7);
  for (const { alert, annotations, labels } of list) {
    assert.ok(annotations.summary && annotations.description && labels.severity, alert);
    const [page, anchor] = annotations.runbook_url.split("#");
    const text = await Deno.readTextFile(`${ROOT}/${page}`);
    const anchors = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      title!.toLowerCase().replace(/[^\w -]/g, "").replaceAll(" ", "-")
    );
    assert.ok(anchors.includes(anchor), `${alert}: ${page} has no heading for #${anchor}`);
  }
});

test("rules and dashboard name only metrics that the product has", async () => {
  const known = new Set(Object.keys(CATALOGUE));
  const { objects } = await build(MONITORING);
  const board = find(objects, "ConfigMap", "config-reloader-dashboard")["data"]["dashboard.json"];
  for (const text of [JSON.stringify(find(objects, "PrometheusRule")), board]) {
    const names = metricNames(text).filter((name) => name !== "config_reloader");
    assert.ok(names.length > 5);
    assert.deepEqual(names.filter((name) => !known.has(name)), []);
  }
});

test("the dashboard shows what the docs promise, panels do not overlap, and its expressions parse", async () => {
  const { objects } = await build(MONITORING);
  const map = find(objects, "ConfigMap", "config-reloader-dashboard");
  assert.equal(map["metadata"].labels.grafana_dashboard, "1");
  const board = JSON.parse(map["data"]["dashboard.json"]);
  const used = metricNames(JSON.stringify(board));
  for (
    const name of [
      "config_reload_in_sync",
      "config_reload_config_info",
      "config_reload_outcomes_total",
      "config_reload_duration_seconds",
      "config_reload_trigger_delay_seconds",
      "config_reload_watch_info",
      "process_resident_memory_bytes",
      "process_cpu_seconds_total",
    ]
  ) assert.ok(used.includes(name), `${name} is not on the dashboard`);
  const cells = new Set<string>();
  for (const { gridPos: { x, y, w, h }, title } of board.panels) {
    for (let column = x; column < x + w; column++) {
      for (let line = y; line < y + h; line++) {
        assert.ok(!cells.has(`${column},${line}`), `panel "${title}" lies over another`);
        cells.add(`${column},${line}`);
      }
    }
  }
  const exprs: string[] = board.panels.flatMap(({ targets }: Manifest) =>
    (targets ?? []).map(({ expr }: Manifest) => expr)
  );
  const group = {
    groups: [{
      name: "d",
      rules: exprs.map((expr, i) => ({ record: `d:${i}`, expr: expr.replaceAll("$__rate_interval", "5m") })),
    }],
  };
  const dir = await Deno.makeTempDir({ prefix: "promtool-" });
  try {
    await Deno.writeTextFile(`${dir}/board.yaml`, stringify(group));
    const { code, out, err } = await run("promtool", ["check", "rules", "board.yaml"], { cwd: dir });
    assert.equal(code, 0, out + err);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
