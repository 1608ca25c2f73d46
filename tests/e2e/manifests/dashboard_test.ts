/**
 * The dashboard on a real Prometheus that scrapes real sidecars: one in order, one whose app refuses, one whose file is gone, one
 * whose app cannot be signalled, and two in a rollout of which the second holds. What each panel shows is what happened.
 */

import assert from "node:assert/strict";
import { type App, startApp } from "../../support/apps.ts";
import { type FakeKubernetes, startFakeKubernetes } from "../../support/fake_kubernetes.ts";
import { until } from "../../support/poll.ts";
import {
  createScene,
  get,
  requireRoot,
  type Scene,
  type Sidecar,
  type SidecarOptions,
  startProgram,
} from "../../support/scene.ts";
import { test } from "../../support/strict.ts";
import { filled, type Manifest, panels } from "./support.ts";

/** Step and interval of the panels here, in seconds; Grafana's is a minute at least. */
const STEP = 5;

const OK = "ok-7d4b9c6f5d-x2k8p";

/** A pod of its own: scene and sidecar. */
interface Pod {
  readonly scene: Scene;
  readonly sidecar: Sidecar;
}

/** The sidecar of a pod with the API's address in its environment, and the service account where a pod has it. */
function inCluster({ place }: FakeKubernetes, pod: string): Partial<SidecarOptions> {
  const mount = "mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && " +
    'cp -r "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@"';
  const { hostname, port } = new URL(place.url);
  return {
    prefix: ["unshare", "--mount", "sh", "-c", mount, place.accountDir],
    env: {
      KUBERNETES_SERVICE_HOST: hostname,
      KUBERNETES_SERVICE_PORT: port,
      POD_NAME: pod,
      POD_NAMESPACE: "team",
    },
    args: ["--rollout", "canary", "--rollout-group", "web", "--rollout-soak", "1s"],
  };
}

