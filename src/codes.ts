/**
 * The stable codes of what can go wrong, each with its meaning: in the log's field `code` and in `check --log-format json`; those
 * of the target also in `/status`. Closed tables, so that the compiler knows every code there is; docs/troubleshooting.md has a heading
 * for each, held to these tables by a test. A code never changes its meaning, since alerts and scripts look for it.
 */

/**
 * Whether the next signal could be sent, and if not, why: every code that a look for the target can give, with its
 * meaning.
 * Also the label of `config_reload_target_ready{code}`.
 */
export const TARGET_CODES = {
  "ready": "the next signal can be sent",
  "starting": "the process has no handler yet and is younger than 5 s",
  "not-there": "the process that is meant does not run now, or its PID file is not there yet",
  "ambiguous": "more than one process could be meant",
  "supervisor":
    "the container's first process is a supervisor, and which process below it is meant cannot be seen",
  "permission": "the kernel does not let this user signal the process",
  "no-handler": "the process has no handler for the signal, or ignores it",
  "stale-mount": "the process cannot see new content through any mount it has",
  "no-shared-process-namespace": "no process of another container is visible",
  "own-container": "only processes of the sidecar's own container are visible",
  "host-init": "all processes of the machine are visible, or its init process is meant",
  "pause": "the pause process is meant",
  "self": "the sidecar itself is meant",
  "runtime": "the container runtime is about to become a container's process",
  "bad-pid": "the number is no process",
  "pid-file": "the PID file cannot be used",
  "hidden-proc": "/proc hides the processes of other users",
  "bad-proc": "/proc cannot be used",
} as const;
/** One of the codes. */
export type TargetCode = keyof typeof TARGET_CODES;

/** Why an attempt ended without success, beside the codes of a target. */
export const RELOAD_CODES = {
  "rejected": "the app reports that it refused the content",
  "timeout": "nothing proved a newer reload in time",
  "invalid": "the content does not pass --validate",
  "check-command": "the check command refused the content, and is tried again",
  "failed": "the content could not be rendered or checked",
  "killed": "the app died of the signal",
  "killed-before": "the app died of the signal with this content before",
  "changed": "the process is another one than the one that was looked up",
  "kill": "the kernel refused the signal for another reason than permission",
  "trigger-refused": "the app answered the request with a no",
  "trigger-status": "the request was answered by something that does not reload",
  "trigger-failed": "the request could not be sent",
  "trigger-unanswered": "the request was sent, and its answer is missing",
  "credentials": "a file with credentials cannot be used",
  "overtaken":
    "newer content came before the reload was proved; without a rollout it goes on at once and is never shown",
  "held": "the content failed in the pod of the group that tried it first",
  "turn-lost": "the turn in the rollout ran out before the trigger",
  "stopped": "the sidecar was stopped",
  "internal": "a fault of the sidecar's own",
} as const;
/** A code of the log and of `/status`. */
export type ReloadCode = keyof typeof RELOAD_CODES | TargetCode;

/** What `check` finds to be wrong, beside the codes of a target. */
export const CHECK_CODES = {
  "missing": "a watched path is not there",
  "unreadable": "the sidecar's user may not read a watched path",
  "bad-file": "what is there is no file that can be content",
  "replaced": "the volume was taken down and made anew under its mount",
  "subpath": "the sidecar's mount never receives updates",
  "file-mount": "a single file is mounted, which stays the old one when it is moved away",
  "app-subpath": "the app's mount never receives updates",
  "app-replaced": "the app's mount is of a volume that was taken down",
  "app-no-mount": "the app has no mount of the volume",
  "watch-limit": "the kernel's limit of inotify instances or watches is used up",
  "fifo": "a FIFO in a watched directory would hold up kernel events",
  "no-events": "the kernel gives no events for another reason",
  "unhandled": "the app has no handler for the signal, which is allowed",
  "unverified": "no reload is proved",
  "status-unusable": "the status URL gives no answer of use",
  "status-failed": "the app's last reload failed",
  "status-code": "the status URL answers another code than 200",
  "status-weak": "the status is in no known format, so that 200 is all there is",
  "unset-variable": "a variable of $(VAR) is not set",
  "output": "the output directory cannot be written to",
  "check-failed": "the check command refuses the content",
  "kubernetes-api": "the Kubernetes API cannot be asked",
  "kubernetes-role": "the service account may not make a request that the flags lead to",
  "port-taken": "another process listens on the own port",
  "tls-file": "certificate or key of the own server cannot be used",
  "not-in-sync": "the config-reloader that runs is not in sync with the disk",
  "auth-file": "the file with the own server's passwords cannot be used",
} as const;
/** A code of what `check` finds to be wrong; the last two pass by themselves. */
export type CheckCode = keyof typeof CHECK_CODES | ReloadCode | "setting" | "settling";
