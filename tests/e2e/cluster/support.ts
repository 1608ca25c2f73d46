/**
 * What the cluster tests stand on: kubectl against whatever cluster `KUBECONFIG` names, images, namespaces of their own, waiting
 * with deadlines. Needs kubectl on PATH, and `CLUSTER_LOAD=COMMAND` (gets an image archive) or kind to load images.
 */

import { until } from "../../support/poll.ts";
import { run } from "../../support/run.ts";
import { APP_IMAGE, load, packApps, packProduct, PRODUCT_COMMAND, PRODUCT_IMAGE } from "./images.ts";

export { APP_IMAGE, DEMO_IMAGE, PRODUCT_IMAGE } from "./images.ts";

/** Any Kubernetes object. */
// deno-lint-ignore no-explicit-any -- manifests are walked freely in tests
export type Manifest = Record<string, any>;

/** How long a pod may take to become ready on a busy machine. */
const POD_TIMEOUT_MS = 120_000;

/** Runs kubectl. @throws where it fails, with what it said. */
export function kubectl(args: readonly string[], stdin?: string): Promise<string> {
  if (!Deno.env.get("KUBECONFIG")) {
    throw new Error(
      "The cluster tests need a Kubernetes cluster: set KUBECONFIG, and CLUSTER_LOAD where it is not kind",
    );
  }
  return run("kubectl", args, stdin === undefined ? {} : { stdin });
}

let images: Promise<void> | undefined;

/**
 * Packs and loads both images, once a process.
 */
export function loadImages(): Promise<void> {
  images ??= (async () => {
    const dir = await Deno.makeTempDir({ prefix: "images-" });
    try {
      await packProduct(`${dir}/product.tar`);
      await packApps(`${dir}/apps.tar`);
      await load(`${dir}/product.tar`);
      await load(`${dir}/apps.tar`);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  })();
  return images;
}

/** A namespace of one test. */
export interface Namespace extends AsyncDisposable {
  readonly name: string;
  /** `kubectl -n NAME …` */
  kubectl(args: readonly string[], stdin?: string): Promise<string>;
  /** Applies YAML text, or objects. */
  apply(manifest: string | readonly Manifest[]): Promise<void>;
  get(kind: string, name: string): Promise<Manifest>;
  /** Waits until the pod and its containers are ready, and returns it. The error has the pod's events and logs. */
  untilReady(pod: string): Promise<Manifest>;
  /** Waits until a pod with these labels is ready (`app=web`), none of its predecessors is left, and returns its name. */
  untilPodReady(labels: string): Promise<string>;
  /** The whole log of a container. */
  logs(pod: string, container: string): Promise<string>;
  /** Waits until the sidecar's log has a line that matches. */
  untilLog(pod: string, what: RegExp): Promise<void>;
  /** Runs a program in a container. */
  exec(pod: string, container: string, command: readonly string[]): Promise<string>;
  /** `config-reloader check` in the sidecar: its exit code and what it prints. */
  check(pod: string, args?: readonly string[]): Promise<{ code: number; text: string }>;
  /** Replaces the data of a ConfigMap. With pods given they are kicked, so that it arrives in 0.3 s instead of 90. */
  setConfig(name: string, data: Readonly<Record<string, string>>, ...pods: string[]): Promise<void>;
  /** Annotates the pod: the kubelet then syncs its volumes at once. */
  kick(pod: string): Promise<void>;
  /** Polls `probe` and kicks the pod meanwhile: the kubelet may take a change up only at the second or third kick. */
  untilArrived<T>(pod: string, what: string, probe: () => Promise<T>): Promise<void>;
  /** GET of a path on a port of the pod, through the API server. */
  http(pod: string, port: number, path: string): Promise<string>;
  /** Value of a metric of the sidecar, the series with these labels (as written, in order) or the one without labels. */
  metric(pod: string, name: string): Promise<number>;
  /** What the test app counted: signals, attempts, successes, hash … */
  appCounts(pod: string, container?: string): Promise<Manifest>;
  /** Container status by name, init containers too. */
  containerStatus(pod: string, container: string): Promise<Manifest>;
}

let counter = 0;

/**
 * Makes a namespace that enforces the Pod Security Standard `restricted` and waits until pods can be created in it. It is deleted
 * when disposed of (`await using ns = await createNamespace("auto")`).
 */
export async function createNamespace(prefix: string): Promise<Namespace> {
  await loadImages();
  const name = `${prefix}-${Deno.pid}-${++counter}`;
  const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
  await kubectl(
    ["apply", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } }),
  );
  const ns = namespace(name);
  for (const [kind, which] of [["serviceaccount", "default"], ["configmap", "kube-root-ca.crt"]] as const) {
    await until(`${kind} ${which} in ${name}`, () => ns.get(kind, which), { everyMs: 100 });
  }
  return ns;
}

