// deno-lint-ignore-file no-console -- its output is its result
/**
 * Run by `hostile_test.ts` as its own process: reads every hostile answer through the real probe in several modes and
 * prints one JSON line a read, then one with the growth of its memory and its descriptors.
 */

import { createSender } from "../../src/http/request.ts";
import type { VerifyMode } from "../../src/config.ts";
import { createStatusProbe } from "../../src/verify/probe.ts";
import type { StatusReading } from "../../src/model.ts";
import { createTestConfig } from "../support/config.ts";
import { ownMs } from "../support/poll.ts";
import { HOSTILE_KINDS, TIMES_OUT } from "../support/hostile_server.ts";

const port = Deno.args[0]!;
const modes: VerifyMode[] = ["auto", "amp", "prometheus", "json", "http"];

/** CPU time of this process so far; the kernel counts in steps of 10 ms. */
function cpuMs(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const { send } = createSender();

async function read(kind: string, verify: VerifyMode, httpTimeoutMs: number) {
  const probe = createStatusProbe(
    createTestConfig({
      reloadUrl: `http://127.0.0.1:${port}/${kind}`,
      verify,
      verifyOk: { pointer: "/status", value: "success" },
      httpTimeoutMs,
    }),
    send,
  );
  const startCpuMs = cpuMs();
  let reading: StatusReading | null = null;
  const ms = await ownMs(Deno.pid, async () => reading = await probe.read(new AbortController().signal));
  return { kind, verify, reading, ms: Math.round(ms), cpuMs: cpuMs() - startCpuMs };
}

const memory = (field: string) =>
  Number(new RegExp(`${field}:\\s+(\\d+)`).exec(Deno.readTextFileSync("/proc/self/status"))![1]) * 1024;
const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;

// Enough ordinary reads for the heap to reach its ordinary size.
for (let i = 0; i < 300; i++) for (const verify of modes) await read("stale", verify, 1000);
// Private memory: pages of Deno's own binary come in as more of its code runs, and are not the answers' doing.
const before = { rss: memory("RssAnon"), fds: descriptors() };
let peakRss = before.rss;
const sampling = setInterval(() => peakRss = Math.max(peakRss, memory("RssAnon")), 5);
for (const kind of HOSTILE_KINDS) {
  for (const verify of modes) {
    console.log(JSON.stringify(await read(kind, verify, TIMES_OUT.has(kind) ? 400 : 20_000)));
    peakRss = Math.max(peakRss, memory("RssAnon"));
  }
}
clearInterval(sampling);
for (let i = 0; i < 100; i++) {
  for (const kind of ["redirect", "half-body", "greeting"]) await read(kind, "auto", 20_000);
}
console.log(JSON.stringify({ grownBytes: peakRss - before.rss, grownFds: descriptors() - before.fds }));
