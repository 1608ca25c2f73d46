/**
 * Turns a request of the protocol into one of the API, and its answer into an event of the protocol. Decides nothing.
 */

import { ApiError, type KubernetesApi } from "./kubernetes_api.ts";
import { type Lease, parseLease, renderLease } from "./lease.ts";
import type { TurnEvent, TurnRequest } from "./turn_state.ts";

/** The resource as a Role names it. */
export const LEASES = "leases.coordination.k8s.io";

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
export function createLeaseClient(api: KubernetesApi, settings: LeaseSettings): LeaseClient {
  const { durationMs } = settings;
  const name = leaseName(settings.group);
  const failed = (message: string, retryAfterMs: number | null = null): TurnEvent => {
    settings.onError();
    return { is: "failed", message, retryAfterMs };
  };

  async function read(): Promise<TurnEvent> {
    const { status, body, refusal, retryAfterMs } = await api.request({
      verb: "get",
      resource: LEASES,
      name,
    });
    if (status === 404) return { is: "read", lease: null };
    return status === 200 && body !== null
      ? { is: "read", lease: parseLease(body) }
      : failed(refusal, retryAfterMs);
  }

  async function write(lease: Lease): Promise<TurnEvent> {
    const object = renderLease(lease, { name, durationMs, nowTime: microTime(settings.wallMs()) });
    const isNew = lease.object === null;
    const request = isNew
      ? { verb: "create", resource: LEASES } as const
      : { verb: "update", resource: LEASES, name } as const;
    const { status, body, refusal, retryAfterMs } = await api.request(request, object);
    // Somebody was quicker, or has deleted it since it was read.
    if (status === 409 || status === 404 && !isNew) return { is: "refused" };
    return (status === 200 || status === 201) && body !== null
      ? { is: "written", lease: parseLease(body) }
      : failed(refusal, retryAfterMs);
  }

  return {
    async send(request) {
      try {
        return request.is === "read" ? await read() : await write(request.lease);
      } catch (error) {
        // A fault of ours must not end the sidecar: it is reported and tried again like any other.
        return failed(error instanceof ApiError ? error.message : `internal error: ${error}`);
      }
    },
  };
}

/** A time as the API's MicroTime has it: RFC 3339 with six digits. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/(\.\d{3})Z$/, "$1000Z");
}
