/**
 * Joins the parts of a fleet on their real effects: this pod's turn in its group, and its Events. Loaded only with
 * `--rollout` or `--kubernetes-events`. Must never end the sidecar for what the API does.
 */

import type { Config } from "../config.ts";
import type { Metrics } from "../observe/metrics.ts";
import { readPod } from "../pod.ts";
import type { Clock, EventSink, HttpTrigger, Logger, TargetPort } from "../ports.ts";
import { createEventQueue } from "./events.ts";
import { createKubernetesApi } from "./kubernetes_api.ts";
import { createLeaseClient } from "./leases.ts";
import { createRollout, type Rollout, type RolloutDeps } from "./rollout.ts";

/** What a fleet works with. */
export interface FleetDeps extends Pick<RolloutDeps, "checkApp" | "onChange"> {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, "kubernetesError">;
  readonly target: TargetPort;
  readonly httpTrigger: HttpTrigger;
}

/** The parts that the flags ask for. */
export interface Fleet {
  /** What the loop takes in place of its own; empty without a rollout. */
  readonly ports: {
    readonly rollout?: Rollout;
    readonly target?: TargetPort;
    readonly httpTrigger?: HttpTrigger;
  };
  readonly events?: EventSink;
  /** Writes what is left to write, for a moment, and ends. */
  close(): Promise<void>;
}

/** How long the end may wait for what came of the last reload to be written, in milliseconds. */
const LAST_WRITE_MS = 1_000;
/** Besides the proof and the soak: what stands around them, in milliseconds. */
const TURN_SLACK_MS = 10_000;

/** Makes the parts; nothing is asked yet. */
export async function createFleet(deps: FleetDeps): Promise<Fleet> {
  const { config, clock, logger, metrics } = deps;
  const env = (name: string) => Deno.env.get(name);
  const { name: pod } = await readPod(env);
  const api = createKubernetesApi(env, config.httpTimeoutMs);
  const onError = () => metrics.kubernetesError();
  const durationMs = turnDurationMs(config);
  const { rollout: mode, rolloutGroup: group } = config;
  const stop = new AbortController();
  const stopping = stop.signal;
  const rollout = mode === "none" || group === null ? null : createRollout({
    ...deps,
    policy: { pod, mode, durationMs, soakMs: config.rolloutSoakMs },
    leases: createLeaseClient(api, { group, durationMs, wallMs: clock.wallMs, onError }),
    random: Math.random,
    stopping,
  });
  const onProblem = (message: string, dropped: number) =>
    logger.warn(`Cannot write Events: ${message}; trying again, reloads go on`, { dropped });
  return {
    ports: rollout === null ? {} : { rollout, ...guardTriggers(deps, rollout) },
    ...(config.kubernetesEvents && {
      events: createEventQueue({
        api,
        pod,
        uid: env("POD_UID") || null,
        clock,
        onError,
        onProblem,
        stopping,
      }),
    }),
    async close() {
      await rollout?.settled(LAST_WRITE_MS);
      stop.abort("the end");
      api.close();
    },
  };
}

/**
 * How long a turn lasts without a sign of life: what a reload and its soak may take. The wait for a target comes before
 * that; the turn is renewed meanwhile.
 */
function turnDurationMs(
  { reloadTimeoutMs, rolloutSoakMs, httpTimeoutMs }: Pick<
    Config,
    "reloadTimeoutMs" | "rolloutSoakMs" | "httpTimeoutMs"
  >,
): number {
  return reloadTimeoutMs + rolloutSoakMs + httpTimeoutMs + TURN_SLACK_MS;
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
