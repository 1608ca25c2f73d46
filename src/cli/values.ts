/**
 * Parsers of the smaller values: signals, numbers, hosts, methods, expressions, JSON pointers. Each takes the text of
 * one value and returns it typed, or throws a {@linkcode UsageError} that says what was wanted.
 */

import { orList, quote, UsageError } from "./usage_error.ts";

/**
 * Linux signals by number (signal(7), the numbers of x86-64 and arm64), 1 to 31; what `Deno.kill` can send.
 * The real-time signals have no name there.
 */
export const SIGNALS = [
  ...[
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
  ],
  ...["SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP"],
  ...["SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH"],
  ...["SIGIO", "SIGPWR", "SIGSYS"],
] as readonly Deno.Signal[];

/**
 * `SIGHUP`, `HUP`, `hup` or `1`. KILL and STOP cannot be handled, so no app reloads by them.
 */
export function parseSignal(text: string): Deno.Signal {
  const upper = text.toUpperCase();
  const signal = /^\d{1,2}$/.test(text)
    ? SIGNALS[Number(text) - 1]
    : SIGNALS.find((name) => name === upper || name === `SIG${upper}`);
  if (signal === "SIGKILL" || signal === "SIGSTOP") {
    throw new UsageError(`${quote(text)} cannot be handled by any app, want one such as SIGHUP or SIGUSR1`);
  }
  if (!signal) {
    throw new UsageError(`${quote(text)} is no signal, want a name or number such as SIGHUP, HUP or 1`);
  }
  return signal;
}

/** Largest PID of Linux (`PID_MAX_LIMIT`, 2^22; proc(5)). */
export const PID_MAX = 4_194_304;

/**
 * `auto`, or a PID from 1 to {@linkcode PID_MAX}: never 0 or negative, which would signal process groups.
 */
export function parsePid(text: string): number | "auto" {
  if (text === "auto") return "auto";
  const pid = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (pid < 1 || pid > PID_MAX) {
    throw new UsageError(`${quote(text)} is no PID, want auto or 1 to ${PID_MAX}`);
  }
  return pid;
}

/**
 * A TCP port, 0 to 65535.
 */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Infinity;
  if (port > 65535) throw new UsageError(`${quote(text)} is no port, want 0 to 65535`);
  return port;
}

/**
 * A host name or address without scheme or port; `[::1]` loses its brackets. `all addresses` is the default's text.
 */
export function parseHost(text: string): string | null {
  if (text === "all addresses") return null;
  const host = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  const valid = host.includes(":")
    ? URL.canParse(`http://[${host}]/`)
    : /^[0-9a-z_.-]+$/i.test(host) && URL.canParse(`http://${host}/`);
  if (valid) return host;
  throw new UsageError(
    `${quote(text)} is no host, want a name or address without port such as 127.0.0.1 or ::1`,
  );
}

/**
 * An HTTP method in upper case; not those that `fetch` refuses (Fetch standard, forbidden methods).
 */
export function parseMethod(text: string): string {
  const method = text.toUpperCase();
  if (!/^[A-Z]+$/.test(method) || ["CONNECT", "TRACE", "TRACK"].includes(method)) {
    throw new UsageError(`${quote(text)} cannot be sent, want a method such as POST, PUT or GET`);
  }
  return method;
}

/**
 * `true` or `false`, also `1` and `0`, in any case.
 */
export function parseBoolean(text: string): boolean {
  const lower = text.toLowerCase();
  if (lower === "true" || lower === "1") return true;
  if (lower === "false" || lower === "0") return false;
  throw new UsageError(`${quote(text)} is neither, want true or false`);
}

/**
 * A JavaScript regular expression, found anywhere in the command line unless it has anchors.
 */
export function parseRegExp(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    const reason = String(error instanceof Error ? error.message : error).replace(/^.*: (?=[^:]*$)/s, "");
    throw new UsageError(
      `${quote(text)} is no regular expression (${reason}), want one such as "nginx: master"`,
    );
  }
}

/**
 * A JSON pointer (RFC 6901) to a value inside a document: `/data/0/name`, with `~0` for `~` and `~1` for `/`.
 */
export function parseJsonPointer(text: string): string {
  if (/^(?:\/(?:[^~/]|~[01])*)+$/.test(text)) return text;
  throw new UsageError(`${quote(text)} is no JSON pointer, want one such as /data/version`);
}

/**
 * `POINTER=VALUE`, cut at the first `=`; an empty value means an empty string.
 */
export function parsePointerValue(text: string): { readonly pointer: string; readonly value: string } {
  const at = text.indexOf("=");
  if (at < 0 || !/^(?:\/(?:[^~/]|~[01])*)+$/.test(text.slice(0, at))) {
    throw new UsageError(`${quote(text)} is no POINTER=VALUE, want one such as /status=ok`);
  }
  return Object.freeze({ pointer: text.slice(0, at), value: text.slice(at + 1) });
}

/**
 * The part of a Lease's name after `config-reloader-`: the whole is a DNS subdomain of 253 characters at most (RFC 1123).
 */
export function parseLeaseName(text: string): string {
  const label = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?";
  if (text.length <= 237 && new RegExp(`^${label}(?:\\.${label})*$`).test(text)) return text;
  throw new UsageError(
    `${quote(text)} cannot be part of a Lease's name, want lower-case letters, digits and dashes such as web`,
  );
}

/**
 * One of a closed set, in any case.
 */
export function parseChoice<const C extends string>(text: string, choices: readonly C[]): C {
  const choice = choices.find((candidate) => candidate === text.toLowerCase());
  if (choice !== undefined) return choice;
  throw new UsageError(`${quote(text)} is unknown, want ${orList(choices)}`);
}