/** Whether a pod and its containers are ready, and it is not about to end. */
export function isReady({ metadata, status }: Manifest): boolean {
  return metadata.deletionTimestamp === undefined &&
    (status.conditions ?? []).some((one: Manifest) => one["type"] === "Ready" && one["status"] === "True");
}

function namespace(name: string): Namespace {
  const k = (args: readonly string[], stdin?: string) => kubectl(["-n", name, ...args], stdin);
  const get = async (kind: string, which: string) =>
    JSON.parse(await k(["get", kind, which, "-o", "json"])) as Manifest;
  const logs = (pod: string, container: string) => k(["logs", pod, "-c", container]);
  const kick = async (pod: string) => {
    // the kubelet's own watch must have seen the ConfigMap first
    await new Promise((resolve) => setTimeout(resolve, 200));
    await k(["annotate", "pod", pod, `kick=${crypto.randomUUID()}`, "--overwrite"]);
  };
  const http = (pod: string, port: number, path: string) =>
    kubectl(["get", "--raw", `/api/v1/namespaces/${name}/pods/${pod}:${port}/proxy${path}`]);
  const explain = async (error: unknown, pod: string) => {
    const parts = [`${error instanceof Error ? error.message : error}`];
    const logs = `logs ${pod} --all-containers --prefix --tail=40`;
    for (const args of ["get pods -o wide", `describe pod ${pod}`, logs]) {
      parts.push(await k(args.split(" ")).catch(String));
    }
    return new Error(parts.join("\n"));
  };
  return {
    name,
    kubectl: k,
    get,
    logs,
    kick,
    untilArrived: async (pod, what, probe) => {
      await until(what, async () => {
        await kick(pod);
        return await until(what, probe, { timeoutMs: 1_500, everyMs: 100 });
      }, { everyMs: 0 });
    },
    http,
    apply: async (manifest) => {
      const text = typeof manifest === "string"
        ? manifest
        : manifest.map((item) => JSON.stringify(item)).join("\n---\n");
      await k(["apply", "-f", "-"], text);
    },
    untilReady: async (pod) => {
      try {
        return await until(`pod ${pod} to be ready`, async () => {
          const object = await get("pod", pod);
          return isReady(object) ? object : null;
        }, { timeoutMs: POD_TIMEOUT_MS, everyMs: 200 });
      } catch (error) {
        throw await explain(error, pod);
      }
    },
    untilPodReady: async (selector) => {
      let names: string[] = [];
      try {
        return await until(`a pod with ${selector} to be ready`, async () => {
          const { items } = JSON.parse(await k(["get", "pods", "-l", selector, "-o", "json"])) as {
            items: Manifest[];
          };
          names = items.map(({ metadata }) => metadata.name);
          return items.length === 1 && isReady(items[0]!) ? names[0] : null;
        }, { timeoutMs: POD_TIMEOUT_MS, everyMs: 200 }) as string;
      } catch (error) {
        throw await explain(error, names[0] ?? "");
      }
    },
    untilLog: async (pod, what) => {
      try {
        await until(`${what} in the log`, async () => what.test(await logs(pod, "config-reloader")), {
          everyMs: 100,
        });
      } catch (error) {
        throw await explain(error, pod);
      }
    },
    exec: (pod, container, command) => k(["exec", pod, "-c", container, "--", ...command]),
    check: async (pod, args = []) => {
      // kubectl fails with the exit code of what it ran, so that code is printed by nobody but its error
      const command = [...PRODUCT_COMMAND, "check", ...args];
      try {
        return { code: 0, text: await k(["exec", pod, "-c", "config-reloader", "--", ...command]) };
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        const code = /command terminated with exit code (\d+)/.exec(text)?.[1];
        if (code === undefined) throw error;
        return { code: Number(code), text };
      }
    },
    setConfig: async (which, data, ...pods) => {
      const patch = JSON.stringify([{ op: "add", path: "/data", value: data }]);
      await k(["patch", "configmap", which, "--type", "json", "-p", patch]);
      for (const pod of pods) await kick(pod);
    },
    metric: async (pod, which) => {
      const line = (await http(pod, 9091, "/metrics")).split("\n").find((text) =>
        text.startsWith(`${which} `)
      );
      if (line === undefined) throw new Error(`No metric ${which} in pod ${pod}`);
      return Number(line.slice(which.length + 1));
    },
    appCounts: async (pod, container = "app") =>
      JSON.parse(
        await k(["exec", pod, "-c", container, "--", "wget", "-qO-", "http://127.0.0.1:8080/control"]),
      ),
    containerStatus: async (pod, container) => {
      const { status } = await get("pod", pod);
      const all: Manifest[] = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
      return all.find((item) => item["name"] === container) ?? {};
    },
    [Symbol.asyncDispose]: async () => {
      await kubectl(["delete", "namespace", name, "--wait=false"]);
      await k(["delete", "pods", "--all", "--grace-period=1", "--wait=false"]).catch(() => {});
    },
  };
}

