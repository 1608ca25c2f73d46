/** What the Kubernetes API allows: with `--rollout` or `--kubernetes-events`, each request that the sidecar would make. */

import type { Config } from "../../config.ts";
import type { ApiPlace, ApiRequest, Env } from "../../fleet/kubernetes_api.ts";
import { type Finding, findingsIn, type Fix } from "./finding.ts";

const say = findingsIn("kubernetes");

/** Checks what is allowed; nothing without the flags, for which alone the API is asked. Never throws for what it does. */
export async function checkKubernetes(
  config: Config,
  env: Env = (name) => Deno.env.get(name),
  find?: () => ApiPlace,
): Promise<Finding[]> {
  if (config.rollout === "none" && !config.kubernetesEvents) return [];
  const { ApiError, createKubernetesApi, describeRequest } = await import("../../fleet/kubernetes_api.ts");
  const api = createKubernetesApi(env, config.httpTimeoutMs, find);
  try {
    const namespace = await api.namespace();
    const findings: Finding[] = [];
    for (const request of await requestsOf(config)) {
      const what = describeRequest(request, namespace);
      findings.push(
        await api.mayI(request)
          ? say("ok", "kubernetes", `May ${what}`)
          : say("fault", "kubernetes-role", `May not ${what}`, roleFix(request)),
      );
    }
    return findings;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const waits = config.rollout === "none" ? "" : "; without it nothing is ever reloaded";
    return [say("fault", "kubernetes-api", `Cannot ask the Kubernetes API: ${error.message}${waits}`, {
      say: "add the component that mounts the service account, with its Role",
      yaml: "components:\n  - k8s/components/rollout",
    })];
  } finally {
    api.close();
  }
}

/** Every request that these settings lead to. */
async function requestsOf({ rollout, rolloutGroup, kubernetesEvents }: Config): Promise<ApiRequest[]> {
  const { leaseName, LEASES } = await import("../../fleet/fleet.ts");
  const { EVENTS } = await import("../../fleet/events.ts");
  const name = leaseName(rolloutGroup ?? "");
  return [
    ...rollout === "none" ? [] : [
      { verb: "get", resource: LEASES, name } as const,
      { verb: "create", resource: LEASES } as const,
      { verb: "update", resource: LEASES, name } as const,
    ],
    ...kubernetesEvents ? [{ verb: "create", resource: EVENTS } as const] : [],
  ];
}

/** The rule that the Role lacks. */
function roleFix({ verb, resource, name }: ApiRequest): Fix {
  const [plural, ...group] = resource.split(".");
  return {
    say: "add this rule to the Role of the pod's service account, as k8s/components/rollout has it",
    yaml: [
      `- apiGroups: [${group.join(".")}]`,
      `  resources: [${plural}]`,
      ...(name === undefined ? [] : [`  resourceNames: [${name}]`]),
      `  verbs: [${verb}]`,
    ].join("\n"),
  };
}
