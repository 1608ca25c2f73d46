/**
 * A rollout on a real cluster, by `k8s/components/rollout`: bad content is tried in one pod and held in the others, good content goes
 * through, whoever is deleted, and without its Role nothing is reloaded. Three pods of the demo app.
 */

import assert from "node:assert/strict";
import { build } from "../manifests/support.ts";
import { until } from "../../support/poll.ts";
import { test } from "../../support/strict.ts";
import { createNamespace, isReady, type Manifest, type Namespace } from "./support.ts";

const LEASE = "config-reloader-app";
const GOOD = (greeting: string) => ({ "config.yaml": `greeting: ${greeting}\n` });
const BAD = { "config.yaml": "greeting: hello\nworkers: 99\n" };

/** The base with three pods in one group; a turn lasts 5 s + soak + 5 s + 10 s. */
async function install(ns: Namespace, settings: Readonly<Record<string, string>> = {}): Promise<void> {
  const env = { CONFIG_RELOADER_ROLLOUT_SOAK: "2s", CONFIG_RELOADER_RELOAD_TIMEOUT: "5s", ...settings };
  const { text } = await build({
    "deployment/kustomization.yaml": `
resources: [../K8S/base]
patches:
  - target: { kind: Deployment }
    patch: |-
      - { op: add, path: /metadata/annotations, value: { config-reloader/rollout: container } }
      - { op: replace, path: /spec/replicas, value: 3 }
`,
    "kustomization.yaml": `
namespace: ${ns.name}
resources: [deployment]
components: [K8S/components/rollout]
images:
  - { name: config-reloader, newName: localhost/config-reloader, newTag: e2e }
  - { name: demo-app, newName: localhost/demo-app, newTag: e2e }
patches:
  - patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata: { name: demo-app }
      spec:
        template:
          spec:
            containers:
              - name: config-reloader
                env: ${JSON.stringify(Object.entries(env).map(([name, value]) => ({ name, value })))}
`,
  });
  await ns.apply(text);
}

/** The names of the group's pods, when three are ready and no other is left. */
async function readyPods(ns: Namespace): Promise<readonly string[]> {
  return await until("three ready pods", async () => {
    const { items } = JSON.parse(await ns.kubectl(["get", "pods", "-o", "json"])) as { items: Manifest[] };
    return items.length === 3 && items.every(isReady)
      ? items.map(({ metadata }) => metadata.name as string)
      : null;
  }, { timeoutMs: 120_000, everyMs: 300 });
}

/** Changes the content, lets it arrive now, and waits until `probe` holds for it. */
async function change<T>(
  ns: Namespace,
  pods: readonly string[],
  data: Readonly<Record<string, string>>,
  what: string,
  probe: () => Promise<T>,
): Promise<void> {
  await ns.setConfig("demo-app-config", data, ...pods);
  try {
    await until(what, async () => {
      for (const pod of pods) await ns.kick(pod).catch(() => {});
      return await until(what, probe, { timeoutMs: 3_000, everyMs: 250 });
    }, { timeoutMs: 90_000, everyMs: 0 });
  } catch (error) {
    const logs = await Promise.all(pods.map((pod) => ns.logs(pod, "config-reloader").catch(String)));
    throw new Error(`${error}\n${await lease(ns)}\n${logs.join("\n---\n")}`);
  }
}

const metrics = (ns: Namespace, pods: readonly string[], name: string) =>
  Promise.all(pods.map((pod) => ns.metric(pod, name)));
const signals = async (ns: Namespace, pod: string) =>
  (await ns.logs(pod, "app")).match(/got SIGHUP/g)?.length ?? 0;
const lease = (ns: Namespace) => ns.kubectl(["get", "lease", LEASE, "-o", "yaml"]).catch(String);

/** What the Lease says. */
async function trial(ns: Namespace): Promise<Readonly<Record<string, string>>> {
  const { metadata, spec } = await ns.get("lease", LEASE);
  const said = Object.entries(metadata.annotations as Record<string, string>)
    .map(([name, value]) => [name.replace("config-reloader/", ""), value]);
  return { ...Object.fromEntries(said), holder: spec.holderIdentity };
}

/** Every pod runs what is on disk, which it got by a reload. */
const allThrough = (ns: Namespace, pods: readonly string[], reloads: number) => async () => {
  const [sync, successes] = [
    await metrics(ns, pods, "config_reload_in_sync"),
    await metrics(ns, pods, "config_reload_successes_total"),
  ];
  return sync.every((value) => value === 1) && successes.every((value) => value === reloads);
};

/** One pod has rejected the content, and two hold; returns the one. */
async function heldBut(ns: Namespace, pods: readonly string[]): Promise<string> {
  await until("two pods that hold", async () => {
    const held = await metrics(ns, pods, "config_reload_rollout_held");
    return held.filter((value) => value === 1).length === 2;
  }, { everyMs: 250 });
  const held = await metrics(ns, pods, "config_reload_rollout_held");
  return pods[held.indexOf(0)]!;
}