/** The security context that the standard `restricted` asks of a container. */
export const RESTRICTED: Manifest = {
  runAsNonRoot: true,
  runAsUser: 65532,
  readOnlyRootFilesystem: true,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
};

/** What a pod for a test may differ in. */
export interface PodOptions {
  readonly name?: string;
  /** Arguments of the sidecar; the default watches /etc/amp/config.yaml. */
  readonly sidecarArgs?: readonly string[];
  /** Merged into the containers. */
  readonly app?: Manifest;
  readonly sidecar?: Manifest;
  /** Further containers. */
  readonly containers?: readonly Manifest[];
  /** Merged into the pod's spec. */
  readonly spec?: Manifest;
}

/** A pod of test app and sidecar, with the ConfigMap `config` in /etc/amp of both. */
export function podManifest(options: PodOptions = {}): Manifest {
  const volumeMounts = [{ name: "config", mountPath: "/etc/amp", readOnly: true }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: options.name ?? "pod", labels: { app: options.name ?? "pod" } },
    spec: {
      shareProcessNamespace: true,
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 10,
      ...options.spec,
      containers: [
        {
          name: "app",
          image: APP_IMAGE,
          imagePullPolicy: "Never",
          args: ["--config", "/etc/amp/config.yaml", "--port", "8080"],
          securityContext: RESTRICTED,
          volumeMounts,
          ...options.app,
        },
        {
          name: "config-reloader",
          image: PRODUCT_IMAGE,
          imagePullPolicy: "Never",
          args: options.sidecarArgs ?? ["--config-file=/etc/amp/config.yaml"],
          securityContext: RESTRICTED,
          readinessProbe: { httpGet: { path: "/readyz", port: 9091 }, periodSeconds: 1, timeoutSeconds: 5 },
          volumeMounts,
          ...options.sidecar,
        },
        ...(options.containers ?? []),
      ],
      volumes: [{ name: "config", configMap: { name: "config" } }, ...(options.spec?.["volumes"] ?? [])],
    },
  };
}

/** A ConfigMap. */
export function configMap(name: string, data: Readonly<Record<string, string>>): Manifest {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data };
}
