/** What goes into an attempt, and how its result is made. It does nothing. */

import type { ReloadCode } from "../codes.ts";
import type { Config } from "../config.ts";
import type { Outcome, Result, StatusReading, Target } from "../model.ts";
import type { Clock, HttpTrigger, Prepare, StatusProbe, TargetPort } from "../ports.ts";
import type { Event, OpenTrigger, Reload } from "../reload/model.ts";
import type { Prefetched } from "./baseline.ts";

/** The effects of an attempt. */
export interface AttemptDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly prepare: Prepare;
  readonly target: TargetPort;
  readonly httpTrigger: HttpTrigger;
  readonly probe: StatusProbe;
  /** A sign of life for `/healthz`; the next one may take `mayTakeMs` by a deadline of its own. */
  readonly beat: (mayTakeMs?: number) => void;
}

/** One attempt: its effects, and what it is about. */
export interface Attempt extends AttemptDeps {
  readonly reload: Pick<Reload, "job" | "snapshot" | "isContinued">;
  /** Paths of the files that differ from what the app runs; none where that is not known. */
  readonly changed: () => readonly string[];
  /** What was begun before and while the content was read; null where nothing was. */
  readonly begun: Prefetched | null;
  /** The target as it was last seen; it stays the target where several could be meant. */
  readonly known: Target | null;
  /** For `--trigger none`: the last status seen before this change, since the app may have reloaded already. */
  readonly lastReading: StatusReading | null;
  /** The token (`--verify json`; the count of AMP) that this very content had when it was last proved; null where unknown. */
  readonly provedToken: string | null;
  /** A trigger with this content that the app may still be at; null where there is none. */
  readonly openTrigger: OpenTrigger | null;
  /** The process of the last attempt with this content, which failed; null where there was none. */
  readonly failedOn: Target | null;
  readonly begunAtMs: number;
  /** Looks whether the disk still holds the content of this attempt. */
  readonly isOnDisk: () => Promise<boolean>;
  /** Tells that the trigger went out, or that there is none to send. */
  readonly onSent: (event: Event & { kind: "sent" }) => void;
  /** SIGTERM has come: finish soon, and at once when the app is gone. */
  readonly stopping: AbortSignal;
  /** The shutdown time is over: end now. */
  readonly aborted: AbortSignal;
  /** Newer content is due: end the verification. */
  readonly overtaken: AbortSignal;
}

const NOTHING_KNOWN = {
  proof: null,
  target: null,
  triggeredAtMs: null,
  lastTriggeredAtMs: null,
  isOpen: false,
  wasDown: false,
  baseline: null,
  status: null,
} as const;

/** How an attempt ended; `more` is what is known besides. */
export function resultOf(
  outcome: Outcome,
  reason: string,
  code: ReloadCode | "",
  more: Partial<Result> = {},
): Result {
  return { ...NOTHING_KNOWN, outcome, reason, code, ...more };
}
