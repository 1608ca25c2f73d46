/**
 * Credentials for requests to the app, read from their files. Read afresh each time, since a mounted Secret rotates;
 * must never keep them longer than one request, and never put what they hold into an error.
 */

import type { CredentialFiles } from "../config.ts";
import { readSecretFile } from "../secret_file.ts";
import { basicAuthorization } from "./urls.ts";
import type { TlsOptions } from "./request.ts";

/** What one request needs. */
export interface Credentials {
  readonly headers: readonly (readonly [string, string])[];
  readonly tls: TlsOptions;
}

/** Headers that decide how the message is framed and where it goes; a file must not change them. */
const OWN_HEADERS: readonly string[] = [
  "host",
  "connection",
  "content-length",
  "transfer-encoding",
  "accept-encoding",
];

/**
 * Reads all credential files that are configured. Headers of `--header-file` come last and so win.
 * @throws Error that names the file and what is wrong with it, never its content.
 */
export function readCredentials(files: CredentialFiles): Credentials {
  const { basicAuthFile, bearerTokenFile, headerFile, caFile, clientCertFile, clientKeyFile } = files;
  const headers: (readonly [string, string])[] = [];
  if (basicAuthFile !== null) headers.push(["authorization", readBasic(basicAuthFile)]);
  if (bearerTokenFile !== null) headers.push(["authorization", readBearer(bearerTokenFile)]);
  if (headerFile !== null) headers.push(...readHeaders(headerFile));
  const pem = (path: string | null, what: string, wanted: RegExp) => path && readPem(path, what, wanted);
  const caCert = pem(caFile, "CA file", CERTIFICATE);
  const cert = pem(clientCertFile, "client certificate file", CERTIFICATE);
  const key = pem(clientKeyFile, "client key file", /-----BEGIN [A-Z ]*PRIVATE KEY-----/);
  return {
    headers,
    tls: { ...(caCert && { caCerts: [caCert] }), ...(cert && { cert }), ...(key && { key }) },
  };
}

function readBasic(path: string): string {
  const text = readText(path, "basic auth file").replace(/[\r\n]+$/, "");
  const colon = text.indexOf(":");
  if (colon < 0 || hasControl(text)) {
    throw new Error(`Cannot use basic auth file "${path}": it must hold one line user:password`);
  }
  return basicAuthorization(text.slice(0, colon), text.slice(colon + 1));
}

function readBearer(path: string): string {
  const token = readText(path, "bearer token file").trim();
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new Error(`Cannot use bearer token file "${path}": it must hold one token without spaces`);
  }
  return `Bearer ${token}`;
}

function readHeaders(path: string): [string, string][] {
  const headers: [string, string][] = [];
  readText(path, "header file").split(/\r?\n/).forEach((line, index) => {
    if (line.trim() === "") return;
    // RFC 9110, 5.6.2: the characters of a field name.
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    const where = `Cannot use header file "${path}": line ${index + 1}`;
    if (!match || hasControl(match[2]!)) throw new Error(`${where} must be Name: value`);
    const name = match[1]!.toLowerCase();
    if (OWN_HEADERS.includes(name)) throw new Error(`${where} must not set ${name}`);
    headers.push([name, match[2]!]);
  });
  return headers;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----/;

function readPem(path: string, what: string, wanted: RegExp): string {
  const text = readText(path, what);
  if (!wanted.test(text)) throw new Error(`Cannot use ${what} "${path}": it holds no PEM block of that kind`);
  return text;
}

function readText(path: string, what: string): string {
  return readSecretFile(what, path, (text) => text);
}

function hasControl(text: string): boolean {
  // deno-lint-ignore no-control-regex -- control characters are exactly what must not get into a header
  return /[\u0000-\u0008\u000a-\u001f\u007f]/.test(text);
}
