/**
 * Keeps an eye on the process that would be signalled, between reloads: who it is, whether the signal would reach it,
 * and whether it can see the content. Tells each change of that once. It never signals, and never decides a reload.
 */

import type { AttemptReport } from "./attempt_steps.ts";
import type { Config } from "../config.ts";
import type { AppMounts, StaleMount, Target, TargetCode, TargetView } from "../model.ts";
import type { Clock, Logger, SnapshotReader, TargetPort } from "../ports.ts";
import { formatMs } from "../text.ts";

/** The watch, seen from the loop and the status. */
export interface TargetWatch {
  /**
   * Looks again where the known target is gone or not in order; cheap while it is (one read of /proc). True where a
   * target has come that was not there at the last look.
   */
  refresh(): boolean;
  /** Takes over what an attempt found out. */
  after(report: AttemptReport): void;
  /** The living target as far as known. */
  target(): Target | null;
  /** For `/status`; null where nothing is signalled. */
  view(): TargetView | null;
  /** Config mounts of `target`: as known where it is the one that was last looked at, else read now. */
  appMounts(target: Target): AppMounts;
  /** Config mounts, the sidecar's and the app's, that can never change again. */
  staleMounts(): readonly StaleMount[];
}

/** What it looks with, and whom it tells. */
export interface TargetWatchDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly target: TargetPort;
  readonly reader: SnapshotReader;
  readonly onStaleMounts: (mounts: readonly StaleMount[]) => void;
}

/** For so long after the start the choice of the target is made anew as processes come, in milliseconds. */
const EARLY_MS = 60_000;
/** For so long after a process came it may be the container runtime on its way to the app, under one PID. */
const COMING_MS = 2_000;

/** Makes the watch; nothing is looked at before `refresh`. */
export function createTargetWatch(deps: TargetWatchDeps): TargetWatch {
  const { clock, config, logger } = deps;
  const startedAtMs = clock.nowMs();
  let known: Target | null = null;
  let view: TargetView | null = null;
  /** Since when there has been nobody to signal, as told; null while there is. */
  let brokenSinceMs: number | null = null;
  /** What was told last; null before the first look. */
  let toldCode: TargetCode | null = null;
  let mounts: readonly StaleMount[] = [];
  /** What was looked at when mounts were last told of. */
  let mountsTold: { readonly own: readonly StaleMount[]; readonly app: typeof app } | null = null;
  let app: { readonly target: Target; readonly mounts: AppMounts } | null = null;
  let lookedAtMs = -Infinity;
  let youngest: { readonly pid: number | null; readonly sinceMs: number } = { pid: null, sinceMs: 0 };

  /**
   * The other containers of a pod come one after the other: who is alone now may not be in a moment. One read where no
   * process came; who was held up for longer before it became an app is found by the next attempt, which looks afresh.
   */
  function mayHaveCompany(): boolean {
    const nowMs = clock.nowMs();
    if (nowMs - startedAtMs >= EARLY_MS) return false;
    const pid = deps.target.youngestPid();
    if (pid === null || pid !== youngest.pid) youngest = { pid, sinceMs: nowMs };
    return lookedAtMs - youngest.sinceMs < COMING_MS;
  }

  /** `told`: the text of a problem that the log has just told. */
  function lookAfresh(told: string | null): void {
    lookedAtMs = clock.nowMs();
    const found = deps.target.resolve(known);
    known = found.kind === "none" ? null : found.target;
    const before = view?.message;
    view = deps.target.preflight(found);
    if (view.message !== before) tell(view, told);
    app = known && { target: known, mounts: deps.target.staleMounts(known) };
  }

  function tell({ ok, message, code, pid }: TargetView, told: string | null): void {
    const fields = { code, pid };
    const isToldDeath = code === "not-there" && toldCode === code;
    toldCode = code;
    if (!ok) {
      brokenSinceMs ??= clock.nowMs();
      if (message === told || isToldDeath) return;
      return logger.warn(`Target: ${message}`, fields);
    }
    const after = brokenSinceMs === null ? "" : `; in order after ${formatMs(clock.nowMs() - brokenSinceMs)}`;
    brokenSinceMs = null;
    logger.info(`Target: ${message}${after}`, fields);
  }

  function tellMounts(told: string | null): void {
    const own = deps.reader.staleMounts();
    if (own === mountsTold?.own && app === mountsTold.app) return;
    mountsTold = { own, app };
    const now = [...own, ...app?.mounts.stale ?? []];
    const before = new Set(mounts.map((mount) => mount.message));
    for (const mount of now) {
      if (!before.has(mount.message) && !told?.includes(mount.message)) {
        logger.warn(mount.message, {
          container: mount.container,
          reason: mount.reason,
          mount: mount.mountPoint,
        });
      }
    }
    mounts = now;
    deps.onStaleMounts(now);
  }

  return {
    refresh() {
      const before = known;
      const isLost = before !== null && !deps.target.isAlive(before);
      const isOpen = config.trigger === "signal" && mayHaveCompany();
      if (config.trigger === "signal" && (isLost || before === null || !view?.ok || isOpen)) {
        lookAfresh(null);
      }
      tellMounts(null);
      return known !== null && (before === null || isLost);
    },
    after(report) {
      if (config.trigger !== "signal" || report.target === null) return;
      const { reason } = report.result;
      if (!isSame(report.target, known) || report.result.outcome === "failed") lookAfresh(reason);
      tellMounts(reason);
    },
    target: () => known,
    view: () => view,
    appMounts: (target) => isSame(target, app?.target) ? app!.mounts : deps.target.staleMounts(target),
    staleMounts: () => mounts,
  };
}

/** The same process: same number, same start. */
function isSame(a: Target, b: Target | null | undefined): boolean {
  return a.pid === b?.pid && a.startTicks === b.startTicks;
}
