/** Drives `step` by hand: one call a look, an answer or the end of an attempt, with whatever lies between done at once. */

import assert from "node:assert/strict";
import type { Observation, Result } from "../../src/model.ts";
import { resultOf } from "../../src/attempt/input.ts";
import {
  createModel,
  type Effect,
  type Event,
  type Hint,
  type Job,
  type Model,
  type Now,
  reloadOf,
} from "../../src/reload/model.ts";
import { step } from "../../src/reload/step.ts";
import { createTestConfig } from "../support/config.ts";

/** Never asks the app at the start, and signals nobody that would have to be looked for. */
export const POLICY = createTestConfig({ trigger: "http", reloadOnStart: "never" });
export const WALL_MS = 1_700_000_000_000;

/** A moment; `hintAtMs` and `causes` are those of the hint that leads to a look then. */
export interface Moment extends Now {
  readonly hint: Hint;
}

export function at(
  nowMs: number,
  more: Partial<Hint> & { readonly hintAtMs?: number; readonly random?: number } = {},
): Moment {
  const { hintAtMs = nowMs, causes = ["interval"], random = 0 } = more;
  return { nowMs, wallMs: WALL_MS + nowMs, random, hint: { causes, firstAtMs: hintAtMs } };
}

export function content(digest: string, changedWallMs = WALL_MS): Observation & { kind: "content" } {
  return { kind: "content", snapshot: { digest, files: [], changedWallMs }, skipped: [] };
}

export const MISSING: Observation = {
  kind: "unreadable",
  files: [{ path: "/x", digest: null, sizeBytes: 0, error: "/x is missing" }],
};

/** A model with the effect that stands out. */
export type State = readonly [Model, Effect];

export const INITIAL: State = [createModel({ nowMs: 0, wallMs: WALL_MS }), { do: "wait", untilMs: Infinity }];

export function send([model]: State, event: Event, now: Now, policy = POLICY): State {
  return step(model, event, now, policy);
}

/** A look that finds `observation`. */
export function look(state: State, observation: Observation, moment: Moment, policy = POLICY): State {
  const event: Event = {
    kind: "looked",
    hint: moment.hint,
    observation,
    alive: { known: null, signalled: null },
    staleMounts: [],
  };
  return send(state, event, moment, policy);
}

/** Answers the question about the start: nobody is there to be seen, and the output is written. */
export function answer(state: State, moment: Moment, policy = POLICY): State {
  assert.equal(state[0].phase.is, "asking");
  return send(
    state,
    {
      kind: "answered",
      prepared: { kind: "ok" },
      resolution: null,
      reading: null,
    },
    moment,
    policy,
  );
}

/** In sync with `digest` since 0. */
export function running(digest: string): State {
  return answer(look(INITIAL, content(digest), at(0)), at(0));
}

/** The job of the attempt in progress. */
export function jobOf([model, effect]: State): Job {
  const reload = reloadOf(model);
  assert.ok(reload !== null, `wanted a reload, got ${JSON.stringify([model.phase, effect])}`);
  return reload.job;
}

export function result(outcome: Result["outcome"], more: Partial<Result> = {}): Result {
  const reason = outcome === "success" ? "" : `it was ${outcome}`;
  const code = outcome === "success" ? "" : outcome;
  return resultOf(outcome, reason, code, { lastTriggeredAtMs: more.triggeredAtMs ?? null, ...more });
}

/** Ends the attempt in progress; the disk still holds what it held. */
export function end(state: State, ended: Result, moment: Moment, policy = POLICY): State {
  const reload = reloadOf(state[0]);
  assert.ok(reload !== null);
  const { snapshot } = reload;
  const over = send(state, { kind: "ended", result: ended }, moment, policy);
  const looked = look(over, { kind: "content", snapshot, skipped: [] }, {
    ...moment,
    hint: { causes: [], firstAtMs: moment.nowMs },
  }, policy);
  return send(
    looked,
    { kind: "checked", alive: { known: null, signalled: true }, found: null },
    moment,
    policy,
  );
}

/** After a try at `digest` at `nowMs` that ended as `outcome`. */
export function tried(
  state: State,
  digest: string,
  nowMs: number,
  outcome: Result["outcome"],
  more: Partial<Result> = {},
  policy = POLICY,
): State {
  const begun = look(state, content(digest), at(nowMs), policy);
  jobOf(begun);
  const { nowMs: atMs } = at(nowMs);
  return end(begun, result(outcome, { triggeredAtMs: atMs, ...more }), at(nowMs), policy);
}

/** The signalled process has ended. */
export function die(state: State, moment: Moment, policy = POLICY): State {
  return send(
    state,
    { kind: "checked", alive: { known: null, signalled: false }, found: null },
    moment,
    policy,
  );
}
