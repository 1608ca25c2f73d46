/**
 * Who may see more than the probes: `--auth-file`, each line `user:password` or `Bearer token`. The file is read at each
 * request that needs it, so a rotated one counts at once; while it cannot be read nobody passes. Loaded only with the flag.
 */

import { readSecretFile } from "../secret_file.ts";
import { messageOf } from "../text.ts";
import type { Authorize } from "./handler.ts";

/**
 * The values of `Authorization` that the file's lines stand for, the scheme in lower case; empty lines are skipped.
 * @throws Error that names the line's number, never its content
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(parseAuthFile("me:pass\n\nBearer t0ken\n"), [`basic ${btoa("me:pass")}`, "bearer t0ken"]);
 * assert.throws(() => parseAuthFile("s3cret"), /^Error: line 1 is neither "user:password" nor "Bearer/);
 * ```
 */
export function parseAuthFile(text: string): string[] {
  const values = text.split("\n").map((raw, index) => {
    const line = raw.trim();
    const token = /^bearer\s+(\S+)$/i.exec(line)?.[1];
    if (line === "") return "";
    if (token) return `bearer ${token}`;
    if (/^[^:\s]+:./.test(line)) return `basic ${new TextEncoder().encode(line).toBase64()}`;
    throw new Error(`line ${index + 1} is neither "user:password" nor "Bearer token"`);
  }).filter((value) => value !== "");
  if (values.length === 0) throw new Error("it holds no credentials");
  return values;
}

/** Reads and parses the file. @throws Error that names the path and the reason */
export function readAuthFile(path: string): string[] {
  return readSecretFile("auth file", path, parseAuthFile);
}

/** Creates the judge of requests. `onProblem` hears once of a file that cannot be read. */
export function createAuthorize(read: () => string[], onProblem: (message: string) => void): Authorize {
  let told = false;
  return (authorization) => {
    let wanted: string[] = [];
    try {
      wanted = read();
      told = false;
    } catch (error) {
      if (!told) {
        onProblem(`${messageOf(error)}; /metrics, /status and / answer 401 until it can be read`);
      }
      told = true;
    }
    const given = (authorization ?? "").replace(/^\S+ +/, (scheme) => `${scheme.trim().toLowerCase()} `);
    // Each one is compared, in full: time tells neither which line nor how far it matched.
    const same = wanted.filter((value) => equalInConstantTime(given, value));
    return same.length > 0 ? null : challenge(wanted);
  };
}

/** Offers what the file has, Basic first: a browser then asks its user. */
function challenge(wanted: readonly string[]): string {
  const has = (scheme: string) => wanted.some((value) => value.startsWith(`${scheme} `));
  const offers = [];
  if (has("basic") || wanted.length === 0) offers.push('Basic realm="config-reloader", charset="UTF-8"');
  if (has("bearer")) offers.push('Bearer realm="config-reloader"');
  return offers.join(", ");
}

/** Compares two texts in a time that depends on the length of the given one only. */
export function equalInConstantTime(given: string, wanted: string): boolean {
  let difference = given.length ^ wanted.length;
  for (let at = 0; at < given.length; at++) {
    difference |= given.charCodeAt(at) ^ wanted.charCodeAt(at % wanted.length);
  }
  return difference === 0;
}
