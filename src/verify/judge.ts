/**
 * What a status proves about a reload: the table of the contract, pure. Must never say success while the app's own
 * counter, token or time is what it was before the trigger, unless the app has been started with the new content, or
 * the token is the one with which this very content has been proved before.
 */

import type { Status, Verdict } from "../model.ts";
import { judgeAmp } from "./amp.ts";
import { judgeHttp } from "./http.ts";
import { judgeJson } from "./json.ts";
import { judgePrometheus } from "./prometheus.ts";
import type { JudgeContext } from "./verdict.ts";

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
