/**
 * The data that passes from one stage to the next. Types only, so that a stage needs to know no other stage.
 * Times named `…AtMs` are monotonic milliseconds of the `Clock`; those named `…WallMs` are Unix milliseconds.
 */

import type { ReloadCode, TargetCode } from "./codes.ts";
import type { Setting } from "./config.ts";

/** How a reload ended. */
export const OUTCOMES = ["success", "rejected", "failed", "timeout", "invalid"] as const;
/** One of the outcomes; the values of a metric's label. */
export type Outcome = typeof OUTCOMES[number];

/**
 * How a success was proved, strongest first: the app's own counter (or its flag that went from failed to good) moved,
 * its time of its last reload did, the value at `--verify-token` did, the app was started with the content, it answers
 * well and says nothing that could move (`http-200`), nobody was asked (`delivered`), nothing was sent (`assumed-at-start`).
 */
export const PROOFS = [
  "counter",
  "time",
  "token",
  "restarted",
  "http-200",
  "delivered",
  "assumed-at-start",
] as const;
/** One of the proofs; the values of a metric's label. */
export type Proof = typeof PROOFS[number];

/** Why the loop was woken. A hint carries its cause and nothing else. */
export type Cause =
  | "start"
  | "update"
  | "event"
  | "interval"
  | "retry"
  | "settle"
  | "signal"
  | "target"
  | "turn";

/** What kind of thing is wrong with a file. Closed: what to do about it follows from this, and never from the words. */
export type FileFault =
  | "missing"
  | "denied"
  | "directory"
  | "no-directory"
  | "too-large"
  | "leads-out"
  | "other";

/** One file of the content, or one that should be part of it. */
export interface FileState {
  /** The path as watched, not through `..data`. */
  readonly path: string;
  /** SHA-256 as 64 hex digits; null where the file could not be read. */
  readonly digest: string | null;
  readonly sizeBytes: number;
  /** Why it could not be read, as a sentence part for people; null where it could. */
  readonly error: string | null;
  /** The kind of `error`; missing where there is none. */
  readonly fault?: FileFault;
  /** It is no part of the content, whatever it is: a dangling link in a directory, or a FIFO. */
  readonly leftOut?: true;
}

/** A file of a snapshot with its bytes. */
export interface SnapshotFile extends FileState {
  readonly digest: string;
  /** Name under which it is rendered: base name, or path relative to its `--watched-dir`. */
  readonly name: string;
  /** The bytes that were hashed; null where nothing later needs them (see `keepBytes` of the reader). */
  readonly bytes: Uint8Array | null;
  /** Permission bits, for rendering. */
  readonly mode: number;
}

/** The content, read once and consistently. */
export interface Snapshot {
  /** SHA-256 as 64 hex digits: of the one file, or of the listing (`contract`: what happens on a change, 3). */
  readonly digest: string;
  /** Sorted by path. */
  readonly files: readonly SnapshotFile[];
  /** When the content last changed as the disk tells (swap of `..data`, newest change time of a file). */
  readonly changedWallMs: number;
}

/** What one look at the disk found. */
export type Observation =
  /** Complete content. */
  | { readonly kind: "content"; readonly snapshot: Snapshot; readonly skipped: readonly FileState[] }
  /**
   * A plain file is being written or is away for a moment: look again then. Nothing has changed yet. `digest` is what this
   * look has read, as of a snapshot; missing where that was not complete.
   */
  | { readonly kind: "settling"; readonly againAtMs: number; readonly digest?: string }
  /** Something is missing or unreadable; the last state stays. `files` has all of them, at least one with an error. */
  | { readonly kind: "unreadable"; readonly files: readonly FileState[] }
  /** The volume was torn down under its mount (link count 0): only a restart of the pod's containers helps. */
  | { readonly kind: "replaced"; readonly path: string; readonly message: string };

