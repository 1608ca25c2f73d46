/**
 * Performs the effects that `step` asks for, and brings the event that each leads to. It decides nothing. An attempt goes on
 * beside the loop and reports through the mailbox; everything else is done before the next event is taken.
 */

import { attemptReload, prepareContent } from "../attempt/attempt.ts";
import { BASELINE_WAIT_MS, FRESH_MS, prefetch, type Prefetched } from "../attempt/baseline.ts";
import { type AttemptDeps, resultOf } from "../attempt/input.ts";
import { momentOf } from "../clock.ts";
import { rendersOutput } from "../config.ts";
import type { Snapshot, Target } from "../model.ts";
import type { PrepareResult, RolloutPort, SnapshotReader } from "../ports.ts";
import {
  type Effect,
  type Event,
  type KnownTarget,
  type Liveness,
  type Model,
  type Question,
  type Reload,
  reloadOf,
} from "../reload/model.ts";
import { openTriggerFor } from "../reload/outcome.ts";
import { isStillToCome } from "../reload/process.ts";
import { decideStart } from "../reload/start.ts";
import { changedPaths } from "../record/step_facts.ts";
import type { Mailbox } from "./mailbox.ts";

/** Least time between two starts for changes that are only foreseen: a directory may be busy with other things. */
const FORESEE_PAUSE_MS = 1_000;

/** What effects work with. */
export interface EffectDeps extends AttemptDeps {
  readonly reader: SnapshotReader;
  /** Missing without `--rollout`. */
  readonly rollout?: RolloutPort | undefined;
  readonly mailbox: Mailbox;
  /** SIGTERM has come. */
  readonly stopping: AbortSignal;
  /** The shutdown time is over. */
  readonly aborted: AbortSignal;
}

/** Performs one effect on `model`; the event is what came of it. */
export type Perform = (effect: Exclude<Effect, { do: "end" }>, model: Model) => Promise<Event>;

/** Makes the performer. It holds what is on its way, and nothing else. */
export function createPerform(deps: EffectDeps): Perform {
  const { mailbox } = deps;
  /** Ends the verification of the attempt in progress. */
  let overtake = new AbortController();
  /** The status for the next attempt, on its way. */
  let begun: Prefetched | null = null;
  const askAhead = (model: Model, freshMs: number) => {
    if (reloadOf(model) === null) begun = prefetch(deps, begun, freshMs);
  };
  /** The next event but the beginning of a volume's update, which leads to no look: the status is asked ahead of the swap. */
  const next = async (untilMs: number, model: Model): Promise<Event> => {
    for (;;) {
      const event = await mailbox.next(untilMs);
      if (event.kind !== "hinted" || event.hint.causes.some((cause) => cause !== "update")) return event;
      askAhead(model, FORESEE_PAUSE_MS);
    }
  };
  return (effect, model) => {
    switch (effect.do) {
      case "wait":
        return next(effect.untilMs, model);
      case "look":
        // Kubelet's update has several steps, each with an event, and the swap is one of the last.
        if (effect.hint.causes.includes("event")) askAhead(model, FORESEE_PAUSE_MS);
        return mailbox.unlessStopped(look(deps, effect, model, () => askAhead(model, FRESH_MS)));
      case "ask":
        return mailbox.unlessStopped(ask(deps, effect, model));
      case "check":
        return Promise.resolve(check(deps, effect.afresh, model));
      case "reload":
        overtake = new AbortController();
        runAttempt(deps, effect.reload, begun, model, overtake.signal);
        begun = null;
        return next(Infinity, model);
      case "overtake":
        overtake.abort("newer content");
        return next(Infinity, model);
      case "read-status":
        return mailbox.unlessStopped(
          deps.probe.read(deps.aborted, BASELINE_WAIT_MS).then((reading) => ({ kind: "told", reading })),
        );
      case "render":
        return mailbox.unlessStopped(
          prepareContent(deps, effect.snapshot, deps.aborted).then((prepared) => ({
            kind: "rendered",
            prepared,
          })),
        );
    }
  };
}

function knownIn({ known }: Model): Target | null {
  return known?.target ?? null;
}

