/** Views for tests of `/status` and the page: a good, a rejected and a pending reload. */

import type { ReloadRecord, StatusView } from "../../src/model.ts";

const NOW_WALL_MS = Date.UTC(2026, 10, 24, 8, 0, 0);
const OLD = "1f3870be274f6c49b3e31a0c6728957f1c9a2f51b0ad3c6e5cdd7a8f2b3c4d5e";
const NEW = "9b74c9897bac770ffc029102a200c5de5a1e5dd2c98c7a1e0f4f1b6f3a2d1c0b";

function record(more: Partial<ReloadRecord>): ReloadRecord {
  return {
    startedWallMs: NOW_WALL_MS - 60_000,
    oldHash: OLD.slice(0, 12),
    newHash: NEW.slice(0, 12),
    causes: ["event"],
    attempt: 1,
    outcome: "success",
    reason: "",
    proof: "counter",
    changed: [],
    pid: 7,
    durationMs: 38,
    triggerDelayMs: 1.4,
    ...more,
  };
}

/** Everything in order, after one reload. */
export function goodView(more: Partial<StatusView> = {}): StatusView {
  return {
    version: "0.1.0",
    revision: "abc1234",
    startedWallMs: NOW_WALL_MS - 3 * 3_600_000,
    nowWallMs: NOW_WALL_MS,
    inSync: true,
    inSyncSinceWallMs: NOW_WALL_MS - 60_000,
    outOfSyncReason: "",
    diskDigest: NEW,
    appliedDigest: NEW,
    files: [{ path: "/etc/amp/config.yaml", digest: NEW, sizeBytes: 2_148, error: null }],
    staleMounts: [],
    watcher: {
      method: "inotify",
      reason: "kernel events and the interval",
      events: 12,
      errors: 0,
      lastScanWallMs: NOW_WALL_MS - 2_000,
    },
    target: {
      ok: true,
      message: "PID 7 (amp, user 65532): the only application container in the pod",
      code: "ready",
      pid: 7,
      name: "amp",
      uid: 65532,
      handled: true,
      permitted: true,
    },
    reloads: [
      record({}),
      record({ startedWallMs: NOW_WALL_MS - 3_600_000, newHash: OLD.slice(0, 12), oldHash: "3c59dc048e88" }),
    ],
    nextRetryWallMs: null,
    restartRequired: [],
    settings: [
      { name: "config-file", value: "/etc/amp/config.yaml", source: "default" },
      {
        name: "reload-url",
        value: "http://***@localhost:8080/health/reload",
        source: "environment",
        variable: "RELOAD_URL",
      },
      { name: "interval", value: "5s", source: "flag" },
    ],
    ...more,
  };
}

/** The app said no; a retry is due. */
export function rejectedView(more: Partial<StatusView> = {}): StatusView {
  return goodView({
    inSync: false,
    inSyncSinceWallMs: NOW_WALL_MS - 42_000,
    outOfSyncReason: "the app rejected the new content: validation_failed",
    appliedDigest: OLD,
    reloads: [
      record({
        startedWallMs: NOW_WALL_MS - 10_000,
        outcome: "rejected",
        reason: 'validation_failed: <b>unknown key</b> "colour"',
        attempt: 3,
        causes: ["retry"],
        durationMs: 512,
      }),
      record({
        startedWallMs: NOW_WALL_MS - 27_000,
        outcome: "timeout",
        reason: "reload verification timeout: attempts stayed at 3",
        attempt: 2,
        causes: ["retry"],
        durationMs: 30_000,
      }),
      record({
        startedWallMs: NOW_WALL_MS - 42_000,
        outcome: "failed",
        reason: "Cannot send SIGHUP to PID 7: it runs as user 1000, the sidecar as 65532",
        triggerDelayMs: null,
        durationMs: 3,
      }),
      ...goodView().reloads,
    ],
    nextRetryWallMs: NOW_WALL_MS + 20_000,
    restartRequired: ["W600 tracer: endpoint"],
    ...more,
  });
}

/** A reload is being proved; much else is wrong, so that every part of the page shows. */
export function pendingView(more: Partial<StatusView> = {}): StatusView {
  return goodView({
    inSync: false,
    inSyncSinceWallMs: NOW_WALL_MS - 300,
    outOfSyncReason: "a reload is in progress",
    appliedDigest: OLD,
    files: [
      { path: "/etc/app/a.yaml", digest: NEW, sizeBytes: 1_048_576, error: null },
      {
        path:
          "/etc/app/a-very-long-directory-name-for-narrow-screens/with/a/deep/path/and-a-long-file-name.yaml",
        digest: null,
        sizeBytes: 0,
        error: "permission denied",
      },
    ],
    staleMounts: [{
      container: "app",
      reason: "subpath",
      mountPoint: "/etc/app/a.yaml",
      message: "/etc/app/a.yaml in the app is a subPath mount: it never changes; mount the directory instead",
    }],
    watcher: {
      method: "poll",
      reason: "no inotify watches left (fs.inotify.max_user_watches); looking every 5s",
      events: 0,
      errors: 3,
      lastScanWallMs: null,
    },
    target: {
      ok: false,
      message: "Several processes could be meant: PID 7 (amp), PID 12 (nginx); set --process-name",
      code: "ambiguous",
      pid: null,
      name: null,
      uid: null,
      handled: null,
      permitted: null,
    },
    reloads: [
      record({
        startedWallMs: NOW_WALL_MS - 300,
        outcome: "in progress",
        durationMs: null,
        triggerDelayMs: 1.1,
      }),
      ...goodView().reloads,
    ],
    ...more,
  });
}
