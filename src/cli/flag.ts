/** What a row of the flag table holds. Types only; the rows are in `flags/`, joined by `flags.ts`. */

import type { Kind } from "./kinds.ts";

/** Headings of `--help`, in the order of the contract. */
export const GROUPS = [
  "Watching",
  "Checking and rendering",
  "Trigger and target",
  "Verification",
  "Credentials for the app",
  "Retry and rate",
  "Server",
  "Fleet",
  "Logs and end",
] as const;
/** One of the groups. */
export type Group = typeof GROUPS[number];

/** One row; its key in the table is the flag's name without dashes. */
export interface Flag<T = unknown> extends Kind<T> {
  readonly group: Group;
  /** Text of the default, read by `parse` as if it had been given; null where the flag is off unless given. */
  readonly default: string | null;
  /** What it means, in a few words for `--help` and the README. */
  readonly help: string;
  /** Where the default comes from. `seed` marks names and defaults of the original specification, which never change. */
  readonly origin: string;
  /** The original's environment variable, read after `CONFIG_RELOADER_…`. */
  readonly plainVariable?: string;
  /** May be given several times; its variable holds a list separated by commas. */
  readonly repeatable?: true;
  /** A port: Kubernetes may set its variable to `tcp://…` for a Service of that name, which is then ignored. */
  readonly port?: true;
}

/** A part of the table. */
export type Flags = Readonly<Record<string, Flag>>;

/** What parsing a flag of the table gives: a list, a value, or null where it has no default. */
export type ValueOf<F> = F extends { repeatable: true; parse: (text: string, cwd: string) => infer T }
  ? readonly T[]
  : F extends { default: null; parse: (text: string, cwd: string) => infer T } ? T | null
  : F extends { parse: (text: string, cwd: string) => infer T } ? T
  : never;
