/**
 * What `/status` and the page show, gathered from the parts that know it, and what a person can do next about it: in
 * words, and as text to copy. Loaded when somebody looks; the YAML is that of `check`. It changes nothing.
 */

import type { Config } from "../config.ts";
import type { NextStep, StatusView } from "../model.ts";
import type { Loop } from "../loop/loop.ts";
import { hideUrlSecrets } from "../http/urls.ts";
import { type Pod, readPod } from "../pod.ts";
import type { Clock, Watcher } from "../ports.ts";
import type { Recorder } from "../record/recorder.ts";
import { shortHash } from "../text.ts";
import { REVISION, VERSION } from "../version.ts";
import { argsFix, CHECK, fileFix, staleFix, targetFix } from "./check/fixes.ts";
import { statusFix, triggerFix, URL_FIX } from "./check/url_fixes.ts";

/** What `/status` shows, gathered from the parts that know it. */
export async function statusView(
  config: Config,
  startedWallMs: number,
  parts: { clock: Clock; recorder: Recorder; watcher: Watcher; loop: Loop },
): Promise<StatusView> {
  const pod = await readPod((name) => Deno.env.get(name));
  const model = parts.loop.model();
  const recorded = parts.recorder.view(model);
  return {
    version: VERSION,
    revision: REVISION,
    pod: pod.name,
    namespace: pod.namespace,
    startedWallMs,
    nowWallMs: parts.clock.wallMs(),
    ...recorded,
    fix: nextStep(recorded, config, pod),
    watcher: { ...parts.watcher.view(), lastScanWallMs: model.lastScanWallMs },
    settings: config.settings,
  };
}

type Recorded = Pick<StatusView, keyof ReturnType<Recorder["view"]>>;

/** Lines for a shell that help in this pod; none outside of Kubernetes. */
function commandsFor({ name, namespace, inKubernetes }: Pod) {
  const kubectl = (what: string, rest = "") =>
    `kubectl ${what}${namespace === null ? "" : ` -n ${namespace}`} ${rest}`.trimEnd();
  const command = (what: string, rest?: string) => inKubernetes ? { command: kubectl(what, rest) } : {};
  return {
    check: command(`exec ${name}`, CHECK),
    logs: command(`logs ${name}`, "-c APP_CONTAINER --tail=20"),
    restart: command(`delete pod ${name}`),
    prove: (group: string | null) => ({
      command: kubectl(`annotate lease config-reloader-${group}`, "config-reloader/state=proved --overwrite"),
    }),
  };
}

/** The next step; null where all is well, or where waiting is all there is to do. */
export function nextStep(view: Recorded, config: Config, pod: Pod): NextStep | null {
  const { check, restart, prove } = commandsFor(pod);
  if (view.rollout?.state === "held") {
    return { say: "fix the content, or let every pod take it as it is", ...prove(config.rolloutGroup) };
  }
  const broken = view.files.find((file) => file.error !== null && !file.leftOut);
  if (broken !== undefined) {
    // Without a look at the disk, which may hang: `check` has one, and more to say.
    return fileFix(broken) ?? {
      say:
        "put the file back (a key of the ConfigMap that is gone, say), or name the one that is there with " +
        "--config-file; the app goes on with what it has. `check` says what the volume has",
      ...check,
    };
  }
  const [stale] = view.staleMounts;
  if (stale !== undefined) {
    const fix = staleFix(stale, view.target?.name ?? "the app");
    return fix.command === undefined ? fix : { say: fix.say, ...restart };
  }
  if (view.target?.ok === false) {
    // A command of `check` leaves the pod's name to the reader, and stands in none outside of Kubernetes.
    const { say, yaml } = targetFix(view.target, config);
    return yaml === undefined ? { say } : { say, yaml };
  }
  if (!view.inSync) return reloadStep(view, config, pod);
  if (view.proof === "http-200" && config.verify === "auto") {
    return argsFix("name how the app reports its reloads, or say that any 200 is enough", "--verify=http");
  }
  return null;
}

/** After the last attempt, as it ended. */
function reloadStep(view: Recorded, config: Config, pod: Pod): NextStep | null {
  const { reloads: [current, before], appliedDigest } = view;
  // While it is tried again, what stood in the way before still does.
  const last = current?.outcome === "in progress" && current.attempt > 1 ? before : current;
  const { check, logs } = commandsFor(pod);
  const unsent = config.trigger === "http" && last !== undefined ? triggerFix(last.reason) : null;
  if (unsent !== null && (last?.outcome === "rejected" || last?.outcome === "failed")) return unsent;
  const goesOn = appliedDigest === null ? "" : ` and goes on with ${shortHash(appliedDigest)}`;
  switch (last?.outcome) {
    case "rejected":
      return {
        say: `the app refused this content${goesOn}. Fix it or go back; the app's own log has the details`,
        ...logs,
      };
    case "timeout":
      return statusFix(hideUrlSecrets(config.reloadUrl), last.reason, config.httpTimeoutMs) ?? {
        say:
          "the app did not confirm the reload. Is --reload-url where it reports, and what does its log say",
        ...logs,
      };
    case "invalid":
      return { say: "the content was not sent to the app. Fix it or go back" };
    case "failed":
      return { say: "see what stands in the way", ...check };
    default:
      return waitingStep(view, config);
  }
}

/** No reload was tried, or its end was forgotten: the app may give no status, for a reason that does not pass by itself. */
function waitingStep({ outOfSyncReason }: Recorded, { reloadUrl, httpTimeoutMs }: Config): NextStep | null {
  const fix = statusFix(hideUrlSecrets(reloadUrl), outOfSyncReason, httpTimeoutMs);
  return fix === URL_FIX ? null : fix;
}
