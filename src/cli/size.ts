/** Sizes in bytes: `64KiB`, `16MiB`, `1GiB` or a bare number of bytes. Never decimal units: their letters mislead. */

import { quote, UsageError } from "./usage_error.ts";

/** Largest size: files are read whole. A ConfigMap holds 1 MiB at most (kubernetes.io/docs/concepts/configuration/configmap). */
export const SIZE_BYTES_MAX = 2 ** 30;

/**
 * Reads a size in bytes.
 * @throws {UsageError} where it is none, is zero, or above {@linkcode SIZE_BYTES_MAX}
 */
export function parseSizeBytes(text: string): number {
  const match = /^(\d+)(KiB|MiB|GiB)?$/.exec(text);
  if (!match) {
    throw new UsageError(`${quote(text)} is no size, want one such as 64KiB, 16MiB or 1048576 (bytes)`);
  }
  const scale = match[2] === "KiB"
    ? 2 ** 10
    : match[2] === "MiB"
    ? 2 ** 20
    : match[2] === "GiB"
    ? 2 ** 30
    : 1;
  const bytes = Number(match[1]) * scale;
  if (bytes < 1 || bytes > SIZE_BYTES_MAX) {
    throw new UsageError(`${quote(text)} is out of range, want 1 to 1GiB`);
  }
  return bytes;
}
