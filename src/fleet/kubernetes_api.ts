/**
 * Requests to the Kubernetes API server with the pod's own service account. Reads token and CA afresh for each request,
 * since both rotate; bounds each request in time and its answer in size. Must never put the token or a body into a message.
 */

import { HttpError, toHttpError } from "../http/errors.ts";
import { formatMs, plainReason } from "../text.ts";
import type { JsonObject } from "./lease.ts";

/** Where the API server is, and where the kubelet puts the service account. */
export interface ApiPlace {
  /** `https://10.96.0.1:443`, without a path. */
  readonly url: string;
  /** Directory with `token`, `ca.crt` and `namespace`. */
  readonly accountDir: string;
}

/** What the API server said. */
export interface ApiAnswer {
  readonly status: number;
  /** null where it was no JSON object. */
  readonly body: JsonObject | null;
  /** `Retry-After` in milliseconds; null where there is none. */
  readonly retryAfterMs: number | null;
}

/** Makes requests. */
export interface KubernetesApi {
  /** @throws ApiError where there is no answer: no token, no connection, no end within the time for a request. */
  request(method: "GET" | "POST" | "PUT", path: string, body?: JsonObject): Promise<ApiAnswer>;
  close(): void;
}

/** A request that got no answer; the message is the reason, with the way out. */
export class ApiError extends Error {
  override readonly name = "ApiError";
}

/** Where the kubelet mounts it: kubernetes.io/docs/tasks/run-application/access-api-from-pod. */
const ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount";
/** Most of an answer that is read; a Lease or a review has a few KiB. */
const BODY_BYTES_MAX = 1024 * 1024;

/** The API server as each container in a pod is told. @throws ApiError outside of a pod. */
export function findApi(env: (name: string) => string | undefined): ApiPlace {
  const [host, port] = [env("KUBERNETES_SERVICE_HOST"), env("KUBERNETES_SERVICE_PORT")];
  if (!host || !port) {
    throw new ApiError(
      "there is no Kubernetes API here: KUBERNETES_SERVICE_HOST and _PORT are not set, as they are in every pod",
    );
  }
  return { url: `https://${host.includes(":") ? `[${host}]` : host}:${port}`, accountDir: ACCOUNT_DIR };
}

/** Who this pod is, for the Lease and for Events. */
export interface Self {
  readonly pod: string;
  /** null where `POD_UID` is not set. */
  readonly uid: string | null;
  /** @throws ApiError where it cannot be told. */
  namespace(): Promise<string>;
}

/** Who this pod is: what the downward API says, else the host name and the service account's namespace. */
export function findSelf(
  env: (name: string) => string | undefined,
  hostName: () => string,
  accountDir: string = ACCOUNT_DIR,
): Self {
  return {
    pod: env("POD_NAME") || hostName(),
    uid: env("POD_UID") || null,
    namespace: async () => env("POD_NAMESPACE") || await readAccountFile(accountDir, "namespace"),
  };
}

/** A file of the service account, without the blanks around it. @throws ApiError that says how a pod gets it. */
async function readAccountFile(accountDir: string, name: string): Promise<string> {
  let text: string;
  try {
    text = (await Deno.readTextFile(`${accountDir}/${name}`)).trim();
  } catch (error) {
    throw new ApiError(
      `cannot read ${accountDir}/${name}: ${
        plainReason(error)
      }; the sidecar needs its service account mounted, ` +
        "as k8s/components/rollout does",
      { cause: error },
    );
  }
  if (text === "") throw new ApiError(`${accountDir}/${name} is empty; the kubelet writes it`);
  return text;
}

