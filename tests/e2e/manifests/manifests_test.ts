/**
 * The manifests as kustomize builds them, base and every combination of components, against the Kubernetes schemas, the published
 * fields of the custom objects, and what the sidecar needs to work.
 */

import assert from "node:assert/strict";
import { parse, stringify } from "yaml";
import { CRD_REQUIRED, unknownFields } from "./crd_fields.ts";
import { ROOT } from "../../support/run.ts";
import { build, find, type Manifest, run } from "./support.ts";
import { test } from "../../support/strict.ts";

const SIDECARS = ["config-reloader", "native-sidecar"];
const EXTRAS = ["monitoring", "network-policy"];
/** Versions whose schemas are used: the oldest with native sidecars on by default, the one of the cluster tests, the newest known. */
const VERSIONS = ["1.29", "1.34", "1.37"];

/** Kind and name of the workloads that ask for the sidecar. */
const ASKING = [
  ["Deployment", "web"],
  ["StatefulSet", "db"],
  ["DaemonSet", "agent"],
  ["Job", "once"],
  ["CronJob", "nightly"],
] as const;

/** Somebody's workload with a volume `config`. */
function workload(kind: string, name: string, annotations: Readonly<Record<string, string>>): Manifest {
  const ends = kind.endsWith("Job");
  const volumes = [{ name: "config", configMap: { name: "web" } }];
  const pod = { containers: [{ name, image: "nginx:1" }], volumes, ...(ends && { restartPolicy: "Never" }) };
  const spec = {
    ...(!ends && { selector: { matchLabels: { app: name } } }),
    ...(kind === "StatefulSet" && { serviceName: name }),
    template: { metadata: { labels: { app: name } }, spec: pod },
  };
  return {
    apiVersion: ends ? "batch/v1" : "apps/v1",
    kind,
    metadata: { name, annotations },
    spec: kind === "CronJob" ? { schedule: "0 3 * * *", jobTemplate: { spec } } : spec,
  };
}

/** One workload of each kind that asks for the sidecar, and a Deployment that does not. */
function workloads(more: Readonly<Record<string, string>> = {}): string {
  const annotations = { "config-reloader/inject": "true", ...more };
  const all = ASKING.map(([kind, name]) => workload(kind, name, annotations));
  return [...all, workload("Deployment", "other", {})].map((object) => stringify(object)).join("---\n");
}

const foreign = (components: readonly string[], more = "") => ({
  "foreign.yaml": workloads(),
  "kustomization.yaml": `resources: [foreign.yaml]\ncomponents: [${
    components.map((name) => `K8S/components/${name}`).join(", ")
  }]\n${more}`,
});
const base = (components: readonly string[] = []) => ({
  "kustomization.yaml": `resources: [K8S/base]\ncomponents: [${
    components.map((name) => `K8S/components/${name}`).join(", ")
  }]\n`,
});

/** The foreign workloads in one group, with the sidecar of that component. */
const fleet = (component: string) => ({
  "foreign.yaml": workloads({
    "config-reloader/rollout": component === "native-sidecar" ? "native" : "container",
  }),
  "kustomization.yaml":
    `namespace: shop\nresources: [foreign.yaml]\ncomponents: [K8S/components/${component}, K8S/components/rollout]\n`,
});

const extras = [[], ["monitoring"], ["network-policy"], EXTRAS];
const combinations = [
  ...extras.map((names) => ({ name: ["base", ...names].join(" + "), files: base(names) })),
  ...SIDECARS.flatMap((sidecar) =>
    extras.map((names) => ({
      name: ["foreign workloads", sidecar, ...names].join(" + "),
      files: foreign([sidecar, ...names]),
    }))
  ),
  ...SIDECARS.map((sidecar) => ({
    name: ["foreign workloads", sidecar, "rollout"].join(" + "),
    files: fleet(sidecar),
  })),
];

for (const { name, files } of combinations) {
  test(`${name}: builds, and every object fits its schema`, async () => {
    const { text, objects } = await build(files);
    const custom = objects.filter((object) =>
      String(object["apiVersion"]).startsWith("monitoring.coreos.com/")
    );
    for (const object of custom) {
      assert.deepEqual(unknownFields(object), [], `${object["kind"]} has fields that its definition lacks`);
      for (const path of CRD_REQUIRED[object["kind"]] ?? []) {
        const value = path.split(".").reduce((at: Manifest | undefined, key) => at?.[key], object);
        assert.ok(value !== undefined, `${object["kind"]}: ${path} is missing`);
      }
    }
    const plain = text.split(/^---$/m).filter((doc) => !/^apiVersion: monitoring\.coreos\.com/m.test(doc))
      .join("---");
    for (const version of VERSIONS) {
      const result = await run("kubernetes-validate", ["--strict", "-k", version, "-"], { stdin: plain });
      assert.equal(result.code, 0, `against Kubernetes ${version}:\n${result.out}${result.err}`);
    }
  });
}

