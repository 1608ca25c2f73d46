/** Standard error that nobody reads, and one that is closed: the loop must not block, and no line is lost for it. */

import assert from "node:assert/strict";
import { run } from "../../support/run.ts";
import { createScene } from "../../support/scene.ts";
import { test } from "../../support/strict.ts";

/** What a pipe holds, pipe(7). */
const PIPE_BYTES = 64 * 1024;

test("a standard error that nobody reads does not stop reloads or /healthz", async () => {
  await using scene = await createScene();
  const path = `${scene.dir}/stderr`;
  await run("mkfifo", [path]);
  using pipe = await Deno.open(path, { read: true, write: true });
  // Room for a dozen lines; each change has three.
  await pipe.write(new TextEncoder().encode(".".repeat(PIPE_BYTES - 4096)));
  const sidecar = await scene.begin({
    prefix: ["sh", "-c", `exec "$@" 2>${path}`, "sh"],
    args: ["--log-level", "debug", "--log-format", "json", "--verify", "http"],
  });
  let hash = "";
  for (let i = 1; i <= 25; i++) {
    hash = await scene.swap(`version: ${i}\n`);
    await scene.applied(hash);
  }
  await sidecar.metricIs("config_reload_successes_total", 25);
  await sidecar.healthz();
  // Nothing was lost: it waited for somebody to read.
  let [text, bytes] = ["", 0];
  const buffer = new Uint8Array(PIPE_BYTES);
  const decoder = new TextDecoder();
  while (!new RegExp(`Reload successful.*${hash.slice(0, 12)}`).test(text)) {
    const count = await pipe.read(buffer);
    text += decoder.decode(buffer.subarray(0, count ?? 0), { stream: true });
    bytes += count ?? 0;
  }
  assert.ok(bytes > PIPE_BYTES, `${bytes} bytes: the pipe was never full`);
  assert.equal(text.match(/Reload successful/g)?.length, 25);
});

test("a closed standard error does not end the sidecar", async () => {
  await using scene = await createScene();
  const sidecar = await scene.begin({ stderr: "closed", args: ["--log-level", "debug"] });
  for (let i = 1; i <= 5; i++) await scene.applied(await scene.swap(`version: ${i}\n`));
  await sidecar.healthz();
  await sidecar.metricIs("config_reload_successes_total", 5);
  sidecar.kill("SIGTERM");
  assert.equal(await sidecar.ended(), 0);
});