test("canary: bad content is signalled in one pod; the others hold and say so; the fix goes through all", async () => {
  await using ns = await createNamespace("rollout");
  await install(ns);
  const pods = await readyPods(ns);
  await change(ns, pods, BAD, "a rejection", async () => (await trial(ns))["state"] === "rejected");
  const first = await heldBut(ns, pods);
  const others = pods.filter((pod) => pod !== first);

  const said = await trial(ns);
  assert.deepEqual(
    [said["state"], said["pod"], said["holder"], said["outcome"], said["reason"]],
    ["rejected", first, first, "rejected", "validation_failed"],
  );
  assert.match(await ns.kubectl(["get", "lease", LEASE]), new RegExp(`${LEASE} +${first}`));
  const text = `Held: ${first} tried this content first and its app rejected it: validation_failed`;
  for (const pod of others) {
    await ns.untilLog(pod, new RegExp(text));
    assert.equal(await signals(ns, pod), 0, "held means no signal");
    assert.equal(await ns.metric(pod, "config_reload_in_sync"), 0);
    assert.equal(await ns.metric(pod, "config_reload_attempts_total"), 0);
    const status = JSON.parse(await ns.http(pod, 9091, "/status"));
    assert.deepEqual([status.rollout.state, status.rollout.message], ["held", text]);
    assert.ok((await ns.http(pod, 9091, "/")).includes(text), "the page says it");
    const described = await until("an Event", async () => {
      const output = await ns.kubectl(["describe", "pod", pod]);
      return output.includes("ConfigHeld") ? output : null;
    });
    assert.ok(described.includes(text));
  }
  assert.ok(await signals(ns, first) >= 1);
  await until(
    "an Event of the rejection",
    async () => (await ns.kubectl(["describe", "pod", first])).includes("ConfigReloadRejected"),
  );
  // What the app says stays out of no pod's Service: the held ones are ready.
  await readyPods(ns);

  await change(ns, pods, GOOD("fixed"), "all through", allThrough(ns, pods, 1));
  assert.equal((await trial(ns))["state"], "proved");
  assert.deepEqual(await metrics(ns, pods, "config_reload_rollout_held"), [0, 0, 0]);
  for (const pod of others) assert.equal(await signals(ns, pod), 1);

  // A person knows better.
  await change(ns, pods, BAD, "a rejection", async () => (await trial(ns))["state"] === "rejected");
  await heldBut(ns, pods);
  await ns.kubectl(["annotate", "lease", LEASE, "config-reloader/state=proved", "--overwrite"]);
  await until("a signal in each pod", async () => {
    const counts = await Promise.all(pods.map((pod) => signals(ns, pod)));
    return counts.every((count) => count >= 2);
  }, { everyMs: 300 });
});

test("serial: one pod after the other", async () => {
  await using ns = await createNamespace("serial");
  await install(ns, { CONFIG_RELOADER_ROLLOUT: "serial" });
  const pods = await readyPods(ns);
  await change(ns, pods, GOOD("serial"), "all through", allThrough(ns, pods, 1));
  // By the sidecar's own clock: the runtime stamps a line when it reads it. A proof is later than the line of its signal.
  const signalled = await Promise.all(pods.map(async (pod) => {
    const log = await ns.logs(pod, "config-reloader");
    return Date.parse(/^(\S+) .*Sending SIGHUP/m.exec(log)![1]!);
  }));
  const [a, b, c] = signalled.sort((x, y) => x - y) as [number, number, number];
  assert.ok(b - a >= 2_000 && c - b >= 2_000, `${b - a} and ${c - b} ms apart: the soak lies between`);
});

test("the pod that tries is deleted: another takes its turn, and all get through", async () => {
  await using ns = await createNamespace("deleted");
  await install(ns, { CONFIG_RELOADER_ROLLOUT_SOAK: "10s" });
  const pods = await readyPods(ns);
  await change(ns, pods, GOOD("orphan"), "a turn", async () => (await trial(ns))["state"] === "trying");
  const first = (await trial(ns))["pod"]!;
  await ns.kubectl(["delete", "pod", first, "--wait=false", "--grace-period=1"]);
  const left = pods.filter((pod) => pod !== first);
  await until("the two that are left to be through", allThrough(ns, left, 1), {
    timeoutMs: 90_000,
    everyMs: 500,
  });
  const said = await trial(ns);
  assert.equal(said["state"], "proved");
  assert.ok(left.includes(said["pod"]!), "another pod has proved it");
});

test("without its Role nothing is reloaded, and the log names the verb; given back, all go on", async () => {
  await using ns = await createNamespace("norole");
  await install(ns);
  const pods = await readyPods(ns);
  const role = await ns.get("role", "config-reloader-rollout");
  const without = role["rules"].map((rule: Manifest) => ({
    ...rule,
    verbs: rule["verbs"].filter((verb: string) => verb !== "get"),
  }));
  const setRules = (rules: unknown) =>
    ns.kubectl(["patch", "role", "config-reloader-rollout", "--type=merge", "-p", JSON.stringify({ rules })]);
  await setRules(without);
  const saysVerb = async () => {
    const logs = await Promise.all(pods.map((pod) => ns.logs(pod, "config-reloader")));
    return logs.every((log) =>
      log.includes(`may not get leases.coordination.k8s.io ${LEASE} in namespace ${ns.name} (403)`) &&
      log.includes('its Role lacks the verb "get"')
    );
  };
  await change(ns, pods, GOOD("unasked"), "the verb in each log", saysVerb);
  for (const pod of pods) assert.equal(await signals(ns, pod), 0);
  const { code, text } = await ns.check(pods[0]!);
  assert.equal(code, 1);
  assert.match(text, /✗ May not get leases\.coordination\.k8s\.io config-reloader-app/);
  assert.ok((await metrics(ns, pods, "config_reload_kubernetes_errors_total")).every((count) => count > 0));
  await setRules(role["rules"]);
  await until("all through", allThrough(ns, pods, 1), { everyMs: 500 });
});
