/** What the Kubernetes API allows: with `--rollout` or `--kubernetes-events`, each request that the sidecar would make. */

import type { Config } from "../../config.ts";
import type { Permission, Permissions } from "../../fleet/permissions.ts";
import { type Finding, findingsIn, type Fix } from "./finding.ts";

const say = findingsIn("kubernetes");

/** Checks what is allowed; nothing without the flags, for which alone the API is asked. */
export async function checkKubernetes(
  config: Config,
  ask: (config: Config) => Promise<Permissions> = askNow,
): Promise<Finding[]> {
  if (config.rollout === "none" && !config.kubernetesEvents) return [];
  const answer = await ask(config);
  if (answer.is === "failed") {
    const waits = config.rollout === "none" ? "" : "; without it nothing is ever reloaded";
    return [say("fault", "kubernetes-api", `Cannot ask the Kubernetes API: ${answer.message}${waits}`, {
      say: "add the component k8s/components/rollout, which mounts the account",
    })];
  }
  const { describeRequest } = await import("../../fleet/kubernetes_api.ts");
  return answer.permissions.map((permission) => {
    const what = describeRequest(permission, answer.namespace);
    return permission.allowed
      ? say("ok", "kubernetes", `May ${what}`)
      : say("fault", "kubernetes-role", `May not ${what}`, fixOf(permission));
  });
}

async function askNow(config: Config): Promise<Permissions> {
  const { askPermissions } = await import("../../fleet/permissions.ts");
  return await askPermissions(config, (name) => Deno.env.get(name));
}

/** The rule that the Role lacks. */
function fixOf({ verb, resource, name }: Permission): Fix {
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