/** The pod template of a workload and the sidecar in it. */
function sidecarOf(workload: Manifest): { pod: Manifest; sidecar: Manifest } {
  const { template } = workload["spec"].jobTemplate?.spec ?? workload["spec"];
  const pod = template.spec;
  const sidecar = [...pod.containers, ...(pod.initContainers ?? [])].find(({ name }) =>
    name === "config-reloader"
  );
  assert.ok(sidecar, `${workload["metadata"].name} has no container config-reloader`);
  return { pod, sidecar };
}

function assertHardened(pod: Manifest, container: Manifest) {
  const merged = { ...pod["securityContext"], ...container["securityContext"] };
  assert.equal(merged.runAsNonRoot, true);
  assert.equal(merged.runAsUser, 65532);
  assert.equal(merged.readOnlyRootFilesystem, true);
  assert.equal(merged.allowPrivilegeEscalation, false);
  assert.deepEqual(merged.capabilities, { drop: ["ALL"] });
  assert.deepEqual(merged.seccompProfile, { type: "RuntimeDefault" });
}

function assertProbes(sidecar: Manifest) {
  assert.equal(sidecar["livenessProbe"].httpGet.path, "/healthz");
  assert.equal(sidecar["readinessProbe"].httpGet.path, "/readyz");
  assert.equal(sidecar["startupProbe"].httpGet.path, "/readyz");
  for (const kind of ["startupProbe", "readinessProbe", "livenessProbe"]) {
    assert.ok(sidecar[kind].timeoutSeconds >= 5, `${kind}: in 50m of CPU an answer may take seconds`);
  }
  const { periodSeconds, failureThreshold } = sidecar["startupProbe"];
  assert.ok(periodSeconds * failureThreshold >= 30, "a cold start on a busy node must not be killed");
}

test("base: the sidecar has the original's arguments and limits, and both containers one user", async () => {
  const { objects } = await build(base());
  const { pod, sidecar } = sidecarOf(find(objects, "Deployment"));
  assert.deepEqual(sidecar["args"], [
    "--config-file=/etc/amp/config.yaml",
    "--reload-url=http://localhost:8080/health/reload",
    "--interval=5s",
    "--log-level=info",
    "--metrics-port=9091",
  ]);
  assert.deepEqual(sidecar["resources"], {
    requests: { cpu: "10m", memory: "20Mi" },
    limits: { cpu: "50m", memory: "50Mi" },
  });
  assert.equal(pod["shareProcessNamespace"], true);
  for (const container of pod["containers"]) {
    assertHardened(pod, container);
    const mount = container.volumeMounts.find(({ name }: Manifest) => name === "config");
    assert.equal(mount.readOnly, true);
    assert.equal(mount.subPath, undefined, "a subPath mount never receives updates");
  }
  assertProbes(sidecar);
});

test("base: the Service has a port metrics that reaches the sidecar, and the ConfigMap keeps its name", async () => {
  const { objects } = await build(base(["monitoring"]));
  const service = find(objects, "Service");
  const port = service["spec"].ports.find(({ name }: Manifest) => name === "metrics");
  assert.equal(port.targetPort, 9091);
  const { pod } = sidecarOf(find(objects, "Deployment"));
  const names = objects.filter(({ kind }) => kind === "ConfigMap").map(({ metadata }) => metadata.name);
  assert.ok(names.includes(pod["volumes"][0].configMap.name));
  const monitor = find(objects, "ServiceMonitor");
  assert.deepEqual(monitor["spec"].endpoints, [{ port: "metrics", path: "/metrics", interval: "30s" }]);
  for (const [key, value] of Object.entries(monitor["spec"].selector.matchLabels)) {
    assert.equal(service["metadata"].labels[key], value, "the ServiceMonitor must select the Service");
  }
});

