/** Flags of what is watched, and of what happens to the content before the app is told. Data only. */

import type { Flags } from "../flag.ts";
import * as kind from "../kinds.ts";

/** The rows of this group. */
export const WATCHING_FLAGS = {
  "config-file": {
    ...kind.FILE_OR_GLOB,
    group: "Watching",
    default: "/etc/amp/config.yaml",
    plainVariable: "CONFIG_FILE",
    repeatable: true,
    origin: "seed",
    help: "file to watch, or a quoted glob; the default counts only without --watched-dir",
  },
  "watched-dir": {
    ...kind.DIRECTORY,
    group: "Watching",
    default: null,
    repeatable: true,
    origin: "off: one file is the common case",
    help: "directory whose every regular file counts, recursively",
  },
  "interval": {
    ...kind.DURATION,
    group: "Watching",
    default: "5s",
    plainVariable: "INTERVAL",
    origin: "seed",
    help: "full re-check, whatever the watcher says",
  },
  "watch-method": {
    ...kind.oneOf("auto", "inotify", "poll"),
    group: "Watching",
    default: "auto",
    origin: "contract: events where the kernel gives them, the interval always",
    help: "auto: kernel events and the interval; poll: the interval only",
  },
  "delay-interval": {
    ...kind.AUTO_OR_DURATION,
    group: "Watching",
    default: "auto",
    origin: "contract: only plain files are ever half-written",
    help:
      "quiet time before content counts; auto: none for atomically swapped volumes, 200 ms for plain files",
  },
  "max-file-size": {
    ...kind.SIZE,
    group: "Watching",
    default: "16MiB",
    origin: "contract: 16 times the largest ConfigMap",
    help: "a larger file is an error for that file, never a crash",
  },
  "validate": {
    ...kind.oneOf("none", "auto", "yaml", "json"),
    group: "Checking and rendering",
    default: "none",
    origin: "contract: the app knows its own syntax best",
    help: "content that does not parse is not sent to the app; auto: by file extension",
  },
  "check-command": {
    ...kind.COMMAND,
    group: "Checking and rendering",
    default: null,
    origin: "off: few images hold both the app's checker and this program",
    help:
      "program and arguments (quotes count, nothing is expanded, no shell); an exit code other than 0 means no trigger",
  },
  "config-envsubst-file": {
    ...kind.FILE,
    group: "Checking and rendering",
    default: null,
    origin: "off, as in prometheus-config-reloader",
    help:
      "write the single --config-file here before the trigger: gunzipped, $(VAR) expanded; not what --watched-dir has",
  },
  "output-dir": {
    ...kind.DIRECTORY,
    group: "Checking and rendering",
    default: null,
    origin: "off, as in prometheus-config-reloader",
    help: "the same for several files: each under its base name, or its path in its --watched-dir",
  },
} as const satisfies Flags;