/** A mount of a config volume that can never change again. */
export interface StaleMount {
  readonly container: "sidecar" | "app";
  readonly reason: "subpath" | "replaced";
  readonly mountPoint: string;
  /** The sentence a user needs: what it is and what to do. */
  readonly message: string;
}

/** What is known of the application's mounts of the watched volumes. */
export interface AppMounts {
  readonly stale: readonly StaleMount[];
  /** It has some, and every one is stale. One without any may get the content in another way. */
  readonly blind: boolean;
}

/** The one process that may be signalled; (pid, startTicks, comm) is its identity. */
export interface Target {
  readonly pid: number;
  /** Start time in clock ticks since boot: field 22 of /proc/PID/stat, proc(5). */
  readonly startTicks: number;
  /** The kernel's comm, at most 15 bytes. */
  readonly comm: string;
  /** Name for people: base name of argv[0], or comm. */
  readonly name: string;
  readonly uid: number;
  /** When it started, on the monotonic clock: a step of the wall clock must not make it younger. */
  readonly startedAtMs: number;
  /** Why it was chosen, as a sentence part: `the only application container in the pod`. */
  readonly reason: string;
  /** Whether it handles the signal now (SigCgt). */
  readonly handled: boolean;
}

/** What a look for the target found. */
export type Resolution =
  | { readonly kind: "target"; readonly target: Target }
  /** There is one, but it has not finished starting: no handler yet and younger than 5 s. Look again. */
  | { readonly kind: "starting"; readonly target: Target; readonly message: string }
  /**
   * Nobody may be signalled. `code` is stable, `message` names the thing, the value and the way out. `again`: it passes
   * by itself (a pid file half-written, an application between end and start), so wait for it as for one that starts.
   * `names` of those that could be meant.
   */
  | {
    readonly kind: "none";
    readonly code: TargetCode;
    readonly message: string;
    readonly again?: boolean;
    readonly names?: readonly string[];
  };

/** What came of sending the trigger. */
export type TriggerResult =
  | {
    readonly kind: "sent";
    readonly atMs: number;
    readonly wallMs: number;
    /** Why it is not known whether it arrived: an HTTP request that was sent and not answered. In words. */
    readonly unanswered?: string;
  }
  | {
    readonly kind: "not-sent";
    readonly code: ReloadCode;
    readonly message: string;
    /** Monotonic time of the first request, where one reached an app although the trigger as a whole failed. */
    readonly atMs?: number;
  };

/** Metrics with one prefix about one kind of reload: `PREFIX_config_last_reload_successful` and those beside it. */
export interface ReloadFamily {
  readonly prefix: string;
  readonly successful: boolean;
  /** Time of the last successful reload, 0 before the first; null where the app tells no time. */
  readonly successWallMs: number | null;
  /** Reloads so far, good and bad; null where the app does not count them. */
  readonly reloads: number | null;
  /** Failed reloads so far; null where the app does not count them. */
  readonly errors: number | null;
}

/** The app's own words about its last reload, parsed. */
export type Status =
  | {
    readonly format: "amp";
    readonly status: string;
    readonly attempts: number;
    readonly splitState: boolean;
    /** Codes or components that need a restart; empty where none. */
    readonly restartRequired: readonly string[];
    readonly lastReloadWallMs: number | null;
  }
  | {
    readonly format: "prometheus";
    /** Of all families. */
    readonly successful: boolean;
    /** Time of the last successful reload, in whole seconds where the app cuts it; null where the app has none yet. */
    readonly successWallMs: number | null;
    /** Each family of metrics by itself; runtime info is a single one. */
    readonly families: readonly ReloadFamily[];
  }
  | {
    readonly format: "json";
    /** Whether `--verify-ok` holds; null where it is not asked for. */
    readonly ok: boolean | null;
    /** The value at `--verify-token` as canonical JSON text; null where it is not asked for. */
    readonly token: string | null;
  }
  | { readonly format: "http"; readonly code: number };

