/**
 * Why a request got no usable answer, in words that a person can act on. Owns the translation of what Deno throws;
 * must never put a header, a body or the user and password of a URL into a message.
 */

/** What kind of failure it was; stable, for tests and for callers that tell them apart. */
export type HttpErrorCode =
  | "refused"
  | "unreachable"
  | "name"
  | "timeout"
  | "reset"
  | "closed"
  | "tls"
  | "socket"
  | "redirect"
  | "protocol"
  | "aborted"
  | "other";

/**
 * A request that ended without a usable answer. `message` is the reason alone, e.g. `connection refused`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const error = new HttpError("timeout", "timed out after 5s");
 * assert.deepEqual([error.code, `${error}`], ["timeout", "HttpError: timed out after 5s"]);
 * ```
 */
export class HttpError extends Error {
  override readonly name = "HttpError";
  constructor(readonly code: HttpErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** Errno texts of connect, read and write, as Deno spells them, and what to call them. */
const BY_TEXT: readonly (readonly [string, HttpErrorCode, string])[] = [
  ["Connection refused", "refused", "connection refused"],
  ["Connection reset", "reset", "connection reset"],
  ["Connection aborted", "reset", "connection reset"],
  ["Broken pipe", "closed", "connection closed by the app"],
  ["No route to host", "unreachable", "no route to host"],
  ["Network is unreachable", "unreachable", "network is unreachable"],
  ["Cannot assign requested address", "unreachable", "no route to host"],
  ["failed to lookup address", "name", "name not found"],
  ["No address associated", "name", "name not found"],
  ["Temporary failure in name resolution", "name", "name not found for now"],
  ["timed out", "timeout", "connection timed out"],
  ["No such file", "socket", "no such socket"],
  ["Permission denied", "socket", "permission denied"],
  ["tls handshake eof", "closed", "connection closed during the TLS handshake"],
  ["close_notify", "closed", "connection closed in the middle of the answer"],
  ["unexpected end of file", "closed", "connection closed by the app"],
  ["certificate expired", "tls", "certificate has expired"],
  ["not valid yet", "tls", "certificate is not valid yet"],
  ["UnknownIssuer", "tls", "certificate is signed by an unknown authority; see --ca-file"],
  ["not valid for", "tls", "certificate is not valid for this host name"],
  ["CaUsedAsEndEntity", "tls", "certificate is that of an authority, not of a server"],
  ["BadSignature", "tls", "certificate is signed by an unknown authority; see --ca-file"],
  ["Unable to decode certificate", "tls", "--client-cert-file holds no certificate that can be read"],
  ["InvalidContentType", "tls", "the server does not speak TLS on this port"],
  ["CertificateRequired", "tls", "the server wants a client certificate; see --client-cert-file"],
  ["UnknownCA", "tls", "the server does not know the authority of the client certificate"],
];

/**
 * Turns anything thrown by a connection into an HttpError that keeps the reason.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const error = toHttpError(new Error("Connection refused (os error 111)"));
 * assert.deepEqual([error.code, error.message], ["refused", "connection refused"]);
 * const unknown = toHttpError(new Error("Protocol not available (os error 92)"));
 * assert.deepEqual([unknown.code, unknown.message], ["other", "Protocol not available"]);
 * ```
 */
export function toHttpError(thrown: unknown): HttpError {
  if (thrown instanceof HttpError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  for (const [part, code, words] of BY_TEXT) {
    if (text.includes(part)) return new HttpError(code, words, { cause: thrown });
  }
  // Deno ends the texts of the system with "(os error 104)"; the number tells a user nothing.
  const plain = printable(text.replace(/ \(os error \d+\)$/, ""), 200);
  const code = text.includes("certificate") || text.includes("TLS") ? "tls" : "other";
  return new HttpError(code, plain || "unknown error", { cause: thrown });
}

/**
 * At most `lengthMax` characters of `text`, in one line, with nothing that could command a terminal.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(printable("bad\x1b[2J\nvalue", 40), "bad [2J value");
 * assert.equal(printable("0123456789", 5), "0123…");
 * ```
 */
export function printable(text: string, lengthMax: number): string {
  // deno-lint-ignore no-control-regex -- control characters are exactly what has to go
  const clean = text.slice(0, lengthMax * 4).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffd]+/g, " ")
    .trim();
  return clean.length > lengthMax ? `${clean.slice(0, lengthMax - 1)}…` : clean;
}
