/** What to paste for each fault; YAML in the words of a pod's spec, since that is where it goes. */

import type { Config } from "../../config.ts";
import type { FileState, StaleMount, TargetView } from "../../model.ts";
import { parentOf } from "../../paths.ts";
import type { Fix } from "./finding.ts";

/** Lines of the sidecar's part in a pod's spec, where it stands as what cannot be seen from within. */
const inSidecar = (...lines: string[]) =>
  ["containers:  # initContainers: for a native sidecar", "  - name: config-reloader", ...lines].join("\n");

/** A volume that the sidecar mounts: its source, and where. */
const withVolume = (name: string, source: string[], directory: string) =>
  [
    "spec:",
    "  volumes:",
    `    - name: ${name}`,
    ...source.map((line) => `      ${line}`),
    inSidecar(
      "    volumeMounts:",
      `      - name: ${name}`,
      `        mountPath: ${yamlString(directory)}`,
    ).replace(/^/gm, "  "),
  ].join("\n");

const sidecarFix = (say: string, ...lines: string[]): Fix => ({ say, yaml: inSidecar(...lines) });

/** Arguments for the sidecar. */
export function argsFix(say: string, ...args: string[]): Fix {
  return sidecarFix(say, "    args:", ...args.map((arg) => `      - ${yamlString(arg)}`));
}

const PID_FILE_FIX = argsFix(
  "let the application write it where both containers mount a volume, or name its program",
  "--process-name=NAME",
);

/** What follows the pod's name where `kubectl exec` runs this command. */
export const CHECK = "-c config-reloader -- /config-reloader check";

/** The fix for what is wrong with the target. */
export function targetFix(
  { code, uid, names = [] }: Pick<TargetView, "code" | "uid" | "names">,
  { signal, pid, pidFile, processName, processCmdline }: Config,
): Fix {
  switch (code) {
    case "no-shared-process-namespace":
      return {
        say: "let the containers of the pod see each other's processes",
        yaml: "spec:\n  shareProcessNamespace: true",
      };
    case "host-init":
      return {
        say: "share the pod's processes, not the node's",
        yaml: "spec:\n  hostPID: false\n  shareProcessNamespace: true",
      };
    case "own-container":
      return argsFix("name the application's program", "--process-name=NAME");
    case "ambiguous":
      // Another name would not tell them apart.
      if (names.length === 1 || processName !== null || processCmdline !== null) {
        return argsFix("say which it is by its arguments", "--process-cmdline=PATTERN");
      }
      return argsFix(`say which it is, one of ${names.join(", ")}`, `--process-name=${names[0] ?? "NAME"}`);
    case "not-there":
      if (pidFile !== null) return PID_FILE_FIX;
      if (processName !== null || processCmdline !== null) {
        return argsFix("start the application, or name its program as it is visible", "--process-name=NAME");
      }
      if (pid !== "auto") {
        return argsFix("find it by its program, since numbers change", "--process-name=NAME");
      }
      return argsFix(
        "start the application; where it runs, give its own status URL, or name its program with --process-name",
        "--reload-url=http://localhost:PORT/PATH",
      );
    case "bad-pid":
    case "self":
    case "pause":
      return argsFix("take --pid out, or name the application's program", "--process-name=NAME");
    case "hidden-proc":
    case "permission":
      return userFix(uid);
    case "supervisor":
      return argsFix("name the application's program, not its supervisor", "--process-name=NAME");
    case "no-handler":
      return argsFix(
        `if the application reloads on another signal or by a request, use that instead of ${signal}`,
        "--trigger=http",
        "--trigger-url=http://localhost:PORT/-/reload",
      );
    case "pid-file":
      return PID_FILE_FIX;
    case "bad-proc":
      return {
        say: "take the mount of another /proc out of the sidecar's volumeMounts",
        command: "kubectl edit deployment NAME",
      };
    case "stale-mount":
      return RESTART;
    case "runtime":
    case "starting":
    case "ready":
      return { say: "wait a moment, and check again", command: `kubectl exec POD ${CHECK}` };
  }
}

