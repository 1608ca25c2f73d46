/**
 * One annotation adds the sidecar: `k8s/components/injection` on a real API server, with every kind of pod that it meets, and one pod
 * that runs and reloads. Where MutatingAdmissionPolicy is v1beta1, the component for that is taken.
 */

import assert from "node:assert/strict";
import { build } from "../manifests/support.ts";
import { until } from "../../support/poll.ts";
import { test } from "../../support/strict.ts";
import {
  APP_IMAGE,
  configMap,
  createNamespace,
  kubectl,
  type Manifest,
  type Namespace,
  PRODUCT_IMAGE,
  RESTRICTED,
} from "./support.ts";

/** The policies of the component with the image of these tests; they are cluster-wide, so they go with the test. */
async function installInjection(): Promise<AsyncDisposable> {
  const isBeta = !(await kubectl(["get", "--raw", "/apis/admissionregistration.k8s.io/v1"]))
    .includes("mutatingadmissionpolicies");
  const { text } = await build({
    "kustomization.yaml": `
components: [K8S/components/injection${isBeta ? "-v1beta1" : ""}]
patches:
  - target: { kind: MutatingAdmissionPolicy }
    patch: |-
      - { op: replace, path: /spec/variables/0/expression, value: "'${PRODUCT_IMAGE}'" }
`,
  });
  await kubectl(["apply", "-f", "-"], text);
  return {
    [Symbol.asyncDispose]: async () => {
      await kubectl(["delete", "--wait=false", "--ignore-not-found", "-f", "-"], text);
    },
  };
}

const volumeMounts = [{ name: "config", mountPath: "/etc/amp", readOnly: true }];

/** A pod of one app that mounts the volume `config`, as somebody writes it who has not heard of the sidecar. */
function foreign(annotations: Readonly<Record<string, string>>, spec: Manifest = {}): Manifest {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", annotations },
    spec: {
      automountServiceAccountToken: false,
      containers: [{
        name: "app",
        image: APP_IMAGE,
        imagePullPolicy: "Never",
        args: ["--config", "/etc/amp/config.yaml", "--port", "8080"],
        securityContext: RESTRICTED,
        volumeMounts,
      }],
      volumes: [{ name: "config", configMap: { name: "config" } }],
      ...spec,
    },
  };
}

const ASKED = { "config-reloader/volume": "config" };

