/**
 * The alerts, by promtool: each cause fires exactly one of them, at its time and not before, and what is no fault fires none.
 * What the dashboard computes from counters is held to what happened in the same way.
 */

import assert from "node:assert/strict";
import { build, find, type Manifest, MONITORING, promtool } from "./support.ts";
import { test } from "../../support/strict.ts";

const { objects } = await build(MONITORING);
const RULES: Manifest = find(objects, "PrometheusRule")["spec"];
const ALERTS: Manifest[] = RULES["groups"].flatMap(({ rules }: Manifest) => rules);
const POD = "web-7d4b9c6f5d-x2k8p";
const OTHER = "web-7d4b9c6f5d-z9z9z";

/** Series by metric and labels beside namespace and pod; values in promtool's notation, one a minute. */
type Series = Readonly<Record<string, string>>;

/** A pod in order, whose first two minutes have no content. */
const HEALTHY: Series = {
  "config_reload_in_sync": "0x2 1x60",
  "config_reload_last_successful": "1x62",
  "config_reload_failures_total": "0x62",
  'config_reload_target_ready{code="starting"}': "0x1 _x60",
  'config_reload_target_ready{code="ready"}': "_x1 1x60",
  'config_reload_watch_info{method="inotify"}': "1x62",
  "config_reload_watch_errors_total": "0x62",
  "config_reload_read_errors_total": "0x62",
  "config_reload_last_scan_timestamp_seconds": "0+60x62",
  "config_reload_restart_required": "0x62",
  'config_reload_stale_mounts{container="sidecar",reason="subpath"}': "0x62",
  'config_reload_config_info{hash="aaa"}': "1x62",
};
/** That pod with other values of some metrics: the series named here are all that such a metric has. */
function healthyBut(changes: Series): Series {
  const nameOf = (id: string) => id.split("{")[0]!;
  const changed = Object.keys(changes).map(nameOf);
  const kept = Object.entries(HEALTHY).filter(([id]) => !changed.includes(nameOf(id)));
  return { ...Object.fromEntries(kept), ...changes };
}

interface Scenario {
  readonly name: string;
  /** By pod, what is not as in a healthy one. */
  readonly pods: Readonly<Record<string, Series>>;
  /** The one alert, with its labels beside the severity; null where none may fire. */
  readonly fires: readonly [alert: string, labels: Readonly<Record<string, string>>] | null;
  /** Minutes at which it fires, and at which nothing does yet. */
  readonly at: number;
  readonly notAt?: number;
}

const here = (more: Readonly<Record<string, string>> = {}) => ({ namespace: "n", pod: POD, ...more });
const REJECTED: Series = {
  "config_reload_in_sync": "1x5 0x60",
  "config_reload_last_successful": "1x5 0x60",
  "config_reload_failures_total": "0x5 1+1x60",
};

