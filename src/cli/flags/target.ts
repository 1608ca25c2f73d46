/** Flags of how and whom to trigger. Data only. */

import type { Flags } from "../flag.ts";
import * as kind from "../kinds.ts";

/** The rows of this group. */
export const TARGET_FLAGS = {
  "trigger": {
    ...kind.oneOf("signal", "http", "none"),
    group: "Trigger and target",
    default: "signal",
    origin: "the original sends a signal",
    help: "what makes the app read its configuration",
  },
  "signal": {
    ...kind.SIGNAL,
    group: "Trigger and target",
    default: "SIGHUP",
    origin: "the original's signal, and the custom of daemons",
    help: "signal to send",
  },
  "pid": {
    ...kind.PID,
    group: "Trigger and target",
    default: "auto",
    origin: "contract: PID 1 of a pod is the pause process",
    help: "auto: the app's first process in the pod; 1 only where PID 1 is the app",
  },
  "pid-file": {
    ...kind.FILE,
    group: "Trigger and target",
    default: null,
    origin: "off: --pid auto",
    help: "file that holds the PID, read afresh before each signal",
  },
  "process-name": {
    ...kind.PROCESS_NAME,
    group: "Trigger and target",
    default: null,
    origin: "off: --pid auto",
    help: "name of the executable: argv[0]'s base name, or the kernel's comm",
  },
  "process-cmdline": {
    ...kind.REGEXP,
    group: "Trigger and target",
    default: null,
    origin: "off: --pid auto",
    help: "regular expression on the whole command line",
  },
  "allow-unhandled-signal": {
    ...kind.SWITCH,
    group: "Trigger and target",
    default: "false",
    origin: "contract: such a signal kills",
    help: "signal a process that has no handler for the signal (it would die)",
  },
  "trigger-url": {
    ...kind.APP_URL,
    group: "Trigger and target",
    default: null,
    repeatable: true,
    origin: "off: no app shares a path with another",
    help: "URL for --trigger http; all must succeed; unix:/path/to.sock:/-/reload for a unix socket",
  },
  "trigger-method": {
    ...kind.METHOD,
    group: "Trigger and target",
    default: "POST",
    origin: "the method of Prometheus's /-/reload",
    help: "HTTP method of --trigger http",
  },
} as const satisfies Flags;
