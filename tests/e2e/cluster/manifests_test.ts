/**
 * The manifests of `k8s/` on a real kubelet: what `kubectl apply -k` gives works, in the limits it sets, through restarts and
 * deletion, with what people really have in their pods and namespaces.
 */

import assert from "node:assert/strict";
import { build } from "../manifests/support.ts";
import { until } from "../../support/poll.ts";
import { sha256 } from "../../support/scene.ts";
import { APP_IMAGE, configMap, createNamespace, type Namespace, podManifest } from "./support.ts";
import { test } from "../../support/strict.ts";

const IMAGES = `
images:
  - { name: config-reloader, newName: localhost/config-reloader, newTag: e2e }
  - { name: demo-app, newName: localhost/demo-app, newTag: e2e }
`;

/** Applies a kustomization whose resources may name `K8S`. */
async function applyKustomization(ns: Namespace, files: Readonly<Record<string, string>>) {
  await ns.apply((await build(files)).text);
}

/** Changes the ConfigMap and waits until the sidecar has proved `count` reloads in all. */
async function changeAndProve(
  ns: Namespace,
  pod: string,
  config: string,
  data: Readonly<Record<string, string>>,
  count: number,
) {
  await ns.setConfig(config, data);
  await ns.untilArrived(
    pod,
    `${count} proved reloads`,
    async () => await ns.metric(pod, "config_reload_successes_total") === count,
  ).catch(async (error) => {
    throw new Error(`${error}\n${await ns.logs(pod, "config-reloader")}`);
  });
}

/** Fails where the sidecar was ever restarted, throttled to death or killed for memory. */
async function assertNeverRestarted(ns: Namespace, pod: string) {
  const status = await ns.containerStatus(pod, "config-reloader");
  assert.equal(status["restartCount"], 0, JSON.stringify(status));
}

test("base: a change of the ConfigMap is proved, in the original's 50 MiB and 50 thousandths of a core", async () => {
  await using ns = await createNamespace("base");
  await applyKustomization(ns, { "kustomization.yaml": `resources: [K8S/base]\n${IMAGES}` });
  const pod = await ns.untilPodReady("app.kubernetes.io/name=demo-app");
  for (let i = 1; i <= 5; i++) {
    await changeAndProve(ns, pod, "demo-app-config", { "config.yaml": `greeting: hello ${i}\n` }, i);
  }
  assert.equal((await ns.logs(pod, "app")).match(/got SIGHUP/g)?.length, 5, "one signal a change");
  assert.equal(await ns.metric(pod, "config_reload_in_sync"), 1);
  await assertNeverRestarted(ns, pod);
  const { spec: { ports } } = await ns.get("service", "demo-app");
  assert.ok(ports.some(({ name }: { name: string }) => name === "metrics"));
  const { status: { podIP } } = await ns.get("pod", pod);
  assert.match(
    await ns.exec(pod, "app", ["wget", "-qO-", `http://${podIP}:8080/`]),
    /^hello 5/,
    "the Service's port http reaches the app",
  );
});

const FOREIGN = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, annotations: { config-reloader/inject: "true" } }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      automountServiceAccountToken: false
      containers:
        - name: web
          image: ${APP_IMAGE}
          imagePullPolicy: Never
          args: [--config, /srv/settings.yaml, --port, "8080"]
          securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
          volumeMounts: [{ name: config, mountPath: /srv }]
      volumes: [{ name: config, configMap: { name: web } }]
---
apiVersion: v1
kind: ConfigMap
metadata: { name: web }
data: { settings.yaml: "a: 1", other.yaml: "b: 1" }
`;

for (const component of ["config-reloader", "native-sidecar"]) {
  test(`${component}: one line adds the sidecar to a foreign Deployment, and it works`, async () => {
    await using ns = await createNamespace("foreign");
    await applyKustomization(ns, {
      "web.yaml": FOREIGN,
      "kustomization.yaml":
        `resources: [web.yaml]\ncomponents: [K8S/components/${component}, K8S/components/network-policy]\n${IMAGES}`,
    });
    const pod = await ns.untilPodReady("app=web");
    await changeAndProve(ns, pod, "web", { "settings.yaml": "a: 2", "other.yaml": "b: 1" }, 1);
    await changeAndProve(ns, pod, "web", { "settings.yaml": "a: 2" }, 2); // a key less is a change too
    assert.equal((await ns.appCounts(pod, "web"))["signals"], 2);
    await assertNeverRestarted(ns, pod);
  });
}

const JOB = `
apiVersion: batch/v1
kind: Job
metadata: { name: once, annotations: { config-reloader/inject: "true" } }
spec:
  backoffLimit: 0
  template:
    metadata: { labels: { app: once } }
    spec:
      automountServiceAccountToken: false
      restartPolicy: Never
      containers:
        - name: once
          image: ${APP_IMAGE}
          imagePullPolicy: Never
          command: [/bin/sh, -c, "date +%s; sleep 3"]
          securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
      volumes: [{ name: config, configMap: { name: web } }]