/** What the API server makes of the pod, or why it refuses it. */
async function admit(ns: Namespace, pod: Manifest): Promise<Manifest | string> {
  try {
    const text = await ns.kubectl(
      ["create", "--dry-run=server", "-o", "json", "-f", "-"],
      JSON.stringify(pod),
    );
    return JSON.parse(text) as Manifest;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function admitted(ns: Namespace, pod: Manifest): Promise<Manifest> {
  const result = await admit(ns, pod);
  assert.ok(typeof result !== "string", String(result));
  return result;
}

async function refused(ns: Namespace, pod: Manifest, why: RegExp): Promise<void> {
  const result = await admit(ns, pod);
  assert.match(typeof result === "string" ? result : "it was admitted", why);
}

const sidecarOf = (pod: Manifest): Manifest | undefined =>
  (pod["spec"].initContainers ?? []).find(({ name }: Manifest) => name === "config-reloader");
const environment = (sidecar: Manifest | undefined): Record<string, string> =>
  Object.fromEntries((sidecar?.["env"] ?? []).map(({ name, value }: Manifest) => [name, value]));

async function createInjected(prefix: string): Promise<Namespace> {
  const ns = await createNamespace(prefix);
  await kubectl([
    "label",
    "namespace",
    ns.name,
    "config-reloader/injection=enabled",
    "pod-security.kubernetes.io/enforce=restricted",
  ]);
  await until("the policy to work", async () => {
    const pod = await admit(ns, foreign(ASKED));
    return typeof pod !== "string" && sidecarOf(pod) !== undefined;
  }, { everyMs: 200 });
  return ns;
}

test("injection: every kind of pod that it meets", async () => {
  await using _ = await installInjection();
  await using ns = await createInjected("inject");

  const pod = await admitted(ns, foreign({ ...ASKED, "config-reloader.set/process-name": "nginx" }));
  const sidecar = sidecarOf(pod)!;
  assert.equal(pod["spec"].shareProcessNamespace, true);
  // What the PodMonitor of components/monitoring looks for, beside labels of the pod's own and without any.
  assert.deepEqual(pod["metadata"].labels, { "config-reloader/scrape-by": "pod" });
  assert.equal(sidecar["ports"][0].name, "metrics");
  const labelled = foreign(ASKED);
  labelled["metadata"].labels = { app: "web" };
  assert.deepEqual((await admitted(ns, labelled))["metadata"].labels, {
    app: "web",
    "config-reloader/scrape-by": "pod",
  });
  assert.equal(sidecar["restartPolicy"], "Always");
  assert.equal(sidecar["image"], PRODUCT_IMAGE);
  assert.equal(sidecar["securityContext"].runAsUser, 65532);
  assert.deepEqual(sidecar["volumeMounts"], [
    { name: "config", mountPath: "/etc/config-reloader/watched", readOnly: true },
  ]);
  assert.equal(environment(sidecar)["CONFIG_RELOADER_PROCESS_NAME"], "nginx");
  assert.equal(environment(sidecar)["CONFIG_RELOADER_WATCHED_DIR"], "/etc/config-reloader/watched");

  // Opt-out: no annotation, or the sidecar is there already.
  assert.equal(sidecarOf(await admitted(ns, foreign({}))), undefined);
  const [app] = foreign({})["spec"].containers;
  const own = { ...app, name: "config-reloader", image: "localhost/mine:1" };
  const kept = await admitted(ns, foreign(ASKED, { containers: [app, own] }));
  assert.equal(sidecarOf(kept), undefined);
  assert.equal(kept["spec"].shareProcessNamespace, undefined);

  // Several containers of different users: the one that mounts the volume is the app.
  const user = (name: string, runAsUser: number, mounts: readonly Manifest[]) => ({
    ...app,
    name,
    securityContext: { ...RESTRICTED, runAsUser },
    volumeMounts: mounts,
  });
  const two = { containers: [user("proxy", 1, []), user("app", 1234, volumeMounts)] };
  assert.equal(sidecarOf(await admitted(ns, foreign(ASKED, two)))!["securityContext"].runAsUser, 1234);
  // The pod's own user, where the container names none.
  const { runAsUser: __, ...unnamed } = RESTRICTED;
  const byPod = { securityContext: { runAsUser: 777 }, containers: [{ ...app, securityContext: unnamed }] };
  assert.equal(sidecarOf(await admitted(ns, foreign(ASKED, byPod)))!["securityContext"].runAsUser, 777);

  // Init containers of its own come first: the sidecar starts after them, with the app.
  const init = { ...app, name: "migrate" };
  const withInit = await admitted(ns, foreign(ASKED, { initContainers: [init] }));
  assert.deepEqual(withInit["spec"].initContainers.map(({ name }: Manifest) => name), [
    "migrate",
    "config-reloader",
  ]);

  // What cannot work is refused with words.
  await refused(
    ns,
    foreign({ "config-reloader/volume": "conf" }),
    /the pod has no volume "conf"; it has: config/,
  );
  await refused(
    ns,
    foreign(ASKED, { containers: [{ ...app, volumeMounts: [] }] }),
    /no container mounts the volume "config"/,
  );
  await refused(ns, foreign(ASKED, { shareProcessNamespace: false }), /shareProcessNamespace is false/);
  const byHttp = { ...ASKED, "config-reloader.set/trigger": "http" };
  const apart = await admitted(ns, foreign(byHttp, { shareProcessNamespace: false }));
  assert.equal(apart["spec"].shareProcessNamespace, false, "no signal, no shared namespace needed");

  // The API is asked only with the flags for it; the app gets no token.
  assert.equal(pod["spec"].volumes.length, 1);
  const fleet = { "config-reloader.set/rollout": "canary", "config-reloader.set/rollout-group": "web" };
  const inFleet = await admitted(ns, foreign({ ...ASKED, ...fleet }));
  const mounts = (container: Manifest) => container["volumeMounts"].map(({ name }: Manifest) => name);
  assert.deepEqual(mounts(sidecarOf(inFleet)!), ["config", "config-reloader-account"]);
  assert.deepEqual(mounts(inFleet["spec"].containers[0]), ["config"]);
  // A file by name replaces the directory.
  const byFile = { ...ASKED, "config-reloader.set/config-file": "/etc/config-reloader/watched/config.yaml" };
  const named = environment(sidecarOf(await admitted(ns, foreign(byFile))));
  assert.equal("CONFIG_RELOADER_WATCHED_DIR" in named, false);
});

test("injection: nothing happens in a namespace without the label", async () => {
  await using _ = await installInjection();
  await using ns = await createNamespace("apart");
  assert.equal(sidecarOf(await admitted(ns, foreign(ASKED))), undefined);
});

test("injection: an annotated Deployment reloads in its group's turn, and an annotated Job completes", async () => {
  await using _ = await installInjection();
  await using ns = await createInjected("injected");
  const { metadata, spec } = foreign({
    ...ASKED,
    "config-reloader.set/rollout": "canary",
    "config-reloader.set/rollout-group": "app",
    "config-reloader.set/rollout-soak": "1s",
  });
  const { text: rbac } = await build({
    "kustomization.yaml": `namespace: ${ns.name}\ncomponents: [K8S/components/rollout]\n`,
  });
  await ns.apply(rbac);
  const template = { metadata: { labels: { app: "web" }, annotations: metadata.annotations }, spec };
  const job = {
    ...spec,
    restartPolicy: "Never",
    containers: [{ ...spec.containers[0], command: ["/bin/sh", "-c", "sleep 2"], args: [] }],
  };
  await ns.apply([
    configMap("config", { "config.yaml": "a: 1" }),
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "web" },
      spec: { selector: { matchLabels: { app: "web" } }, template },
    },
    {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name: "once" },
      // Its pods must not be taken for the Deployment's.
      spec: { template: { metadata: { ...template.metadata, labels: { app: "once" } }, spec: job } },
    },
  ]);
  const pod = await ns.untilPodReady("app=web");
  await ns.setConfig("config", { "config.yaml": "a: 2" });
  await ns.untilArrived(
    pod,
    "a proved reload",
    async () => await ns.metric(pod, "config_reload_successes_total") === 1,
  );
  await until("the turn to end", async () => {
    const { metadata: { annotations } } = await ns.get("lease", "config-reloader-app");
    return annotations["config-reloader/state"] === "proved" && annotations["config-reloader/pod"] === pod;
  }, { everyMs: 300 });
  await ns.kubectl(["wait", "--for=condition=Complete", "job/once", "--timeout=90s"]);
});
