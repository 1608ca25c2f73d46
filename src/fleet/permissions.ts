/** Asks the Kubernetes API what this pod's service account may do, for `check`. Changes nothing. */

import type { Config } from "../config.ts";
import { ApiError, type ApiPlace, createKubernetesApi, findApi, findSelf } from "./kubernetes_api.ts";
import { leaseName } from "./leases.ts";

/** One request that the sidecar will make, and whether it would be allowed. */
export interface Permission {
  /** In the words of a Role: `get leases.coordination.k8s.io config-reloader-web`. */
  readonly what: string;
  readonly allowed: boolean;
}

/** What the service account may do, or why that cannot be asked. */
export type Permissions =
  | { readonly is: "answered"; readonly namespace: string; readonly permissions: readonly Permission[] }
  | { readonly is: "failed"; readonly message: string };

interface Wanted {
  readonly verb: "get" | "create" | "update";
  readonly group: string;
  readonly resource: "leases" | "events";
  readonly name: string;
}

/** Every request that these settings lead to. */
function wantedBy({ rollout, rolloutGroup, kubernetesEvents }: Config): Wanted[] {
  const lease = { group: "coordination.k8s.io", resource: "leases" } as const;
  const name = leaseName(rolloutGroup ?? "");
  return [
    ...(rollout === "none" ? [] : [
      { ...lease, verb: "get", name } as const,
      { ...lease, verb: "create", name: "" } as const,
      { ...lease, verb: "update", name } as const,
    ]),
    ...(kubernetesEvents
      ? [{ group: "events.k8s.io", resource: "events", verb: "create", name: "" } as const]
      : []),
  ];
}

/** Asks for each request; never throws for what the API does. */
export async function askPermissions(
  config: Config,
  env: (name: string) => string | undefined,
  find: () => ApiPlace = () => findApi(env),
): Promise<Permissions> {
  const api = createKubernetesApi(find, config.httpTimeoutMs);
  try {
    const namespace = await findSelf(env, Deno.hostname, find().accountDir).namespace();
    const permissions: Permission[] = [];
    for (const { verb, group, resource, name } of wantedBy(config)) {
      const { status, body } = await api.request(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
          apiVersion: "authorization.k8s.io/v1",
          kind: "SelfSubjectAccessReview",
          spec: {
            resourceAttributes: { namespace, verb, group, resource, ...(name === "" ? {} : { name }) },
          },
        },
      );
      if (status !== 201) {
        throw new ApiError(`the Kubernetes API answers ${status} to the question what the pod may do`);
      }
      const { allowed } = (body?.["status"] ?? {}) as { allowed?: unknown };
      permissions.push({ what: `${verb} ${resource}.${group} ${name}`.trim(), allowed: allowed === true });
    }
    return { is: "answered", namespace, permissions };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { is: "failed", message: error.message };
  } finally {
    api.close();
  }
}
