/**
 * Durations as Go writes them (`500ms`, `1m30s`, `1.5h`), the form every tool of the field uses, and sizes (`64KiB`). Strict
 * on purpose: a bare number could mean anything, and the letters of decimal sizes mislead. Must never guess a unit.
 */

import { quote, UsageError } from "./usage_error.ts";

/**
 * Longest duration: what a timer can wait, 2^31−1 ms. A longer one would fire at once and turn a pause into a busy loop.
 */
export const DURATION_MS_MAX = 2 ** 31 - 1;

/** Nanoseconds of each unit, as in Go's `time.ParseDuration`; both signs for micro (U+00B5 and U+03BC) count. */
const UNIT_NS: Readonly<Record<string, bigint>> = {
  "ns": 1n,
  "us": 1_000n,
  "\u00b5s": 1_000n,
  "\u03bcs": 1_000n,
  "ms": 1_000_000n,
  "s": 1_000_000_000n,
  "m": 60_000_000_000n,
  "h": 3_600_000_000_000n,
};

/**
 * Reads a Go duration without sign, as milliseconds (a fraction where the text has micro- or nanoseconds).
 * What is finer than a nanosecond is cut off, as in Go.
 * @param or begins the list of what is wanted where a word is allowed, too: `auto or `
 * @throws {UsageError} where it is none, or longer than {@linkcode DURATION_MS_MAX}
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parseDurationMs("1m30s"), 90_000);
 * assert.equal(parseDurationMs("250us"), 0.25);
 * assert.throws(() => parseDurationMs("5"), /"5" is no duration, want one such as 500ms, 5s or 1m30s/);
 * ```
 */
export function parseDurationMs(text: string, or = ""): number {
  if (text === "0") return 0;
  // The usual case, without the big integers that exactness needs: 0.3 ms of every start.
  const simple = /^(\d{1,4})(ms|s|m)$/.exec(text);
  if (simple) return Number(simple[1]) * (simple[2] === "ms" ? 1 : simple[2] === "s" ? 1_000 : 60_000);
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$/.test(text)) {
    throw new UsageError(`${quote(text)} is no duration, want ${or}one such as 500ms, 5s or 1m30s`);
  }
  let ns = 0n;
  for (const [, whole = "", fraction = "", unit = ""] of text.matchAll(/(\d*)\.?(\d*)([^\d.]+)/g)) {
    const perUnit = UNIT_NS[unit]!;
    ns += BigInt(whole) * perUnit + BigInt(fraction) * perUnit / 10n ** BigInt(fraction.length);
  }
  if (ns > BigInt(DURATION_MS_MAX) * 1_000_000n) {
    throw new UsageError(`${quote(text)} is too long, want at most 596h`);
  }
  return Number(ns) / 1e6;
}

/**
 * Writes milliseconds as Go prints a duration: `1m30s`, `1h0m0s`, `1.5s`, `500ms`, `100µs`, `0s`.
 * Exact to the nanosecond up to {@linkcode DURATION_MS_MAX}.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(formatDuration(90_000), "1m30s");
 * assert.equal(formatDuration(3_600_000), "1h0m0s");
 * assert.equal(formatDuration(0.25), "250µs");
 * ```
 */
export function formatDuration(ms: number): string {
  const ns = Math.round(ms * 1e6);
  if (ns === 0) return "0s";
  if (ns < 1e3) return `${ns}ns`;
  if (ns < 1e6) return `${decimal(ns, 3)}µs`;
  if (ns < 1e9) return `${decimal(ns, 6)}ms`;
  const hours = Math.floor(ns / 3.6e12);
  const minutes = Math.floor(ns / 6e10) % 60;
  const seconds = `${decimal(ns % 6e10, 9)}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

/** `value` / 10^`digits` in decimal notation, without trailing zeros. */
function decimal(value: number, digits: number): string {
  const scale = 10 ** digits;
  const fraction = String(value % scale).padStart(digits, "0").replace(/0+$/, "");
  const whole = String(Math.floor(value / scale));
  return fraction === "" ? whole : `${whole}.${fraction}`;
}

/** Largest size: files are read whole. A ConfigMap holds 1 MiB at most (kubernetes.io/docs/concepts/configuration/configmap). */
export const SIZE_BYTES_MAX = 2 ** 30;

/**
 * Reads a size in bytes.
 * @throws {UsageError} where it is none, is zero, or above {@linkcode SIZE_BYTES_MAX}
 */
export function parseSizeBytes(text: string): number {
  const [, count, unit = ""] = /^(\d+)(KiB|MiB|GiB|)$/.exec(text) ?? [];
  if (count === undefined) {
    throw new UsageError(`${quote(text)} is no size, want one such as 64KiB, 16MiB or 1048576 (bytes)`);
  }
  const bytes = Number(count) * 2 ** (10 * ["", "KiB", "MiB", "GiB"].indexOf(unit));
  if (bytes < 1 || bytes > SIZE_BYTES_MAX) {
    throw new UsageError(`${quote(text)} is out of range, want 1 to 1GiB`);
  }
  return bytes;
}
