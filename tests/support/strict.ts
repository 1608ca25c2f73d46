/** `Deno.test` with every sanitizer on: Deno 2.9 leaves those of operations and resources off by default. */

/** Registers a test that may leave no operation, resource or exit behind. */
export function test(name: string, fn: (context: Deno.TestContext) => void | Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: true, sanitizeResources: true, sanitizeExit: true });
}