for (const component of SIDECARS) {
  test(`${component}: added to a foreign Deployment that asks for it, and to no other`, async () => {
    const { objects } = await build(foreign([component, "monitoring", "network-policy"]));
    const web = find(objects, "Deployment", "web");
    const { pod, sidecar } = sidecarOf(web);
    assert.equal(pod["shareProcessNamespace"], true);
    assert.equal(
      pod["containers"][0].name,
      "web",
      "the app stays the first container: kubectl logs and exec choose it",
    );
    assertHardened(pod, sidecar);
    assertProbes(sidecar);
    assert.ok(sidecar["volumeMounts"].every(({ readOnly }: Manifest) => readOnly));
    const other = find(objects, "Deployment", "other");
    assert.equal(
      JSON.stringify(other).includes("shareProcessNamespace"),
      false,
      "a workload without config-reloader/inject was changed",
    );

    const labels = web["spec"].template.metadata.labels;
    const podMonitor = find(objects, "PodMonitor");
    for (
      const selector of [podMonitor["spec"].selector, find(objects, "NetworkPolicy")["spec"].podSelector]
    ) {
      for (const [key, value] of Object.entries(selector.matchLabels)) assert.equal(labels[key], value);
    }
    const port = podMonitor["spec"].podMetricsEndpoints[0].port;
    assert.ok(
      sidecar["ports"].some(({ name }: Manifest) => name === port),
      "the PodMonitor names a port of the sidecar",
    );
    assert.ok(port.length <= 15, "port names have 15 characters at most");
  });

  test(`${component}: settings are replaced one by one by a patch`, async () => {
    const where = component === "native-sidecar" ? "initContainers" : "containers";
    const { objects } = await build(foreign(
      [component],
      `
patches:
  - target: { kind: Deployment, name: web }
    patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: { name: web }
      spec:
        template:
          spec:
            ${where}:
              - name: config-reloader
                env: [{ name: CONFIG_RELOADER_RELOAD_URL, value: "http://localhost:9090/-/ready" }]
                volumeMounts: [{ mountPath: /etc/config-reloader/watched, name: settings }]
`,
    ));
    const { sidecar } = sidecarOf(find(objects, "Deployment", "web"));
    const env = Object.fromEntries(sidecar["env"].map(({ name, value }: Manifest) => [name, value]));
    assert.equal(env["CONFIG_RELOADER_RELOAD_URL"], "http://localhost:9090/-/ready");
    assert.equal(env["CONFIG_RELOADER_WATCHED_DIR"], "/etc/config-reloader/watched");
    assert.equal(sidecar["volumeMounts"][0].name, "settings");
    assert.equal(sidecar["volumeMounts"].length, 1);
  });
}

test("config-reloader: in all workloads but those that end, which the container would keep alive", async () => {
  const { objects } = await build(foreign(["config-reloader"]));
  for (const [kind, name] of ASKING) {
    const workload = find(objects, kind, name);
    if (name === "once" || name === "nightly") {
      assert.equal(JSON.stringify(workload).includes("shareProcessNamespace"), false, name);
    } else assert.equal(sidecarOf(workload).pod["shareProcessNamespace"], true, name);
  }
});

test("native-sidecar: the same init container that is always restarted, in every kind of workload", async () => {
  const { objects } = await build(foreign(["native-sidecar"]));
  const [first, ...others] = ASKING.map(([kind, name]) => {
    const { pod, sidecar } = sidecarOf(find(objects, kind, name));
    assert.equal(sidecar["restartPolicy"], "Always");
    assert.ok(pod["initContainers"].includes(sidecar), name);
    assertHardened(pod, sidecar);
    return { sidecar, shares: pod["shareProcessNamespace"], security: pod["securityContext"] };
  });
  for (const other of others) assert.deepEqual(other, first);
});

test("the sidecar's limits are the original's, and its port is called metrics everywhere", async () => {
  const workloads = [
    find((await build(base())).objects, "Deployment"),
    ...await Promise.all(
      SIDECARS.map(async (component) => find((await build(foreign([component]))).objects, "StatefulSet")),
    ),
  ];
  for (const workload of workloads) {
    const { sidecar } = sidecarOf(workload);
    assert.deepEqual(sidecar["resources"].limits, { cpu: "50m", memory: "50Mi" });
    assert.deepEqual(sidecar["ports"], [{ name: "metrics", containerPort: 9091 }]);
  }
});

