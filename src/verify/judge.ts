/**
 * What a status proves about a reload: the table of the contract, pure. Must never say success while the app's own
 * counter, token or time is what it was before the trigger, unless the app has been started with the new content, or
 * the token is the one with which this very content has been proved before.
 */

import type { Status, Verdict } from "../model.ts";
import { judgePrometheus } from "./judge_prometheus.ts";
import { GRAIN_MS, isInFuture, type JudgeContext, pending, rejected, SECOND_MS, success } from "./verdict.ts";

type AmpStatus = Extract<Status, { format: "amp" }>;
type JsonStatus = Extract<Status, { format: "json" }>;

const PENDING_INITIAL = "no reload since the app started";

/**
 * Judges one status read after the trigger.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const amp = { format: "amp", status: "success", splitState: false } as const;
 * const status = (attempts: number) => ({ ...amp, attempts, restartRequired: [], lastReloadWallMs: null });
 * const context = { baseline: status(3), triggeredWallMs: 0, sinceTriggerMs: 5, restarted: false };
 * assert.equal(judge(status(3), context).kind, "pending");
 * assert.equal(judge(status(4), context).kind, "settling");
 * assert.equal(judge(status(4), { ...context, settled: true }).kind, "success");
 * ```
 */
export function judge(status: Status, context: JudgeContext): Verdict {
  switch (status.format) {
    case "amp":
      return judgeAmp(status, context);
    case "prometheus":
      return judgePrometheus(status, context);
    case "json":
      return judgeJson(status, context);
    case "http":
      return judgeHttp(status.code, context);
  }
}

/**
 * The earliest Unix time in milliseconds at which a trigger can be proved against this baseline; `nowWallMs` if that
 * is now. Where the app cuts its time to whole seconds, a second reload within the second of the last one would look
 * unchanged: the trigger then waits for the next second, once and for one second at most. (The other way, to trigger
 * at once and a second time later, would make the app reload twice.)
 */
export function earliestTriggerWallMs(baseline: Status | null, nowWallMs: number): number {
  if (baseline?.format !== "prometheus" || baseline.successWallMs === null) return nowWallMs;
  // Prometheus cuts its time (web/web.go: time.Unix(int64(…), 0)). One that is whole by chance costs a second at most.
  if (baseline.successWallMs % 1000 !== 0) return nowWallMs;
  // A counter tells two reloads in one second apart.
  if (baseline.families?.every(({ reloads }) => reloads !== null)) return nowWallMs;
  const nextMs = baseline.successWallMs + SECOND_MS;
  // A time in the future means that the clock was set back: waiting for it could take for ever.
  return nextMs > nowWallMs && nextMs - nowWallMs <= SECOND_MS ? nextMs : nowWallMs;
}

function judgeAmp(status: AmpStatus, context: JudgeContext): Verdict {
  const baseline = context.baseline?.format === "amp" ? context.baseline : null;
  // A lower counter is one that started anew: the app restarted after the baseline, and so with the new content, unless
  // the baseline may be older than the change.
  const isAnew = baseline !== null && status.attempts < baseline.attempts;
  const isBefore = context.untriggered === true && context.startWouldShow !== true;
  const restarted = context.restarted || isAnew && !isBefore;
  const { lastReloadWallMs } = status;
  // Null where it is not asked, not told, or says nothing.
  const toldLater = context.untriggered !== true || lastReloadWallMs === null ||
      isInFuture(lastReloadWallMs, context)
    ? null
    : lastReloadWallMs > context.triggeredWallMs - GRAIN_MS;
  if ((baseline === null || isAnew) && !restarted && toldLater === null) return { kind: "baseline" };
  const moved = status.attempts > (restarted ? 0 : baseline?.attempts ?? Infinity);
  const counted = toldLater === null || restarted ? moved : toldLater;
  const good = status.status === "success" || status.status === "no_changes";
  if (counted && status.splitState) return rejected(good ? "split_state" : `${status.status}, split_state`);
  if (counted && !good && !(restarted && status.status === "initial")) return rejected(status.status);
  if (counted || (restarted && !status.splitState && (good || status.status === "initial"))) {
    if (!context.settled) return { kind: "settling" };
    return success(restarted ? "restarted" : toldLater === null ? "counter" : "time");
  }
  // Nobody asked for a reload, and there was none since this content was proved: the app never left it.
  const isUnmoved = context.untriggered === true && `${status.attempts}` === context.provedToken;
  if (isUnmoved && good && !status.splitState) return success("counter");
  if (restarted) return pending(`the app has restarted and its status is ${status.status}`);
  const before = status.status === "initial" ? PENDING_INITIAL : `status is still ${status.status}`;
  return pending(`the app has not counted a new reload: attempts is still ${status.attempts}, ${before}`);
}

function judgeJson(status: JsonStatus, context: JudgeContext): Verdict {
  if (status.ok === false) return pending("--verify-ok does not hold");
  if (status.token === null) {
    // No token is asked for: then --verify-ok alone is the proof, as far as it goes.
    return status.ok === true
      ? success(context.restarted ? "restarted" : "http-200")
      : pending("neither --verify-ok nor --verify-token is set");
  }
  if (context.restarted) return success("restarted");
  const before = context.baseline?.format === "json" ? context.baseline.token : null;
  if (before === null) return { kind: "baseline" };
  if (status.token !== before) return success("token");
  // The token with which this content was proved, and it has not changed since: the app never left this content.
  if (status.token === context.provedToken) return success("token");
  return pending("the value at --verify-token has not changed");
}

function judgeHttp(code: number, context: JudgeContext): Verdict {
  const { baseline } = context;
  if (baseline !== null && baseline.format !== "http") {
    return pending(`the answer (HTTP ${code}) is no ${baseline.format} status, as it was before the trigger`);
  }
  return code === 200
    ? success(context.restarted ? "restarted" : "http-200")
    : pending(`HTTP ${code}, wanted 200`);
}
