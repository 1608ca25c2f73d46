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
 * Gives `use` the bytes the app would read, validated; they are gone afterwards. Variables count only in what is `rendered`.
 * @throws InvalidContent where the content is at fault
 */
export type Convert = <T>(
  file: SnapshotFile,
  rendered: boolean,
  use: (bytes: Uint8Array) => Promise<T>,
) => Promise<T>;

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

  const expand = async (path: string, plain: Uint8Array, isUnpacked: boolean): Promise<Uint8Array> => {
    const { expandVariables } = await import("./expand.ts");
    const valueOf = (name: string) => Object.hasOwn(environment, name) ? environment[name] : undefined;
    const { bytes, unset, unsetCount } = expandVariables(plain, valueOf, config, isUnpacked);
    logUnset(path, unset, unsetCount);
    return bytes;
  };

  const validate = async (path: string, bytes: Uint8Array): Promise<void> => {
    if (config.validate === "none") return;
    const { validateContent } = await import("./validate.ts");
    const problem = await validateContent(path, bytes, config.validate);
    if (problem !== null) throw new InvalidContent(`"${path}" is ${problem}`);
  };

  return async (file, rendered, use) => {
    const { path } = file;
    const { gunzip, release } = await import("./expand.ts");
    const invalid = (error: Error) => {
      throw new InvalidContent(`"${path}" is ${error.message}`);
    };
    // The reader keeps them wherever they are converted: nothing is read a second time.
    const input = file.bytes;
    if (input === null) throw new Error(`Cannot use config file "${path}": its bytes were not kept`);
    const made = new Set([input]);
    try {
      const plain = await gunzip(input, config).catch(invalid);
      made.add(plain);
      const bytes = rendered ? await expand(path, plain, plain !== input).catch(invalid) : plain;
      made.add(bytes);
      await validate(path, bytes);
      return await use(bytes);
    } finally {
      // The author of the content decides how much there is of it: it is not left to the collector.
      for (const bytes of made) if (bytes !== input) release(bytes);
    }
  };
}
