/**
 * Events of this pod in the Kubernetes API (events.k8s.io/v1), where `kubectl describe pod` shows them. Takes what happened
 * and returns at once: a small queue, oldest dropped first; an API that is down delays nothing. Must never hold content.
 */

import type { EventReason } from "../model.ts";
import type { Clock, EventSink } from "../ports.ts";
import { CREATE_EVENT, type KubernetesApi } from "./kubernetes_api.ts";
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
/** The API's own limits (pkg/apis/core/validation/events.go). */
const NOTE_BYTES_MAX = 1024;
const INSTANCE_LENGTH_MAX = 128;
/** Answers to an object that will never be taken as it is. */
const UNFIT = [400, 413, 422];
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

  async function drain(): Promise<void> {
    isSending = true;
    let failures = 0;
    while (queue.length > 0 && !stopping.aborted) {
      const next = queue[0]!;
      const answer = await api.request(CREATE_EVENT, (namespace) => render(next, deps, namespace));
      const isTaken = answer.status === 201;
      if (!isTaken) {
        deps.onError();
        if (answer.refusal !== told) deps.onProblem(answer.refusal, dropped);
      }
      told = isTaken ? null : answer.refusal;
      if (!isTaken && !UNFIT.includes(answer.status)) {
        await clock.sleep(Math.min(RETRY_FIRST_MS * 2 ** failures++, RETRY_MAX_MS), stopping);
        continue;
      }
      queue = queue.filter((event) => event !== next);
      failures = 0;
      if (!isTaken) dropped++;
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
    reportingInstance: pod.slice(0, INSTANCE_LENGTH_MAX),
    action: reason === "ConfigHeld" ? "Hold" : "Reload",
    reason,
    type: reason === "ConfigReloaded" ? "Normal" : "Warning",
    regarding: { apiVersion: "v1", kind: "Pod", name: pod, namespace, ...(uid === null ? {} : { uid }) },
    note: clip(note),
    ...(count > 1 ? { series: { count, lastObservedTime: time } } : {}),
  };
}

/** By bytes, and without half a character. */
function clip(note: string): string {
  const fits = (bytes: number) => new TextEncoder().encodeInto(note, new Uint8Array(bytes)).read;
  return fits(NOTE_BYTES_MAX) === note.length ? note : `${note.slice(0, fits(NOTE_BYTES_MAX - 3))}…`;
}