/** Reads the disk once. As soon as a change is likely, what an attempt needs first is begun beside it. */
async function look(
  deps: EffectDeps,
  { hint }: Effect & { do: "look" },
  model: Model,
  onLikelyChange: () => void,
): Promise<Event> {
  const { reader, aborted } = deps;
  let alive: Liveness | null = null;
  const observation = await reader.look({
    signal: aborted,
    onLikelyChange: () => {
      onLikelyChange();
      alive = liveness(deps, model);
    },
  });
  alive ??= liveness(deps, model);
  return {
    kind: "looked",
    hint,
    observation,
    alive,
    staleMounts: reader.staleMounts(),
    ...(deps.rollout === undefined ? {} : { rollout: deps.rollout.view() }),
  };
}

function liveness({ target }: EffectDeps, { known, signalled }: Model): Liveness {
  const isAlive = (process: Target | null | undefined) => process ? target.isAlive(process) : null;
  return { known: isAlive(known?.target), signalled: isAlive(signalled?.target) };
}

/** Who would be signalled now, whether it could be, and what it can see. Signals nobody. */
function check(deps: EffectDeps, afresh: boolean, model: Model): Event {
  const alive = liveness(deps, model);
  const isDone = !afresh && alive.known !== false || deps.config.trigger !== "signal";
  return { kind: "checked", alive, found: isDone ? null : findKnownTarget(deps, model) };
}

function findKnownTarget({ target }: EffectDeps, model: Model): KnownTarget {
  const resolution = target.resolve(knownIn(model));
  const process: Target | null = resolution.kind === "none" ? null : resolution.target;
  return {
    target: process,
    isExpected: resolution.kind === "starting" || isStillToCome(resolution),
    view: target.preflight(resolution),
    mounts: process === null ? null : target.staleMounts(process),
  };
}

/** Gathers what there is to know about whether the app has read the content; its output must be there before it is. */
async function ask(
  deps: EffectDeps,
  asked: { readonly question: Question; readonly snapshot: Snapshot },
  model: Model,
): Promise<Event> {
  const { clock, config } = deps;
  // Nothing is sent for content that is back as it was, or counts as applied (`--reload-on-start never`).
  const isUnsent = asked.question.goneSinceAtMs !== null || asked.question.isAdopted === true;
  const isToPrepare = !isUnsent || rendersOutput(config);
  const prepared: PrepareResult = isToPrepare
    ? await prepareContent(deps, asked.snapshot, deps.aborted)
    : { kind: "ok" };
  const resolution = config.trigger === "signal" ? deps.target.resolve(knownIn(model)) : null;
  const found = { kind: "answered", prepared, resolution, reading: null } as const;
  if (prepared.kind !== "ok" || asked.question.isAdopted || config.verify === "none") return found;
  // The app is asked only where its answer can matter: an app that hangs must not hold up the loop.
  const verdict = decideStart(model, asked, found, momentOf(clock), config);
  if (verdict !== "reload" && config.trigger === "signal") return found;
  return { ...found, reading: await deps.probe.read(deps.aborted, BASELINE_WAIT_MS) };
}

/** Runs the attempt beside the loop; its trigger and its end come through the mailbox. */
async function runAttempt(
  deps: EffectDeps,
  reload: Reload,
  begun: Prefetched | null,
  model: Model,
  overtaken: AbortSignal,
): Promise<void> {
  const { mailbox } = deps;
  const { last } = model;
  const isFailed = last?.job.digest === reload.job.digest && last.result.outcome !== "success";
  try {
    const result = await attemptReload({
      ...deps,
      reload,
      changed: () => changedPaths(model),
      begun,
      known: knownIn(model),
      lastReading: model.reading,
      provedToken: model.provedToken?.digest === reload.job.digest ? model.provedToken.token : null,
      openTrigger: openTriggerFor(model.openTrigger, reload.job),
      failedOn: isFailed ? last.result.target : null,
      begunAtMs: deps.clock.nowMs(),
      isOnDisk: async () => {
        const now = await deps.reader.look({ signal: deps.aborted });
        return now.kind === "content" && now.snapshot.digest === reload.job.digest;
      },
      onSent: mailbox.post,
      overtaken,
    });
    mailbox.post({ kind: "ended", result });
  } catch (error) {
    // A fault of ours must not end the loop: it is reported like any other failure and tried again.
    const reason = `internal error: ${error instanceof Error ? error.stack ?? error.message : error}`;
    mailbox.post({ kind: "ended", result: resultOf("failed", reason, "internal") });
  }
}
