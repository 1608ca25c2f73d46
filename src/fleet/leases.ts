/**
 * Turns a request of the protocol into one of the API, and its answer into an event of the protocol. Decides nothing.
 */

import { type Lease, parseLease, renderLease } from "./lease.ts";
import {
  type ApiAnswer,
  ApiError,
  describeRefusal,
  type KubernetesApi,
  type Request,
  type Self,
} from "./kubernetes_api.ts";
import type { TurnEvent, TurnRequest } from "./turn_state.ts";

/** The resource as a Role names it. */
const LEASES = "leases.coordination.k8s.io";

/** The Lease of a group. */
export interface LeaseClient {
  /** Makes one request. Never throws: what goes wrong is an event. */
  send(request: TurnRequest): Promise<TurnEvent>;
}

/** What a Lease is written with. */
export interface LeaseSettings {
  readonly group: string;
  readonly durationMs: number;
  /** Wall time, for people and as a sign of life. */
  readonly wallMs: () => number;
  /** Each request that failed is counted. */
  readonly onError: () => void;
}

/** The Lease's name, the contract's. */
export function leaseName(group: string): string {
  return `config-reloader-${group}`;
}

/** Makes the client; nothing is asked yet. */
export function createLeaseClient(
  api: KubernetesApi,
  self: Pick<Self, "namespace">,
  settings: LeaseSettings,
): LeaseClient {
  const name = leaseName(settings.group);
  const failed = (message: string, retryAfterMs: number | null): TurnEvent => {
    settings.onError();
    return { is: "failed", message, retryAfterMs };
  };

  function refused(answer: ApiAnswer, request: Omit<Request, "resource">): TurnEvent {
    const message = describeRefusal(answer, { ...request, resource: LEASES });
    return failed(message, answer.retryAfterMs);
  }

  async function read(namespace: string): Promise<TurnEvent> {
    const answer = await api.request("GET", `${leasesPath(namespace)}/${encodeURIComponent(name)}`);
    if (answer.status === 404) return { is: "read", lease: null };
    if (answer.status !== 200 || answer.body === null) {
      return refused(answer, { verb: "get", name, namespace });
    }
    return { is: "read", lease: parseLease(answer.body) };
  }

  async function write(namespace: string, lease: Lease): Promise<TurnEvent> {
    const object = renderLease(lease, {
      name,
      namespace,
      durationMs: settings.durationMs,
      nowTime: microTime(settings.wallMs()),
    });
    const isNew = lease.object === null;
    const path = leasesPath(namespace);
    const answer = isNew
      ? await api.request("POST", path, object)
      : await api.request("PUT", `${path}/${encodeURIComponent(name)}`, object);
    // Somebody was quicker, or has deleted it since it was read.
    if (answer.status === 409 || answer.status === 404 && !isNew) return { is: "refused" };
    if (answer.status !== 200 && answer.status !== 201 || answer.body === null) {
      return refused(answer, {
        verb: isNew ? "create" : "update",
        name: isNew ? null : name,
        namespace,
      });
    }
    return { is: "written", lease: parseLease(answer.body) };
  }

  return {
    async send(request) {
      try {
        const namespace = await self.namespace();
        return request.is === "read" ? await read(namespace) : await write(namespace, request.lease);
      } catch (error) {
        // A fault of ours must not end the sidecar: it is reported and tried again like any other.
        return failed(error instanceof ApiError ? error.message : `internal error: ${error}`, null);
      }
    },
  };
}

function leasesPath(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
}

/** A time as the API's MicroTime has it: RFC 3339 with six digits. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/(\.\d{3})Z$/, "$1000Z");
}
