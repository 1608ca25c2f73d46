/**
 * Requests to the Kubernetes API server with the pod's own service account. Reads token and CA afresh for each request,
 * since both rotate; bounds each request in time and its answer in size. Must never put the token or a body into a message.
 */

import { createSender } from "../http/request.ts";
import { messageOf, plainReason } from "../text.ts";
import type { JsonObject } from "./lease.ts";

/** Where the API server is, and where the kubelet puts the service account. */
export interface ApiPlace {
  /** `https://10.96.0.1:443`, without a path. */
  readonly url: string;
  /** Directory with `token`, `ca.crt` and `namespace`. */
  readonly accountDir: string;
}

/** A request, in the words of a Role. */
export interface ApiRequest {
  readonly verb: "get" | "create" | "update";
  readonly resource: ApiResource;
  /** Of what is there already; a new object has its name in the body. */
  readonly name?: string;
}

/** A kind of object, version 1. */
interface ApiResource {
  readonly plural: string;
  readonly group: string;
}

const LEASES: ApiResource = { plural: "leases", group: "coordination.k8s.io" };
const EVENTS: ApiResource = { plural: "events", group: "events.k8s.io" };
/** The one that is in no namespace. */
const ACCESS_REVIEWS: ApiResource = { plural: "selfsubjectaccessreviews", group: "authorization.k8s.io" };

/** The requests for the Lease of a group, whose name is the contract's. */
export function leaseRequests(group: string) {
  const name = `config-reloader-${group}`;
  return {
    get: { verb: "get", resource: LEASES, name },
    create: { verb: "create", resource: LEASES },
    update: { verb: "update", resource: LEASES, name },
  } as const satisfies Readonly<Record<string, ApiRequest>>;
}

/** The request for an Event of the pod. */
export const CREATE_EVENT: ApiRequest = { verb: "create", resource: EVENTS };

/** What came of a request. */
export interface ApiAnswer {
  /** 0 where there is no answer: no token, no connection, no end within the time for a request. */
  readonly status: number;
  /** null where it was no JSON object. */
  readonly body: JsonObject | null;
  /** `Retry-After` in milliseconds; null where there is none. */
  readonly retryAfterMs: number | null;
  /** Why it cannot be used, with the way out; for another status than the one that was wanted. */
  readonly refusal: string;
}

/** Makes requests. */
export type KubernetesApi = ReturnType<typeof createKubernetesApi>;

/** Where the kubelet mounts it: kubernetes.io/docs/tasks/run-application/access-api-from-pod. */
const ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount";
/** The value of a variable. */
export type Env = (name: string) => string | undefined;

/** The API server as each container in a pod is told. @throws Error outside of a pod */
export function findApi(env: Env): ApiPlace {
  const [host, port] = [env("KUBERNETES_SERVICE_HOST"), env("KUBERNETES_SERVICE_PORT")];
  if (!host || !port) {
    throw new Error(
      "there is no Kubernetes API here: KUBERNETES_SERVICE_HOST and _PORT are not set, as they are in every pod",
    );
  }
  return { url: `https://${host.includes(":") ? `[${host}]` : host}:${port}`, accountDir: ACCOUNT_DIR };
}

/** A file of the service account, without the blanks around it. @throws Error that says how a pod gets it */
async function readAccountFile(accountDir: string, name: string): Promise<string> {
  let text: string;
  try {
    text = (await Deno.readTextFile(`${accountDir}/${name}`)).trim();
  } catch (error) {
    const problem = `cannot read ${accountDir}/${name}: ${plainReason(error)}`;
    const wayOut = "the sidecar needs its service account mounted, as k8s/components/rollout does";
    throw new Error(`${problem}; ${wayOut}`, { cause: error });
  }
  if (text === "") throw new Error(`${accountDir}/${name} is empty; the kubelet writes it`);
  return text;
}

const JSON_TYPE = "application/json";
const METHODS = { get: "GET", create: "POST", update: "PUT" } as const;

