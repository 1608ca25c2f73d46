/**
 * The kinds of value a flag can take: how it is written, parsed and shown on the status page. Knows no flag by name, and
 * never touches the disk.
 */

import { hideUrlSecrets, refusedPortOf } from "../http/urls.ts";
import { isPid, PID_MAX, SIGNALS } from "../linux.ts";
import { isGlob } from "../glob.ts";
import { quote, UsageError } from "./usage_error.ts";
import { absolutePath, parseDurationMs, parseSizeBytes, splitShellWords } from "./values.ts";
import { messageOf, orList, plural } from "../text.ts";

/** Parts of a flag that its kind of value decides. */
export interface Kind {
  /** Stands for the value in help and messages; empty for a boolean, which takes none. */
  readonly placeholder: string;
  /** Reads one value; relative paths count from `cwd`. @throws {UsageError} that says what was wanted */
  readonly parse: (text: string, cwd: string) => unknown;
  /** What the field of the Config counts in, at the end of its name; for numbers with a unit. */
  readonly unit?: "Ms" | "Bytes";
  /** Text for people where the text given may hold a secret; else the parsed text or the text given is shown. */
  readonly show?: (text: string) => string;
}

/** @throws {UsageError} with the value and what is wrong with it. */
function refuse(text: string, problem: string): never {
  throw new UsageError(`${quote(text)} ${problem}`);
}

/** A kind whose `read` gives undefined for what it does not take; `problem` says what is wrong then. */
function kind(placeholder: string, problem: string, read: (text: string) => unknown): Kind {
  return { placeholder, parse: (text) => read(text) ?? refuse(text, problem) };
}

/** One of a closed set, in any case. */
export function oneOf(...choices: string[]): Kind {
  const find = (text: string) => choices.find((choice) => choice === text.toLowerCase());
  return kind(choices.join("|"), `is unknown, want ${orList(choices)}`, find);
}

/** A switch: `--once`, `--once=false`; also `1` and `0`, in any case. */
export const SWITCH = kind(
  "",
  "is neither, want true or false",
  (text) => /^(?:true|1)$/i.test(text) || (/^(?:false|0)$/i.test(text) ? false : undefined),
);

/** A duration of at least 1 ms, in milliseconds: anything less would be a busy loop or a timeout that is over at once. */
export const DURATION: Kind = {
  placeholder: "DURATION",
  unit: "Ms",
  parse: (text) => {
    const ms = parseDurationMs(text);
    return ms < 1 ? refuse(text, "is too short, want at least 1ms") : ms;
  },
};

/** A duration that may be zero, in milliseconds. */
export const DURATION_OR_ZERO: Kind = { ...DURATION, parse: (text) => parseDurationMs(text) };

/** `auto`, or a duration that may be zero. */
export const AUTO_OR_DURATION: Kind = {
  placeholder: "auto|DURATION",
  unit: "Ms",
  parse: (text) => text === "auto" ? text : parseDurationMs(text, "auto or "),
};

/** A size in bytes. */
export const SIZE: Kind = { placeholder: "SIZE", unit: "Bytes", parse: parseSizeBytes };

/** A file, made absolute. */
export const FILE: Kind = {
  placeholder: "FILE",
  // Brackets alone may well belong to a name.
  parse: (text, cwd) =>
    isGlob(text) && /[*?]/.test(text)
      ? refuse(text, "is a glob, want one path (only --config-file takes globs)")
      : absolutePath(text, cwd),
};

/** A directory, made absolute; never a glob, whatever characters its name has. */
export const DIRECTORY: Kind = { placeholder: "DIR", parse: absolutePath };

/** A file or a glob, made absolute. A trailing slash shows that a directory is meant. */
export const FILE_OR_GLOB: Kind = {
  placeholder: "FILE",
  parse: (text, cwd) =>
    text.endsWith("/")
      ? refuse(text, "is a directory, want a file (or use --watched-dir)")
      : absolutePath(text, cwd),
};

