/**
 * An HTTP answer as the format files see it: status code and text. Owns decoding and the wording for answers that
 * are not usable; must never show more of a body than its first words.
 */

import { printable } from "../http/errors.ts";
import type { StatusReading } from "../model.ts";

/** An answer, decoded once for all formats. */
export interface Answer {
  readonly code: number;
  readonly text: string;
  /** False where bytes were no UTF-8 and have been replaced. */
  readonly utf8: boolean;
  /** The body was longer than what is read. */
  readonly truncated: boolean;
}

/** Decodes a body; never throws. */
export function decodeAnswer(code: number, body: Uint8Array<ArrayBuffer>, truncated: boolean): Answer {
  try {
    return { code, text: new TextDecoder("utf-8", { fatal: true }).decode(body), utf8: true, truncated };
  } catch {
    return { code, text: new TextDecoder().decode(body), utf8: false, truncated };
  }
}

/** The JSON value of an answer, or the reading that says why there is none; never throws. */
export function parseJson(answer: Answer): { readonly value: unknown } | StatusReading {
  if (answer.truncated) return unusable(answer, "body is larger than 1 MiB");
  if (answer.text.trim() === "") return unusable(answer, "empty body");
  if (!answer.utf8) return unusable(answer, "body is not UTF-8");
  try {
    return { value: JSON.parse(answer.text) };
  } catch {
    return unusable(answer, `not JSON: "${printable(answer.text, 60)}"`);
  }
}

/** A reading without a status; the code is told unless it is 200. */
export function unusable(answer: Answer, reason: string): StatusReading {
  return { kind: "error", reason: answer.code === 200 ? reason : `HTTP ${answer.code}, ${reason}` };
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
