/**
 * Events of this pod in the Kubernetes API (events.k8s.io/v1), where `kubectl describe pod` shows them. Takes what happened
 * and returns at once: a small queue, oldest dropped first; an API that is down delays nothing. Must never hold content.
 */

import type { EventReason } from "../model.ts";
import type { Clock, EventSink } from "../ports.ts";
import { ApiError, CREATE_EVENT, type KubernetesApi } from "./kubernetes_api.ts";
import { type JsonObject, microTime } from "./lease.ts";

/** What the queue works with. */
export interface EventQueueDeps {
  readonly api: KubernetesApi;
  readonly pod: string;
  /** null where `POD_UID` is not set. */
  readonly uid: string | null;
  readonly clock: Clock;
  /** Each request that failed. */
  readonly onError: () => void;
  /** Why Events cannot be written, once for each reason; `dropped` is how many were lost so far. */
  readonly onProblem: (message: string, dropped: number) => void;
  readonly stopping: AbortSignal;
}

/** Events that wait for the API at most. */
const QUEUE_MAX = 16;
/** Longest note; the API's own limit is 1024 bytes. */
const NOTE_LENGTH_MAX = 500;
/** First and longest pause after a request that failed, in milliseconds. */
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 60_000;

interface Waiting {
  readonly reason: EventReason;
  readonly note: string;
  readonly atWallMs: number;
  /** How often this state has come since it began; more than one makes it a series. */
  readonly count: number;
}

/** Makes the queue; nothing is sent before the first Event. */
export function createEventQueue(deps: EventQueueDeps): EventSink {
  const { api, clock, stopping } = deps;
  let queue: readonly Waiting[] = [];
  /** The state that was reported last, so that a repetition is known as one. */
  let last: Waiting | null = null;
  let isSending = false;
  let dropped = 0;
  let told: string | null = null;

  /** Why it was not taken, or null. */
  async function post(event: Waiting): Promise<string | null> {
    try {
      const { status, refusal } = await api.request(
        CREATE_EVENT,
        render(event, deps, await api.namespace()),
      );
      return status === 201 ? null : refusal;
    } catch (error) {
      return error instanceof ApiError ? error.message : `internal error: ${error}`;
    }
  }

  async function drain(): Promise<void> {
    isSending = true;
    let failures = 0;
    while (queue.length > 0 && !stopping.aborted) {
      const next = queue[0]!;
      const problem = await post(next);
      if (problem === null) {
        queue = queue.filter((event) => event !== next);
        [failures, told] = [0, null];
        continue;
      }
      deps.onError();
      if (problem !== told) deps.onProblem(problem, dropped);
      told = problem;
      await clock.sleep(Math.min(RETRY_FIRST_MS * 2 ** failures++, RETRY_MAX_MS), stopping);
    }
    isSending = false;
  }

  return {
    add(reason, note) {
      const isSame = last !== null && last.reason === reason && last.note === note;
      const count = isSame ? last!.count + 1 : 1;
      last = { reason, note, atWallMs: clock.wallMs(), count };
      // Of a repeated state only every doubling is written: the second, fourth, eighth time.
      if (!Number.isInteger(Math.log2(count))) return;
      queue = [...queue, last];
      if (queue.length > QUEUE_MAX) {
        dropped += queue.length - QUEUE_MAX;
        queue = queue.slice(-QUEUE_MAX);
      }
      if (!isSending) drain();
    },
  };
}

/** The object for the API. */
function render(
  { reason, note, atWallMs, count }: Waiting,
  { pod, uid }: Pick<EventQueueDeps, "pod" | "uid">,
  namespace: string,
): JsonObject {
  const time = microTime(atWallMs);
  return {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { generateName: `${pod.slice(0, 200)}-`, namespace },
    eventTime: time,
    reportingController: "config-reloader",
    reportingInstance: pod,
    action: reason === "ConfigHeld" ? "Hold" : "Reload",
    reason,
    type: reason === "ConfigReloaded" ? "Normal" : "Warning",
    regarding: { apiVersion: "v1", kind: "Pod", name: pod, namespace, ...(uid === null ? {} : { uid }) },
    note: note.length > NOTE_LENGTH_MAX ? `${note.slice(0, NOTE_LENGTH_MAX - 1)}…` : note,
    ...(count > 1 ? { series: { count, lastObservedTime: time } } : {}),
  };
}
