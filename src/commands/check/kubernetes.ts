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
  const { CREATE_EVENT, createKubernetesApi, leaseRequests } = await import("../../fleet/kubernetes_api.ts");
  const requests = [
    ...config.rollout === "none" ? [] : Object.values(leaseRequests(config.rolloutGroup ?? "")),
    ...config.kubernetesEvents ? [CREATE_EVENT] : [],
  ];
  const api = createKubernetesApi(env, config.httpTimeoutMs, find);
  const findings: Finding[] = [];
  try {
    for (const request of requests) {
      const { what, isAllowed, refusal } = await api.mayI(request);
      if (refusal !== null) return [cannotAsk(refusal, config)];
      findings.push(
        isAllowed
          ? say.ok("kubernetes", `May ${what}`)
          : say.fault("kubernetes-role", `May not ${what}`, roleFix(request)),
      );
    }
    return findings;
  } finally {
    api.close();
  }
}

function cannotAsk(refusal: string, { rollout }: Config): Finding {
  const waits = rollout === "none" ? "" : "; without it nothing is ever reloaded";
  return say.fault("kubernetes-api", `Cannot ask the Kubernetes API: ${refusal}${waits}`, {
    say: "add the component that mounts the service account, with its Role",
    yaml: "components:\n  - k8s/components/rollout",
  });
}

/** The rule that the Role lacks. */
function roleFix({ verb, resource, name }: ApiRequest): Fix {
  return {
    say: "add this rule to the Role of the pod's service account, as k8s/components/rollout has it",
    yaml: [
      `- apiGroups: [${resource.group}]`,
      `  resources: [${resource.plural}]`,
      ...(name === undefined ? [] : [`  resourceNames: [${name}]`]),
      `  verbs: [${verb}]`,
    ].join("\n"),
  };
}
