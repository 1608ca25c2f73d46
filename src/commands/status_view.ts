/**
 * What `/status` and the page show, gathered from the parts that know it, and what a person can do next about it: in
 * words, and as text to copy. Loaded when somebody looks; the YAML is that of `check`. It changes nothing.
 */

import type { Config } from "../config.ts";
import type { FileState, NextStep, StaleMount, StatusView, TargetView } from "../model.ts";
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

/** What the next step is found from. */
export type Facts = Pick<
  StatusView,
  | "inSync"
  | "outOfSyncReason"
  | "appliedDigest"
  | "files"
  | "staleMounts"
  | "target"
  | "reloads"
  | "proof"
  | "rollout"
>;

/** The next step; null where all is well, or where waiting is all there is to do. */
export function nextStep(view: Facts, config: Config, pod: Pod): NextStep | null {
  if (view.rollout?.state === "held") return heldStep(config, pod);
  const broken = view.files.find((file) => file.error !== null);
  if (broken !== undefined) return fileStep(broken, pod);
  const [stale] = view.staleMounts;
  if (stale !== undefined) return staleStep(stale, view.target?.name ?? "the app", pod);
  if (view.target !== null && !view.target.ok) return targetStep(view.target, config);
  if (!view.inSync) return reloadStep(view, config, pod);
  if (view.proof === "http-200" && config.verify === "auto") {
    return argsFix("name how the app reports its reloads, or say that any 200 is enough", "--verify=http");
  }
  return null;
}

function heldStep({ rolloutGroup }: Config, pod: Pod): NextStep {
  return {
    say: "fix the content, or let every pod take it as it is",
    command: kubectl(
      pod,
      `annotate lease config-reloader-${rolloutGroup}`,
      "config-reloader/state=proved --overwrite",
    ),
  };
}

/** Without a look at the disk, which may hang: `check` has one, and more to say. */
function fileStep({ path, error }: FileState, pod: Pod): NextStep {
  return fileFix(path, error!) ?? {
    say: "put the file back (a key of the ConfigMap that is gone, say), or name the one that is there with " +
      "--config-file; the app goes on with what it has. `check` says what the volume has",
    ...inKubernetes(pod, `exec ${pod.name}`, CHECK),
  };
}

function staleStep(stale: StaleMount, process: string, pod: Pod): NextStep {
  const fix = staleFix(stale, process);
  return fix.command === undefined ? fix : { say: fix.say, ...inKubernetes(pod, `delete pod ${pod.name}`) };
}

/** A command of `check` leaves the pod's name to the reader, and stands in none outside of Kubernetes. */
function targetStep(target: TargetView, config: Config): NextStep {
  const { say, yaml } = targetFix(target, config);
  return yaml === undefined ? { say } : { say, yaml };
}

/** After the last attempt, as it ended. */
function reloadStep(view: Facts, config: Config, pod: Pod): NextStep | null {
  const { reloads, appliedDigest } = view;
  const [current, before] = reloads;
  // While it is tried again, what stood in the way before still does.
  const last = current?.outcome === "in progress" && current.attempt > 1 ? before : current;
  const unsent = config.trigger === "http" && last !== undefined ? triggerFix(last.reason) : null;
  if (unsent !== null && (last?.outcome === "rejected" || last?.outcome === "failed")) return unsent;
  const goesOn = appliedDigest === null ? "" : ` and goes on with ${shortHash(appliedDigest)}`;
  switch (last?.outcome) {
    case "rejected":
      return {
        say: `the app refused this content${goesOn}. Fix it or go back; the app's own log has the details`,
        ...inKubernetes(pod, `logs ${pod.name}`, LOGS),
      };
    case "timeout":
      return statusFix(hideUrlSecrets(config.reloadUrl), last.reason, config.httpTimeoutMs) ?? {
        say:
          "the app did not confirm the reload. Is --reload-url where it reports, and what does its log say",
        ...inKubernetes(pod, `logs ${pod.name}`, LOGS),
      };
    case "invalid":
      return { say: "the content was not sent to the app. Fix it or go back" };
    case "failed":
      return { say: "see what stands in the way", ...inKubernetes(pod, `exec ${pod.name}`, CHECK) };
    default:
      return waitingStep(view, config);
  }
}

/** No reload was tried, or its end was forgotten: the app may give no status, for a reason that does not pass by itself. */
function waitingStep({ outOfSyncReason }: Facts, { reloadUrl, httpTimeoutMs }: Config): NextStep | null {
  const fix = statusFix(hideUrlSecrets(reloadUrl), outOfSyncReason, httpTimeoutMs);
  return fix === URL_FIX ? null : fix;
}

const LOGS = "-c APP_CONTAINER --tail=20";

function inKubernetes(pod: Pod, what: string, rest?: string): { command?: string } {
  return pod.inKubernetes ? { command: kubectl(pod, what, rest) } : {};
}

function kubectl({ namespace }: Pod, what: string, rest = ""): string {
  return `kubectl ${what}${namespace === null ? "" : ` -n ${namespace}`} ${rest}`.trimEnd();
}
