/**
 * The kinds of value a flag can take: how it is written, parsed and shown on the status page.
 * The flag table spreads them. Must know no flag by name.
 */

import { isGlob } from "../watch/glob.ts";
import { formatDuration, parseDurationMs } from "./duration.ts";
import { absolutePath } from "./paths.ts";
import { splitShellWords } from "./shell_words.ts";
import { parseSizeBytes } from "./size.ts";
import { hideUrlSecrets } from "../http/hide_url.ts";
import { parseAppUrl } from "./urls.ts";
import { quote, UsageError } from "./usage_error.ts";
import * as values from "./values.ts";

/** Parts of a flag that its kind of value decides. */
export interface Kind<T = unknown> {
  /** Stands for the value in help and messages; empty for a boolean, which takes none. */
  readonly placeholder: string;
  /**
   * Reads one value; relative paths count from `cwd`.
   * @throws {UsageError}
   */
  readonly parse: (text: string, cwd: string) => T;
  /** Text for people where the text given may hold a secret; else the parsed text or the text given is shown. */
  readonly show?: (text: string) => string;
}

/**
 * One of a closed set.
 */
export function oneOf<const C extends readonly [string, ...string[]]>(...choices: C): Kind<C[number]> {
  return {
    placeholder: choices.join("|"),
    parse: (text) => values.parseChoice<C[number]>(text, choices),
  };
}

/** A switch: `--once`, `--once=false`. */
export const SWITCH: Kind<boolean> = {
  placeholder: "",
  parse: values.parseBoolean,
};

/** A duration of at least 1 ms, in milliseconds: anything less would be a busy loop or a timeout that is over at once. */
export const DURATION: Kind<number> = { placeholder: "DURATION", parse: parsePositiveDuration };

/** A duration that may be zero, in milliseconds. */
export const DURATION_OR_ZERO: Kind<number> = { placeholder: "DURATION", parse: parseDurationMs };

/** `auto`, or a duration that may be zero. */
export const AUTO_OR_DURATION: Kind<number | "auto"> = {
  placeholder: "auto|DURATION",
  parse: (text) => text === "auto" ? text : parseDurationMs(text),
};

function parsePositiveDuration(text: string): number {
  const ms = parseDurationMs(text);
  if (ms < 1) throw new UsageError(`${quote(text)} is too short, want at least ${formatDuration(1)}`);
  return ms;
}

/** A size in bytes. */
export const SIZE: Kind<number> = { placeholder: "SIZE", parse: parseSizeBytes };

/** A file, made absolute. */
export const FILE: Kind<string> = { placeholder: "FILE", parse: parsePath };

/** A directory, made absolute; never a glob, whatever characters its name has. */
export const DIRECTORY: Kind<string> = { placeholder: "DIR", parse: absolutePath };

/** A file or a glob, made absolute. A trailing slash shows that a directory is meant. */
export const FILE_OR_GLOB: Kind<string> = {
  placeholder: "FILE",

  parse: (text, cwd) => {
    if (text.endsWith("/")) {
      throw new UsageError(`${quote(text)} is a directory, want a file (or use --watched-dir)`);
    }
    return absolutePath(text, cwd);
  },
};

function parsePath(text: string, cwd: string): string {
  // Brackets alone may well belong to a name.
  if (isGlob(text) && /[*?]/.test(text)) {
    throw new UsageError(`${quote(text)} is a glob, want one path (only --config-file takes globs)`);
  }
  return absolutePath(text, cwd);
}

/** A URL of the app; its secrets are hidden from people. */
export const APP_URL: Kind<string> = { placeholder: "URL", parse: parseAppUrl, show: hideUrlSecrets };

/** Program and arguments; only the program is shown, since an argument may be a secret. */
export const COMMAND: Kind<readonly string[]> = {
  placeholder: "COMMAND",
  parse: splitShellWords,
  show: (text) => {
    const [program, ...rest] = splitShellWords(text);
    return rest.length === 0
      ? program!
      : `${program} … (${rest.length} argument${rest.length > 1 ? "s" : ""})`;
  },
};

/** The name of an executable, without its directory. */
export const PROCESS_NAME: Kind<string> = {
  placeholder: "NAME",
  parse: (text) => {
    if (text.includes("/")) {
      throw new UsageError(`${quote(text)} is a path, want the name alone such as nginx`);
    }
    return text;
  },
};

/** A signal by name or number. */
export const SIGNAL: Kind<Deno.Signal> = {
  placeholder: "SIGNAL",
  parse: values.parseSignal,
};
/** `auto` or a process ID. */
export const PID: Kind<number | "auto"> = {
  placeholder: "auto|PID",
  parse: values.parsePid,
};
/** The part of a Lease's name after `config-reloader-`. */
export const LEASE_NAME: Kind<string> = { placeholder: "NAME", parse: values.parseLeaseName };
/** A TCP port; 0 lets the kernel pick one. */
export const PORT: Kind<number> = { placeholder: "PORT", parse: values.parsePort };
/** An address to listen on. */
export const HOST: Kind<string | null> = { placeholder: "HOST", parse: values.parseHost };
/** An HTTP method. */
export const METHOD: Kind<string> = {
  placeholder: "METHOD",
  parse: values.parseMethod,
};
/** A regular expression. */
export const REGEXP: Kind<RegExp> = { placeholder: "REGEXP", parse: values.parseRegExp };
/** A JSON pointer (RFC 6901). */
export const POINTER: Kind<string> = { placeholder: "POINTER", parse: values.parseJsonPointer };
/** `POINTER=VALUE`. */
export const POINTER_VALUE: Kind<{ readonly pointer: string; readonly value: string }> = {
  placeholder: "POINTER=VALUE",
  parse: values.parsePointerValue,
};
