/** Directories of their own for tests. */

import { test } from "./strict.ts";

/** Runs `body` with a new directory, and removes it. */
async function inDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "config-reloader-test-" }));
  try {
    await body(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

/** Registers a test in such a directory. */
export function testInDir(name: string, body: (dir: string) => Promise<void>): void {
  test(name, () => inDir(body));
}