/** Prometheus with the labels that a PodMonitor gives. */
function startScraper(pods: Readonly<Record<string, Pod>>): Promise<App> {
  const targets = Object.entries(pods).map(([pod, { sidecar }]) => ({
    targets: [`127.0.0.1:${sidecar.port}`],
    labels: { namespace: "team", pod },
  }));
  return startApp({
    program: "prometheus",
    key: "prometheus.yml",
    payload: () => ({
      "prometheus.yml": JSON.stringify({
        global: { scrape_interval: "1s" },
        scrape_configs: [{ job_name: "pods", static_configs: targets }],
      }),
    }),
    args: (file, dir, port) => [
      `--config.file=${file}`,
      `--storage.tsdb.path=${dir}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    ready: "/-/ready",
  });
}

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
  readonly values: readonly (readonly [number, string])[];
}

/** Answers of Prometheus' API to the panels of the dashboard. */
async function createBoard(prometheus: App) {
  const all = await panels();
  const ask = async (path: string, query: Record<string, string>): Promise<Sample[]> => {
    const url = `${prometheus.url}/api/v1/${path}?${new URLSearchParams(query)}`;
    return JSON.parse(await get(url)).data.result;
  };
  const targetsOf = (title: string): Manifest[] => all.find((panel) => panel["title"] === title)!["targets"];
  const exprOf = (title: string, target = 0) => filled(targetsOf(title)[target]!["expr"], STEP);
  return {
    titles: all.flatMap((panel) => panel["targets"] ? [panel["title"] as string] : []),
    expressionsOf: (title: string) => targetsOf(title).map((_, i) => exprOf(title, i)),
    /** What the panel shows now. */
    now: (title: string, target = 0) => ask("query", { query: exprOf(title, target) }),
    query: (query: string) => ask("query", { query }),
    /** The sum of all that the panel has shown since, by a label. */
    async sums(title: string, label: string, fromSeconds: number): Promise<Record<string, number>> {
      const end = Math.ceil(Date.now() / 1000 / STEP) * STEP;
      const range = { start: String(fromSeconds), end: String(end), step: String(STEP) };
      const series = await ask("query_range", { query: exprOf(title), ...range });
      return Object.fromEntries(series.map(({ metric, values }) => [
        metric[label]!,
        values.reduce((sum, [, value]) => sum + Number(value), 0),
      ]));
    },
  };
}

const one = async (samples: Promise<Sample[]>) => Number((await samples)[0]!.value[1]);
const lines = async (samples: Promise<Sample[]>, ...labels: string[]) =>
  (await samples).map(({ metric, value }) => [...labels.map((label) => metric[label]), value[1]].join(" "))
    .sort();

/** Waits until what is shown is this. */
const shows = <T>(what: string, shown: () => Promise<T>, wanted: T) =>
  until(`${what} to show what happened`, async () => (assert.deepEqual(await shown(), wanted), true), {
    timeoutMs: 30_000,
    everyMs: 200,
  });

test("what the panels show is what happened", async () => {
  requireRoot("a service account is mounted for the rollout's sidecars");
  await using kubernetes = await startFakeKubernetes();
  await using stack = new AsyncDisposableStack();
  const deaf = stack.use(startProgram("sleep", ["600"]));
  const startPod = async (options: Partial<SidecarOptions> = {}): Promise<Pod> => {
    const scene = stack.use(await createScene());
    const rest = ["--retry-interval", "5m", "--max-backoff", "5m", ...options.args ?? []];
    return { scene, sidecar: await scene.start({ ...options, args: rest }) };
  };
  const pods = {
    [OK]: await startPod(),
    "rejected-0": await startPod(),
    "missing-0": await startPod(),
    "deaf-0": await startPod({ args: ["--pid", String(deaf.pid), "--reload-on-start", "never"] }),
    "web-0": await startPod(inCluster(kubernetes, "web-0")),
    "web-1": await startPod(inCluster(kubernetes, "web-1")),
  };
  const { [OK]: ok, "rejected-0": rejected, "missing-0": missing } = pods;
  const count = Object.keys(pods).length;
  await using prometheus = await startScraper(pods);
  const board = await createBoard(prometheus);
  const began = Math.floor(Date.now() / 1000 / STEP) * STEP;

  await until(
    "all to be scraped in order",
    async () => await one(board.query("sum(config_reload_in_sync)")) === count,
  );
  await until(
    "a deaf app to be old enough",
    () => pods["deaf-0"].sidecar.metric('config_reload_target_ready{code="no-handler"}').then(() => true),
  );

  let hash = "";
  for (const version of [1, 2, 3]) {
    hash = await ok.scene.swap(`version: ${version}\n`);
    await ok.scene.applied(hash);
    await ok.sidecar.metricIs("config_reload_successes_total", version);
  }
  await rejected.scene.swap("REJECT\n");
  missing.scene.volume.swap({ "other.yaml": "" });
  await pods["web-0"].scene.swap("REJECT\n");
  await pods["web-0"].sidecar.logged("Reload rejected");
  await pods["web-1"].scene.swap("REJECT\n");
  await pods["web-1"].sidecar.logged("Held: web-0 tried this content first");

  await shows("the table", () => lines(board.now("Pods that need a person"), "pod", "why"), [
    "deaf-0 cannot be signalled: no-handler 1",
    "missing-0 content missing or unreadable 1",
    "missing-0 out of sync 1",
    "rejected-0 last reload failed 1",
    "rejected-0 out of sync 1",
    "web-0 last reload failed 1",
    "web-0 out of sync 1",
    "web-1 held by the rollout 1",
    "web-1 out of sync 1",
  ]);
  for (const [title, count] of [["Out of sync", 4], ["Cannot be signalled", 1], ["Held", 1]] as const) {
    await shows(title, () => one(board.now(title)), count);
  }
  await shows("who is in sync", () => lines(board.now("In sync"), "pod"), [
    "deaf-0 1",
    "missing-0 0",
    `${OK} 1`,
    "rejected-0 0",
    "web-0 0",
    "web-1 0",
  ]);
  for (
    const [target, label, value] of [[0, "hash", hash.slice(0, 12)], [1, "code", "ready"], [
      2,
      "kind",
      "counter",
    ]] as const
  ) {
    const shown = async () =>
      (await lines(board.now("Content, target and proof by pod", target), "pod", label))
        .filter((line) => line.startsWith(OK));
    await shows(label, shown, [`${OK} ${value} 1`]);
  }
  const proved = async () =>
    (await lines(board.now("Last proved reload"), "pod")).map((line) => line.split(" ")[0]);
  await shows("who has proved one", proved, [OK]);
  await shows("the method", () => lines(board.now("Method"), "method"), [`inotify ${count}`]);
  const files = Object.keys(pods).map((pod) => `${pod} 1`).sort();
  await shows("the files", () => lines(board.now("Files in the content"), "pod"), files);

  // Three good reloads, and one rejection each in two pods; a file that is gone and content that is held are no attempts.
  const ended = { success: 3, rejected: 2, failed: 0, timeout: 0, invalid: 0 };
  await shows("the bars", () => board.sums("Reloads a minute, by outcome", "outcome", began), ended);
  for (const title of ["From change seen to outcome", "From change seen to trigger"]) {
    await shows(title, async () => (await board.sums(title, "le", began))["+Inf"], 5);
  }
  for (const title of board.titles) {
    for (const target of board.expressionsOf(title).keys()) {
      assert.notEqual((await board.now(title, target)).length, 0, `${title}: nothing to show`);
    }
  }
});
