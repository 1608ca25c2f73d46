/** The one Lease of a group as the API server keeps it: a write holds only with the version that was read. */

import { type JsonObject, type Lease, parseLease, renderLease } from "../../src/fleet/lease.ts";
import type { TurnEvent, TurnRequest } from "../../src/fleet/turn_state.ts";

/** What is kept. */
export interface LeaseStore {
  object(): JsonObject | null;
  lease(): Lease | null;
  /** The answer to a request of a pod. */
  serve(request: TurnRequest): TurnEvent;
  /** Replaces the Lease, or deletes it with null. */
  put(object: JsonObject | null): void;
  /** As `kubectl annotate --overwrite` does. */
  annotate(values: Readonly<Record<string, string>>): void;
}

const versionOf = (object: JsonObject | null) =>
  (object?.["metadata"] as JsonObject | undefined)?.["resourceVersion"];

/** Makes the store; `nowTime` is what a pod writes as its sign of life, `checks` is off where every write is taken. */
export function createLeaseStore(durationMs: number, nowTime: () => string, checks = true): LeaseStore {
  let object: JsonObject | null = null;
  let version = 0;

  function put(next: JsonObject | null): void {
    const metadata = { ...next?.["metadata"] as JsonObject, resourceVersion: `${++version}` };
    object = next && JSON.parse(JSON.stringify({ ...next, metadata }));
  }

  const lease = () => object && parseLease(object);
  return {
    object: () => object,
    lease,
    serve(request) {
      if (request.is === "read") return { is: "read", lease: lease() };
      if (checks && versionOf(request.lease.object) !== versionOf(object)) return { is: "refused" };
      put(renderLease(request.lease, { name: "config-reloader-web", durationMs, nowTime: nowTime() }));
      return { is: "written", lease: lease()! };
    },
    put,
    annotate(values) {
      const metadata = object!["metadata"] as JsonObject;
      put({
        ...object,
        metadata: { ...metadata, annotations: { ...metadata["annotations"] as JsonObject, ...values } },
      });
    },
  };
}
