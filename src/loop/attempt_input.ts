/** What goes into an attempt, and the few values that all kinds of attempts share. It does nothing. */

import type { ReloadCode } from "../codes.ts";
import type { Config } from "../config.ts";
import type { Outcome, OutputTime, Result, StatusReading, Target, TriggerResult } from "../model.ts";
import type { Clock, HttpTrigger, Logger, Prepare, StatusProbe, TargetPort } from "../ports.ts";
import type { Event, Reload, Unanswered } from "../reload/model.ts";
import type { TokenHints } from "../reload/tokens.ts";
import type { BaselineRequest } from "./baseline.ts";
import type { Heartbeat } from "./heartbeat.ts";

/** The effects of an attempt. */
export interface AttemptDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly prepare: Prepare;
  readonly target: TargetPort;
  readonly httpTrigger: HttpTrigger;
  readonly probe: StatusProbe;
  readonly heartbeat: Heartbeat;
}

/** What one attempt is about. */
export interface AttemptInput {
  readonly reload: Pick<Reload, "job" | "snapshot">;
  /** The status request that was begun while the content was read; null where none was. */
  readonly begun: BaselineRequest | null;
  /** The target as it was last seen; it stays the target where several could be meant. */
  readonly known: Target | null;
  /** For `--trigger none`: the last status seen before this change, since the app may have reloaded already. */
  readonly lastReading: StatusReading | null;
  /** For `--verify json`: what earlier attempts have shown. */
  readonly tokens: TokenHints;
  /** The output as it was known before. */
  readonly output: OutputTime | null;
  /** A request with this content that may have been delivered; null where there is none. */
  readonly unanswered: Unanswered | null;
  /** Tells that the trigger went out, or that there is none to send. */
  readonly onSent: (event: Event & { kind: "sent" }) => void;
  /** SIGTERM has come: finish soon, and at once when the app is gone. */
  readonly stopping: AbortSignal;
  /** The shutdown time is over: end now. */
  readonly aborted: AbortSignal;
  /** Newer content is due: end the verification. */
  readonly overtaken: AbortSignal;
}

/** What a result says where nothing else is known. */
const NOTHING: Result = {
  outcome: "failed",
  reason: "",
  code: "",
  proof: null,
  target: null,
  triggeredAtMs: null,
  lastTriggeredAtMs: null,
  killed: false,
  unanswered: false,
  baseline: null,
  status: null,
  output: null,
};

/** An unsuccessful result. */
export function failure(
  outcome: Outcome,
  reason: string,
  code: ReloadCode | "",
  more: Partial<Result> = {},
): Result {
  return { ...NOTHING, outcome, reason, code, ...more };
}

/** The times that count from a trigger that went out. */
export function sentAt(
  { config }: Pick<AttemptDeps, "config">,
  sent: TriggerResult & { kind: "sent" },
) {
  return {
    triggeredAtMs: sent.atMs,
    triggeredWallMs: sent.wallMs,
    deadlineMs: sent.atMs + config.reloadTimeoutMs,
  };
}

/** An app that has looked at the content and said no has rejected it: that is no trigger that did not arrive. */
export function outcomeOfUnsent(code: ReloadCode): Outcome {
  return code === "trigger-refused" ? "rejected" : "failed";
}