/** Makes requests to the API server at `find()`, asked each time, each ended after `timeoutMs`. */
export function createKubernetesApi(find: () => ApiPlace, timeoutMs: number): KubernetesApi {
  /** One for each CA that was seen last: a client keeps its connection. */
  let secured: { readonly ca: string; readonly client: Deno.HttpClient } | null = null;

  async function clientOf(accountDir: string): Promise<Deno.HttpClient> {
    const ca = await readAccountFile(accountDir, "ca.crt");
    if (secured?.ca === ca) return secured.client;
    let client: Deno.HttpClient;
    try {
      client = Deno.createHttpClient({ caCerts: [ca] });
    } catch (error) {
      throw new ApiError(`${accountDir}/ca.crt holds no certificate that can be read`, {
        cause: error,
      });
    }
    secured?.client.close();
    secured = { ca, client };
    return client;
  }

  return {
    async request(method, path, body) {
      const place = find();
      const token = await readAccountFile(place.accountDir, "token");
      const client = await clientOf(place.accountDir);
      try {
        const init: RequestInit & { client: Deno.HttpClient } = {
          method,
          client,
          redirect: "manual",
          signal: AbortSignal.timeout(timeoutMs),
          headers: {
            accept: "application/json",
            authorization: `Bearer ${token}`,
            ...(body === undefined ? {} : { "content-type": "application/json" }),
          },
          body: body === undefined ? null : JSON.stringify(body),
        };
        const response = await fetch(place.url + path, init);
        const text = await readBody(response);
        return {
          status: response.status,
          body: parseObject(text),
          retryAfterMs: parseRetryAfter(response.headers.get("retry-after")),
        };
      } catch (error) {
        if (error instanceof ApiError) throw error;
        const isOver = error instanceof DOMException && error.name === "TimeoutError";
        const reason = isOver ? `timed out after ${formatMs(timeoutMs)}` : reasonOf(error);
        throw new ApiError(`the Kubernetes API at ${place.url} cannot be reached: ${reason}`, {
          cause: error,
        });
      }
    },
    close() {
      secured?.client.close();
      secured = null;
    },
  };
}

/** The reason in the product's words; what they say of flags for the app does not hold for the API server. */
function reasonOf(error: unknown): string {
  const texts: string[] = [];
  for (let at = error; at instanceof Error && texts.length < 5; at = at.cause) texts.push(at.message);
  const { message }: HttpError = toHttpError(new Error(texts.at(-1) ?? String(error)));
  return message.replace(/; see --[a-z-]+$/, "");
}

async function readBody(response: Response): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    size += value.byteLength;
    if (size > BODY_BYTES_MAX) {
      await reader.cancel();
      throw new ApiError("the Kubernetes API answers with more than 1 MiB");
    }
    text += decoder.decode(value, { stream: true });
  }
}

function parseObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value as JsonObject : null;
  } catch {
    return null;
  }
}

/** Seconds, as the API server sends them; a date is not understood. */
function parseRetryAfter(text: string | null): number | null {
  return text !== null && /^\d{1,6}$/.test(text) ? Number(text) * 1000 : null;
}

/** What was asked for, in the words of a Role. */
export interface Request {
  readonly verb: "get" | "create" | "update";
  /** `leases` or `events`, with its group. */
  readonly resource: string;
  readonly name: string | null;
  readonly namespace: string;
}

/** Why an answer is none that can be used, with the way out. */
export function describeRefusal(
  { status, body }: ApiAnswer,
  { verb, resource, name, namespace }: Request,
): string {
  const what = `${verb} ${resource}${name === null ? "" : ` ${name}`} in namespace ${namespace}`;
  switch (status) {
    case 401:
      return `the Kubernetes API does not accept the pod's token (401) to ${what}: it has expired, or its service account is gone`;
    case 403:
      return `the service account may not ${what} (403): its Role lacks the verb "${verb}" for ${resource}; ` +
        "k8s/components/rollout has the Role and its binding";
    case 429:
      return `the Kubernetes API asks to wait (429) before it will ${what}`;
    default: {
      const said = typeof body?.["message"] === "string" ? `: ${body["message"].slice(0, 200)}` : "";
      return `the Kubernetes API answers ${status} to ${what}${said}`;
    }
  }
}
