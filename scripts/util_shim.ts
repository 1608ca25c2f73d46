/**
 * Stands in for `node:util` in the bundle: prom-client uses it in the texts of errors only, and the real one
 * costs 24 ms of CPU at every start. Must never grow beyond what prom-client's parts call.
 */

/** The value as text, as far as an error message needs it. */
export function format(value: unknown): string {
  return typeof value === "string" ? value : String(value);
}

/** The same; prom-client shows a bad bucket list with it. */
export const inspect = format;

export default { format, inspect };
