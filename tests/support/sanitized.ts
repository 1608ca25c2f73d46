/** Tests with every sanitizer on, whatever Deno's defaults are. */

/** `Deno.test` with the checks for leaked operations, resources and exits switched on. */
export function sanitized(name: string, fn: (t: Deno.TestContext) => void | Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: true, sanitizeResources: true, sanitizeExit: true });
}
