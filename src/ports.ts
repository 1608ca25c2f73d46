/**
 * The interfaces behind which every effect sits. Types only. The stages make the real ones with factory functions
 * (`create…`), the tests pass hand-written fakes. Nothing here may import a stage.
 */

import type {
  AppMounts,
  Cause,
  EventReason,
  Observation,
  OutputTime,
  Resolution,
  Result,
  RolloutView,
  Snapshot,
  StaleMount,
  StatusReading,
  Target,
  TargetView,
  TriggerResult,
} from "./model.ts";

/** Time. Monotonic for waits and deadlines, wall only for what people and metrics see. */
export interface Clock {
  /** Milliseconds that never go back. */
  nowMs(): number;
  /** Unix milliseconds. */
  wallMs(): number;
  /** Calls `act` after `ms`, unless what it returns is called before: 55 µs, where a sleep that a signal ends costs 125. */
  timer(ms: number, act: () => void): () => void;
  /** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A random number in [0, 1), for jitter. */
export type Random = () => number;

/** Structured log; `fields` appear in the json and logfmt formats. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
/** Fields of a log line; never a secret. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

/**
 * Writes what a command prints. Resolves when the text is out: a command awaits it, since the process exits right after
 * the command, and what is still on its way is lost then.
 */
export type WriteOut = (text: string) => Promise<void>;

/** What is on disk. */
export interface SnapshotReader {
  /**
   * Looks at the disk once. Never throws: what goes wrong is an observation.
   * `onLikelyChange` is called, before anything is hashed, as soon as a look finds signs that the
   * content differs from the last content it returned and will be decided by this look: the caller then reads
   * the baseline meanwhile.
   */
  look(options: { onLikelyChange?: () => void; signal: AbortSignal }): Promise<Observation>;
  /** Mounts of the watched paths, in the sidecar's own mount namespace, that can never change again. */
  staleMounts(): readonly StaleMount[];
}

/** Takes a hint; nothing acts in it. */
export type TakeHint = (cause: Cause) => void;

/** Tells that the disk may have changed. Never decides anything. */
export interface Watcher {
  /**
   * Runs until `signal` aborts; calls `hint` for every sign of a change. Never throws for what the disk does.
   */
  run(hint: TakeHint, signal: AbortSignal): Promise<void>;
  view(): { method: "inotify" | "poll"; reason: string; events: number; errors: number };
}

/** Checks and renders a snapshot before the trigger. */
export type Prepare = (snapshot: Snapshot, signal: AbortSignal) => Promise<PrepareResult>;
/** What came of preparing the content. */
export type PrepareResult =
  /** `output`: when the newest output came to its place; missing where there is none. */
  | { readonly kind: "ok"; readonly output?: OutputTime }
  /** The content is bad: outcome `invalid`. `retry`: it may pass later, although it stays the same. */
  | { readonly kind: "invalid"; readonly reason: string; readonly retry?: true }
  /** The content could not be written: outcome `failed`. */
  | { readonly kind: "failed"; readonly reason: string };

/** Who gets the signal. */
export interface TargetPort {
  /**
   * Looks afresh; synchronous, since it is on the way from change to signal and /proc is memory. `previous`: the last
   * target, null before the first; where several processes could be meant it stays, while exactly it lives.
   */
  resolve(previous: Target | null): Resolution;
  /** True while exactly this process (PID, start time) lives and is no zombie. */
  isAlive(target: Target): boolean;
  /** Checks the identity once more and sends. The only place that may call `Deno.kill` with a real signal. */
  send(target: Target): TriggerResult;
  /**
   * Config mounts of the target's mount namespace that can never change again. With `changed`, the paths of the files that
   * differ, it is blind also where it cannot see one of them.
   */
  staleMounts(target: Target, changed?: () => readonly string[]): AppMounts;
  /** Whether the signal could be sent to what was found: permission (signal 0) and handler. Signals no process. */
  preflight(found: Resolution): TargetView;
}

/** The HTTP trigger: requests all trigger URLs; all must succeed. */
export type HttpTrigger = (signal: AbortSignal) => Promise<TriggerResult>;

/** Reads the status URL. */
export interface StatusProbe {
  /** Never throws; ends within `--http-timeout`, and within `timeoutMs` where that is shorter. */
  read(signal: AbortSignal, timeoutMs?: number): Promise<StatusReading>;
}

/** This pod's part in the rollout of its group. It asks and writes by itself, beside the loop. */
export interface RolloutPort {
  /** Says which content is due for a reload here, null where none is. The answer comes with `view`, after a hint. */
  want(digest: string | null): void;
  view(): RolloutView;
  /**
   * A reload of this content has ended. `isProof` false: a success says nothing of it, since none was sent (its signal had
   * ended the app before), or the disk held something else before the end.
   */
  ended(digest: string, result: Result, isProof: boolean): void;
}

/** Takes what happened for the Events of this pod; returns at once, whatever becomes of it. */
export interface EventSink {
  /** `note` is for people, without content. The same state again becomes a series. */
  add(reason: EventReason, note: string): void;
}