/** A URL of the app, as written: `http://`, `https://`, or `unix:/path/to.sock:/path` for a unix socket. */
export const APP_URL: Kind = {
  placeholder: "URL",
  show: hideUrlSecrets,
  parse: (text) => {
    const shown = hideUrlSecrets(text);
    // deno-lint-ignore no-control-regex -- `new URL` silently drops tabs and line ends
    const clean = !/[\s\x00-\x1f\x7f]/.test(text);
    if (clean && /^unix:\/[^:]+:\//.test(text)) return text;
    if (!clean || !/^https?:\/\/[^/?#\\]/i.test(text) || !URL.canParse(text)) {
      return refuse(shown, "is no URL, want http://HOST:PORT/PATH, https://… or unix:/SOCKET:/PATH");
    }
    const port = refusedPortOf(text);
    if (port === null) return text;
    const problem = `has the port ${port}, to which the Fetch standard forbids requests`;
    return refuse(shown, `${problem}, want another port or a unix socket`);
  },
};

/** Program and arguments; only the program is shown, since an argument may be a secret. */
export const COMMAND: Kind = {
  placeholder: "COMMAND",
  parse: splitShellWords,
  show: (text) => {
    const [program, ...{ length }] = splitShellWords(text);
    return length === 0 ? program! : `${program} … (${plural(length, "argument")})`;
  },
};

/** The name of an executable, without its directory. */
export const PROCESS_NAME = kind(
  "NAME",
  "is a path, want the name alone such as nginx",
  (text) => text.includes("/") ? undefined : text,
);

/** A signal: `SIGHUP`, `HUP`, `hup` or `1`. KILL and STOP cannot be handled, so no app reloads by them. */
export const SIGNAL = kind(
  "SIGNAL",
  "is no signal, want a name or number such as SIGHUP, HUP or 1",
  (text) => {
    const upper = text.toUpperCase();
    const signal = /^\d{1,2}$/.test(text)
      ? SIGNALS[Number(text) - 1]
      : SIGNALS.find((name) => name === upper || name === `SIG${upper}`);
    return signal === "SIGKILL" || signal === "SIGSTOP"
      ? refuse(text, "cannot be handled by any app, want one such as SIGHUP or SIGUSR1")
      : signal;
  },
);

/** `auto`, or a PID from 1 to {@linkcode PID_MAX}: never 0 or negative, which would signal process groups. */
export const PID = kind("auto|PID", `is no PID, want auto or 1 to ${PID_MAX}`, (text) => {
  if (text === "auto") return text;
  return /^\d+$/.test(text) && isPid(Number(text)) ? Number(text) : undefined;
});

/** The part of a Lease's name after `config-reloader-`: the whole is a DNS subdomain of 253 characters at most (RFC 1123). */
export const LEASE_NAME = kind(
  "NAME",
  "cannot be part of a Lease's name, want lower-case letters, digits and dashes such as web",
  (text) => {
    const label = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";
    return text.length <= 237 && new RegExp(`^${label}(?:\\.${label})*$`).test(text) ? text : undefined;
  },
);

/** A TCP port, 0 to 65535; 0 lets the kernel pick one. */
export const PORT = kind(
  "PORT",
  "is no port, want 0 to 65535",
  (text) => /^\d{1,5}$/.test(text) && Number(text) <= 65535 ? Number(text) : undefined,
);

/** A host name or address to listen on; `[::1]` loses its brackets, and `all addresses` is the default's text. */
export const HOST: Kind = {
  placeholder: "HOST",
  parse: (text) => {
    if (text === "all addresses") return null;
    const host = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
    const valid = host.includes(":")
      ? URL.canParse(`http://[${host}]/`)
      : /^[0-9a-z_.-]+$/i.test(host) && URL.canParse(`http://${host}/`);
    if (valid) return host;
    return refuse(text, "is no host, want a name or address without port such as 127.0.0.1 or ::1");
  },
};

/** An HTTP method in upper case; not those that `fetch` refuses (Fetch standard, forbidden methods). */
export const METHOD = kind(
  "METHOD",
  "cannot be sent, want a method such as POST, PUT or GET",
  (text) => /^(?!(?:connect|trace|track)$)[a-z]+$/i.test(text) ? text.toUpperCase() : undefined,
);

/** A JavaScript regular expression, found anywhere in the text unless it has anchors. */
export const REGEXP: Kind = {
  placeholder: "REGEXP",
  parse: (text) => {
    try {
      return new RegExp(text);
    } catch (error) {
      const reason = messageOf(error).replace(/^.*: (?=[^:]*$)/s, "");
      return refuse(text, `is no regular expression (${reason}), want one such as "nginx: master"`);
    }
  },
};

const isPointer = (text: string) => /^(?:\/(?:[^~/]|~[01])*)+$/.test(text);

/** A JSON pointer (RFC 6901) to a value inside a document: `/data/0/name`, with `~0` for `~` and `~1` for `/`. */
export const POINTER = kind(
  "POINTER",
  "is no JSON pointer, want one such as /data/version",
  (text) => isPointer(text) ? text : undefined,
);

/** `POINTER=VALUE`, cut at the first `=`; an empty value means an empty string. */
export const POINTER_VALUE = kind(
  "POINTER=VALUE",
  "is no POINTER=VALUE, want one such as /status=ok",
  (text) => {
    const [pointer = "", ...rest] = text.split("=");
    if (rest.length > 0 && isPointer(pointer)) return { pointer, value: rest.join("=") };
  },
);
