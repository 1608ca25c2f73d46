/**
 * An HTTP answer as the format files see it: status code and body. Owns decoding and the wording for answers that
 * are not usable; must never show more of a body than its first words.
 */

import { printable } from "../text.ts";
import type { Status, StatusReading } from "../model.ts";

/** An answer; its body is decoded only as far as a format needs it, since 1 MiB of text is 1 MiB more of memory. */
export interface Answer {
  readonly code: number;
  readonly body: Uint8Array<ArrayBuffer>;
  /** The body was longer than what is read. */
  readonly truncated: boolean;
}

/** So much of a body is decoded at a time: small enough to be young garbage. */
const PIECE_BYTES = 64 * 1024;
const LF = 10;
const QUOTE = 34;
const COMMA = 44;
const OPEN_BRACKET = 91;
const BACKSLASH = 92;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/** The body as texts of whole lines, one after the other; bytes that are no UTF-8 are replaced. */
export function* decodePieces({ body }: Answer): Generator<string> {
  const decoder = new TextDecoder();
  for (let start = 0; start < body.length;) {
    let end = Math.min(start + PIECE_BYTES, body.length);
    if (end < body.length) {
      const before = body.lastIndexOf(LF, end - 1);
      const after = before >= start ? before : body.indexOf(LF, end);
      end = after < 0 ? body.length : after + 1;
    }
    yield decoder.decode(body.subarray(start, end));
    start = end;
  }
}

/** Whether the body starts like a JSON object. */
export function startsObject({ body }: Answer): boolean {
  let at = 0;
  // Space, tab and line ends.
  while (body[at] === 32 || body[at] === 9 || body[at] === 10 || body[at] === 13) at++;
  return body[at] === OPEN_BRACE;
}

/** Smaller bodies are parsed as they are: whatever is in them, they cannot cost much. */
const SMALL_BYTES_MAX = 16 * 1024;
/** Values in a JSON status: 1 MiB of `[[[[…` or `{},{},…` would take up to 80 MB once parsed. */
const JSON_VALUES_MAX = 50_000;
/** Nesting of a JSON status; each level costs about 80 bytes, and stack in every walk over it. */
const JSON_DEPTH_MAX = 500;

/** An answer whose JSON `read` makes a status of, or says why it is none; never throws. */
export function parseJson(answer: Answer, read: (value: unknown) => Status | string): StatusReading {
  if (answer.truncated) return unusable(answer, "body is larger than 1 MiB");
  if (answer.body.length === 0) return unusable(answer, "empty body");
  // Before it is decoded: the text of a hostile answer would be as large again.
  if (answer.body.length > SMALL_BYTES_MAX && !isModestJson(answer.body)) {
    return unusable(answer, "JSON has too many values or levels for a status");
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(answer.body);
  } catch {
    return unusable(answer, "body is not UTF-8");
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return unusable(answer, `not JSON: "${printable(text, 60)}"`);
  }
  const status = read(value);
  return typeof status === "string" ? unusable(answer, status) : { kind: "status", status };
}

/** Whether a JSON body stays within the limits above; junk may pass, since the parser refuses it. */
function isModestJson(body: Uint8Array): boolean {
  let values = 0;
  let depth = 0;
  for (let i = 0; i < body.length; i++) {
    const byte = body[i]!;
    if (byte === QUOTE) {
      for (i++; i < body.length && body[i] !== QUOTE; i++) if (body[i] === BACKSLASH) i++;
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      values++;
      if (++depth > JSON_DEPTH_MAX) return false;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth--;
    } else if (byte === COMMA) {
      values++;
    }
    if (values > JSON_VALUES_MAX) return false;
  }
  return true;
}

/** A reading without a status; the code is told unless it is 200. */
export function unusable(answer: Answer, reason: string): StatusReading {
  return { kind: "error", reason: answer.code === 200 ? reason : `HTTP ${answer.code}, ${reason}` };
}

/** Whether the app says of its answer that it is a good one. */
export function isOk({ code }: Answer): boolean {
  return code >= 200 && code <= 299;
}

/** Whether a JSON value is an object (no array, no null). */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A time as Go and others write it in JSON (RFC 3339), in Unix milliseconds; null for Go's zero time and for junk. */
export function parseTime(value: unknown): number | null {
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}T/.test(value)) return null;
  const ms = Date.parse(value);
  return Number.isFinite(ms) && ms > 0 ? ms : null;
}