test("network-policy: opens the metrics port for the monitoring namespace, and nothing else", async () => {
  const { objects } = await build(base(["network-policy"]));
  assert.deepEqual(find(objects, "NetworkPolicy")["spec"].ingress, [{
    from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } }],
    ports: [{ protocol: "TCP", port: 9091 }],
  }]);
});

for (const [component, version] of [["injection", "v1"], ["injection-v1beta1", "v1beta1"]]) {
  test(`${component}: policies and bindings belong together, and the mutation is ${version}`, async () => {
    const { objects } = await build({ "kustomization.yaml": `components: [K8S/components/${component}]\n` });
    const of = (kind: string) => objects.filter((object) => object["kind"] === kind);
    for (const kind of ["MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"]) {
      const [policy] = of(kind);
      const [binding] = of(`${kind}Binding`);
      assert.equal(binding!["spec"].policyName, policy!["metadata"].name);
      assert.deepEqual(policy!["spec"].matchConstraints.namespaceSelector.matchLabels, {
        "config-reloader/injection": "enabled",
      });
      const expected = kind.startsWith("Mutating") ? version : "v1";
      assert.equal(policy!["apiVersion"], `admissionregistration.k8s.io/${expected}`);
      assert.equal(binding!["apiVersion"], policy!["apiVersion"]);
    }
    assert.equal(of("MutatingAdmissionPolicy")[0]!["spec"].variables[0].name, "image", "as the docs say");
    const mutation = JSON.stringify(of("MutatingAdmissionPolicy")[0]!["spec"].mutations);
    const { selector, podMetricsEndpoints } = find(
      (await build(foreign(["monitoring"]))).objects,
      "PodMonitor",
    )["spec"];
    for (const [label, value] of Object.entries(selector.matchLabels)) {
      assert.ok(mutation.includes(`'${label}': '${value}'`), "the PodMonitor finds the pod");
    }
    assert.ok(mutation.includes(`name: '${podMetricsEndpoints[0].port}', containerPort`), "and the port");
  });
}

/** The fenced YAML blocks of a document. */
async function yamlBlocks(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(`${ROOT}/${path}`);
  return [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block]) => block!);
}

test("README: the pod fits its schema and the restricted standard, and its sidecar is base's", async () => {
  const { spec } = parse((await yamlBlocks("README.md"))[0]!) as Manifest;
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "readme" }, spec };
  const result = await run("kubernetes-validate", ["--strict", "-k", "1.34", "-"], { stdin: stringify(pod) });
  assert.equal(result.code, 0, result.out + result.err);
  for (const container of spec.containers) {
    const merged = { ...spec.securityContext, ...container.securityContext };
    assert.equal(merged.runAsNonRoot, true);
    assert.equal(merged.allowPrivilegeEscalation, false);
    assert.deepEqual(merged.capabilities, { drop: ["ALL"] });
    assert.deepEqual(merged.seccompProfile, { type: "RuntimeDefault" });
  }
  const { sidecar } = sidecarOf(find((await build(base())).objects, "Deployment"));
  const ours = spec.containers.find(({ name }: Manifest) => name === "config-reloader");
  for (const field of ["startupProbe", "readinessProbe", "livenessProbe", "ports", "resources"]) {
    assert.deepEqual(ours[field], sidecar[field], field);
  }
});

test("recipes.md: the pods fit their schema", async () => {
  const pods = (await yamlBlocks("docs/recipes.md")).map((block, index) =>
    stringify({ apiVersion: "v1", kind: "Pod", metadata: { name: `recipe-${index}` }, ...parse(block) })
  );
  assert.ok(pods.length > 10);
  const result = await run("kubernetes-validate", ["--strict", "-k", "1.34", "-"], {
    stdin: pods.join("---\n"),
  });
  assert.equal(result.code, 0, result.out + result.err);
});

