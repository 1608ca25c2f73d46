/** The YAML to paste for each fault. Pure; in the words of a pod's spec, since that is where it goes. */

import type { TargetCode } from "../../model.ts";
import type { Fix } from "./finding.ts";

/**
 * Arguments for the sidecar.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.match(argsFix("say which", "--pid-file=/a: b").yaml!, /\n    args:\n      - "--pid-file=\/a: b"$/);
 * ```
 */
export function argsFix(say: string, ...args: string[]): Fix {
  return {
    say,
    yaml: [
      "containers:",
      "  - name: config-reloader",
      "    args:",
      ...args.map((arg) => `      - ${yamlString(arg)}`),
    ].join("\n"),
  };
}

/** Facts that the fix of a target needs. */
export interface TargetFacts {
  readonly signal: string;
  /** User of the application; null where it is not known. */
  readonly uid: number | null;
  /** Names of those that could be meant. */
  readonly names: readonly string[];
  /** How the settings name it. */
  readonly by: "auto" | "pid" | "pid-file" | "name";
}

/**
 * The fix for a target's code; undefined where waiting is all there is to do.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const facts = { signal: "SIGHUP", uid: 101, names: ["nginx", "php-fpm"], by: "auto" as const };
 * assert.match(targetFix("permission", facts)!.yaml!, /runAsUser: 101/);
 * assert.match(targetFix("ambiguous", facts)!.yaml!, /--process-name=nginx/);
 * assert.equal(targetFix("starting", facts), undefined);
 * ```
 */
export function targetFix(code: TargetCode, { signal, uid, names, by }: TargetFacts): Fix | undefined {
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
      return argsFix(`say which it is, one of ${names.join(", ")}`, `--process-name=${names[0] ?? "NAME"}`);
    case "not-there":
      if (by === "pid-file") return pidFileFix();
      if (by !== "name") return undefined;
      return argsFix("start the application, or name its program as it is visible", "--process-name=NAME");
    case "bad-pid":
    case "self":
    case "pause":
      return argsFix(
        "take --pid out, or name the application's program",
        `--process-name=${names[0] ?? "NAME"}`,
      );
    case "hidden-proc":
    case "permission":
      return userFix(uid);
    case "no-handler":
      return argsFix(
        `if the application reloads on another signal or by a request, use that instead of ${signal}`,
        "--trigger=http",
        "--trigger-url=http://localhost:PORT/-/reload",
      );
    case "pid-file":
      return pidFileFix();
    default:
      return undefined;
  }
}

function pidFileFix(): Fix {
  return argsFix(
    "let the application write it where both containers mount a volume, or name its program",
    "--process-name=NAME",
  );
}

function userFix(uid: number | null): Fix {
  return {
    say: "run both containers as the same user",
    yaml: [
      "containers:",
      "  - name: config-reloader",
      "    securityContext:",
      `      runAsUser: ${uid ?? "USER_OF_THE_APPLICATION"}`,
    ].join("\n"),
  };
}

/**
 * A volume mounted whole into a container.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { yaml } = mountFix("mount it", "app", "/etc/app: a");
 * assert.match(yaml!, /name: app\n.*\n.*name: config\n +mountPath: "\/etc\/app: a" /);
 * ```
 */
export function mountFix(say: string, container: string, directory: string): Fix {
  return {
    say,
    yaml: [
      "containers:",
      `  - name: ${container}`,
      "    volumeMounts:",
      "      - name: config",
      `        mountPath: ${yamlString(directory)}  # a directory, without subPath`,
    ].join("\n"),
  };
}

/**
 * A ConfigMap that is not mounted yet.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { yaml } = volumeFix("/etc/app");
 * assert.match(yaml!, /configMap:\n +name: NAME_OF_THE_CONFIGMAP[^]*mountPath: \/etc\/app$/);
 * ```
 */
export function volumeFix(directory: string): Fix {
  return {
    say: "mount the ConfigMap into both containers",
    yaml: [
      "spec:",
      "  volumes:",
      "    - name: config",
      "      configMap:",
      "        name: NAME_OF_THE_CONFIGMAP",
      "  containers:",
      "    - name: config-reloader",
      "      volumeMounts:",
      "        - name: config",
      `          mountPath: ${yamlString(directory)}`,
    ].join("\n"),
  };
}

/**
 * A volume whose files the sidecar's user may not read.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.match(readableFix(65532).yaml!, /fsGroup: 65532/);
 * ```
 */
export function readableFix(uid: number): Fix {
  return {
    say: "let kubelet give the volume a group that the sidecar is in",
    yaml: `spec:\n  securityContext:\n    fsGroup: ${uid}`,
  };
}

/** Quoted only where YAML would take it for something else. */
function yamlString(text: string): string {
  return /^[A-Za-z/-][\w./=:+~-]*$/.test(text) && !/:$|: /.test(text) ? text : JSON.stringify(text);
}
