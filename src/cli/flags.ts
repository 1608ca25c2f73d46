/**
 * The one table of flags: parsing, validation, `--help`, the README and the tests all read it.
 * A flag that is not here does not exist.
 */

import type { Flag, ValueOf } from "./flag.ts";
import { RUNNING_FLAGS } from "./flags/running.ts";
import { TARGET_FLAGS } from "./flags/target.ts";
import { VERIFICATION_FLAGS } from "./flags/verification.ts";
import { WATCHING_FLAGS } from "./flags/watching.ts";

/** Every flag by its name without dashes, in the order of the contract. */
export const FLAGS = { ...WATCHING_FLAGS, ...TARGET_FLAGS, ...VERIFICATION_FLAGS, ...RUNNING_FLAGS } as const;

/** The name of a flag, without dashes. */
export type FlagName = keyof typeof FLAGS;
/** The parsed value of each flag. */
export type Values = { readonly [N in FlagName]: ValueOf<typeof FLAGS[N]> };

/** Names in the order of the table. */
export const FLAG_NAMES = Object.keys(FLAGS) as readonly FlagName[];

/**
 * The row of a flag, or undefined where there is no such flag.
 */
export function findFlag(name: string): Flag | undefined {
  return Object.hasOwn(FLAGS, name) ? FLAGS[name as FlagName] : undefined;
}

/** What every own variable starts with. */
export const VARIABLE_PREFIX = "CONFIG_RELOADER_";

/**
 * The variable of a flag: `max-backoff` → `CONFIG_RELOADER_MAX_BACKOFF`.
 */
export function variableOf(name: FlagName): string {
  return VARIABLE_PREFIX + name.toUpperCase().replaceAll("-", "_");
}