const SCENARIOS: readonly Scenario[] = [
  { name: "a healthy new pod", pods: { [POD]: {}, "db-0": {} }, fires: null, at: 30 },
  {
    name: "one reload that failed and was made good",
    pods: {
      [POD]: {
        "config_reload_in_sync": "1x5 0x3 1x60",
        "config_reload_last_successful": "1x5 0x3 1x60",
        "config_reload_failures_total": "0x5 1x63",
      },
    },
    fires: null,
    at: 30,
  },
  {
    name: "a change that reaches the replicas minutes apart",
    pods: {
      [POD]: {
        'config_reload_config_info{hash="aaa"}': "1x5 _x60",
        'config_reload_config_info{hash="bbb"}': "_x6 1x60",
      },
      [OTHER]: {
        'config_reload_config_info{hash="aaa"}': "1x10 _x60",
        'config_reload_config_info{hash="bbb"}': "_x11 1x60",
      },
    },
    fires: null,
    at: 12,
  },
  {
    name: "polling that was asked for",
    pods: {
      [POD]: { 'config_reload_watch_info{method="poll"}': "1x62" },
    },
    fires: null,
    at: 30,
  },
  {
    name: "content that is missing, in one replica of two",
    pods: {
      [POD]: {
        "config_reload_in_sync": "1x5 0x60",
        "config_reload_read_errors_total": "0x5 0+12x60",
        "config_reload_last_scan_timestamp_seconds": "0+60x5 300x60",
        'config_reload_config_info{hash="old"}': "1x62",
      },
      [OTHER]: {},
    },
    fires: ["ConfigReloaderOutOfSync", here()],
    notAt: 13,
    at: 17,
  },
  {
    name: "content that the app rejects, again and again",
    pods: { [POD]: REJECTED },
    fires: ["ConfigReloaderReloadsFailing", here()],
    notAt: 8,
    at: 30,
  },
  {
    name: "an app that cannot be signalled, before anything has changed",
    pods: {
      [POD]: {
        'config_reload_target_ready{code="permission"}': "0x62",
      },
    },
    fires: ["ConfigReloaderCannotSignal", here({ code: "permission" })],
    notAt: 4,
    at: 6,
  },
  {
    name: "the same, and a change is waiting",
    pods: {
      [POD]: {
        ...REJECTED,
        'config_reload_target_ready{code="permission"}': "0x62",
      },
    },
    fires: ["ConfigReloaderCannotSignal", here({ code: "permission" })],
    at: 30,
  },
  {
    name: "an app whose mount is stale: the change fails, and it cannot be signalled",
    pods: {
      [POD]: {
        ...REJECTED,
        'config_reload_target_ready{code="stale-mount"}': "0x62",
        'config_reload_stale_mounts{container="config-reloader",exported_container="app",reason="subpath"}':
          "1x62",
      },
    },
    fires: [
      "ConfigReloaderStaleMount",
      here({ container: "config-reloader", exported_container: "app", reason: "subpath" }),
    ],
    notAt: 4,
    at: 30,
  },
  {
    name: "a volume that was replaced under the sidecar, scraped without the operator's container label",
    pods: {
      [POD]: { 'config_reload_stale_mounts{container="sidecar",reason="replaced"}': "1x62" },
      [OTHER]: { 'config_reload_config_info{hash="bbb"}': "1x62" },
    },
    fires: ["ConfigReloaderStaleMount", here({ container: "sidecar", reason: "replaced" })],
    at: 30,
  },
  {
    name: "content that is held by a rollout",
    pods: {
      [POD]: { "config_reload_in_sync": "1x5 0x60", "config_reload_rollout_held": "0x5 1x60" },
    },
    fires: ["ConfigReloaderHeld", here()],
    notAt: 14,
    at: 30,
  },
  {
    name: "a turn that is waited for",
    pods: {
      [POD]: { "config_reload_in_sync": "1x5 0x60", "config_reload_rollout_held": "0x62" },
    },
    fires: ["ConfigReloaderTurnTooLong", here()],
    at: 30,
    notAt: 18,
  },
  {
    name: "a file that is missing in a pod of a group",
    pods: {
      [POD]: {
        "config_reload_in_sync": "1x5 0x60",
        "config_reload_rollout_held": "0x62",
        "config_reload_read_errors_total": "0x5 0+12x60",
      },
    },
    fires: ["ConfigReloaderOutOfSync", here()],
    at: 30,
  },
  {
    name: "an API server that does not answer while a reload is due in a rollout",
    pods: {
      [POD]: {
        "config_reload_in_sync": "1x5 0x60",
        "config_reload_rollout_held": "0x62",
        "config_reload_kubernetes_errors_total": "0x5 1+1x60",
      },
    },
    fires: ["ConfigReloaderKubernetesErrors", here()],
    notAt: 16,
    at: 30,
  },
  {
    name: "requests for Events that failed three times",
    pods: { [POD]: { "config_reload_kubernetes_errors_total": "0x5 3x60" } },
    fires: null,
    at: 18,
  },
  {
    name: "the node's inotify instances are used up",
    pods: {
      [POD]: {
        'config_reload_watch_info{method="poll"}': "1x62",
        "config_reload_watch_errors_total": "1x62",
      },
    },
    fires: ["ConfigReloaderWatcherDegraded", here({ method: "poll" })],
    notAt: 14,
    at: 30,
  },
  {
    name: "a loop or a disk that hangs",
    pods: { [POD]: { "config_reload_last_scan_timestamp_seconds": "0+60x10 600x60" } },
    fires: ["ConfigReloaderNotScanning", here()],
    notAt: 19,
    at: 25,
  },
  {
    name: "an app that wants a restart",
    pods: { [POD]: { "config_reload_restart_required": "1x62" } },
    fires: ["ConfigReloaderRestartRequired", here()],
    notAt: 4,
    at: 10,
  },
  {
    name: "replicas of one workload with different content, all in sync",
    pods: {
      [POD]: {},
      [OTHER]: { 'config_reload_config_info{hash="bbb"}': "1x62" },
      "db-0": {},
    },
    fires: ["ConfigReloaderReplicasDisagree", { namespace: "n", workload: "web" }],
    notAt: 11,
    at: 15,
  },
];

