/**
 * Who may see more than the probes: `--auth-file`, each line `user:password` or `Bearer token`. The file is read at each
 * request that needs it, so a rotated one counts at once; while it cannot be read nobody passes. Loaded only with the flag.
 */

import { messageOf, plainReason } from "../text.ts";
import type { Authorize } from "./handler.ts";

/** What a line of the file allows: the value of `Authorization` that it stands for. */
export interface Credential {
  readonly scheme: "basic" | "bearer";
  /** The part after the scheme. */
  readonly value: string;
}

/** A file of a few credentials is small; a larger one is a mistake. */
const AUTH_FILE_BYTES_MAX = 64 * 1024;

/**
 * Parses the file's text; empty lines are skipped.
 * @throws Error that names the line's number, never its content
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(parseAuthFile("me:pass\n\nBearer t0ken\n"), [
 *   { scheme: "basic", value: btoa("me:pass") },
 *   { scheme: "bearer", value: "t0ken" },
 * ]);
 * assert.throws(() => parseAuthFile("s3cret"), /: line 1 is neither "user:password" nor "Bearer/);
 * ```
 */
export function parseAuthFile(text: string): Credential[] {
  const credentials: Credential[] = [];
  text.split("\n").forEach((raw, index) => {
    const line = raw.trim();
    if (line === "") return;
    const token = /^bearer\s+(\S+)$/i.exec(line);
    if (token) credentials.push({ scheme: "bearer", value: token[1]! });
    else if (/^[^:\s]+:./.test(line)) {
      credentials.push({ scheme: "basic", value: new TextEncoder().encode(line).toBase64() });
    } else throw new Error(`line ${index + 1} is neither "user:password" nor "Bearer token"`);
  });
  if (credentials.length === 0) throw new Error("it holds no credentials");
  return credentials;
}

/**
 * Reads and parses the file.
 * @throws Error that names the path and the reason
 */
export function readAuthFile(path: string): Credential[] {
  try {
    const info = Deno.statSync(path);
    if (!info.isFile) throw new Error("not a regular file");
    if (info.size > AUTH_FILE_BYTES_MAX) throw new Error(`larger than ${AUTH_FILE_BYTES_MAX} bytes`);
    return parseAuthFile(Deno.readTextFileSync(path));
  } catch (error) {
    throw new Error(`Cannot read auth file "${path}": ${plainReason(error)}`, { cause: error });
  }
}

/**
 * Creates the judge of requests. `onProblem` hears once of a file that cannot be read, and again when it could be read in
 * between.
 */
export function createAuthorize(read: () => Credential[], onProblem: (message: string) => void): Authorize {
  let told = false;
  return (authorization) => {
    let credentials: Credential[] = [];
    try {
      credentials = read();
      told = false;
    } catch (error) {
      if (!told) {
        onProblem(`${messageOf(error)}; /metrics, /status and / answer 401 until it can be read`);
      }
      told = true;
    }
    const [, scheme = "", value = ""] = /^(\S+) +(\S+)$/.exec(authorization ?? "") ?? [];
    let allowed = false;
    for (const credential of credentials) {
      // Each one is compared, in full: time tells neither which line nor how far it matched.
      const same = equalInConstantTime(value, credential.value);
      if (same && credential.scheme === scheme.toLowerCase()) allowed = true;
    }
    return allowed ? null : challenge(credentials);
  };
}

/** Offers what the file has, Basic first: a browser then asks its user. */
function challenge(credentials: readonly Credential[]): string {
  const schemes = new Set(credentials.map((credential) => credential.scheme));
  const offers = [];
  if (schemes.has("basic") || schemes.size === 0) {
    offers.push('Basic realm="config-reloader", charset="UTF-8"');
  }
  if (schemes.has("bearer")) offers.push('Bearer realm="config-reloader"');
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
