/** A PID file whose writer is hostile; `tests/e2e/pods` has the others. */

import assert from "node:assert/strict";
import { createClock } from "../../src/clock.ts";
import { createPidFileReader } from "../../src/target/wanted.ts";
import { createTargetPort } from "../../src/target/target.ts";
import { createTestConfig } from "../support/config.ts";
import { testInDir } from "../support/in_dir.ts";

testInDir("a PID file that leads to a secret: nothing of it is told", async (dir) => {
  Deno.writeTextFileSync(`${dir}/token`, "s3cr3t\n");
  Deno.symlinkSync("token", `${dir}/app.pid`);
  assert.deepEqual((await createPidFileReader(`${dir}/app.pid`))(), {
    kind: "none",
    code: "pid-file",
    again: true,
    message:
      `Cannot use PID file "${dir}/app.pid": its first line is no PID; waiting for the application to write it`,
  });
});

testInDir("a PID file from before the process it names is waited for", async (dir) => {
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  try {
    const pidFile = `${dir}/app.pid`;
    Deno.writeTextFileSync(pidFile, `${child.pid}\n`);
    const port = await createTargetPort(createTestConfig({ pidFile }), { clock: createClock() });
    assert.equal(port.resolve(null).kind, "starting");
    const hourAgo = new Date(Date.now() - 3_600_000);
    Deno.utimeSync(pidFile, hourAgo, hourAgo);
    const found = port.resolve(null);
    assert.ok(found.kind === "none" && found.again && found.code === "pid-file", JSON.stringify(found));
    assert.match(found.message, /it is older than the process it names/);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
});

/** Puts a FIFO and a file in each other's place, over and over. */
const SWAP = `
const [dir] = Deno.args;
for (;;) {
  Deno.renameSync(dir + "/fifo", dir + "/app.pid");
  Deno.linkSync(dir + "/app.pid", dir + "/fifo");
  Deno.renameSync(dir + "/file", dir + "/app.pid");
  Deno.linkSync(dir + "/app.pid", dir + "/file");
}
`;

/** Reads it for a while: in a process of its own, since one that waits for the writer of a FIFO ends by a signal only. */
const READ = `
const { createPidFileReader } = await import(Deno.args[0]);
const read = await createPidFileReader(Deno.args[1] + "/app.pid");
const seen = new Set();
const beganMs = performance.now();
const spentMs = () => performance.now() - beganMs;
while (spentMs() < 3_000 || seen.size < 2 && spentMs() < 20_000) {
  const found = read();
  seen.add(found.kind === "pid" ? found.pid : found.message.includes("not a regular file"));
}
console.log(JSON.stringify([...seen].sort()));
`;

testInDir("a FIFO that comes while the PID file is read holds up nothing", async (dir) => {
  await new Deno.Command("mkfifo", { args: [`${dir}/fifo`] }).output();
  Deno.writeTextFileSync(`${dir}/file`, "7\n");
  Deno.writeTextFileSync(`${dir}/app.pid`, "7\n");
  const start = (code: string, args: string[]) =>
    new Deno.Command(Deno.execPath(), { args: ["eval", code, ...args], stdout: "piped" }).spawn();
  const swapper = start(SWAP, [dir]);
  const reader = start(READ, [import.meta.resolve("../../src/target/wanted.ts"), dir]);
  const timer = setTimeout(() => reader.kill("SIGKILL"), 30_000);
  const { stdout } = await reader.output();
  clearTimeout(timer);
  swapper.kill("SIGKILL");
  await swapper.output();
  assert.equal(new TextDecoder().decode(stdout), "[7,true]\n");
});