/** Makes requests to the API server at `find()`, asked each time, each ended after `timeoutMs`. */
export function createKubernetesApi(
  env: Env,
  timeoutMs: number,
  find: () => ApiPlace = () => findApi(env),
) {
  const { send, close } = createSender();
  const never = new AbortController().signal;

  /** What the downward API says, else the service account. */
  const namespaceAt = async ({ accountDir }: ApiPlace) =>
    env("POD_NAMESPACE") || await readAccountFile(accountDir, "namespace");

  /** Makes one request in the pod's namespace, which the body may name. @throws Error where there is no answer */
  async function exchange(request: ApiRequest, bodyIn: BodyIn | undefined): Promise<ApiAnswer> {
    const { verb, resource, name } = request;
    const place = find();
    const namespace = await namespaceAt(place);
    const token = await readAccountFile(place.accountDir, "token");
    const ca = await readAccountFile(place.accountDir, "ca.crt");
    const inNamespace = resource === ACCESS_REVIEWS ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
    const ofName = name === undefined ? "" : `/${encodeURIComponent(name)}`;
    const answer = await send({
      url: `${place.url}/apis/${resource.group}/v1${inNamespace}/${resource.plural}${ofName}`,
      method: METHODS[verb],
      headers: [["accept", JSON_TYPE], ["authorization", `Bearer ${token}`], ["content-type", JSON_TYPE]],
      tls: { caCerts: [ca] },
      timeoutMs,
      isRepeatable: verb === "get",
      ...(bodyIn && { body: JSON.stringify(bodyIn(namespace)) }),
    }, never).catch((error: unknown) => {
      // What is said of flags for the app does not hold for the API server.
      const reason = messageOf(error).replace(/; see --[a-z-]+$/, "");
      throw new Error(`the Kubernetes API at ${place.url} cannot be reached: ${reason}`, { cause: error });
    });
    if (answer.truncated) throw new Error("the Kubernetes API answers with more than 1 MiB");
    const said = parseObject(new TextDecoder().decode(answer.body));
    const refusal = describeRefusal(answer.status, said, request, namespace);
    // Seconds, as the API server sends them; a date is not understood.
    const retryAfterMs = /^\d{1,6}$/.test(answer.retryAfter ?? "") ? Number(answer.retryAfter) * 1000 : null;
    return { status: answer.status, body: said, retryAfterMs, refusal };
  }

  /** Makes one request. Never rejects: what goes wrong is an answer with status 0. */
  async function request(request: ApiRequest, bodyIn?: BodyIn): Promise<ApiAnswer> {
    try {
      return await exchange(request, bodyIn);
    } catch (error) {
      return { status: 0, body: null, retryAfterMs: null, refusal: messageOf(error) };
    }
  }

  /** Whether the service account may make a request, which `what` describes; `refusal`: that cannot be asked. */
  async function mayI(
    asked: ApiRequest,
  ): Promise<{ what: string; isAllowed: boolean; refusal: string | null }> {
    const { resource: { plural, group }, ...attributes } = asked;
    let what = "";
    const { status, body, refusal } = await request(
      { verb: "create", resource: ACCESS_REVIEWS },
      (namespace) => {
        what = describeRequest(asked, namespace);
        return {
          apiVersion: "authorization.k8s.io/v1",
          kind: "SelfSubjectAccessReview",
          spec: { resourceAttributes: { namespace, group, resource: plural, ...attributes } },
        };
      },
    );
    const isAllowed = (body?.["status"] as JsonObject | undefined)?.["allowed"] === true;
    if (status === 201) return { what, isAllowed, refusal: null };
    const answered = `the Kubernetes API answers ${status} to the question what the pod may do`;
    return { what, isAllowed, refusal: status === 0 ? refusal : answered };
  }

  return { request, mayI, close };
}

/** Makes a body for the pod's namespace. */
type BodyIn = (namespace: string) => JsonObject;

function parseObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value as JsonObject : null;
  } catch {
    return null;
  }
}

/** `get leases.coordination.k8s.io config-reloader-web in namespace shop` */
function describeRequest({ verb, resource, name }: ApiRequest, namespace: string): string {
  return `${verb} ${resource.plural}.${resource.group}${
    name === undefined ? "" : ` ${name}`
  } in namespace ${namespace}`;
}

function describeRefusal(
  status: number,
  body: JsonObject | null,
  request: ApiRequest,
  namespace: string,
): string {
  const { verb, resource: { plural, group } } = request;
  const what = describeRequest(request, namespace);
  switch (status) {
    case 401:
      return `the Kubernetes API does not accept the pod's token (401) to ${what}: it has expired, or its service account is gone`;
    case 403:
      return `the service account may not ${what} (403): its Role lacks the verb "${verb}" for ${plural}.${group}; ` +
        "k8s/components/rollout has the Role and its binding";
    case 429:
      return `the Kubernetes API asks to wait (429) before it will ${what}`;
    default: {
      const said = typeof body?.["message"] === "string" ? `: ${body["message"].slice(0, 200)}` : "";
      return `the Kubernetes API answers ${status} to ${what}${said}`;
    }
  }
}
