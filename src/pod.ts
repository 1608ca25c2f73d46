/** Which pod this is, for people: on the page, in `/status`, in commands to copy. */

/** Where kubelet puts the pod's namespace, unless the service account is not mounted. */
const NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/** Name and namespace. */
export interface Pod {
  /** `POD_NAME` (downward API), else the host name, which in a pod is the pod's name. */
  readonly name: string;
  /** `POD_NAMESPACE`, else the service account's; null where neither is there. */
  readonly namespace: string | null;
  /** False outside of Kubernetes, where kubectl helps nobody. */
  readonly inKubernetes: boolean;
}

/** Looks who this pod is; `env` gives a variable's value. */
export async function readPod(
  env: (name: string) => string | undefined,
  namespaceFile: string = NAMESPACE_FILE,
): Promise<Pod> {
  const fromFile = () => Deno.readTextFile(namespaceFile).then((text) => text.trim(), () => "");
  return {
    name: env("POD_NAME") || Deno.hostname(),
    namespace: env("POD_NAMESPACE") || await fromFile() || null,
    inKubernetes: Boolean(env("KUBERNETES_SERVICE_HOST")),
  };
}