test("kubernetes.md, fleet.md: the kustomizations of the pages build, and their patches take effect", async () => {
  const local = (text: string) => text.replaceAll(/https:\/\/\S+\/\/k8s\/([\w/-]+)\?ref=v[\d.]+/g, "K8S/$1");
  const [own, patches, operator, injection] = (await yamlBlocks("docs/kubernetes.md")).map(local);
  const web = find(
    (await build({ "deployment.yaml": workloads(), "kustomization.yaml": own! + patches! })).objects,
    "Deployment",
    "web",
  );
  const { sidecar } = sidecarOf(web);
  assert.equal(sidecar["image"], "ghcr.io/OWNER/config-reloader:0.1.0");
  assert.ok(sidecar["env"].some(({ name }: Manifest) => name === "CONFIG_RELOADER_VERIFY_TOKEN"));
  assert.ok(sidecar["env"].some(({ name }: Manifest) => name === "CONFIG_RELOADER_WATCHED_DIR"));
  for (const { kind, metadata } of (await build({ "kustomization.yaml": operator! })).objects) {
    if (kind !== "ConfigMap") assert.deepEqual(metadata.labels, { release: "kube-prometheus-stack" }, kind);
  }
  const policy = find((await build({ "kustomization.yaml": injection! })).objects, "MutatingAdmissionPolicy");
  assert.equal(policy["spec"].variables[0].expression, "'ghcr.io/OWNER/config-reloader:0.1.0'");
  const [rollout] = (await yamlBlocks("docs/fleet.md")).map(local);
  const group = await build({
    "web.yaml": workloads({ "config-reloader/rollout": "container" }),
    "kustomization.yaml": rollout!,
  });
  assert.ok(
    sidecarOf(find(group.objects, "Deployment", "web")).sidecar["env"].some(({ name }: Manifest) =>
      name === "CONFIG_RELOADER_ROLLOUT_GROUP"
    ),
  );
});

test("helm.md: with its values the template gives the native sidecar's container", async () => {
  const [template, , values] = await yamlBlocks("docs/helm.md");
  const { configReloader } = parse(values!) as Manifest;
  const env = Object.entries(configReloader.env)
    .map(([name, value]) => `    - { name: ${name}, value: "${value}" }`).join("\n");
  const text = template!
    .replace(/ *\{\{- range [\s\S]*?\{\{- end \}\}/, env)
    .replace(/^\{\{-.*\}\}$/gm, "")
    .replace(/\{\{ \.Values\.configReloader\.(\w+)(?: \| quote)? \}\}/g, (_, name) => configReloader[name]);
  const [container] = parse(text);
  const { pod, sidecar } = sidecarOf(find((await build(foreign(["native-sidecar"]))).objects, "StatefulSet"));
  const { image: _, imagePullPolicy: __, securityContext, ...wanted } = sidecar;
  const { image: ___, securityContext: own, ...got } = container;
  assert.deepEqual(got, wanted);
  assert.deepEqual(own, { ...pod["securityContext"], ...securityContext });
});

for (const component of SIDECARS) {
  test(`rollout with ${component}: the token and the group are the sidecar's alone, and the Role is no wider`, async () => {
    const { objects } = await build(fleet(component));
    for (
      const [kind, name] of [["Deployment", "web"], ["StatefulSet", "db"], ["DaemonSet", "agent"]] as const
    ) {
      const { pod, sidecar } = sidecarOf(find(objects, kind, name));
      assert.equal(pod["automountServiceAccountToken"], false);
      const mounts = (container: Manifest) =>
        (container["volumeMounts"] ?? []).map(({ mountPath }: Manifest) => mountPath as string);
      const account = "/var/run/secrets/kubernetes.io/serviceaccount";
      assert.ok(mounts(sidecar).includes(account));
      const others = [...pod["containers"], ...(pod["initContainers"] ?? [])].filter((one) =>
        one !== sidecar
      );
      assert.ok(others.every((one: Manifest) => !mounts(one).includes(account)));
      const env = new Map(sidecar["env"].map(({ name, value }: Manifest) => [name, value]));
      assert.deepEqual(
        [env.get("CONFIG_RELOADER_ROLLOUT"), env.get("CONFIG_RELOADER_ROLLOUT_GROUP")],
        ["canary", "app"],
      );
      assert.ok(["POD_NAME", "POD_NAMESPACE", "POD_UID"].every((variable) => env.has(variable)));
      assert.ok(sidecar["image"], "no container was made that is none");
    }
    const other = find(objects, "Deployment", "other");
    assert.doesNotMatch(JSON.stringify(other), /config-reloader/, "workloads without the annotation stay");
    assert.deepEqual(find(objects, "Role")["rules"], [
      { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["create"] },
      {
        apiGroups: ["coordination.k8s.io"],
        resources: ["leases"],
        resourceNames: ["config-reloader-app"],
        verbs: ["get", "update"],
      },
      { apiGroups: ["events.k8s.io"], resources: ["events"], verbs: ["create"] },
    ]);
    assert.deepEqual(find(objects, "RoleBinding")["subjects"], [
      { kind: "ServiceAccount", name: "default", namespace: "shop" },
    ]);
  });
}
