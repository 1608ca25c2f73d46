/**
 * Why a request got no usable answer, in words that a person can act on. Owns the translation of what Deno throws;
 * must never put a header, a body or the user and password of a URL into a message.
 */

import { printable } from "../text.ts";

/**
 * What kind of failure it was; stable, for tests and for callers that tell them apart. After `timeout` and `broken` the
 * request may have reached the app; after all others it has not, or the app has answered.
 */
export type HttpErrorCode =
  | "refused"
  | "unreachable"
  | "name"
  | "tls"
  | "socket"
  | "timeout"
  | "broken"
  | "redirect"
  | "protocol"
  | "aborted"
  | "other";

/** A request that ended without a usable answer. `message` is the reason alone, e.g. `connection refused`. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  constructor(readonly code: HttpErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** What `fetch` says, and Node in its codes, in the order in which it is looked for, and what to call it. */
const BY_TEXT: readonly (readonly [part: string, code: HttpErrorCode, words: string])[] = [
  ["Connection refused", "refused", "connection refused"],
  ["ECONNREFUSED", "refused", "connection refused"],
  ["No route to host", "unreachable", "no route to host"],
  ["Network is unreachable", "unreachable", "network is unreachable"],
  ["Cannot assign requested address", "unreachable", "no route to host"],
  ["Temporary failure in name resolution", "name", "name not found for now"],
  ["failed to lookup address", "name", "name not found"],
  ["ENOTFOUND", "name", "name not found"],
  ["No such file", "socket", "no such socket"],
  ["Permission denied", "socket", "permission denied"],
  ["timed out", "timeout", "connection timed out"],
  ["tls handshake eof", "tls", "connection closed during the TLS handshake"],
  ["certificate expired", "tls", "certificate has expired"],
  ["not valid yet", "tls", "certificate is not valid yet"],
  ["UnknownIssuer", "tls", "certificate is signed by an unknown authority; see --ca-file"],
  ["BadSignature", "tls", "certificate is signed by an unknown authority; see --ca-file"],
  ["certificate not valid for", "tls", "certificate is not valid for this host name"],
  ["CaUsedAsEndEntity", "tls", "certificate is that of an authority, not of a server"],
  ["Unable to decode certificate", "tls", "--client-cert-file holds no certificate that can be read"],
  ["InvalidContentType", "tls", "the server does not speak TLS on this port"],
  ["CertificateRequired", "tls", "the server wants a client certificate; see --client-cert-file"],
  ["UnknownCA", "tls", "the server does not know the authority of the client certificate"],
  ["Connection reset", "broken", "connection reset"],
  ["ECONNRESET", "broken", "connection reset"],
  ["Connection aborted", "broken", "connection reset"],
  ["Broken pipe", "broken", "connection closed by the app"],
  ["connection closed before message completed", "broken", "connection closed without an answer"],
  ["error reading a body", "broken", "connection closed in the middle of the answer"],
  ["close_notify", "broken", "connection closed in the middle of the answer"],
  ["unexpected end of file", "broken", "connection closed by the app"],
  ["head is too large", "protocol", "the answer's headers are too large"],
  ["invalid content-length", "protocol", "the answer's content-length is no number"],
  ["invalid HTTP", "protocol", "the answer is not HTTP/1.1; if the server speaks TLS, use https://"],
];

/** Turns anything that `fetch` throws into an HttpError that keeps the reason. */
export function toHttpError(thrown: unknown): HttpError {
  if (thrown instanceof HttpError) return thrown;
  const inner = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  const whole = inner instanceof Error ? inner.message : String(inner);
  // Before it stands the URL, with its secrets.
  const [, phase, text] = /client error \((\w+)\)(?:: (.*))?$/s.exec(whole) ?? [undefined, "", whole];
  const words = printable((text ?? "").replace(/ \(os error \d+\)/, ""), 200) || "no connection";
  const known = BY_TEXT.find(([part]) => text?.includes(part));
  const [, code, message] = known ?? ["", /certificate|TLS/.test(words) ? "tls" : "other", words] as const;
  // A connection that was never made has carried no request.
  const hasNotArrived = phase === "Connect" && (code === "broken" || code === "timeout");
  return new HttpError(hasNotArrived ? "unreachable" : code, message, { cause: thrown });
}
