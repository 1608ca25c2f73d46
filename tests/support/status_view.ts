/** Views for tests of `/status` and the page: one for each state in which somebody looks. */

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
    changed: [{ path: "/etc/amp/config.yaml", change: "changed", sizeBytes: 2_148, oldSizeBytes: 2_102 }],
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
    pod: "web-7f9c5d6b8-x2x4z",
    namespace: "shop",
    startedWallMs: NOW_WALL_MS - 3 * 3_600_000,
    nowWallMs: NOW_WALL_MS,
    inSync: true,
    inSyncSinceWallMs: NOW_WALL_MS - 60_000,
    proof: "counter",
    syncChanges: [
      { wallMs: NOW_WALL_MS - 3 * 3_600_000 + 150, inSync: true },
      { wallMs: NOW_WALL_MS - 1_800_000, inSync: false },
      { wallMs: NOW_WALL_MS - 1_500_000, inSync: true },
    ],
    outOfSyncReason: "",
    fix: null,
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
    rollout: null,
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
    syncChanges: [
      { wallMs: NOW_WALL_MS - 3 * 3_600_000 + 150, inSync: true },
      { wallMs: NOW_WALL_MS - 42_000, inSync: false },
    ],
    outOfSyncReason: "the app rejected the new content: validation_failed",
    fix: {
      say:
        "the app refused this content and goes on with 1f3870be274f. Fix it or go back; the app's own log has the details",
      command: "kubectl logs web-7f9c5d6b8-x2x4z -n shop -c APP_CONTAINER --tail=20",
    },
    appliedDigest: OLD,
    reloads: [
      record({
        startedWallMs: NOW_WALL_MS - 10_000,
        outcome: "rejected",
        reason: 'validation_failed: <b>unknown key</b> "colour"',
        proof: null,
        attempt: 3,
        causes: ["retry"],
        durationMs: 512,
      }),
      record({
        startedWallMs: NOW_WALL_MS - 27_000,
        outcome: "timeout",
        reason: "reload verification timeout: attempts stayed at 3",
        proof: null,
        attempt: 2,
        causes: ["retry"],
        durationMs: 30_000,
      }),
      record({
        startedWallMs: NOW_WALL_MS - 42_000,
        outcome: "failed",
        reason: "Cannot send SIGHUP to PID 7: it runs as user 1000, the sidecar as 65532",
        proof: null,
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

/** What the file's error says where the volume gave it to others. */
const DENIED =
  "permission denied: mode 0600, owner 0:0, this process is 65532:65532; set the volume's defaultMode " +
  "to 0444, or securityContext.fsGroup of the pod to 65532";

/** The content cannot be read any more. */
export function unreadableView(more: Partial<StatusView> = {}): StatusView {
  return goodView({
    inSync: false,
    inSyncSinceWallMs: NOW_WALL_MS - 125_000,
    outOfSyncReason: `Cannot read "/etc/amp/config.yaml": ${DENIED}`,
    fix: {
      say: "let kubelet give the volume a group that the sidecar is in",
      yaml: "spec:\n  securityContext:\n    fsGroup: 65532",
    },
    files: [{ path: "/etc/amp/config.yaml", digest: null, sizeBytes: 0, error: DENIED, fault: "denied" }],
    watcher: { ...goodView().watcher, lastScanWallMs: NOW_WALL_MS - 125_000 },
    ...more,
  });
}

/** The file is gone. */
export function missingView(more: Partial<StatusView> = {}): StatusView {
  const error = "the volume has no key config.yaml; it has other-configuration.yaml";
  return unreadableView({
    outOfSyncReason: `Cannot read "/etc/amp/config.yaml": missing: ${error}`,
    fix: { say: `put the key back into the ConfigMap, or name the one that is there with --config-file` },
    files: [{
      path: "/etc/amp/config.yaml",
      digest: null,
      sizeBytes: 0,
      error: `missing: ${error}`,
      fault: "missing",
    }],
    ...more,
  });
}

const UNREACHED = { pid: null, name: null, uid: null, handled: null, permitted: null } as const;

/** In sync, and the next change could not be sent. */
export function noPermissionView(more: Partial<StatusView> = {}): StatusView {
  return goodView({
    fix: {
      say: "run both containers as the same user",
      yaml: "containers:\n  - name: config-reloader\n    securityContext:\n      runAsUser: 1000",
    },
    target: {
      ...goodView().target!,
      ok: false,
      code: "permission",
      message: "No permission to signal PID 7 (amp): it runs as user 1000, the sidecar as 65532; " +
        "set securityContext.runAsUser to 1000 in both containers",
      uid: 1000,
      permitted: false,
    },
    ...more,
  });
}

/** Nobody can be told from the others. */
export function ambiguousView(more: Partial<StatusView> = {}): StatusView {
  return goodView({
    fix: {
      say: "say which it is, one of amp, nginx",
      yaml: "containers:\n  - name: config-reloader\n    args:\n      - --process-name=amp",
    },
    target: {
      ...UNREACHED,
      ok: false,
      code: "ambiguous",
      message:
        "Several processes could be meant: PID 7 (amp), PID 12 (nginx), PID 31 (a-program-with-a-very-long-name-of-" +
        "its-own); set --process-name, --process-cmdline or --pid-file",
      names: ["amp", "nginx", "a-program-with-a-very-long-name-of-its-own"],
    },
    ...more,
  });
}

/** Another pod tried this content first, and its app refused it. */
export function heldView(more: Partial<StatusView> = {}): StatusView {
  const held =
    "Held: web-7f9c5d6b8-9qk2p tried this content first and its app rejected it: validation_failed";
  return goodView({
    inSync: false,
    inSyncSinceWallMs: NOW_WALL_MS - 42_000,
    outOfSyncReason: held,
    rollout: { mode: "canary", group: "web", state: "held", message: held },
    appliedDigest: OLD,
    fix: {
      say: "fix the content, or let every pod take it as it is",
      command: "kubectl annotate lease config-reloader-web -n shop config-reloader/state=proved --overwrite",
    },
    ...more,
  });
}

/** Any page answers with 200 there. */
export function weakView(more: Partial<StatusView> = {}): StatusView {
  return goodView({
    proof: "http-200",
    fix: {
      say: "name how the app reports its reloads, or say that any 200 is enough",
      yaml: "containers:\n  - name: config-reloader\n    args:\n      - --verify=http",
    },
    reloads: [record({ proof: "http-200" }), ...goodView().reloads],
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
        fault: "denied",
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
      ...UNREACHED,
      ok: false,
      message: "Several processes could be meant: PID 7 (amp), PID 12 (nginx); set --process-name",
      code: "ambiguous",
    },
    reloads: [
      record({
        startedWallMs: NOW_WALL_MS - 300,
        outcome: "in progress",
        proof: null,
        durationMs: null,
        triggerDelayMs: 1.1,
      }),
      ...goodView().reloads,
    ],
    ...more,
  });
}
