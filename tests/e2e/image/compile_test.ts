/**
 * `deno task compile`: the same bytes wherever and however often it is built, the revision inside, and clear refusals. Needs the
 * runtime that `deno compile` downloads, or one in `DENORT_BIN`.
 */

import assert from "node:assert/strict";
import { attempt, ROOT, run } from "../../support/run.ts";
import { test } from "../../support/strict.ts";

/** Copies what a build needs to another directory, as another checkout would have it. */
async function checkout(): Promise<string> {
  const dir = await Deno.makeTempDir({ prefix: "checkout-" });
  const parts = ["main.ts", "src", "scripts", "deno.json", "deno.lock", "node_modules"];
  await run("cp", ["-a", ...parts, dir], { cwd: ROOT });
  return dir;
}

/** Runs the task's script in a checkout. */
function compile(cwd: string, args: readonly string[], env: Record<string, string> = {}) {
  return attempt(Deno.execPath(), ["run", "-A", "scripts/compile.ts", ...args], {
    cwd,
    env: { BUILD_REVISION: "0123456789ab", NO_COLOR: "1", ...env },
  });
}

/** By the system's tool: the binary is large. */
const sha256 = async (path: string) => (await run("sha256sum", [path])).slice(0, 64);

test("two checkouts give the same bytes, and so does a second build in one of them", async () => {
  const [first, second] = [await checkout(), await checkout()];
  try {
    const digests: string[] = [];
    for (
      const [dir, output] of [[first, "dist/config-reloader"], [second, "dist/config-reloader"], [
        second,
        "out/config-reloader",
      ]]
    ) {
      const { code, err } = await compile(dir!, ["--output", output!]);
      assert.equal(code, 0, err);
      digests.push(await sha256(`${dir}/${output}`));
    }
    assert.equal(digests[1], digests[0], "another checkout");
    assert.equal(digests[2], digests[0], "a second build");
    const other = await compile(second, ["--output", "dist/config-reloader"], {
      BUILD_REVISION: "ffffffffffff",
    });
    assert.equal(other.code, 0, other.err);
    assert.notEqual(
      await sha256(`${second}/dist/config-reloader`),
      digests[0],
      "the revision must be inside",
    );
    const version = await run(`${second}/dist/config-reloader`, ["--version"], { clearEnv: true });
    assert.match(version, /^config-reloader \d+\.\d+\.\d+ .*ffffffffffff/);
  } finally {
    for (const dir of [first, second]) await Deno.remove(dir, { recursive: true });
  }
});

test("a bad target is refused before anything is built", async () => {
  const { code, err } = await compile(ROOT, ["--target", "x86_64-apple-darwin"]);
  assert.equal(code, 2);
  assert.equal(
    err.trim(),
    '--target "x86_64-apple-darwin": want x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu',
  );
});

test("a runtime for another machine is noticed", async () => {
  const dir = await Deno.makeTempDir({ prefix: "compile-" });
  try {
    const other = Deno.build.arch === "x86_64" ? "aarch64" : "x86_64";
    // any program of this machine in place of the runtime: its header tells the machine
    const args = ["--target", `${other}-unknown-linux-gnu`, "--output", `${dir}/out`];
    const { code, err } = await compile(ROOT, args, { DENORT_BIN: "/bin/true" });
    assert.equal(code, 1);
    assert.match(err, /DENORT_BIN is for another machine/);
    assert.equal(
      [...Deno.readDirSync(dir)].some(({ name }) => name === "out"),
      false,
      "it must not be left there",
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
