/**
 * Some pods of one group that take turns by `stepTurn`, one Lease, an API that answers at once, and a clock that a test
 * moves. For tests of single cases; the seeded simulation has the bad network.
 */

import type { Turn } from "../../src/model.ts";
import { stepTurn } from "../../src/fleet/protocol.ts";
import {
  dueAtMs,
  INITIAL_TURN,
  mayTrigger,
  type TurnEnd,
  type TurnEvent,
  type TurnPolicy,
  type TurnRequest,
  type TurnState,
} from "../../src/fleet/turn_state.ts";
import { createLeaseStore, type LeaseStore } from "./lease_store.ts";

/** How the API behaves towards a pod. */
export type Reach = "ok" | "down" | "silent" | { readonly retryAfterMs: number };

/** One pod of the group. */
export interface Member {
  want(content: string | null): Turn["is"];
  answer(): Turn;
  end(content: string, end: TurnEnd): void;
  soaked(trouble?: string): void;
  mayTrigger(content: string): boolean;
  state(): TurnState;
  /** The sidecar's process begins anew. */
  restart(): void;
  /** Gone for good, with what it had sent. */
  die(): void;
  reach: Reach;
  /** Requests that it has made. */
  requests: number;
}

/** The group, with its Lease. */
export interface Group extends Pick<LeaseStore, "lease" | "object" | "annotate" | "put"> {
  readonly members: readonly Member[];
  /** Of the members, where there are so many. */
  readonly first: Member;
  readonly second: Member;
  readonly third: Member;
  /** Lets time pass, with all that pods do by themselves. */
  advance(ms: number): void;
}

export const DURATION_MS = 60_000;
export const SOAK_MS = 10_000;

/** A digest that can be read in a test: 64 hex digits made of one letter. */
export const digestOf = (content: string) => content.repeat(64).slice(0, 64);

/** Makes `count` pods, `web-0` and so on. */
export function createGroup(count: number, mode: TurnPolicy["mode"] = "canary"): Group {
  let now = 0;
  const store = createLeaseStore(DURATION_MS, () => `t${now}`);

  function createMember(pod: string): Member {
    const policy: TurnPolicy = { pod, mode, durationMs: DURATION_MS, soakMs: SOAK_MS };
    let state = INITIAL_TURN;
    let isDead = false;
    function tell(event: TurnEvent): void {
      for (let next: TurnEvent | null = event; next !== null && !isDead;) {
        const [after, request]: readonly [TurnState, TurnRequest | null] = stepTurn(
          state,
          next,
          { nowMs: now, random: 0.5 },
          policy,
        );
        state = after;
        next = request && reply(request);
      }
    }
    function reply(request: TurnRequest): TurnEvent | null {
      member.requests++;
      if (member.reach === "silent") return null;
      if (member.reach === "ok") return store.serve(request);
      const retryAfterMs = member.reach === "down" ? null : member.reach.retryAfterMs;
      return { is: "failed", message: "the API is down", retryAfterMs };
    }
    const member: Member & { dueAtMs(): number; wake(): void } = {
      reach: "ok",
      requests: 0,
      want(content) {
        tell({ is: "wanted", digest: content && digestOf(content) });
        return state.answer.is;
      },
      answer: () => state.answer,
      end: (content, end) => tell({ is: "ended", digest: digestOf(content), end }),
      soaked: (trouble) => tell({ is: "soaked", trouble: trouble ?? null }),
      mayTrigger: (content) => mayTrigger(state, digestOf(content), now, policy),
      state: () => state,
      restart: () => state = INITIAL_TURN,
      die: () => isDead = true,
      dueAtMs: () => isDead ? Infinity : dueAtMs(state, policy),
      wake: () => tell({ is: "time" }),
    };
    return member;
  }

  const members = Array.from({ length: count }, (_, index) => createMember(`web-${index}`));
  const all = members as (Member & { dueAtMs(): number; wake(): void })[];
  const [first, second, third] = members as [Member, Member, Member];
  return {
    members,
    first,
    second,
    third,
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const next = all.reduce((first, other) => other.dueAtMs() < first.dueAtMs() ? other : first);
        if (next.dueAtMs() > end) break;
        now = Math.max(now, next.dueAtMs());
        next.wake();
      }
      now = end;
    },
    ...store,
  };
}
