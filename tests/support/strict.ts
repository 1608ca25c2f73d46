/** `Deno.test` with every sanitizer on: Deno 2.9 leaves those of operations and resources off by default. */

/** Options of `Deno.test` for a test that may leave no operation, resource or exit behind. */
export const STRICT = { sanitizeOps: true, sanitizeResources: true, sanitizeExit: true } as const;

/** Registers such a test. */
export function test(name: string, fn: (context: Deno.TestContext) => void | Promise<void>): void {
  Deno.test({ ...STRICT, name, fn });
}
