/**
 * Joins the parts of a fleet on their real effects: this pod's turn in its group, and its Events. Loaded only with
 * `--rollout` or `--kubernetes-events`. Must never end the sidecar for what the API does.
 */

import type { Config } from "../config.ts";
import type { Metrics } from "../observe/metrics.ts";
import { readPod } from "../pod.ts";
import type { Clock, HttpTrigger, Logger, TargetPort } from "../ports.ts";
import { createEventQueue } from "./events.ts";
import { createKubernetesApi, type KubernetesApi, leaseRequests } from "./kubernetes_api.ts";
import { microTime, parseLease, renderLease } from "./lease.ts";
import { createRollout, type Rollout, type RolloutDeps, type SendRequest } from "./rollout.ts";

/** What a fleet works with. */
export interface FleetDeps extends Pick<RolloutDeps, "checkApp" | "onChange"> {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, "kubernetesError">;
  readonly target: TargetPort;
  readonly httpTrigger: HttpTrigger;
}

/** How long the end may wait for what came of the last reload to be written, in milliseconds. */
const LAST_WRITE_MS = 1_000;
/** A turn lasts as long as a reload and its soak may take, and what stands around them, in milliseconds. */
const TURN_SLACK_MS = 10_000;

/** Makes the parts that the flags ask for; nothing is asked yet. */
export async function createFleet(deps: FleetDeps) {
  const { config, clock, logger, metrics } = deps;
  const env = (name: string) => Deno.env.get(name);
  const { name: pod } = await readPod(env);
  const api = createKubernetesApi(env, config.httpTimeoutMs);
  const onError = () => metrics.kubernetesError();
  // Without a sign of life. The wait for a target comes before that; the turn is renewed meanwhile.
  const durationMs = config.reloadTimeoutMs + config.rolloutSoakMs + config.httpTimeoutMs + TURN_SLACK_MS;
  const { rollout: mode, rolloutGroup: group } = config;
  const stop = new AbortController();
  const stopping = stop.signal;
  const rollout = mode === "none" || group === null ? null : createRollout({
    ...deps,
    policy: { pod, mode, durationMs, soakMs: config.rolloutSoakMs },
    send: createLeaseClient(api, group, durationMs, clock.wallMs, onError),
    random: Math.random,
    stopping,
  });
  const onProblem = (message: string, dropped: number) =>
    logger.warn(`Cannot write Events: ${message}; trying again, reloads go on`, { dropped });
  const uid = env("POD_UID") || null;
  return {
    /** What the loop takes in place of its own; empty without a rollout. */
    ports: rollout === null ? {} : { rollout, ...guardTriggers(deps, rollout) },
    events: config.kubernetesEvents
      ? createEventQueue({ api, pod, uid, clock, onError, onProblem, stopping })
      : undefined,
    /** Writes what is left to write, for a moment, and ends. */
    async close() {
      await rollout?.settled(LAST_WRITE_MS);
      stop.abort("the end");
      api.close();
    },
  };
}

/** What is sent where the turn is over before the trigger is out. */
const TURN_LOST = {
  kind: "not-sent",
  code: "turn-lost",
  message: "the turn in the rollout ran out before the trigger: nothing was sent; asking for it again",
} as const;

/** What may send, with one more look at the turn right before anything is sent. */
function guardTriggers(
  { target, httpTrigger }: Pick<FleetDeps, "target" | "httpTrigger">,
  rollout: Rollout,
): Pick<FleetDeps, "target" | "httpTrigger"> {
  return {
    target: { ...target, send: (process) => rollout.mayTrigger() ? target.send(process) : TURN_LOST },
    httpTrigger: (signal) => rollout.mayTrigger() ? httpTrigger(signal) : Promise.resolve(TURN_LOST),
  };
}

/**
 * Makes what turns a request of the protocol into one of the API, and its answer into an event of the protocol. What
 * goes wrong is an event, too, and `onError` counts it. `wallMs` is for people, and a sign of life.
 */
export function createLeaseClient(
  api: KubernetesApi,
  group: string,
  durationMs: number,
  wallMs: () => number,
  onError: () => void,
): SendRequest {
  const requests = leaseRequests(group);
  return async (asked) => {
    const lease = asked.is === "write" ? asked.lease : null;
    const isNew = lease?.object === null;
    const request = lease === null ? requests.get : isNew ? requests.create : requests.update;
    const head = { name: requests.get.name, durationMs, nowTime: microTime(wallMs()) };
    const answer = await api.request(request, lease === null ? undefined : () => renderLease(lease, head));
    const { status, body } = answer;
    if (lease === null && status === 404) return { is: "read", lease: null };
    // Somebody was quicker, or has deleted it since it was read.
    if (lease !== null && (status === 409 || status === 404 && !isNew)) return { is: "refused" };
    if (body !== null && (status === 200 || status === 201)) {
      return { is: lease === null ? "read" : "written", lease: parseLease(body) };
    }
    onError();
    return { is: "failed", message: answer.refusal, retryAfterMs: answer.retryAfterMs };
  };
}