/** The sidecar as the user of the application, or of a volume; null where that is not known. */
export function userFix(uid: number | null): Fix {
  const user = `      runAsUser: ${uid ?? "USER_OF_THE_APPLICATION"}`;
  return sidecarFix("run both containers as the same user", "    securityContext:", user);
}

/** Variables of the sidecar that have no value yet. */
export function envFix(names: readonly string[]): Fix {
  const variables = names.flatMap((name) => [`      - name: ${name}`, '        value: "VALUE"']);
  return sidecarFix("give the sidecar a value for each, or leave it as text", "    env:", ...variables);
}

/**
 * A volume mounted whole into a container: the sidecar, or the application by the name of its process, since the name of
 * its container cannot be seen from within the pod.
 */
export function mountFix(
  say: string,
  container: "config-reloader" | { readonly process: string },
  directory: string,
  volume = "config",
): Fix {
  const lines = [
    "    volumeMounts:",
    `      - name: ${volume}`,
    `        mountPath: ${yamlString(directory)}  # a directory, without subPath`,
  ];
  if (container === "config-reloader") return sidecarFix(say, ...lines);
  const name = `  - name: APP_CONTAINER  # the one that runs ${container.process}`;
  return { say, yaml: ["containers:", name, ...lines].join("\n") };
}

/** Credentials, or certificate and key, as files of a Secret. */
export const SECRET_FIX: Fix = {
  say: "mount the Secret that holds it into the sidecar, whole and readable for its user",
  yaml: withVolume(
    "credentials",
    ["secret:", "  secretName: NAME_OF_THE_SECRET", "  defaultMode: 0440"],
    "/etc/credentials",
  ),
};

/** A ConfigMap that is not mounted yet. */
export function volumeFix(directory: string): Fix {
  return {
    say: "mount the ConfigMap into both containers",
    yaml: withVolume("config", ["configMap:", "  name: NAME_OF_THE_CONFIGMAP"], directory),
  };
}

/** A volume, or a single file, that was made anew under its mounts. */
export const RESTART: Fix = {
  say: "restart the pod: its running containers keep the old mount for ever",
  command: "kubectl delete pod NAME",
};

/** A mount that can never change again; `process` is the application's where it is one of its own. */
export function staleFix({ container, reason, mountPoint }: StaleMount, process = "the app"): Fix {
  if (reason === "replaced") return RESTART;
  const where = container === "app" ? { process } : "config-reloader";
  return mountFix("mount the whole volume, without subPath", where, parentOf(mountPoint));
}

/** What to change about a file that cannot be read; null where nothing is there. */
export function fileFix({ path, fault }: Pick<FileState, "path" | "fault">): Fix | null {
  switch (fault) {
    case "missing":
      return null;
    case "denied":
      return {
        say: "let kubelet give the volume a group that the sidecar is in",
        yaml: `spec:\n  securityContext:\n    fsGroup: ${Deno.uid() ?? 65532}`,
      };
    case "directory":
      return argsFix("watch it as a directory", `--watched-dir=${path}`);
    case "no-directory":
      return argsFix("watch it as a file", `--config-file=${path}`);
    case "too-large":
      return argsFix("raise the limit, and the container's memory with it", "--max-file-size=64MiB");
    case "leads-out":
      // Whoever made the link chose where it leads: that is nothing to paste.
      return argsFix(
        "remove the link; only where the application is meant to read what it leads to, name that itself",
        "--config-file=/PATH/OF/A/FILE",
      );
    default:
      return argsFix("put a regular file there, or watch another path", "--config-file=/PATH/OF/A/FILE");
  }
}

/** Quoted only where YAML would take it for something else. */
function yamlString(text: string): string {
  return /^[A-Za-z/-][\w./=:+~-]*$/.test(text) && !/:$|: /.test(text) ? text : JSON.stringify(text);
}