/** One read of the status URL. */
export type StatusReading =
  | { readonly kind: "status"; readonly status: Status }
  /** No usable answer; `reason` keeps the cause: `connection refused`, `HTTP 503`, `not JSON: …`. */
  | { readonly kind: "error"; readonly reason: string };

/** What a status proves. */
export type Verdict =
  | { readonly kind: "pending"; readonly reason: string }
  /** Good, if it is still so one poll later. */
  | { readonly kind: "settling" }
  /** There was no baseline and the app tells no time: take this status as the baseline and trigger once more. */
  | { readonly kind: "baseline" }
  | { readonly kind: "success"; readonly proof: Proof }
  | { readonly kind: "rejected"; readonly reason: string };

/** How one attempt ended: made once, by the attempt, and passed on as it is. */
export interface Result {
  readonly outcome: Outcome;
  /** Why it failed, for people; empty on success. */
  readonly reason: string;
  /** Stable code of the failure; empty on success. */
  readonly code: ReloadCode | "";
  /** How a success was proved; null where there was none. */
  readonly proof: Proof | null;
  /** The process that it was about; null where there was none. */
  readonly target: Target | null;
  /** Monotonic time at which the first trigger went out, null where none did. */
  readonly triggeredAtMs: number | null;
  /** The same for the last one, where it went out once more for want of a baseline. */
  readonly lastTriggeredAtMs: number | null;
  /** The trigger went out, and the app has not said what came of it: it may still be at it. */
  readonly isOpen: boolean;
  /** Nobody listened at the status URL at some moment since the change: an app that counts from 0 has started since. */
  readonly wasDown: boolean;
  /** The status before the trigger; null where it was not read. */
  readonly baseline: Status | null;
  /** The last status that was read; null where there was none. */
  readonly status: Status | null;
}

/** When a rendered output came to its place. */
export interface OutputTime {
  readonly wallMs: number;
  /** The same on the monotonic clock, converted when it was first seen. */
  readonly atMs: number;
}

/** What became of one file between two contents. */
export interface FileChange {
  readonly path: string;
  readonly change: "added" | "removed" | "changed";
  /** Size now; for a removed file, the one it had. */
  readonly sizeBytes: number;
  /** Size before; null for an added file. */
  readonly oldSizeBytes: number | null;
}

/** One finished (or running) reload as `/status` tells it. */
export interface ReloadRecord {
  readonly startedWallMs: number;
  readonly oldHash: string;
  readonly newHash: string;
  readonly causes: readonly Cause[];
  readonly attempt: number;
  readonly outcome: Outcome | "in progress";
  readonly reason: string;
  /** How a success was proved; null before that and after a failure. */
  readonly proof: Proof | null;
  /** Files that differ from the content before, 20 at most. */
  readonly changed: readonly FileChange[];
  readonly pid: number | null;
  readonly durationMs: number | null;
  readonly triggerDelayMs: number | null;
}

/** A state for probes. */
export type Health = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** What preflight knows about the target, for `/status` and `check`. */
export interface TargetView {
  readonly ok: boolean;
  /** One line: `PID 7 (amp, user 65532): the only application container in the pod`, or the problem and its fix. */
  readonly message: string;
  readonly code: TargetCode;
  readonly pid: number | null;
  readonly name: string | null;
  readonly uid: number | null;
  readonly handled: boolean | null;
  readonly permitted: boolean | null;
  /** Of the processes that could be meant, where nothing says which. */
  readonly names?: readonly string[];
}

/** What a person can do about what is wrong: in words, and as text to copy. */
export interface NextStep {
  readonly say: string;
  /** A part of the pod's spec. */
  readonly yaml?: string;
  /** A line for a shell. */
  readonly command?: string;
}

/** When the app came in sync, or went out of it. */
export interface SyncChange {
  readonly wallMs: number;
  readonly inSync: boolean;
}

