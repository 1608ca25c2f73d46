/** A directory of its own for a test, removed afterwards. */
export async function inDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "config-reloader-test-" }));
  try {
    await body(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}
