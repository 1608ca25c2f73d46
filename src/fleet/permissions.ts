/** Asks the Kubernetes API what this pod's service account may do, for `check`. Changes nothing. */

import type { Config } from "../config.ts";
import { EVENTS } from "./events.ts";
import {
  ACCESS_REVIEWS,
  ApiError,
  type ApiPlace,
  type ApiRequest,
  createKubernetesApi,
  type Env,
} from "./kubernetes_api.ts";
import { leaseName, LEASES } from "./leases.ts";

/** One request that the sidecar will make, and whether it would be allowed. */
export interface Permission extends ApiRequest {
  readonly allowed: boolean;
}

/** What the service account may do, or why that cannot be asked. */
export type Permissions =
  | { readonly is: "answered"; readonly namespace: string; readonly permissions: readonly Permission[] }
  | { readonly is: "failed"; readonly message: string };

/** Every request that these settings lead to. */
function requestsOf({ rollout, rolloutGroup, kubernetesEvents }: Config): ApiRequest[] {
  const name = leaseName(rolloutGroup ?? "");
  const ofLease: ApiRequest[] = [
    { verb: "get", resource: LEASES, name },
    { verb: "create", resource: LEASES },
    { verb: "update", resource: LEASES, name },
  ];
  return [
    ...(rollout === "none" ? [] : ofLease),
    ...(kubernetesEvents ? [{ verb: "create", resource: EVENTS } as const] : []),
  ];
}

/** Asks for each request; never throws for what the API does. */
export async function askPermissions(
  config: Config,
  env: Env,
  find?: () => ApiPlace,
): Promise<Permissions> {
  const api = createKubernetesApi(env, config.httpTimeoutMs, find);
  try {
    const namespace = await api.namespace();
    const permissions: Permission[] = [];
    for (const request of requestsOf(config)) {
      const { resource, ...attributes } = request;
      const [plural, ...group] = resource.split(".");
      const { status, body } = await api.request({ verb: "create", resource: ACCESS_REVIEWS }, {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SelfSubjectAccessReview",
        spec: {
          resourceAttributes: { namespace, group: group.join("."), resource: plural, ...attributes },
        },
      });
      if (status !== 201) {
        throw new ApiError(`the Kubernetes API answers ${status} to the question what the pod may do`);
      }
      const { allowed } = (body?.["status"] ?? {}) as { allowed?: unknown };
      permissions.push({ ...request, allowed: allowed === true });
    }
    return { is: "answered", namespace, permissions };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { is: "failed", message: error.message };
  } finally {
    api.close();
  }
}