/** A metric's name and labels with those of the pod. */
function series(pod: string, id: string): string {
  const [, name, labels = ""] = /^(\w+)(?:\{(.*)\})?$/.exec(id)!;
  return `${name}{namespace="n",pod="${pod}"${labels && `,${labels}`}}`;
}

/** An annotation as Prometheus renders it: the few forms that the rules use. */
function rendered(text: string, labels: Readonly<Record<string, string>>): string {
  return text
    .replace(
      /\{\{ with \$labels\.(\w+) \}\}\{\{ \. \}\}\{\{ else \}\}\{\{ \$labels\.(\w+) \}\}\{\{ end \}\}/g,
      (_, first, second) => labels[first] ?? labels[second] ?? "",
    )
    .replace(/\{\{ \$labels\.(\w+) \}\}/g, (_, name) => labels[name] ?? "")
    .replaceAll("{{ $value }}", "2");
}

function toPromtool({ name, pods, fires, at, notAt }: Scenario) {
  const expected = (alert: Manifest, minute: number) => {
    if (fires === null || fires[0] !== alert["alert"] || minute !== at) return [];
    const labels = fires[1];
    const annotations = Object.entries<string>(alert["annotations"]);
    return [{
      exp_labels: { ...alert["labels"], ...labels },
      exp_annotations: Object.fromEntries(annotations.map(([key, text]) => [key, rendered(text, labels)])),
    }];
  };
  return {
    name,
    interval: "1m",
    input_series: Object.entries(pods).flatMap(([pod, changes]) =>
      Object.entries(healthyBut(changes)).map(([id, values]) => ({ series: series(pod, id), values }))
    ),
    alert_rule_test: [...(notAt === undefined ? [] : [notAt]), at].flatMap((minute) =>
      ALERTS.map((alert) => ({
        eval_time: `${minute}m`,
        alertname: alert["alert"],
        exp_alerts: expected(alert, minute),
      }))
    ),
  };
}

test("the rules are well-formed", () => promtool(["check", "rules", "rules.yaml"], { "rules.yaml": RULES }));

for (const scenario of SCENARIOS) {
  test(`alerts: ${scenario.name}: ${scenario.fires?.[0] ?? "none"}`, () =>
    promtool(["test", "rules", "test.yaml"], {
      "rules.yaml": RULES,
      "test.yaml": { rule_files: ["rules.yaml"], evaluation_interval: "1m", tests: [toPromtool(scenario)] },
    }));
}

test("every alert is tested both ways", () => {
  for (const { alert } of ALERTS) {
    const fires = SCENARIOS.filter((scenario) => scenario.fires?.[0] === alert);
    assert.ok(fires.length > 0, `no scenario in which ${alert} fires`);
    assert.ok(fires.some(({ notAt }) => notAt !== undefined), `${alert} is never seen to wait`);
  }
});