`;

test("native-sidecar: starts before the app, ends after it, and does not keep a Job from completing", async () => {
  await using ns = await createNamespace("native");
  await applyKustomization(ns, {
    "web.yaml": `${FOREIGN}---${JOB}`,
    "kustomization.yaml": `resources: [web.yaml]\ncomponents: [K8S/components/native-sidecar]\n${IMAGES}`,
  });
  await ns.kubectl(["wait", "--for=condition=Complete", "job/once", "--timeout=90s"]);
  const [{ metadata: { name: once } }] =
    JSON.parse(await ns.kubectl(["get", "pods", "-l", "app=once", "-o", "json"])).items;
  const app = (await ns.containerStatus(once, "once"))["state"].terminated;
  const sidecar = (await ns.containerStatus(once, "config-reloader"))["state"].terminated;
  assert.equal(app.exitCode, 0);
  assert.equal(sidecar.exitCode, 0, "SIGTERM must end the sidecar with exit code 0");
  assert.ok(sidecar.startedAt <= app.startedAt, "the sidecar starts first");
  assert.ok(sidecar.finishedAt >= app.finishedAt, "the sidecar ends last");

  const pod = await ns.untilPodReady("app=web");
  // Whoever did not end at SIGTERM would keep it for an hour.
  await ns.kubectl(["delete", "pod", pod, "--grace-period=3600", "--wait=true", "--timeout=120s"]);
});

test("probes: ready when it has looked at the disk, alive, and not ready before", async () => {
  await using ns = await createNamespace("probes");
  await ns.apply([
    configMap("config", { "other.yaml": "a: 1\n" }), // the watched file is missing: a sidecar must not hold up its pod
    podManifest({ sidecarArgs: ["--config-file=/etc/amp/config.yaml"] }),
  ]);
  const pod = (await ns.untilReady("pod"))["metadata"].name;
  assert.equal((await ns.http(pod, 9091, "/healthz")).trim(), "ok");
  assert.equal(await ns.metric(pod, "config_reload_in_sync"), 0);
});

test("32 MiB and 50 thousandths of a core are enough: ready, and five of five changes proved", async () => {
  await using ns = await createNamespace("small");
  await ns.apply([
    configMap("config", { "config.yaml": "a: 0\n" }),
    podManifest({
      sidecar: {
        resources: { requests: { cpu: "10m", memory: "20Mi" }, limits: { cpu: "50m", memory: "32Mi" } },
      },
    }),
  ]);
  await ns.untilReady("pod");
  for (let i = 1; i <= 5; i++) await changeAndProve(ns, "pod", "config", { "config.yaml": `a: ${i}\n` }, i);
  await assertNeverRestarted(ns, "pod");
});

test("restarts: of the app while changes arrive, and of the sidecar while one is pending", async () => {
  await using ns = await createNamespace("restart");
  await ns.apply([configMap("config", { "config.yaml": "a: 1\n" }), podManifest()]);
  await ns.untilReady("pod");
  const kill = async (container: string, pattern: string) => {
    const before = (await ns.containerStatus("pod", container))["restartCount"];
    const line = (await ns.exec("pod", "app", ["ps"])).split("\n").find((text) => text.includes(pattern));
    assert.ok(line, `no process ${pattern}`);
    await ns.exec("pod", "app", ["kill", "-9", line.trim().split(/\s+/)[0]!]).catch(() => {}); // its own container may go first
    await until(`${container} to be restarted`, async () => {
      const status = await ns.containerStatus("pod", container);
      return status["restartCount"] > before && status["ready"];
    }, { everyMs: 200 });
  };
  const inSync = (content: string) =>
    ns.untilArrived("pod", `the app to run ${content}`, async () => {
      const { hash } = await ns.appCounts("pod");
      return hash === await sha256(content) && await ns.metric("pod", "config_reload_in_sync") === 1;
    });

  await ns.setConfig("config", { "config.yaml": "a: 2\n" }, "pod");
  await kill("app", "/app.ts");
  await inSync("a: 2\n");
  await ns.setConfig("config", { "config.yaml": "a: 3\n" }, "pod");
  await kill("config-reloader", "/config-reloader");
  await inSync("a: 3\n");
  await ns.setConfig("config", { "config.yaml": "a: 4\n" }, "pod");
  await inSync("a: 4\n");
});

test("a Service called metrics: its METRICS_PORT=tcp://… does no harm", async () => {
  await using ns = await createNamespace("links");
  for (const name of ["metrics", "config-reloader"]) {
    await ns.apply([{
      apiVersion: "v1",
      kind: "Service",
      metadata: { name },
      spec: { selector: { app: "x" }, ports: [{ name: "metrics", port: 80 }] },
    }]);
  }
  await ns.apply([
    configMap("config", { "config.yaml": "a: 1\n" }),
    podManifest({ spec: { enableServiceLinks: true } }),
  ]);
  await ns.untilReady("pod");
  assert.match(
    await ns.exec("pod", "app", ["env"]),
    /METRICS_PORT=tcp:\/\//,
    "the kubelet sets the variable",
  );
  await ns.untilLog("pod", /WARN.*METRICS_PORT/);
  await changeAndProve(ns, "pod", "config", { "config.yaml": "a: 2\n" }, 1);
});
