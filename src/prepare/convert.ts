/**
 * From the bytes of an input to what the app would read: unpacked, expanded, validated. Never repeats content in a
 * message, and never uses other bytes than those that were hashed.
 */

import type { Config } from "../config.ts";
import type { SnapshotFile } from "../model.ts";
import type { Logger } from "../ports.ts";

/** What of the configuration this needs. */
export type ConvertConfig = Pick<Config, "validate" | "maxFileSizeBytes" | "maxUnpackedBytes">;

/** Variables by name, as `Deno.env.toObject()` gives them. */
export type Environment = Readonly<Record<string, string>>;

/** The content itself is at fault, not the disk. */
export class InvalidContent extends Error {}

/** Names of unset variables in one line, and in memory: the content decides how many there are. */
const NAMES_LOGGED_AT_ONCE = 20;
const NAMES_REMEMBERED_MAX = 200;

/**
 * The bytes the app would read, validated; variables count only in what is `rendered`.
 * @throws InvalidContent where the content is at fault
 */
export type Convert = (file: SnapshotFile, rendered: boolean) => Promise<Uint8Array>;

/** Makes the conversion; it remembers which variables were logged. `environment` is that of the start. */
export function createConverter(config: ConvertConfig, logger: Logger, environment: Environment): Convert {
  /** Variables that were logged to have no value. */
  const logged = new Set<string>();

  const logUnset = (path: string, unset: readonly string[], count: number) => {
    const fresh = [...new Set(unset)].filter((name) => !logged.has(name)).slice(0, NAMES_LOGGED_AT_ONCE);
    if (fresh.length === 0 || logged.size >= NAMES_REMEMBERED_MAX) return;
    fresh.forEach((name) => logged.add(name));
    const names = fresh.map((name) => `$(${name})`).join(", ");
    logger.warn(`Left as they are in "${path}", since no such variable is set: ${names}`, {
      path,
      variables: fresh,
      count,
    });
  };

  const render = async (file: SnapshotFile, packed: Uint8Array, rendered: boolean): Promise<Uint8Array> => {
    const { expandVariables, gunzip, isPacked } = await import("./expand.ts");
    const plain = await gunzip(packed, config);
    if (!rendered) return plain;
    const valueOf = (name: string) => Object.hasOwn(environment, name) ? environment[name] : undefined;
    const { bytes, unset, unsetCount } = expandVariables(plain, valueOf, config, isPacked(packed));
    logUnset(file.path, unset, unsetCount);
    return bytes;
  };

  return async (file, rendered) => {
    // The reader keeps them wherever they are converted: nothing is read a second time.
    if (file.bytes === null) {
      throw new Error(`Cannot use config file "${file.path}": its bytes were not kept`);
    }
    const bytes = await render(file, file.bytes, rendered).catch((error: Error) => {
      throw new InvalidContent(`"${file.path}" is ${error.message}`);
    });
    if (config.validate !== "none") {
      const { validateContent } = await import("./validate.ts");
      const problem = await validateContent(file.path, bytes, config.validate);
      if (problem !== null) throw new InvalidContent(`"${file.path}" is ${problem}`);
    }
    return bytes;
  };
}
