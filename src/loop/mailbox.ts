/**
 * What the loop has not taken yet: hints, which coalesce in one slot and keep their causes, what the attempt in progress
 * reports, and the stop. Nothing acts here.
 */

import type { Cause } from "../model.ts";
import type { Clock } from "../ports.ts";
import type { Event, Hint } from "../reload/model.ts";

/** The mailbox; see the top of this file. */
export interface Mailbox {
  hint(cause: Cause): void;
  /** Of the attempt in progress. */
  post(event: Event): void;
  stop(): void;
  /** The next event: the stop first, then what was posted, then hints; `woke` where none comes until `untilMs`. */
  next(untilMs: number): Promise<Event>;
  /** What `work` brings, or the stop, if that has not been taken yet and comes first. */
  unlessStopped(work: Promise<Event>): Promise<Event>;
}

/** Makes an empty mailbox. */
export function createMailbox(clock: Clock): Mailbox {
  let hint: Hint | null = null;
  const posted: Event[] = [];
  let wake = () => {};
  let stopWork = (_: Event) => {};
  let stopped: "no" | "came" | "taken" = "no";

  function take(): Event | null {
    if (stopped === "came") {
      stopped = "taken";
      return { kind: "stop" };
    }
    const first = posted.shift();
    if (first !== undefined) return first;
    if (hint === null) return null;
    const taken = hint;
    hint = null;
    return { kind: "hinted", hint: taken };
  }

  return {
    hint(cause) {
      if (hint === null) hint = { causes: [cause], firstAtMs: clock.nowMs() };
      else if (!hint.causes.includes(cause)) hint = { ...hint, causes: [...hint.causes, cause] };
      wake();
    },
    post(event) {
      posted.push(event);
      wake();
    },
    stop() {
      if (stopped === "no") stopped = "came";
      stopWork({ kind: "stop" });
      wake();
    },
    async next(untilMs) {
      for (;;) {
        const event = take();
        if (event !== null) return event;
        if (clock.nowMs() >= untilMs) return { kind: "woke" };
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const disarm = untilMs === Infinity ? () => {} : clock.timer(untilMs - clock.nowMs(), resolve);
        await promise;
        wake = () => {};
        disarm();
      }
    },
    async unlessStopped(work) {
      if (stopped === "taken") return await work;
      // No race with a promise that is pending for as long as the process lives: it would keep what each race has brought.
      const { promise, resolve, reject } = Promise.withResolvers<Event>();
      stopWork = resolve;
      work.then(resolve, reject);
      if (stopped === "came") resolve({ kind: "stop" });
      const event = await promise;
      stopWork = () => {};
      if (event.kind === "stop") stopped = "taken";
      return event;
    },
  };
}