/** What `/status` and the page show. Holds no secret and no file content. */
export interface StatusView {
  readonly version: string;
  readonly revision: string;
  /** Name of the pod, or of the host. */
  readonly pod: string;
  /** null where it is not known. */
  readonly namespace: string | null;
  readonly startedWallMs: number;
  readonly nowWallMs: number;
  readonly inSync: boolean;
  /** Since when `inSync` has its value. */
  readonly inSyncSinceWallMs: number;
  /** How it was proved that the app runs the applied content; null before that. */
  readonly proof: Proof | null;
  /** Oldest first; of the last hour and one before. */
  readonly syncChanges: readonly SyncChange[];
  /** In words, why not in sync; empty where it is. */
  readonly outOfSyncReason: string;
  /** The next step where something is wrong; null where nothing is, or where waiting is all there is to do. */
  readonly fix: NextStep | null;
  /** The whole SHA-256 on disk, null before the first read. */
  readonly diskDigest: string | null;
  readonly appliedDigest: string | null;
  readonly files: readonly FileState[];
  readonly staleMounts: readonly StaleMount[];
  readonly watcher: {
    readonly method: "inotify" | "poll";
    readonly reason: string;
    readonly events: number;
    readonly errors: number;
    readonly lastScanWallMs: number | null;
  };
  readonly target: TargetView | null;
  /** Newest first, 20 at most. */
  readonly reloads: readonly ReloadRecord[];
  readonly nextRetryWallMs: number | null;
  readonly restartRequired: readonly string[];
  /** null without `--rollout`. */
  readonly rollout: RolloutStatus | null;
  readonly settings: readonly Setting[];
}

/** What the group of a rollout knows of the content that is due for a reload here (docs/fleet.md). */
export type Turn =
  /** The Lease has not been read since this content was asked for. */
  | { readonly is: "asking" }
  /** `isFirst`: nobody has proved it yet, so this pod has the turn, and needs it until the trigger is out. */
  | { readonly is: "go"; readonly isFirst: boolean }
  /** Another pod tries it, or other content; this pod's own name where it leaves the turn to others for a while. */
  | { readonly is: "waiting"; readonly pod: string }
  /** It failed in another pod. */
  | { readonly is: "held"; readonly pod: string; readonly outcome: string; readonly reason: string }
  /** The API cannot be asked; nothing may be triggered. `message` has the way out. */
  | { readonly is: "unreachable"; readonly message: string };

/** What this pod does in its group at present. */
export interface RolloutView {
  /** The content whose reload is due here, to which `turn` is the answer; null where none is. */
  readonly wanted: string | null;
  readonly turn: Turn;
  /** The app has taken new content first, and has to live on for a while, and the others to be told, before they follow. */
  readonly isSoaking: boolean;
  /** How the last soak ended; null before that, and where newer content or another pod's turn has ended it. */
  readonly soakEnd: SoakEnd | null;
  /** Why the others cannot be told of this pod's turn, or of what came of it; null where they can. */
  readonly problem: string | null;
}

/** What the group knows after a soak. */
export type SoakEnd = { readonly is: "proved" } | { readonly is: "trouble"; readonly reason: string };

/** The rollout for `/status`. */
export interface RolloutStatus {
  readonly mode: "canary" | "serial";
  readonly group: string;
  readonly state: "steady" | "waiting" | "held" | "reloading" | "soaking";
  /** What it waits for or what holds it, in words; empty where nothing does. */
  readonly message: string;
}

/** The reasons of Kubernetes Events, all of them. */
export const EVENT_REASONS = [
  "ConfigReloaded",
  "ConfigReloadRejected",
  "ConfigReloadFailed",
  "ConfigHeld",
  "ConfigMountStale",
  "ConfigTargetUnreachable",
] as const;
/** One of them. */
export type EventReason = typeof EVENT_REASONS[number];
